"""Attention, a group of heads at a time.

Logits of all heads of a long sequence fill gigabytes: between product, softmax
and product they travel to the accelerator's main memory and back. Those of one
head fit into the chip's own memory. So the groups of heads are computed one
after the other, and the backward pass computes them again instead of keeping
them (the idea of Dao et al. 2022, FlashAttention, left to the compiler).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Bool, Float

# What the backward pass reads and a rematerialised layer should keep, or it
# would run the whole attention once more.
KEPT = "attended"

# Large enough that exp underflows to zero, finite so that a row with nothing
# to attend to gives an average instead of NaN.
MASKED = -1e9


def masked_logits(
  query: Float[Array, "batch heads queries kv"],
  key: Float[Array, "*batch keys kv"],
  mask: Bool[Array, "#batch #heads #queries keys"] | None,
  bias: Float[Array, "#batch heads queries keys"] | None,
) -> Float[Array, "batch heads queries keys"]:
  """Logits in float32, as `attention.dot_product_attention` defines them."""
  logits = jnp.einsum(
    "...qd,...kd->...qk",
    query.reshape(*key.shape[:-2], *query.shape[2:]),
    key,
    preferred_element_type=jnp.float32,
  ).reshape(*query.shape[:3], key.shape[-2])
  if bias is not None:
    logits += bias
  if mask is not None:
    logits = jnp.where(mask, logits, MASKED)
  return logits


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def grouped_attention(
  query: Float[Array, "batch heads queries kv"],
  key: Float[Array, "batch heads keys kv"],
  value: Float[Array, "batch heads keys kv"],
  mask: Bool[Array, "#batch 1 #queries keys"] | None,
  bias: Float[Array, "1 heads queries keys"] | None,
  groups: int,
) -> Float[Array, "batch heads queries kv"]:
  """Softmax attention; equals `attention.dot_product_attention`.

  Args:
    query: queries, already scaled where scaling is wanted.
    key: keys.
    value: values, averaged in their own type.
    mask: True where a query may look, the same for all heads.
    bias: float32 added to the logits, the same for the whole batch.
    groups: number of groups of heads; divides the heads. Where heads are split
      over devices, heads / groups must be a multiple of the devices.
  """
  return _forward(query, key, value, mask, bias, groups)[0]


def _forward(
  query: Array,
  key: Array,
  value: Array,
  mask: Array | None,
  bias: Array | None,
  groups: int,
) -> tuple[Array, tuple[Any, ...]]:
  def attend(_: None, group: Any) -> tuple[None, Any]:
    query, key, value, bias = group
    logits = masked_logits(query, key, mask, bias)
    highest = jnp.max(logits, axis=-1, keepdims=True)
    powers = jnp.exp(logits - highest)
    total = jnp.sum(powers, axis=-1, keepdims=True)
    weights = (powers / total).astype(value.dtype)
    attended = jnp.einsum("bhqk,bhkd->bhqd", weights, value)
    return None, (attended, highest, total)

  xs = _split((query, key, value, bias), groups)
  _, outputs = jax.lax.scan(attend, None, xs)
  outputs = checkpoint_name(_join(outputs), KEPT)
  return outputs[0], (query, key, value, mask, bias, *outputs)


def _backward(
  groups: int, residuals: tuple[Any, ...], gradient: Array
) -> tuple[Any, ...]:
  query, key, value, mask, bias, attended, highest, total = residuals
  # Sum over the keys of weight times its gradient, without either.
  mean = jnp.sum(
    gradient.astype(jnp.float32) * attended.astype(jnp.float32),
    axis=-1,
    keepdims=True,
  )

  def differentiate(_: None, group: Any) -> tuple[None, Any]:
    query, key, value, bias, gradient, highest, total, mean = group
    logits = masked_logits(query, key, mask, bias)
    weights = jnp.exp(logits - highest) / total
    d_value = jnp.einsum(
      "bhqk,bhqd->bhkd", weights.astype(value.dtype), gradient
    )
    d_weights = jnp.einsum(
      "bhqd,bhkd->bhqk", gradient, value, preferred_element_type=jnp.float32
    )
    d_logits = weights * (d_weights - mean)
    if mask is not None:
      d_logits = jnp.where(mask, d_logits, 0.0)
    d_bias = None
    if bias is not None:
      d_bias = jnp.sum(d_logits, axis=0, keepdims=True).astype(bias.dtype)
    d_logits = d_logits.astype(query.dtype)
    d_query = jnp.einsum("bhqk,bhkd->bhqd", d_logits, key)
    d_key = jnp.einsum("bhqk,bhqd->bhkd", d_logits, query)
    return None, (d_query, d_key, d_value, d_bias)

  xs = _split((query, key, value, bias, gradient, highest, total, mean), groups)
  _, outputs = jax.lax.scan(differentiate, None, xs)
  d_query, d_key, d_value, d_bias = _join(outputs)
  return d_query, d_key, d_value, None, d_bias


grouped_attention.defvjp(_forward, _backward)


def _split(tree: Any, groups: int) -> Any:
  """Puts groups of heads in front of [batch, heads, ...].

  Every n-th head goes to the same group, so that devices which share the heads
  all have a part in every group.
  """

  def split(x: Array) -> Array:
    batch, heads = x.shape[:2]
    parts = x.reshape(batch, heads // groups, groups, *x.shape[2:])
    return jnp.moveaxis(parts, 2, 0)

  return jax.tree.map(split, tree)


def _join(tree: Any) -> Any:
  """Undoes `_split`."""

  def join(x: Array) -> Array:
    parts = jnp.moveaxis(x, 0, 2)
    return parts.reshape(parts.shape[0], -1, *parts.shape[3:])

  return jax.tree.map(join, tree)
