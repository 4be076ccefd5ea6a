"""InkSight's ink tokens: absolute x and y cells on a square canvas.

For a canvas of N cells per side the ids are laid end to end:

  | meaning      | id        | N = 224      |
  |--------------|-----------|--------------|
  | x = v        | v         | 0 .. 224     |
  | y = v        | N + 1 + v | 225 .. 449   |
  | stroke start | 2 N + 2   | 450          |

with v in 0..N, so there are 2 N + 3 ids. An ink reads
`start x y x y ... start x y ...`; points are in writing order.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.types import Ink, Stroke

# Affine maps leave points on the border of the canvas a few ulp outside.
_BORDER_SLACK = 1e-6
# Nine digits cover every canvas; longer runs are never a token.
_TOKEN_PATTERN = re.compile(r"<ink_token_([0-9]{1,9})>")


@dataclasses.dataclass(frozen=True)
class InkCodec:
  """Maps ink on a canvas to token ids and back; writes strictly, reads freely.

  Attributes:
    canvas: N, the largest coordinate, in pixels. 224 in InkSight.
  """

  canvas: int = 224

  def __post_init__(self) -> None:
    if self.canvas < 1:
      raise ValueError(f"The canvas must be at least 1 px; got {self.canvas}.")

  @property
  def num_ids(self) -> int:
    """Number of ink ids, 2 N + 3."""
    return 2 * self.canvas + 3

  @property
  def y_offset(self) -> int:
    """Id of y = 0."""
    return self.canvas + 1

  @property
  def stroke_start(self) -> int:
    """Id that opens a stroke."""
    return 2 * self.canvas + 2

  def encode(self, ink: Ink) -> NDArray[np.int32]:
    """Encodes strokes as start, x, y, x, y, ... ids.

    Consecutive points of a stroke that fall into one cell become one point, so
    a stroke shorter than a cell stays as a dot.

    Args:
      ink: points in pixels, already placed on the canvas: all in [0, N].

    Returns:
      int32[length] ids in [0, num_ids); no EOS; empty for an empty ink. Each
      point moves by at most half a cell per axis.

    Raises:
      ValueError: a point lies outside the canvas.
    """
    if not ink:
      return np.zeros(0, np.int32)
    columns = ink.points.T
    if columns.min() < -_BORDER_SLACK or (
      columns.max() > self.canvas + _BORDER_SLACK
    ):
      raise self._outside(ink)
    x, y = np.rint(columns).astype(np.int32)
    starts = np.zeros(len(x), bool)
    starts[[0, *itertools.accumulate(map(len, ink.strokes[:-1]))]] = True
    moved = starts.copy()
    moved[1:] |= (x[1:] != x[:-1]) | (y[1:] != y[:-1])
    x, y, starts = x[moved], y[moved], starts[moved]
    # A point takes two ids, and three where it opens a stroke.
    places = np.arange(0, 2 * len(x), 2) + starts.cumsum()
    ids = np.full(int(places[-1]) + 2, self.stroke_start, np.int32)
    ids[places] = x
    ids[places + 1] = y + self.y_offset
    return ids

  def _outside(self, ink: Ink) -> ValueError:
    """The error for the first stroke outside the canvas."""
    spans = [(s.points.min(), s.points.max()) for s in ink.strokes]
    index, (low, high) = next(
      (index, (low, high))
      for index, (low, high) in enumerate(spans)
      if low < -_BORDER_SLACK or high > self.canvas + _BORDER_SLACK
    )
    return ValueError(
      f"Stroke {index} spans {low:g}..{high:g} px, outside the canvas "
      f"0..{self.canvas}; place the ink first, for example with "
      "normalize.fit_placement."
    )

  def decode(self, ids: Iterable[SupportsIndex]) -> Ink:
    """Reads ids by range, not by position; never raises on any ids.

    A y id completes the point of the x id before it. An x without a y, a y
    without an x and an id that is no ink id are dropped, so a stray token
    costs at most one point. Strokes without points vanish, and points before
    the first stroke start open a stroke.

    Args:
      ids: ink ids, 0 for x = 0 (any vocabulary offset already removed).

    Returns:
      Ink with whole-number coordinates in [0, N].
    """
    strokes: list[list[tuple[int, int]]] = []
    points: list[tuple[int, int]] = []
    pending_x: int | None = None
    for token in map(int, ids):
      if 0 <= token <= self.canvas:
        pending_x = token
      elif self.y_offset <= token < self.stroke_start:
        if pending_x is not None:
          points.append((pending_x, token - self.y_offset))
        pending_x = None
      elif token == self.stroke_start:
        strokes.append(points)
        points, pending_x = [], None
    strokes.append(points)
    return Ink(
      tuple(
        Stroke(np.array(points, np.float64)) for points in strokes if points
      )
    )

  def to_text(self, ids: Iterable[SupportsIndex]) -> str:
    """Writes ids as `<ink_token_450><ink_token_6>...`."""
    return "".join(f"<ink_token_{int(i)}>" for i in ids)

  def from_text(self, text: str) -> list[int]:
    """Reads the ids of all `<ink_token_i>` in a text; the rest is skipped."""
    return [int(digits) for digits in _TOKEN_PATTERN.findall(text)]
