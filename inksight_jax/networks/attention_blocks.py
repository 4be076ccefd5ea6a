"""Blocks of queries, and biases by offset as blocks need them.

A bias that depends on key minus query alone is the same row of numbers for
every query, one further right each time: rotating vectors lays a block of it
out, and adding rotated vectors gives the row of its gradient.
"""

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.experimental.pallas import tpu as pltpu
from jaxtyping import Array, Float

# Of a TPU's vectors, and the size of what it rotates at once.
LANES = 128
# Queries in a block. Its logits for 1,024 keys are a megabyte, and several such
# live at once.
QUERIES = 2 * LANES


class Block(NamedTuple):
  """Queries of one head that are computed at once.

  Attributes:
    index: number of the block.
    rows: the queries.
    keys: the keys that they see.
    width: rows, rounded up to whole vectors.
  """

  index: int
  rows: slice
  keys: slice
  width: int

  @property
  def shape(self) -> tuple[int, int]:
    """Number of queries and of keys."""
    return self.rows.stop - self.rows.start, self.keys.stop


def split(queries: int, keys: int, causal: bool) -> list[Block]:
  """Blocks of a sequence; of causal attention each sees its own past alone."""
  blocks = []
  for start in range(0, queries, QUERIES):
    stop = min(start + QUERIES, queries)
    seen = slice(0, stop if causal else keys)
    width = _whole_vectors(stop - start)
    blocks.append(Block(len(blocks), slice(start, stop), seen, width))
  return blocks


def _whole_vectors(size: int) -> int:
  return -(-size // LANES) * LANES


def offsets(
  bias: Float[Array, "heads offsets"],
  queries: int,
  keys: int,
  blocks: list[Block],
) -> Float[Array, "heads blocks width"]:
  """The part of the bias that each block needs, as `lay_out` expects it.

  Args:
    bias: a number per key minus query position, from 1 - queries on.
    queries: number of queries.
    keys: number of keys.
    blocks: from `split`.
  """
  width = _whole_vectors(keys + blocks[0].width)
  padded = jnp.pad(bias, ((0, 0), (LANES, width)))
  starts = [
    LANES + queries - 1 - block.rows.start - block.width for block in blocks
  ]
  return jnp.stack([padded[:, start : start + width] for start in starts], 1)


def lay_out(bias: Any, head: int, block: Block) -> Array:
  """Bias of a block: the same numbers, one further right in every row.

  Args:
    bias: (reference to) some heads' result of `offsets`.
    head: which of these heads.
    block: the block.

  Returns:
    float32[rows, keys].
  """
  rows, keys = block.shape
  width = bias.shape[2]
  numbers = bias[head, block.index : block.index + 1, :]
  repeated = jnp.broadcast_to(numbers, (block.width, width))
  # A strided rotation can only begin with whole vectors.
  return pltpu.roll(
    repeated, (width - block.width) % width, 1, stride=1, stride_axis=0
  )[:rows, :keys]


def sum_offsets(
  gradient: Float[Array, "rows keys"], block: Block, width: int
) -> Float[Array, "1 width"]:
  """Transpose of `lay_out`: sums over the diagonals.

  Halves are laid over each other, shifted by their distance, until one row is
  left.

  Args:
    gradient: of a block's bias.
    block: the block.
    width: that of `offsets`.
  """
  rows, keys = gradient.shape
  x = jnp.pad(gradient, ((0, block.width - rows), (0, width - keys)))
  parts = [
    pltpu.roll(x[top : top + LANES], block.width - LANES - top, 1)
    for top in range(0, block.width, LANES)
  ]
  x = functools.reduce(jnp.add, parts)
  half = LANES // 2
  while half:
    x = pltpu.roll(x[:half], half, 1) + x[half:]
    half //= 2
  return pltpu.roll(x, 1, 1)
