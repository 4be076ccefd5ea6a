"""The attention kernel against plain attention, on one device and on several.

It runs in JAX's simulation of a TPU's memories, and through the TPU's compiler
where that is installed.
"""

import functools
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.linen import partitioning
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from inksight_jax.networks import (
  attention,
  attention_blocks,
  fused_attention,
  layers,
  mt5,
)
from inksight_jax.training import chips, hlo_cost
from inksight_jax.training import mesh as mesh_lib

NEEDS_LIBTPU = pytest.mark.skipif(
  importlib.util.find_spec("libtpu") is None,
  reason="the TPU compiler is absent; it comes with inksight-jax[tpu]",
)
RULES = mesh_lib.as_linen_rules(mesh_lib.LOGICAL_AXIS_RULES)


@pytest.fixture
def simulated() -> Iterator[None]:
  with (
    pltpu.force_tpu_interpret_mode(),
    jax.default_matmul_precision("highest"),
  ):
    yield


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
  """Blocks of 128 queries, so that several are tried at little cost."""
  monkeypatch.setattr(attention_blocks, "QUERIES", 128)


def _random(seed: int, *shape: int) -> jax.Array:
  values = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(values, jnp.float32)


class _Core(nn.Module):
  causal: bool
  fused: bool
  dropout_rate: float = 0.0

  @nn.compact
  def __call__(self, query, key, value, mask, bias):
    return attention.dot_product_attention(
      query, key, value, mask, bias,
      nn.Dropout(self.dropout_rate, deterministic=False),
      causal=self.causal, fused=self.fused,
    )  # fmt: skip


def _both(
  queries: int,
  keys: int,
  *,
  batch: int = 2,
  heads: int = 2,
  head_dim: int = 64,
  causal: bool = False,
  mask: jax.Array | None = None,
  with_bias: bool = True,
  dropout_rate: float = 0.0,
  run: Callable[[Callable], Callable] = jax.jit,
) -> tuple:
  """(score, gradients) of plain attention and of the kernel."""
  query = _random(0, batch, heads, queries, head_dim) / head_dim**0.5
  key = _random(1, batch, heads, keys, head_dim)
  value = _random(2, batch, heads, keys, head_dim)
  bias = _random(3, heads, queries + keys - 1) if with_bias else None
  towards = _random(4, batch, heads, queries, head_dim)
  # Numbers of the offsets, key minus query, from 1 - queries.
  offsets = jnp.arange(keys)[None, :] - jnp.arange(queries)[:, None]

  def score(query, key, value, bias, fused: bool):
    if not fused and bias is not None:
      bias = bias[:, offsets + queries - 1][None]
    core = _Core(causal, fused, dropout_rate)
    rngs = {"dropout": jax.random.key(0)}
    out = core.apply({}, query, key, value, mask, bias, rngs=rngs)
    return jnp.sum(out * towards)

  arguments = (0, 1, 2, 3) if with_bias else (0, 1, 2)
  results = []
  for fused in (False, True):
    graded = jax.value_and_grad(
      lambda *inputs, fused=fused: score(*inputs, fused=fused), arguments
    )
    compile_for = run if fused else jax.jit
    results.append(compile_for(graded)(query, key, value, bias))
  return tuple(results)


def _assert_equal(pair: tuple) -> None:
  """Equal but for 1e-5 of the largest number of each array."""
  want, got = jax.tree.map(np.asarray, pair)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(
      b, a, rtol=1e-5, atol=1e-5 * np.max(np.abs(a), initial=0.0)
    ),
    want,
    got,
  )


def _in_mesh(mesh: Mesh, rules: tuple) -> Callable[[Callable], Callable]:
  def run(function: Callable) -> Callable:
    def call(*inputs):
      with jax.set_mesh(mesh), partitioning.axis_rules(rules):
        return jax.jit(function)(*inputs)

    return call

  return run


