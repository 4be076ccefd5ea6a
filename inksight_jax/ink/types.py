"""Digital ink: what a pen wrote, as ordered strokes of timed points.

One frame is used everywhere: x to the right, y down, origin top left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


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
    fields = {"points": points, "times": times, "pressures": pressures}
    stroke.__dict__.update(fields)
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

  @property
  def points(self) -> FloatArray:
    """All points in writing order, float64[num_points, 2]."""
    if not self.strokes:
      return np.zeros((0, 2))
    return np.concatenate([stroke.points for stroke in self.strokes])

  @property
  def has_times(self) -> bool:
    """Whether every stroke carries times (false for an empty ink)."""
    return bool(self.strokes) and all(
      stroke.times is not None for stroke in self.strokes
    )

  @property
  def bounds(self) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) in pixels.

    Raises:
      ValueError: the ink has no points.
    """
    if not self.strokes:
      raise ValueError("An empty ink has no bounds.")
    points = self.points
    left, top = points.min(0)
    right, bottom = points.max(0)
    return float(left), float(top), float(right), float(bottom)

  def transformed(self, matrix: FloatArray, offset: FloatArray) -> Ink:
    """Maps every point p to `matrix @ p + offset`; times stay.

    Args:
      matrix: float64[2, 2].
      offset: float64[2], pixels.
    """
    matrix = np.asarray(matrix, np.float64)
    offset = np.asarray(offset, np.float64)
    if not (np.isfinite(matrix).all() and np.isfinite(offset).all()):
      raise ValueError(
        f"The map {matrix.tolist()}, {offset.tolist()} is not finite."
      )
    return Ink(
      tuple(
        Stroke.trusted(s.points @ matrix.T + offset, s.times, s.pressures)
        for s in self.strokes
      )
    )

  def scaled(self, scale: float, offset: Sequence[float] = (0.0, 0.0)) -> Ink:
    """Multiplies by `scale`, then shifts by `offset` (pixels)."""
    return self.transformed(np.eye(2) * scale, np.asarray(offset, np.float64))
