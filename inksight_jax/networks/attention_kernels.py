"""Softmax attention and its gradient as kernels of a TPU's program.

Left to XLA, the logits of a layer are written between product, softmax and
product: 400 MB of them for eight texts of 1,024 tokens and twelve heads, and as
much again for their gradients. Here a block of queries meets all keys that it
may see within the chip, and the backward pass computes the weights again
instead of keeping them (Dao et al. 2022, FlashAttention). All keys of a head
fit there, so no softmax has to be put together from parts.

The libraries' kernels lack what T5 needs, a bias that the examples share and
that has a gradient. It comes as one number per head and offset and is laid out
inside the kernel: neither it nor its gradient is written as queries x keys.
"""

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jaxtyping import Array, Bool, Float

from inksight_jax.networks import attention_blocks
from inksight_jax.networks.attention_blocks import LANES, Block

# Large enough that exp underflows to zero, finite so that a row with nothing
# to attend to gives an average instead of NaN.
MASKED = -1e9

# Of the chip's own memory, for every 1,024 queries or keys; with 1,024 of each
# the compiler uses half of it.
_VMEM_BYTES = 16 * 2**20


def fills_vectors(num_heads: int, head_dim: int) -> bool:
  """Whether heads of this size, side by side, fill vectors of a TPU."""
  lanes = _lanes(head_dim)
  whole = lanes % head_dim == 0 and lanes % LANES == 0
  return whole and num_heads * head_dim % lanes == 0


def _lanes(head_dim: int) -> int:
  """Width of what one run of a kernel computes: one head or several."""
  return max(head_dim, LANES)


