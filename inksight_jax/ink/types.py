"""Digital ink: what a pen wrote, as ordered strokes of timed points.

One frame is used everywhere: x to the right, y down, origin top left.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Matrix = Sequence[Sequence[float]]


@dataclasses.dataclass(frozen=True, eq=False)
class Stroke:
  """Points between one pen-down and the next pen-up.

  Attributes:
    points: float64[points, 2], columns x and y in pixels, y down.
    times: float64[points] in milliseconds since the start of the ink, or None
      where the device gave none.
    pressures: float64[points] in the device's own unit, or None.
  """

  points: FloatArray
  times: FloatArray | None = None
  pressures: FloatArray | None = None

  def __post_init__(self) -> None:
    points = np.asarray(self.points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
      raise ValueError(
        f"A stroke needs points of shape [points >= 1, 2]; got {points.shape}."
      )
    if not np.isfinite(points).all():
      raise ValueError("A stroke holds a coordinate that is not finite.")
    object.__setattr__(self, "points", points)
    for name in ("times", "pressures"):
      values = getattr(self, name)
      if values is None:
        continue
      values = np.asarray(values, np.float64)
      if values.shape != (len(points),):
        raise ValueError(
          f"`{name}` needs one value per point, {len(points)}; "
          f"got shape {values.shape}."
        )
      object.__setattr__(self, name, values)

  def __len__(self) -> int:
    return len(self.points)

  @classmethod
  def trusted(
    cls,
    points: FloatArray,
    times: FloatArray | None = None,
    pressures: FloatArray | None = None,
  ) -> Stroke:
    """A stroke of arrays that come from a checked one; saves checking again."""
    stroke = object.__new__(cls)
    fields = stroke.__dict__
    fields["points"] = points
    fields["times"] = times
    fields["pressures"] = pressures
    return stroke

  @property
  def length(self) -> float:
    """Arc length in pixels; 0 for a dot."""
    steps = np.diff(self.points, axis=0)
    return float(np.hypot(steps[:, 0], steps[:, 1]).sum())


@dataclasses.dataclass(frozen=True, eq=False)
class Ink:
  """Strokes in writing order."""

  strokes: tuple[Stroke, ...] = ()

  @classmethod
  def from_arrays(cls, arrays: Iterable[Any]) -> Ink:
    """Builds an ink from arrays of x, y and optionally a time in ms.

    Args:
      arrays: one [points, 2] or [points, 3] array, or nested lists, per stroke.
    """
    strokes = []
    for array in arrays:
      values = np.asarray(array, np.float64)
      if values.ndim != 2 or values.shape[1] not in (2, 3):
        raise ValueError(
          f"Each stroke must be [points, 2 or 3]; got {values.shape}."
        )
      times = values[:, 2] if values.shape[1] == 3 else None
      strokes.append(Stroke(values[:, :2], times))
    return cls(tuple(strokes))

  def __len__(self) -> int:
    return len(self.strokes)

  def __bool__(self) -> bool:
    return bool(self.strokes)

  @property
  def num_points(self) -> int:
    """Number of points over all strokes."""
    return sum(len(stroke) for stroke in self.strokes)

  @functools.cached_property
  def points(self) -> FloatArray:
    """All points in writing order, float64[num_points, 2]; read only."""
    # Columns lie together in memory: bounds and maps are several times faster.
    columns = np.empty((2, self.num_points))
    start = 0
    for stroke in self.strokes:
      end = start + len(stroke.points)
      columns[:, start:end] = stroke.points.T
      start = end
    columns.flags.writeable = False
    return columns.T

  @classmethod
  def trusted(cls, strokes: tuple[Stroke, ...], points: FloatArray) -> Ink:
    """An ink whose strokes are known to be cut from `points`, in order."""
    ink = cls(strokes)
    points.flags.writeable = False
    ink.__dict__["points"] = points
    return ink

  def with_points(self, points: FloatArray) -> Ink:
    """The same strokes through other points; saves checking again.

    Args:
      points: float64[num_points, 2], finite, in writing order.
    """
    strokes = []
    end = 0
    for stroke in self.strokes:
      start, end = end, end + len(stroke.points)
      strokes.append(
        Stroke.trusted(points[start:end], stroke.times, stroke.pressures)
      )
    return Ink.trusted(tuple(strokes), points)

  def __getstate__(self) -> dict[str, Any]:
    # What is derived from the strokes need not travel.
    return {"strokes": self.strokes}

  @property
  def has_times(self) -> bool:
    """Whether every stroke carries times (false for an empty ink)."""
    return bool(self.strokes) and all(
      stroke.times is not None for stroke in self.strokes
    )

  @functools.cached_property
  def bounds(self) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) in pixels.

    Raises:
      ValueError: the ink has no points.
    """
    if not self.strokes:
      raise ValueError("An empty ink has no bounds.")
    columns = self.points.T
    left, top = columns.min(1).tolist()
    right, bottom = columns.max(1).tolist()
    return left, top, right, bottom

  def transformed(
    self, matrix: FloatArray | Matrix, offset: FloatArray | Sequence[float]
  ) -> Ink:
    """Maps every point p to `matrix @ p + offset`; times stay.

    Args:
      matrix: float64[2, 2].
      offset: float64[2], pixels.
    """
    ((a, b), (c, d)), (x, y) = matrix, offset
    if not all(map(math.isfinite, (a, b, c, d, x, y))):
      raise ValueError(f"The map {[[a, b], [c, d]]}, {[x, y]} is not finite.")
    old_x, old_y = self.points.T
    columns = np.empty((2, len(old_x)))
    columns[0] = a * old_x + (b * old_y + x)
    columns[1] = c * old_x + (d * old_y + y)
    return self.with_points(columns.T)

  def scaled(self, scale: float, offset: Sequence[float] = (0.0, 0.0)) -> Ink:
    """Multiplies by `scale`, then shifts by `offset` (pixels)."""
    x, y = offset
    if not all(map(math.isfinite, (scale, x, y))):
      raise ValueError(f"The map {scale}, {[x, y]} is not finite.")
    columns = self.points.T * scale
    columns += ((x,), (y,))
    return self.with_points(columns.T)