def _padding(keys: int) -> jax.Array:
  """The second of two examples is shorter."""
  length = jnp.array([keys, keys - 13])
  return (jnp.arange(keys)[None, :] < length[:, None])[:, None, None, :]


def _segments(length: int) -> jax.Array:
  """Rows of two examples each, and a query that sees nothing but itself."""
  ids = (jnp.arange(length)[None, :] > jnp.array([[20], [90]])).astype(int)
  ids = ids.at[0, length - 1].set(2)
  return (ids[:, :, None] == ids[:, None, :])[:, None]


@pytest.mark.parametrize(
  ("heads", "head_dim"), [(2, 64), (4, 32), (1, 128), (1, 256)]
)
@pytest.mark.usefixtures("simulated", "small_blocks")
def test_kernel_equals_plain_attention_for_every_size_of_heads(
  heads: int, head_dim: int
):
  _assert_equal(_both(140, 140, heads=heads, head_dim=head_dim, causal=True))


@pytest.mark.parametrize("length", [7, 128, 256, 300])
@pytest.mark.usefixtures("simulated", "small_blocks")
def test_kernel_equals_plain_attention_for_lengths_within_and_beyond_a_block(
  length: int,
):
  _assert_equal(_both(length, length, batch=1, causal=True))
  _assert_equal(_both(length, length, batch=1))


@pytest.mark.usefixtures("simulated", "small_blocks")
def test_kernel_hides_padding_segments_and_the_future():
  _assert_equal(_both(150, 150, mask=_padding(150)))
  _assert_equal(_both(150, 150, mask=_segments(150), causal=True))
  _assert_equal(_both(150, 40, mask=_padding(40), with_bias=False))
  _assert_equal(_both(40, 150, mask=_padding(150)))


@pytest.mark.usefixtures("simulated", "small_blocks")
def test_kernel_drops_the_keys_that_plain_attention_drops():
  _assert_equal(_both(150, 150, dropout_rate=0.3, causal=True))
  _assert_equal(
    _both(
      12, 20, batch=4, heads=4, dropout_rate=0.3, with_bias=False,
      run=_in_mesh(mesh_lib.make_mesh(2, 2, 2), RULES),
    )
  )  # fmt: skip


@pytest.mark.usefixtures("simulated")
def test_query_that_may_look_nowhere_gets_an_average():
  mask = jnp.ones((1, 1, 5, 5), bool).at[0, 0, 2].set(False)
  _assert_equal(_both(5, 5, mask=mask))


def test_causal_attention_to_another_number_of_keys_is_refused():
  query, key = jnp.zeros((1, 4, 128)), jnp.zeros((1, 5, 128))
  with pytest.raises(ValueError, match="4 queries to 5 keys"):
    fused_attention.attend(
      query, key, key, None, None, head_dim=64, causal=True
    )


@pytest.mark.usefixtures("simulated")
def test_devices_attend_to_their_own_examples_and_heads():
  mesh = mesh_lib.make_mesh(2, 2, 2)
  shared = _segments(150)[:1, :, :12, :12]
  for mask in (None, shared, jnp.concatenate([_padding(12)] * 2)):
    _assert_equal(
      _both(12, 12, batch=4, heads=4, mask=mask, run=_in_mesh(mesh, RULES))
    )


@pytest.mark.usefixtures("simulated")
def test_mesh_that_t5x_enters_is_found():
  mesh = Mesh(np.array(jax.devices()).reshape(4, 2), ("data", "model"))
  rules = (("batch", "data"), ("joined_kv", "model"))
  lowered = []

  def run(function: Callable) -> Callable:
    def call(*inputs):
      with (
        pytest.warns(DeprecationWarning, match="with mesh"),
        mesh,
        partitioning.axis_rules(rules),
      ):
        lowered.append(jax.jit(function).lower(*inputs).as_text())
        return jax.jit(function)(*inputs)

    return call

  _assert_equal(_both(12, 12, batch=4, heads=4, run=run))
  assert "manual_axes" in lowered[0]


