"""mT5: published sizes, causality, padding, cache and scanned layers."""

import dataclasses
from functools import partial

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
APPLY = jax.jit(TextToText(TINY).apply)


@pytest.fixture(scope="module")
def variables():
  return jax.jit(TextToText(TINY).init)(jax.random.key(0), INPUTS, TOKENS)


def test_dropout_drops_a_feature_at_all_positions_of_an_example():
  config = dataclasses.replace(TINY, dropout_rate=0.5)
  encoder = mt5.Encoder(config)
  mask = jnp.ones((2, 4), bool)
  embeddings = jax.random.normal(jax.random.key(1), (2, 4, 16))
  variables = encoder.init(jax.random.key(0), embeddings, mask)
  out = encoder.apply(
    variables,
    embeddings,
    mask,
    deterministic=False,
    rngs={"dropout": jax.random.key(2)},
  )
  dropped = np.asarray(out == 0)
  assert 0 < dropped.sum() < dropped.size
  np.testing.assert_array_equal(dropped, dropped[:, :1].repeat(4, 1))
  assert np.any(dropped[0] != dropped[1])


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
  # Row r differs from row 0 in the token at position r alone.
  tokens = jnp.tile(TOKENS[:1], (6, 1))
  rows = jnp.arange(1, 6)
  tokens = tokens.at[rows, rows].set((tokens[rows, rows] + 1) % 11)
  inputs = jnp.tile(INPUTS[:1], (6, 1))
  logits = np.asarray(APPLY(variables, inputs, tokens))
  moved = np.abs(logits[1:] - logits[:1]).max(axis=-1) > 1e-6
  np.testing.assert_array_equal(
    moved, np.arange(6)[None, :] >= np.arange(1, 6)[:, None]
  )


def test_padding_of_the_input_changes_nothing(variables):
  long = jnp.pad(INPUTS, ((0, 0), (0, 3)))
  np.testing.assert_allclose(
    APPLY(variables, long, TOKENS),
    APPLY(variables, INPUTS, TOKENS),
    rtol=1e-4,
    atol=1e-5,
  )


def _scanned(params: dict) -> dict:
  """Stacks the layers' parameters the way scan_layers stores them."""

  def stack(part):
    rest = {k: v for k, v in part.items() if not k.startswith("layers_")}
    layers = [part[f"layers_{i}"] for i in range(2)]
    return {**rest, "layers": jax.tree.map(lambda *x: np.stack(x), *layers)}

  return {
    **params,
    "encoder": stack(params["encoder"]),
    "decoder": stack(params["decoder"]),
  }


@partial(jax.jit, static_argnums=1)
def _loss_and_gradient(params, config):
  def loss(params):
    logits = TextToText(config).apply({"params": params}, INPUTS, TOKENS)
    return jnp.mean(jnp.square(logits))

  return jax.jit(jax.value_and_grad(loss))(params)


@pytest.mark.parametrize(
  ("scan_layers", "remat_policy"),
  [(False, "full"), (True, "none"), (True, "dots")],
)
def test_scan_and_rematerialisation_leave_values_and_gradients(
  variables, scan_layers, remat_policy
):
  params = variables["params"]
  loss, gradient = _loss_and_gradient(params, TINY)
  if scan_layers:
    params, gradient = _scanned(params), _scanned(gradient)
  config = dataclasses.replace(
    TINY, scan_layers=scan_layers, remat_policy=remat_policy
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
    _loss_and_gradient(params, config),
    (loss, gradient),
  )


@pytest.mark.parametrize("scan_layers", [False, True])
def test_cached_logits_equal_teacher_forced_ones(variables, scan_layers):
  model = TextToText(dataclasses.replace(TINY, scan_layers=scan_layers))
  params = variables["params"]
  if scan_layers:
    params = _scanned(params)
  whole = jax.jit(model.apply)({"params": params}, INPUTS, TOKENS)

  @jax.jit
  def start(tokens):
    encoded, mask = model.apply({"params": params}, INPUTS, method="encode")
    return model.apply(
      {"params": params},
      encoded,
      mask,
      tokens,
      method="decode",
      decode=True,
      max_decode_length=8,
      mutable=["cache"],
    )

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

  prefill, state = start(TOKENS[:, :2])
  outputs = [prefill]
  for index in range(2, 6):
    logits, state = step(state["cache"], TOKENS[:, index : index + 1])
    outputs.append(logits)
  np.testing.assert_allclose(
    np.concatenate(outputs, axis=1), whole, rtol=1e-4, atol=1e-5
  )


def test_a_step_without_a_prompt_is_refused(variables):
  with pytest.raises(ValueError, match="must be given the encoded inputs"):
    jax.eval_shape(
      lambda tokens: TextToText(TINY).apply(
        variables,
        None,
        None,
        tokens,
        method="decode",
        decode=True,
        mutable=["cache"],
      ),
      TOKENS[:, :1],
    )


def test_bfloat16_computes_narrow_and_answers_in_float32(variables):
  config = dataclasses.replace(TINY, dtype="bfloat16")
  logits = jax.jit(TextToText(config).apply)(variables, INPUTS, TOKENS)
  assert logits.dtype == jnp.float32
  exact = APPLY(variables, INPUTS, TOKENS)
  error = np.abs(logits - exact).max()
  # Eight bits of mantissa; exact equality would mean nothing was narrowed.
  assert 0 < error < 0.1 * np.abs(exact).max()


def test_gin_lists_become_hashable():
  config = mt5.MT5Config(vocab_size=5, mlp_activations=["relu"])
  assert hash(config) == hash(dataclasses.replace(config))
  with pytest.raises(ValueError, match=r"mlp_activations.*'swish'.*gelu"):
    mt5.MT5Config(vocab_size=5, mlp_activations=("swish",))
