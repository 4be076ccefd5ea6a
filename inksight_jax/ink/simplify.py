"""Ramer-Douglas-Peucker simplification."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.types import Ink, Stroke

# Open points below which splitting chord by chord is faster.
_FEW_POINTS = 256


def simplify(ink: Ink, tolerance: float) -> Ink:
  """Drops points that lie close to the chord of the points kept.

  Ramer-Douglas-Peucker per stroke: the first and last points stay, and the
  point farthest from the segment between two kept points is kept as long as it
  is farther than the tolerance. Distances are to the segment rather than its
  line, so that hooks that turn back on themselves survive.

  Args:
    ink: any strokes, also none.
    tolerance: pixels; no dropped point is farther than this from the segment
      that replaces it. 0 drops only points on straight runs.

  Returns:
    Ink whose points (with their times and pressures) are a subset, in order.
  """
  if not tolerance >= 0:
    raise ValueError(f"The tolerance must be at least 0 px; got {tolerance}.")
  if not ink:
    return ink
  keep = _kept_points(ink, tolerance)
  kept = np.flatnonzero(keep)
  points = ink.points.T[:, kept].T
  ends = np.cumsum([len(stroke.points) for stroke in ink.strokes])
  stops = np.searchsorted(kept, ends).tolist()
  strokes = []
  begin = start = 0
  for stroke, stop, end in zip(ink.strokes, stops, ends.tolist(), strict=True):
    times, pressures = stroke.times, stroke.pressures
    piece = keep[start:end]
    strokes.append(
      Stroke.trusted(
        points[begin:stop],
        None if times is None else times[piece],
        None if pressures is None else pressures[piece],
      )
    )
    begin, start = stop, end
  return Ink.trusted(tuple(strokes), points)


def _kept_points(ink: Ink, tolerance: float) -> NDArray[np.bool_]:
  """bool[num_points], over all strokes at once.

  Points are complex numbers here: times the conjugate of a chord, the offset
  from its start has the distance along the chord and the distance from it as
  real and imaginary part, both times the chord's length.
  """
  x, y = ink.points.T
  points = x + 1j * y
  keep = np.zeros(len(points), bool)
  chords = []
  end = 0
  for stroke in ink.strokes:
    start, end = end, end + len(stroke.points)
    keep[start] = keep[end - 1] = True
    if end - start > 2:
      chords.append((start, end - 1))
  squared = tolerance * tolerance
  while sum(last - first for first, last in chords) > _FEW_POINTS:
    chords = _split_many(points, keep, chords, squared)
  keep[_split_few(points.tolist(), chords, squared)] = True
  return keep


def _split_many(
  points: NDArray[np.complex128],
  keep: NDArray[np.bool_],
  chords: list[tuple[int, int]],
  squared: float,
) -> list[tuple[int, int]]:
  """Splits each chord once where that is needed, in place.

  Args:
    points: complex128[points].
    keep: bool[points], the new ends are set.
    chords: indices of both ends, at least one point in between.
    squared: the tolerance, squared.

  Returns:
    Chords that may need another split.
  """
  first, last = np.array(chords).T
  sizes = last - first - 1
  starts = np.cumsum(sizes) - sizes
  chord = np.repeat(np.arange(len(chords)), sizes)
  inner = np.arange(len(chord)) + (first + 1 - starts)[chord]
  run = points[last] - points[first]
  length = run.real**2 + run.imag**2
  # A chord whose ends coincide is a point: distance to its start.
  is_point = length == 0
  offset = (points[inner] - points[first][chord]) * np.where(
    is_point, 1.0, run.conj()
  )[chord]
  beyond = np.maximum(offset.real - length[chord], -offset.real)
  miss = offset.imag**2 + np.maximum(beyond, 0.0) ** 2
  most = np.maximum.reduceat(miss, starts)
  splits = most > squared * np.where(is_point, 1.0, length)
  farthest = np.flatnonzero((miss == most[chord]) & splits[chord])
  # The first of several equally far points.
  split, choice = np.unique(chord[farthest], return_index=True)
  middle = inner[farthest[choice]]
  keep[middle] = True
  ends = np.stack([first[split], middle, last[split]], axis=1)
  halves = np.concatenate([ends[:, :2], ends[:, 1:]])
  open_halves = halves[halves[:, 1] - halves[:, 0] > 1]
  return [(first, last) for first, last in open_halves.tolist()]


def _split_few(
  points: list[complex], chords: list[tuple[int, int]], squared: float
) -> list[int]:
  """Splits chords to the end; the points to keep between their ends.

  The same arithmetic without arrays, which for a word's hundred points spend
  their time on being called.
  """
  kept = []
  while chords:
    first, last = chords.pop()
    start = points[first]
    run = points[last] - start
    length = run.real * run.real + run.imag * run.imag
    turn = run.conjugate() if length else 1.0
    most, farthest = squared * (length or 1.0), 0
    for i in range(first + 1, last):
      offset = (points[i] - start) * turn
      along, miss = offset.real, offset.imag
      miss *= miss
      if along < 0.0:
        miss += along * along
      elif along > length:
        along -= length
        miss += along * along
      if miss > most:
        most, farthest = miss, i
    if farthest:
      kept.append(farthest)
      if farthest - first > 1:
        chords.append((first, farthest))
      if last - farthest > 1:
        chords.append((farthest, last))
  return kept
