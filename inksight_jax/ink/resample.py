"""Resampling strokes at a fixed pen rate or a fixed spacing."""

from __future__ import annotations

import itertools
import math

import numpy as np

from inksight_jax.ink.types import FloatArray, Ink, Stroke

# A stroke of more points than this is a broken clock or unit, not writing.
_MAX_POINTS = 1_000_000
# The default spacing gives the longer side of an ink this many steps: about
# 7 px on a 224 px canvas, what 20 ms gives in InkSight's released inks.
_STEPS_PER_SIDE = 32


def _sample(stroke: Stroke, along: FloatArray, grid: FloatArray) -> Stroke:
  """Linear interpolation at `grid`; the first and last points stay exact."""

  def at_grid(values: FloatArray) -> FloatArray:
    samples = np.interp(grid, along, values)
    # Where the pen rests, `along` repeats and interp may pick a later point.
    samples[0], samples[-1] = values[0], values[-1]
    return samples

  times, pressures = stroke.times, stroke.pressures
  points = np.empty((len(grid), 2))
  points[:, 0] = at_grid(stroke.points[:, 0])
  points[:, 1] = at_grid(stroke.points[:, 1])
  return Stroke.trusted(
    points,
    None if times is None else at_grid(times),
    None if pressures is None else at_grid(pressures),
  )


def _check_count(steps: float, what: str) -> None:
  if not steps <= _MAX_POINTS:
    raise ValueError(
      f"{what} would give {steps:g} points in one stroke, more than "
      f"{_MAX_POINTS}; check the units or ask for a coarser step."
    )


def _times_advance(stroke: Stroke) -> bool:
  """Whether the times of a stroke can carry its shape."""
  if stroke.times is None or not np.isfinite(stroke.times).all():
    return False
  if len(stroke) == 1:
    return True
  steps = np.diff(stroke.times)
  return bool((steps >= 0).all() and stroke.times[-1] > stroke.times[0])


def resample_time(ink: Ink, period: float = 20.0) -> Ink:
  """Samples every stroke at a fixed period, by linear interpolation.

  Args:
    ink: strokes with times in ms that never go back.
    period: ms between samples; InkSight uses 20. The last step of a stroke is
      shorter where its duration is no multiple of the period.

  Returns:
    Ink with the first and last point of every stroke kept; one-point strokes
    stay as they are.

  Raises:
    ValueError: a stroke has no times, or times that go back or stand still.
  """
  for index, stroke in enumerate(ink.strokes):
    if not _times_advance(stroke):
      raise ValueError(
        f"Stroke {index} has no times that advance from its first to its last "
        "point; use resample_length or resample."
      )
  return _resample_advancing(ink, period)


def _resample_advancing(ink: Ink, period: float) -> Ink:
  """`resample_time` for strokes whose times are known to advance."""
  if not period > 0:
    raise ValueError(f"The period must be positive ms; got {period}.")
  strokes = []
  for stroke in ink.strokes:
    times = stroke.times
    assert times is not None, "Checked: the times advance."
    if len(stroke) == 1:
      strokes.append(stroke)
      continue
    start, end = float(times[0]), float(times[-1])
    _check_count((end - start) / period, f"A period of {period:g} ms")
    # Rounding in the division must not add a sample next to the last point.
    steps = math.ceil((end - start) / period - 1e-9)
    grid = np.append(start + period * np.arange(max(steps, 1)), end)
    strokes.append(_sample(stroke, times, grid))
  return Ink(tuple(strokes))


def _one_clock(ink: Ink) -> FloatArray | None:
  """float64[num_points], where the times advance through the whole ink."""
  columns = [stroke.times for stroke in ink.strokes if stroke.times is not None]
  if len(columns) < len(ink):
    return None
  times = np.concatenate(columns)
  # A time that is not finite fails one of these comparisons.
  if not (times[1:] >= times[:-1]).all() or not (
    -math.inf < times[0] and times[-1] < math.inf
  ):
    return None
  end = 0
  for stroke in ink.strokes:
    start, end = end, end + len(stroke.points)
    if end - start > 1 and not times[start] < times[end - 1]:
      return None
  return times


