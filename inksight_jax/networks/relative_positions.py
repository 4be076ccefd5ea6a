"""Biases of attention by how far keys are from queries (Raffel et al. 2020)."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Int

from inksight_jax.networks import attention, layers


def relative_position_bucket(
  offsets: Int[Array, "*shape"],
  *,
  bidirectional: bool,
  num_buckets: int,
  max_distance: int,
) -> Int[Array, "*shape"]:
  """Buckets key-minus-query offsets: small ones singly, large ones by log.

  Source: Raffel et al. (2020), section 2.1.

  Args:
    offsets: key position minus query position.
    bidirectional: one half of the buckets for keys ahead, the other for keys
      behind; otherwise all keys ahead share bucket 0.
    num_buckets: number of buckets.
    max_distance: distance from which all offsets share the last bucket.
  """
  first = jnp.zeros_like(offsets)
  if bidirectional:
    num_buckets //= 2
    first = jnp.where(offsets > 0, num_buckets, 0)
    distance = jnp.abs(offsets)
  else:
    distance = jnp.maximum(-offsets, 0)
  num_exact = num_buckets // 2
  # Distances below num_exact never use the logarithm; keep it finite there.
  ratio = jnp.maximum(distance, num_exact).astype(jnp.float32) / num_exact
  scale = (num_buckets - num_exact) / jnp.log(max_distance / num_exact)
  logarithmic = num_exact + (jnp.log(ratio) * scale).astype(offsets.dtype)
  logarithmic = jnp.minimum(logarithmic, num_buckets - 1)
  return first + jnp.where(distance < num_exact, distance, logarithmic)


class RelativePositionBias(nn.Module):
  """Learned bias per head and offset bucket, shared by a stack's layers.

  Attributes:
    num_heads: number of heads.
    bidirectional: whether queries look ahead.
    num_buckets: number of buckets.
    max_distance: distance of the last bucket.
  """

  num_heads: int
  bidirectional: bool
  num_buckets: int = 32
  max_distance: int = 128

  @nn.compact
  def __call__(
    self,
    num_queries: int,
    num_keys: int,
    first_query: int | Int[Array, ""] = 0,
    *,
    by_offset: bool = False,
  ) -> attention.Bias:
    """Bias, float32, of queries at `first_query` onwards to keys from 0.

    Args:
      num_queries: number of queries.
      num_keys: number of keys.
      first_query: position of the first.
      by_offset: return one number per head and offset, [heads, queries + keys -
        1], from that of the last query to the first key on; otherwise per head,
        query and key, [1, heads, queries, keys].
    """
    table = layers.param_with_axes(
      "rel_embedding",
      nn.initializers.variance_scaling(1.0, "fan_avg", "uniform"),
      (self.num_heads, self.num_buckets),
      jnp.float32,
      axes=("heads", "relpos_buckets"),
    )
    num_offsets = num_queries + num_keys - 1
    offsets = jnp.arange(num_offsets) - (num_queries - 1) - first_query
    row = table[:, self._buckets(offsets)]
    if by_offset:
      return row
    # Gathering one value per offset and laying the row out shifted by one per
    # query replaces a gather (and, in the backward pass, a scatter) of queries
    # x keys values: rows one longer than the row read move the content one to
    # the right from row to row.
    row = jnp.pad(row, ((0, 0), (0, 1)))
    rows = jnp.broadcast_to(
      row[:, None, :], (self.num_heads, num_queries, num_offsets + 1)
    ).reshape(self.num_heads, -1)[:, : num_queries * num_offsets]
    shifted = rows.reshape(self.num_heads, num_queries, num_offsets)
    return shifted[None, :, :, num_queries - 1 :]

  def _buckets(self, offsets: Int[Array, "*shape"]) -> Int[Array, "*shape"]:
    return relative_position_bucket(
      offsets,
      bidirectional=self.bidirectional,
      num_buckets=self.num_buckets,
      max_distance=self.max_distance,
    )