def _mesh_of(platform: str, **sizes: int) -> AbstractMesh:
  device = jax.sharding.AbstractDevice("a kind", None, platform)
  return AbstractMesh(
    tuple(sizes.values()),
    tuple(sizes),
    (AxisType.Auto,) * len(sizes),
    abstract_device=device,
  )


@pytest.mark.parametrize(
  ("platform", "model", "batch", "heads", "head_dim", "want"),
  [
    ("tpu", 1, 8, 12, 64, True),
    ("cpu", 1, 8, 12, 64, False),
    ("tpu", 2, 8, 12, 64, True),
    # An odd number of heads of half a vector on each device.
    ("tpu", 4, 8, 12, 64, False),
    ("tpu", 4, 8, 12, 128, True),
    ("tpu", 8, 8, 12, 128, False),
    ("tpu", 1, 9, 12, 64, False),
    ("tpu", 1, 8, 12, 48, False),
    ("tpu", 1, 8, 12, 192, False),
  ],
)
def test_kernel_is_used_on_tpus_whose_vectors_the_heads_fill(
  platform: str, model: int, batch: int, heads: int, head_dim: int, want: bool
):
  mesh = _mesh_of(platform, data=4, fsdp=2, model=model)
  sequences = jnp.zeros((batch, 5))
  with (
    jax.sharding.use_abstract_mesh(mesh),
    partitioning.axis_rules(RULES),
  ):
    assert fused_attention.usable(sequences, heads, head_dim) is want


def _config(**changes) -> mt5.MT5Config:
  return mt5.MT5Config(
    vocab_size=32, emb_dim=16, num_heads=4, head_dim=64, mlp_dim=16,
    num_encoder_layers=2, num_decoder_layers=2, dropout_rate=0.0,
    scan_layers=True, remat_policy="dots", **changes,
  )  # fmt: skip


class _Transformer(nn.Module):
  config: mt5.MT5Config

  @nn.compact
  def __call__(self, tokens, segments):
    embedder = mt5.token_embedder(self.config, name="token_embedder")
    present = tokens > 3
    encoded = mt5.Encoder(self.config, name="encoder")(
      embedder(tokens), present
    )
    # With segments, each text reads the encoding of its own half.
    mask = present
    if segments is not None:
      mask = present[:, None, :] & (segments[:, :, None] == segments[:, None])
    return mt5.Decoder(self.config, embedder, name="decoder")(
      encoded, mask, tokens, segment_ids=segments
    )


def _tokens() -> jax.Array:
  return jnp.asarray(np.random.default_rng(0).integers(0, 32, (8, 20)))


def _loss_of(
  config: mt5.MT5Config, segments: jax.Array | None
) -> tuple[Callable, dict]:
  tokens = _tokens()
  model = _Transformer(config)
  params = model.init(jax.random.key(0), tokens, segments)["params"]
  towards = _random(1, 8, 20, 32)

  def loss(params):
    logits = model.apply({"params": params}, tokens, segments)
    return jnp.sum(jax.nn.log_softmax(logits) * towards)

  return jax.value_and_grad(loss), params


@pytest.mark.parametrize("packed", [False, True])
def test_whole_network_learns_the_same_with_the_kernel(
  packed: bool, monkeypatch: pytest.MonkeyPatch
):
  segments = None
  if packed:
    segments = jnp.where(jnp.arange(20)[None] < 9, 1, 2).repeat(8, 0)
  graded, params = _loss_of(_config(), segments)
  want = jax.jit(graded)(params)
  fused, _ = _loss_of(_config(fused_attention=True), segments)
  # It is asked for, but this is no TPU.
  assert "pallas_call" not in str(jax.make_jaxpr(fused)(params))

  monkeypatch.setattr(fused_attention, "usable", lambda *sizes: True)
  # The simulation has side effects, which rematerialised layers may not have.
  interpreted = functools.partial(pl.pallas_call, interpret=True)
  monkeypatch.setattr(pl, "pallas_call", interpreted)
  run = _in_mesh(mesh_lib.make_mesh(4, 1, 2), RULES)
  _assert_equal((want, run(fused)(params)))
  traced = str(jax.make_jaxpr(lambda params: fused(params))(params))
  assert traced.count("name=attention_gradient\n") == 3