def _resample_clock(ink: Ink, times: FloatArray, period: float) -> Ink:
  """`_resample_advancing` of all strokes at once, to the same bits.

  Args:
    ink: the strokes.
    times: from `_one_clock`.
    period: ms, see `resample_time`.
  """
  if not period > 0:
    raise ValueError(f"The period must be positive ms; got {period}.")
  sizes = [len(stroke.points) for stroke in ink.strokes]
  stops = list(itertools.accumulate(sizes))
  lasts = [stop - 1 for stop in stops]
  firsts = [stop - size for stop, size in zip(stops, sizes, strict=True)]
  starts, ends = times[firsts].tolist(), times[lasts].tolist()
  counts = []
  for size, start, end in zip(sizes, starts, ends, strict=True):
    steps = (end - start) / period
    _check_count(steps, f"A period of {period:g} ms")
    counts.append(max(math.ceil(steps - 1e-9), 1) + 1 if size > 1 else 1)
  stops = list(itertools.accumulate(counts))
  begins = [stop - count for stop, count in zip(stops, counts, strict=True)]
  # For each sample its stroke's first sample, and the time of that.
  begin_of, start_of = np.repeat(np.array([begins, starts]), counts, axis=1)
  grid = start_of + period * (np.arange(stops[-1]) - begin_of)
  borders = [*begins, *(stop - 1 for stop in stops)]
  origins = [*firsts, *lasts]
  grid[borders] = times[origins]
  pressed = [s.pressures for s in ink.strokes if s.pressures is not None]
  sources = [*ink.points.T, *([np.concatenate(pressed)] if pressed else [])]
  columns = np.empty((len(sources), len(grid)))
  for column, values in zip(columns, sources, strict=True):
    column[:] = np.interp(grid, times, values)
    column[borders] = values[origins]
  points = columns[:2].T
  strokes = tuple(
    Stroke.trusted(
      points[begin:stop],
      grid[begin:stop],
      columns[2, begin:stop] if pressed else None,
    )
    for begin, stop in zip(begins, stops, strict=True)
  )
  return Ink.trusted(strokes, points)


def resample_length(ink: Ink, spacing: float) -> Ink:
  """Samples every stroke at equal steps of arc length.

  Args:
    ink: any strokes; times and pressures, where present, are interpolated.
    spacing: pixels; steps are equal within a stroke and at most this long.

  Returns:
    Ink with the first and last point of every stroke kept; strokes without
    length become one point.
  """
  if not spacing > 0:
    raise ValueError(f"The spacing must be positive pixels; got {spacing}.")
  strokes = []
  for stroke in ink.strokes:
    steps = np.diff(stroke.points, axis=0)
    along = np.append(0.0, np.cumsum(np.hypot(steps[:, 0], steps[:, 1])))
    length = float(along[-1])
    _check_count(length / spacing, f"A spacing of {spacing:g} px")
    if length == 0.0:
      strokes.append(_first_point(stroke))
      continue
    count = max(1, math.ceil(length / spacing - 1e-9))
    grid = np.linspace(0.0, length, count + 1)
    strokes.append(_sample(stroke, along, grid))
  return Ink(tuple(strokes))


def _first_point(stroke: Stroke) -> Stroke:
  return Stroke.trusted(
    stroke.points[:1],
    None if stroke.times is None else stroke.times[:1],
    None if stroke.pressures is None else stroke.pressures[:1],
  )


def resample(
  ink: Ink, period: float = 20.0, spacing: float | None = None
) -> Ink:
  """Samples by time where every stroke has usable times, else by arc length.

  Args:
    ink: any strokes, also none.
    period: ms between samples, see `resample_time`.
    spacing: pixels between samples, see `resample_length`; None takes 1/32 of
      the longer side of the ink.
  """
  if not ink:
    return ink
  if ink.has_times and (times := _one_clock(ink)) is not None:
    return _resample_clock(ink, times, period)
  if all(map(_times_advance, ink.strokes)):
    return _resample_advancing(ink, period)
  if spacing is None:
    left, top, right, bottom = ink.bounds
    # An ink without size has no length to divide; any spacing serves.
    spacing = max(right - left, bottom - top) / _STEPS_PER_SIDE or 1.0
  return resample_length(ink, spacing)