def attend(
  query: Float[Array, "batch queries joined"],
  key: Float[Array, "batch keys joined"],
  value: Float[Array, "batch keys joined"],
  mask: Bool[Array, "#batch #queries keys"] | None,
  bias: Float[Array, "heads offsets"] | None,
  kept: Float[Array, "batch heads keys"] | None,
  head_dim: int,
  causal: bool,
) -> Float[Array, "batch queries joined"]:
  """Attention on one device; see `fused_attention.attend`.

  Raises:
    ValueError: causal, with another number of keys than queries.
  """
  queries, keys = query.shape[1], key.shape[1]
  if causal and queries != keys:
    raise ValueError(
      f"Causal attention of {queries} queries to {keys} keys: it needs as many "
      "keys as queries."
    )
  if mask is not None:
    mask = mask.astype(jnp.int8)
  if bias is not None:
    blocks = attention_blocks.split(queries, keys, causal)
    bias = attention_blocks.offsets(bias, queries, keys, blocks)
  if kept is not None:
    # The heads of a vector belong together.
    kept = kept.reshape(kept.shape[0], -1, _lanes(head_dim) // head_dim, keys)
  inputs = _Inputs(query, key, value, mask, bias, kept)
  return _attention(inputs, head_dim, causal)


class _Inputs(NamedTuple):
  """What the kernels read: arrays, what a run is given of them, or None."""

  query: Any
  key: Any
  value: Any
  mask: Any
  bias: Any
  kept: Any


def _product(left: Array, right: Array, axis: int, other: int) -> Array:
  """Contraction of one axis of each, in float32."""
  return jax.lax.dot_general(
    left,
    right,
    (((axis,), (other,)), ((), ())),
    preferred_element_type=jnp.float32,
  )


def _seen(mask: Any, block: Block, causal: bool) -> Array | None:
  """True where a block's queries may look; None for everywhere."""
  seen = None
  if mask is not None:
    rows = slice(0, 1) if mask.shape[0] == 1 else block.rows
    # Vectors of bytes cannot be compared on every TPU.
    seen = mask[rows, block.keys].astype(jnp.int32) != 0
    seen = jnp.broadcast_to(seen, block.shape)
  if causal:
    query = jax.lax.broadcasted_iota(jnp.int32, block.shape, 0)
    key = jax.lax.broadcasted_iota(jnp.int32, block.shape, 1)
    past = key <= query + block.rows.start
    seen = past if seen is None else seen & past
  return seen


def _weights(
  inputs: _Inputs,
  head: int,
  lanes: slice,
  block: Block,
  seen: Array | None,
) -> Float[Array, "rows keys"]:
  """Softmax of a block's logits, float32."""
  logits = _product(
    inputs.query[block.rows, lanes], inputs.key[block.keys, lanes], 1, 1
  )
  if inputs.bias is not None:
    logits += attention_blocks.lay_out(inputs.bias, head, block)
  if seen is not None:
    logits = jnp.where(seen, logits, MASKED)
  powers = jnp.exp(logits - jnp.max(logits, axis=-1, keepdims=True))
  return powers * (1.0 / jnp.sum(powers, axis=-1, keepdims=True))


def _drop(weights: Array, kept: Any, head: int, block: Block) -> Array:
  """Weights, or their gradients, of the keys that dropout keeps."""
  return (
    weights if kept is None else weights * kept[head : head + 1, block.keys]
  )


def _heads_and_blocks(
  inputs: _Inputs, head_dim: int, causal: bool
) -> Iterator[tuple[int, slice, Block]]:
  """(head, its lanes, block) of what one run of a kernel computes."""
  (queries, width), keys = inputs.query.shape, inputs.key.shape[0]
  for head in range(width // head_dim):
    lanes = slice(head * head_dim, (head + 1) * head_dim)
    for block in attention_blocks.split(queries, keys, causal):
      yield head, lanes, block


def _forward_kernel(
  inputs: _Inputs, attended: Any, *, head_dim: int, causal: bool
) -> None:
  for head, lanes, block in _heads_and_blocks(inputs, head_dim, causal):
    seen = _seen(inputs.mask, block, causal)
    weights = _weights(inputs, head, lanes, block, seen)
    value = inputs.value[block.keys, lanes]
    weights = _drop(weights, inputs.kept, head, block).astype(value.dtype)
    found = _product(weights, value, 1, 0)
    attended[block.rows, lanes] = found.astype(attended.dtype)


def _backward_kernel(
  inputs: _Inputs,
  gradient: Any,
  d_query: Any,
  d_key: Any,
  d_value: Any,
  d_bias: Any,
  key_sum: Any,
  value_sum: Any,
  *,
  head_dim: int,
  causal: bool,
) -> None:
  if d_bias is not None:
    # The examples come one after the other and share the bias.
    @pl.when(pl.program_id(1) == 0)
    def _() -> None:
      d_bias[...] = jnp.zeros_like(d_bias)

  key_sum[...] = jnp.zeros_like(key_sum)
  value_sum[...] = jnp.zeros_like(value_sum)
  for head, lanes, block in _heads_and_blocks(inputs, head_dim, causal):
    rows, keys = block.rows, block.keys
    seen = _seen(inputs.mask, block, causal)
    weights = _weights(inputs, head, lanes, block, seen)
    query, key = inputs.query[rows, lanes], inputs.key[keys, lanes]
    value, towards = inputs.value[keys, lanes], gradient[rows, lanes]
    d_weights = _product(towards, value, 1, 1)
    d_weights = _drop(d_weights, inputs.kept, head, block)
    mean = jnp.sum(weights * d_weights, axis=-1, keepdims=True)
    d_logits = weights * (d_weights - mean)
    if seen is not None:
      d_logits = jnp.where(seen, d_logits, 0.0)
    if d_bias is not None:
      d_bias[head, block.index : block.index + 1, :] += (
        attention_blocks.sum_offsets(d_logits, block, d_bias.shape[2])
      )
    d_logits = d_logits.astype(query.dtype)
    d_query[rows, lanes] = _product(d_logits, key, 1, 0).astype(d_query.dtype)
    key_sum[keys, lanes] += _product(d_logits, query, 0, 0)
    weights = _drop(weights, inputs.kept, head, block).astype(value.dtype)
    value_sum[keys, lanes] += _product(weights, towards, 0, 0)
  d_key[...] = key_sum[...].astype(d_key.dtype)
  d_value[...] = value_sum[...].astype(d_value.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _attention(inputs: _Inputs, head_dim: int, causal: bool) -> Array:
  return _forward(inputs, head_dim, causal)[0]


def _forward(
  inputs: _Inputs, head_dim: int, causal: bool
) -> tuple[Array, _Inputs]:
  query = inputs.query
  specs = _specs(inputs, head_dim)
  attended = pl.pallas_call(
    functools.partial(_forward_kernel, head_dim=head_dim, causal=causal),
    out_shape=jax.ShapeDtypeStruct(query.shape, query.dtype),
    in_specs=(specs,),
    out_specs=specs.query,
    name="attention",
    **_call_options(inputs, query, head_dim, causal, num_products=2),
  )(inputs)
  return attended, inputs


def _backward(
  head_dim: int, causal: bool, inputs: _Inputs, gradient: Array
) -> tuple[_Inputs]:
  specs = _specs(inputs, head_dim)
  results = (inputs.query, inputs.key, inputs.value, inputs.bias)
  sums = pltpu.VMEM((inputs.key.shape[1], _lanes(head_dim)), jnp.float32)
  d_query, d_key, d_value, d_bias = pl.pallas_call(
    functools.partial(_backward_kernel, head_dim=head_dim, causal=causal),
    out_shape=jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), results
    ),
    in_specs=(specs, specs.query),
    out_specs=(specs.query, specs.key, specs.value, specs.bias),
    scratch_shapes=(sums, sums),
    name="attention_gradient",
    **_call_options(inputs, results, head_dim, causal, num_products=5),
  )(inputs, gradient)
  return (_Inputs(d_query, d_key, d_value, None, d_bias, None),)


_attention.defvjp(_forward, _backward)


def _specs(inputs: _Inputs, head_dim: int) -> _Inputs:
  """What of each input one run is given: that of (heads of a vector, example).

  Examples come last, so that their bias is fetched, and its gradient stored,
  once.
  """
  lanes = _lanes(head_dim)

  def heads_of(x: Array) -> pl.BlockSpec:
    return pl.BlockSpec((None, x.shape[1], lanes), lambda p, b: (b, 0, p))

  mask, bias, kept = inputs.mask, inputs.bias, inputs.kept
  mask_spec = bias_spec = kept_spec = None
  if mask is not None:
    shared = mask.shape[0] == 1
    mask_spec = pl.BlockSpec(
      (None, *mask.shape[1:]), lambda p, b: (0 if shared else b, 0, 0)
    )
  if bias is not None:
    bias_spec = pl.BlockSpec(
      (lanes // head_dim, *bias.shape[1:]), lambda p, b: (p, 0, 0)
    )
  if kept is not None:
    kept_spec = pl.BlockSpec(
      (None, None, *kept.shape[2:]), lambda p, b: (b, p, 0, 0)
    )
  query, key, value = map(heads_of, inputs[:3])
  return _Inputs(query, key, value, mask_spec, bias_spec, kept_spec)


def _call_options(
  inputs: _Inputs,
  results: Any,
  head_dim: int,
  causal: bool,
  num_products: int,
) -> dict[str, Any]:
  """What the two calls of kernels share."""
  batch, queries, joined = inputs.query.shape
  keys = inputs.key.shape[1]
  blocks = attention_blocks.split(queries, keys, causal)
  pairs = batch * sum(math.prod(block.shape) for block in blocks)
  moved = sum(x.nbytes for x in jax.tree.leaves((inputs, results)))
  return {
    "grid": (joined // _lanes(head_dim), batch),
    "compiler_params": pltpu.CompilerParams(
      dimension_semantics=("parallel", "arbitrary"),
      vmem_limit_bytes=_VMEM_BYTES * -(-max(queries, keys) // 1024),
    ),
    "cost_estimate": pl.CostEstimate(
      flops=2 * num_products * joined * pairs,
      transcendentals=joined // head_dim * pairs,
      bytes_accessed=moved,
    ),
  }
