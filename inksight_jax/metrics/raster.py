"""Inks as one-pixel-wide masks, and their dilation; numpy only.

Metrics must not move when the renderer that makes training pictures does, so
they draw for themselves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.types import Ink

Mask = NDArray[np.bool_]


def trace_mask(ink: Ink, height: int, width: int) -> Mask:
  """Draws every stroke one pixel wide; pen lifts stay empty.

  Args:
    ink: points in pixels; (x, y) is the centre of pixel column x, row y.
    height: rows of the mask.
    width: columns of the mask.

  Returns:
    bool[height, width]. A stroke is 8-connected, a dot is one pixel, and what
    lies outside is cut.

  Raises:
    ValueError: the mask has no pixel.
  """
  if height < 1 or width < 1:
    raise ValueError(f"A mask needs at least 1 x 1 px; got {height} x {width}.")
  mask = np.zeros((height, width), np.bool_)
  for stroke in ink.strokes:
    # Rounding up at .5 everywhere, unlike np.rint, so that a shift by whole
    # pixels shifts the mask.
    columns, rows = np.floor(_dense(stroke.points) + 0.5).T
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    mask[rows[inside].astype(int), columns[inside].astype(int)] = True
  return mask


def dilate(mask: Mask) -> Mask:
  """Grows a mask by one pixel in all eight directions (3 x 3 square)."""
  grown = mask.copy()
  grown[1:] |= mask[:-1]
  grown[:-1] |= mask[1:]
  columns = grown.copy()
  grown[:, 1:] |= columns[:, :-1]
  grown[:, :-1] |= columns[:, 1:]
  return grown


def _dense(
  points: NDArray[np.float64], step: float = 0.5
) -> NDArray[np.float64]:
  """Adds points on the segments, at most `step` pixels apart per axis."""
  moves = np.diff(points, axis=0)
  pieces = np.ceil(np.abs(moves).max(axis=1, initial=0) / step).astype(int)
  pieces = np.maximum(pieces, 1)
  segment = np.repeat(np.arange(len(moves)), pieces)
  first = np.cumsum(pieces) - pieces
  fraction = (np.arange(len(segment)) - first[segment]) / pieces[segment]
  between = points[segment] + fraction[:, None] * moves[segment]
  return np.concatenate([between, points[-1:]])
