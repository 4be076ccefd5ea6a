"""Ink and text of a wide word from those of its overlapping parts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.crops import Crop, Tile
from inksight_jax.ink.types import Ink, Stroke

FloatArray = NDArray[np.float64]

# Distances as shares of the crop's height: ends of one stroke at a cut, the
# same small stroke seen twice.
_SAME_END = 0.12
_SAME_STROKE = 0.15
# Characters that may have been read on both sides of a cut.
_MAX_SHARED = 2


def join_ink(crop: Crop, inks: Sequence[Ink]) -> Ink:
  """Joins the inks of the tiles of a crop.

  Each tile's ink counts between its cuts. A stroke that runs across a cut is
  one stroke again; a small one near a cut that both sides wrote is kept once.

  Args:
    crop: the word.
    inks: of each tile, pixels of the tile.

  Returns:
    Ink in pixels of the crop, tile after tile.
  """
  if len(crop.tiles) == 1:
    return inks[0]
  joined: list[FloatArray] = []
  for tile, ink in zip(crop.tiles, inks, strict=True):
    moved = ink.scaled(1.0, (tile.left, 0.0))
    fresh = _clipped(moved, tile, crop.height)
    _merge(joined, fresh, tile.start, crop.height)
  return Ink(tuple(Stroke(points) for points in joined))


def join_text(crop: Crop, texts: Sequence[str]) -> tuple[str, list[int]]:
  """Joins the texts of the tiles of a crop.

  Where ink runs across a cut both sides may have read the letter there: what
  ends one text and begins the next is written once.

  Args:
    crop: the word.
    texts: of each tile.

  Returns:
    The text, and how many characters at the start of each were left out.
  """
  joined, left_out = texts[0], [0]
  for text, crossed in zip(texts[1:], crop.cut_ink, strict=True):
    shared = 0
    if crossed:
      for length in range(1, min(_MAX_SHARED, len(joined), len(text)) + 1):
        if joined.endswith(text[:length]):
          shared = length
    joined += text[shared:]
    left_out.append(shared)
  return joined, left_out


def _clipped(ink: Ink, tile: Tile, height: int) -> list[FloatArray]:
  """Strokes between the cuts of a tile, cut where they cross."""
  near = _SAME_STROKE * height
  kept = []
  for stroke in ink.strokes:
    points = stroke.points
    x = points[:, 0]
    # A dot or short bar at a cut is not split: both sides see it whole.
    if np.ptp(x) < 2 * near:
      middle = (x.min() + x.max()) / 2
      if tile.start - near <= middle < tile.stop + near:
        kept.append(points)
      continue
    kept += _between(points, tile.start, tile.stop)
  return kept


def _between(points: FloatArray, start: float, stop: float) -> list[FloatArray]:
  """Pieces of a polyline with start <= x <= stop, ends put on the limits."""
  dense = [points[0]]
  for before, after in itertools.pairwise(points):
    shares = sorted(
      (limit - before[0]) / (after[0] - before[0])
      for limit in (start, stop)
      if np.isfinite(limit) and (before[0] - limit) * (after[0] - limit) < 0
    )
    dense += [before + share * (after - before) for share in shares]
    dense.append(after)
  line = np.array(dense)
  slack = 1e-6
  inside = (line[:, 0] >= start - slack) & (line[:, 0] <= stop + slack)
  ends = np.nonzero(np.diff(inside.astype(int)))[0] + 1
  runs = zip(np.split(line, ends), np.split(inside, ends), strict=True)
  # A single point that only touches the limit is no stroke.
  return [run for run, kept in runs if kept[0] and len(run) > 1]


def _merge(
  joined: list[FloatArray],
  fresh: Sequence[FloatArray],
  cut: float,
  height: int,
) -> None:
  """Adds the strokes of the next tile, in place."""
  near = _SAME_END * height
  known = len(joined)
  for points in fresh:
    if any(_same(points, joined[i], cut, height) for i in range(known)):
      continue
    for index in range(known):
      other = joined[index]
      if _meet(other[-1], points[0], cut, near):
        joined[index] = np.concatenate([other, points[1:]])
        break
      if _meet(points[-1], other[0], cut, near):
        joined[index] = np.concatenate([points, other[1:]])
        break
    else:
      joined.append(points)


def _meet(end: FloatArray, start: FloatArray, cut: float, near: float) -> bool:
  """Whether one piece ends at a cut where the other begins."""
  at_cut = abs(end[0] - cut) < 1e-3 and abs(start[0] - cut) < 1e-3
  return bool(at_cut) and abs(float(end[1] - start[1])) < near


def _same(
  points: FloatArray, other: FloatArray, cut: float, height: int
) -> bool:
  """Whether two small strokes near a cut are one, seen from both sides."""
  near = _SAME_STROKE * height
  boxes = [
    np.concatenate([p.min(axis=0), p.max(axis=0)]) for p in (points, other)
  ]
  small = all(box[2] - box[0] < 2 * near for box in boxes)
  close = all(abs((box[0] + box[2]) / 2 - cut) <= 2 * near for box in boxes)
  return bool(small and close) and bool(
    np.abs(boxes[0] - boxes[1]).max() < near
  )
