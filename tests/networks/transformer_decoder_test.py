"""The plain decoder: causality, cache, scan, positions, PyTorch's layer."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.networks import transformer_decoder

POST = transformer_decoder.DecoderConfig(
  vocab_size=11,
  emb_dim=16,
  num_heads=2,
  mlp_dim=24,
  num_layers=2,
  max_length=8,
)
PRE = dataclasses.replace(
  POST,
  activation="gelu_exact",
  position="sincos",
  norm="pre",
  embedding_norm=False,
  scan_layers=True,
)
RNG = np.random.default_rng(0)
ENCODED = jnp.asarray(RNG.normal(size=(2, 5, 12)), jnp.float32)
MASK = jnp.asarray([[True] * 5, [True] * 3 + [False] * 2])
TOKENS = jnp.array([[0, 4, 9, 3, 2, 6], [0, 7, 7, 10, 5, 8]])


@functools.cache
def _params(config):
  """Random ones, norms and biases and positions too."""
  model = transformer_decoder.Decoder(config)
  shapes = jax.eval_shape(
    lambda: model.init(jax.random.key(0), ENCODED, MASK, TOKENS)["params"]
  )
  rng = np.random.default_rng(0)

  def draw(path, leaf):
    one = 1.0 if path[-1].key == "scale" else 0.0
    return jnp.asarray(one + 0.3 * rng.normal(size=leaf.shape), jnp.float32)

  return jax.tree_util.tree_map_with_path(draw, shapes)


@functools.cache
def _apply(config):
  return jax.jit(transformer_decoder.Decoder(config).apply)


def _logits(config, params, encoded=ENCODED, mask=MASK, tokens=TOKENS):
  return np.asarray(_apply(config)({"params": params}, encoded, mask, tokens))


@pytest.mark.parametrize("config", [POST, PRE], ids=["post", "pre"])
def test_cached_logits_equal_teacher_forced_ones(config):
  model, params = transformer_decoder.Decoder(config), _params(config)

  @jax.jit
  def start(tokens):
    return model.apply(
      {"params": params},
      ENCODED,
      MASK,
      tokens,
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
      decode=True,
      mutable=["cache"],
    )

  prefill, state = start(TOKENS[:, :2])
  outputs = [prefill]
  for index in range(2, 6):
    logits, state = step(state["cache"], TOKENS[:, index : index + 1])
    outputs.append(logits)
  np.testing.assert_allclose(
    np.concatenate(outputs, axis=1),
    _logits(config, params),
    rtol=1e-4,
    atol=1e-5,
  )


def test_a_logit_depends_on_the_past_alone():
  params = _params(POST)
  logits = _logits(POST, params)
  for place in range(6):
    tokens = TOKENS.at[:, place].set((TOKENS[:, place] + 1) % 11)
    moved = np.abs(_logits(POST, params, tokens=tokens) - logits) > 1e-6
    np.testing.assert_array_equal(
      moved.any(axis=-1), np.tile(np.arange(6) >= place, (2, 1))
    )


@pytest.mark.parametrize("config", [POST, PRE], ids=["post", "pre"])
def test_equal_tokens_are_told_apart_by_their_place_alone(config):
  # mT5's biases cannot: all keys are the same.
  params = _params(config)
  logits = _logits(config, params, tokens=jnp.full((2, 6), 4))
  assert np.abs(np.diff(logits, axis=1)).max(axis=(0, 2)).min() > 1e-3
  if "positions" in params:
    params = {**params, "positions": {"embedding": jnp.zeros((8, 16))}}
    logits = _logits(config, params, tokens=jnp.full((2, 6), 4))
    np.testing.assert_allclose(np.diff(logits, axis=1), 0.0, atol=1e-5)


def test_what_the_mask_hides_changes_nothing():
  params = _params(POST)
  other = ENCODED.at[1, 3:].add(5.0)
  np.testing.assert_allclose(
    _logits(POST, params, other), _logits(POST, params), atol=1e-6
  )
  shown = _logits(POST, params, other, jnp.ones_like(MASK))
  assert np.abs(shown - _logits(POST, params)).max() > 1e-2


def test_scanned_layers_are_the_same_layers():
  params = _params(POST)
  scanned = {k: v for k, v in params.items() if not k.startswith("layers_")}
  scanned["layers"] = jax.tree.map(
    lambda *x: jnp.stack(x), params["layers_0"], params["layers_1"]
  )
  config = dataclasses.replace(POST, scan_layers=True, remat_policy="full")
  np.testing.assert_allclose(
    _logits(config, scanned), _logits(POST, params), rtol=1e-4, atol=1e-5
  )


@pytest.mark.parametrize("config", [POST, PRE], ids=["post", "pre"])
def test_a_layer_equals_the_pytorch_one(config):
  torch = pytest.importorskip("torch")
  theirs = torch.nn.TransformerDecoderLayer(
    16,
    2,
    24,
    dropout=0.0,
    activation="gelu" if config is PRE else "relu",
    norm_first=config is PRE,
    batch_first=True,
  ).eval()
  config = dataclasses.replace(config, dropout_rate=0.0)
  layer = transformer_decoder.DecoderLayer(config, deterministic=True)
  x = jnp.asarray(RNG.normal(size=(2, 6, 16)), jnp.float32)
  encoded = jnp.asarray(RNG.normal(size=(2, 5, 16)), jnp.float32)
  causal = jnp.tril(jnp.ones((6, 6), bool))
  call = (x, encoded, MASK, causal[None, None], None)
  params = jax.jit(layer.init)(jax.random.key(0), *call)["params"]

  def linear(weight, bias):
    return {
      "kernel": jnp.asarray(weight.detach().numpy().T),
      "bias": jnp.asarray(bias.detach().numpy()),
    }

  generator = torch.Generator().manual_seed(0)
  with torch.no_grad():
    for tensor in theirs.parameters():
      if tensor.ndim == 1:
        tensor.add_(0.3 * torch.randn(tensor.shape, generator=generator))
  for ours, module in (
    ("self_attention", theirs.self_attn),
    ("encoder_decoder_attention", theirs.multihead_attn),
  ):
    weights = module.in_proj_weight.chunk(3)
    biases = module.in_proj_bias.chunk(3)
    for name, weight, bias in zip(
      ("query", "key", "value"), weights, biases, strict=True
    ):
      params[ours][name] = linear(weight, bias)
    params[ours]["out"] = linear(module.out_proj.weight, module.out_proj.bias)
  params["wi"] = linear(theirs.linear1.weight, theirs.linear1.bias)
  params["wo"] = linear(theirs.linear2.weight, theirs.linear2.bias)
  for ours, module in (
    ("self_attention_norm", theirs.norm1),
    ("cross_attention_norm", theirs.norm2),
    ("mlp_norm", theirs.norm3),
  ):
    params[ours] = {
      "scale": jnp.asarray(module.weight.detach().numpy()),
      "bias": jnp.asarray(module.bias.detach().numpy()),
    }
  with torch.no_grad():
    want = theirs(
      torch.tensor(np.asarray(x)),
      torch.tensor(np.asarray(encoded)),
      tgt_mask=~torch.tensor(np.asarray(causal)),
      memory_key_padding_mask=~torch.tensor(np.asarray(MASK)),
    ).numpy()
  got = jax.jit(layer.apply)({"params": params}, *call)[0]
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_a_text_longer_than_the_positions_is_refused():
  with pytest.raises(
    ValueError, match=r"9 tokens.*positions for 8.*max_length"
  ):
    jax.eval_shape(
      lambda: transformer_decoder.Decoder(POST).apply(
        {"params": _params(POST)}, ENCODED, MASK, jnp.zeros((2, 9), int)
      )
    )
  with pytest.raises(ValueError, match=r"`norm` is 'none'.*post.*pre"):
    transformer_decoder.DecoderConfig(5, norm="none")
  with pytest.raises(ValueError, match=r"`emb_dim` 16.*`num_heads` 3"):
    dataclasses.replace(POST, num_heads=3)


def test_a_step_without_a_prompt_is_refused():
  with pytest.raises(ValueError, match="must be given the encoded inputs"):
    jax.eval_shape(
      lambda: transformer_decoder.Decoder(POST).apply(
        {"params": _params(POST)},
        None,
        None,
        TOKENS[:, :1],
        decode=True,
        mutable=["cache"],
      )
    )