def test_exported_network_does_without_the_kernel_and_takes_any_batch():
  model = _Transformer(_config(fused_attention=True))
  variables = model.init(jax.random.key(0), _tokens(), None)
  (batch,) = jax.export.symbolic_shape("b")
  tokens = jax.ShapeDtypeStruct((batch, 20), jnp.int32)
  exported = jax.export.export(
    jax.jit(lambda tokens: model.apply(variables, tokens, None)),
    platforms=("cpu", "tpu"),
  )(tokens)
  for size in (3, 8):
    np.testing.assert_allclose(
      exported.call(_tokens()[:size]),
      model.apply(variables, _tokens()[:size], None),
      rtol=1e-4,
      atol=1e-5,
    )


@NEEDS_LIBTPU
@pytest.mark.filterwarnings("ignore:`with mesh")
# The tests' cache of programs cannot be read where there is no TPU.
@pytest.mark.filterwarnings("ignore:Error reading persistent compilation")
@pytest.mark.parametrize("entered_by", ["our loop", "t5x"])
def test_tpu_compiler_takes_the_kernel_and_its_work_is_counted(
  entered_by: str,
):
  devices = chips.devices(chips.parse_topology("v5e:2x2"))
  mesh = mesh_lib.make_mesh(4, 1, 1, devices=devices)
  batch, length, heads, head_dim = 4, 300, 2, 64

  def shape(spec: P, dtype: Any, *sizes: int) -> jax.ShapeDtypeStruct:
    sharding = NamedSharding(mesh, spec)
    return jax.ShapeDtypeStruct(sizes, dtype, sharding=sharding)

  def score(query, key, value, bias, kernel, causal: bool):
    def layer(query, key, value, bias, kernel):
      attended = fused_attention.attend(
        query, key, value, None, bias, head_dim=head_dim, causal=causal
      )
      # Its gradient reads what was attended, which must have been kept.
      return attended @ kernel

    kept = jax.checkpoint(layer, policy=layers.REMAT_POLICIES["dots"])
    out = kept(query, key, value, bias, kernel)
    return jnp.sum(out.astype(jnp.float32) ** 2)

  by_row = P(("data", "fsdp"))
  joined = heads * head_dim
  sequences = jnp.zeros((batch, length))
  rows = shape(by_row, jnp.bfloat16, batch, length, joined)
  bias = shape(P(), jnp.float32, heads, 2 * length - 1)
  kernel = shape(P(), jnp.bfloat16, joined, joined)
  entered = mesh if entered_by == "t5x" else jax.set_mesh(mesh)
  with entered, partitioning.axis_rules(RULES):
    assert fused_attention.usable(sequences, heads, head_dim)
    for causal in (True, False):
      graded = jax.grad(score, argnums=(0, 1, 2, 3, 4))
      lowered = jax.jit(graded, static_argnums=5).lower(
        rows, rows, rows, bias, kernel, causal
      )
      cost = hlo_cost.analyse(lowered.compile().as_text())
      # Two products forward, five backward; blocks of 256 queries see no keys
      # behind their last. The layer's own product is one of three.
      pairs = 256 * 256 + 44 * 300 if causal else 300 * 300
      kernels = 7 * 2 * joined * pairs
      assert cost.matmul_flops == kernels + 3 * 2 * length * joined**2
      # Less than the logits of one pass.
      assert cost.hbm_bytes < heads * length**2 * 4 * 4
