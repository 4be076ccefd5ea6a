"""mT5: published sizes, causality, padding, cache and scanned layers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from inksight_jax.networks import mt5

TINY = mt5.MT5Config(
  vocab_size=11,
  emb_dim=16,
  num_heads=2,
  head_dim=8,
  mlp_dim=24,
  num_encoder_layers=2,
  num_decoder_layers=2,
)


class TextToText(nn.Module):
  """The text model, for tests: the package reads pictures."""

  config: mt5.MT5Config

  def setup(self):
    self.token_embedder = mt5.token_embedder(self.config)
    self.encoder = mt5.Encoder(self.config)
    self.decoder = mt5.Decoder(self.config, self.token_embedder)

  def encode(self, inputs):
    mask = inputs > 0
    return self.encoder(self.token_embedder(inputs), mask), mask

  def decode(self, encoded, mask, tokens, **options):
    return self.decoder(encoded, mask, tokens, **options)

  def __call__(self, inputs, tokens):
    return self.decode(*self.encode(inputs), tokens)


INPUTS = jnp.array([[5, 6, 7, 1], [8, 1, 0, 0]])
TOKENS = jnp.array([[0, 4, 9, 3, 2, 6], [0, 7, 7, 10, 5, 8]])


@pytest.fixture(scope="module")
def variables():
  return jax.jit(TextToText(TINY).init)(jax.random.key(0), INPUTS, TOKENS)


# Parameters of google/t5-v1_1-* follow from its vocabulary of 32,128; those of
# google/mt5-* from 250,112 (Xue et al. 2021, table 1: 300M, 580M, 1.2B).
@pytest.mark.parametrize(
  ("size", "published"),
  [("small", 300_176_768), ("base", 582_401_280), ("large", 1_229_581_312)],
)
def test_sizes_have_the_published_number_of_parameters(size, published):
  config = mt5.mt5_config(size, 250_112, scan_layers=True)
  shapes = jax.eval_shape(
    TextToText(config).init, jax.random.key(0), INPUTS, TOKENS
  )["params"]
  assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == published


def test_a_logit_depends_on_the_past_alone(variables):
  table = variables["params"]["token_embedder"]["embedding"]
  model = TextToText(TINY)
  encoded, mask = model.apply(variables, INPUTS, method="encode")

  def logits(rows):
    # One private row of the table per position makes tokens differentiable.
    wide = dataclasses.replace(TINY, vocab_size=6)
    decoder = mt5.Decoder(
      dataclasses.replace(wide, logits_via_embedding=True),
      mt5.token_embedder(wide),
    )
    params = {
      **{
        name: value
        for name, value in variables["params"]["decoder"].items()
        if name != "logits_dense"
      },
      "token_embedder": {"embedding": rows},
    }
    hidden = decoder.apply(
      {"params": params}, encoded[:1], mask[:1], jnp.arange(6)[None]
    )
    return hidden[0, 3]

  rows = table[:6]
  # Tied logits touch every row; what is left after taking out the read-out
  # is the influence through the input.
  jacobian = jax.jacobian(lambda r: logits(r)[0] / 1.0)(rows)
  assert np.abs(jacobian[:4]).min(axis=1).max() > 0
  np.testing.assert_array_equal(jacobian[4:], 0.0)


def test_padding_of_the_input_changes_nothing(variables):
  model = TextToText(TINY)
  apply = jax.jit(model.apply)
  long = jnp.pad(INPUTS, ((0, 0), (0, 3)))
  np.testing.assert_allclose(
    apply(variables, long, TOKENS),
    apply(variables, INPUTS, TOKENS),
    rtol=1e-4,
    atol=1e-5,
  )


def _scanned(params: dict) -> dict:
  """Stacks the layers' parameters as scan_layers stores them."""

  def stack(part):
    rest = {k: v for k, v in part.items() if not k.startswith("layers_")}
    layers = [part[f"layers_{i}"] for i in range(2)]
    return {**rest, "layers": jax.tree.map(lambda *x: jnp.stack(x), *layers)}

  return {
    **params,
    "encoder": stack(params["encoder"]),
    "decoder": stack(params["decoder"]),
  }


@pytest.mark.parametrize("remat_policy", ["none", "dots", "full"])
@pytest.mark.parametrize("scan_layers", [False, True])
def test_scan_and_rematerialisation_leave_values_and_gradients(
  variables, scan_layers, remat_policy
):
  def loss(params, config):
    logits = TextToText(config).apply({"params": params}, INPUTS, TOKENS)
    return jnp.mean(jnp.square(logits))

  grad = jax.jit(jax.value_and_grad(loss), static_argnums=1)
  params = variables["params"]
  want = grad(params, TINY)
  config = dataclasses.replace(
    TINY, scan_layers=scan_layers, remat_policy=remat_policy
  )
  if not scan_layers:
    got = grad(params, config)
  else:
    got = grad(_scanned(params), config)
    want = (want[0], _scanned(want[1]))
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
    got,
    want,
  )


@pytest.mark.parametrize("scan_layers", [False, True])
def test_cached_logits_equal_teacher_forced_ones(variables, scan_layers):
  model = TextToText(dataclasses.replace(TINY, scan_layers=scan_layers))
  params = variables["params"]
  if scan_layers:
    params = _scanned(params)
  whole = model.apply({"params": params}, INPUTS, TOKENS)
  encoded, mask = model.apply({"params": params}, INPUTS, method="encode")

  prefill, state = jax.jit(
    lambda tokens: model.apply(
      {"params": params},
      encoded,
      mask,
      tokens,
      method="decode",
      decode=True,
      max_decode_length=8,
      mutable=["cache"],
    )
  )(TOKENS[:, :2])

  @jax.jit
  def step(cache, tokens):
    return model.apply(
      {"params": params, "cache": cache},
      None,
      None,
      tokens,
      method="decode",
      decode=True,
      mutable=["cache"],
    )

  outputs = [prefill]
  for index in range(2, 6):
    logits, state = step(state["cache"], TOKENS[:, index : index + 1])
    outputs.append(logits)
  np.testing.assert_allclose(
    np.concatenate(outputs, axis=1), whole, rtol=1e-4, atol=1e-5
  )


def test_a_step_without_a_prompt_is_refused(variables):
  with pytest.raises(ValueError, match="must be given the encoded inputs"):
    TextToText(TINY).apply(
      variables,
      None,
      None,
      TOKENS[:, :1],
      method="decode",
      decode=True,
      mutable=["cache"],
    )


def test_bfloat16_computes_narrow_and_answers_in_float32(variables):
  config = dataclasses.replace(TINY, dtype="bfloat16")
  apply = jax.jit(TextToText(config).apply)
  logits = apply(variables, INPUTS, TOKENS)
  assert logits.dtype == jnp.float32
  exact = TextToText(TINY).apply(variables, INPUTS, TOKENS)
  error = np.abs(logits - exact).max()
  # Eight bits of mantissa; exact equality would mean nothing was narrowed.
  assert 0 < error < 0.1 * np.abs(exact).max()


def test_gin_lists_become_hashable():
  config = mt5.MT5Config(vocab_size=5, mlp_activations=["relu"])
  assert hash(config) == hash(dataclasses.replace(config))
  with pytest.raises(ValueError, match="mlp_activations.*'swish'.*gelu"):
    mt5.MT5Config(vocab_size=5, mlp_activations=("swish",))
