"""Points and strokes of decoded tokens, as arrays, inside a compiled program.

Reads by range, as `ink.tokens.InkCodec.decode` does, for exported models whose
users have arrays and not our codec.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int


class InkPoints(NamedTuple):
  """Ink of each row; a row has room for all its tokens could say.

  Attributes:
    points: (x, y) cells of the canvas in writing order, then zeros.
    strokes: number of the stroke of each point, from 0; -1 behind the last.
    count: points.
  """

  points: Int[Array, "rows points 2"]
  strokes: Int[Array, "rows points"]
  count: Int[Array, " rows"]


def ink_points(
  tokens: Int[Array, "rows length"],
  lengths: Int[Array, " rows"],
  first_ink: int,
  canvas: int,
  eos_id: int = 1,
) -> InkPoints:
  """Reads x y pairs and stroke starts among tokens of any kind.

  Args:
    tokens: ids; ink ids begin at `first_ink`.
    lengths: tokens that count; what follows an EOS never does.
    first_ink: id of x = 0.
    canvas: largest coordinate.
    eos_id: ends an answer.
  """
  length = tokens.shape[1]
  ended = jnp.cumsum(tokens == eos_id, axis=1) > 0
  counts = (jnp.arange(length)[None] < lengths[:, None]) & ~ended
  ids = tokens - first_ink
  is_ink = counts & (ids >= 0) & (ids < 2 * canvas + 3)
  # Text between an x and its y does not part them: ink moves to the front.
  ids = _compact(ids, is_ink, -1)
  is_y = (ids > canvas) & (ids < 2 * canvas + 2)
  before = jnp.pad(ids, ((0, 0), (1, 0)), constant_values=-1)[:, :-1]
  is_point = is_y & (before >= 0) & (before <= canvas)
  starts = jnp.cumsum(ids == 2 * canvas + 2, axis=1)
  room = max(1, length // 2)
  x = _compact(before, is_point, 0)[:, :room]
  y = _compact(ids - canvas - 1, is_point, 0)[:, :room]
  start = _compact(starts, is_point, 0)[:, :room]
  count = jnp.sum(is_point, axis=1, dtype=jnp.int32)
  # A start without points opens no stroke.
  changed = start[:, 1:] != start[:, :-1]
  number = jnp.pad(jnp.cumsum(changed, axis=1), ((0, 0), (1, 0)))
  kept = jnp.arange(room)[None] < count[:, None]
  return InkPoints(
    jnp.stack([x, y], axis=-1).astype(jnp.int32),
    jnp.where(kept, number, -1).astype(jnp.int32),
    count,
  )


def _compact(
  values: Int[Array, "rows length"], kept: Array, fill: int
) -> Int[Array, "rows length"]:
  """Moves the kept values of each row to its front, in order."""
  rows, length = values.shape
  # What is not kept lands behind the end, where a scatter drops it.
  places = jnp.where(kept, jnp.cumsum(kept, axis=1) - 1, length)
  empty = jnp.full((rows, length), fill, values.dtype)
  return empty.at[jnp.arange(rows)[:, None], places].set(values, mode="drop")
