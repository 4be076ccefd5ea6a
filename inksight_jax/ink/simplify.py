"""Ramer-Douglas-Peucker simplification."""

from __future__ import annotations

import numpy as np

from inksight_jax.ink.types import FloatArray, Ink, Stroke

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
  lengths = [len(stroke) for stroke in ink.strokes]
  ends = np.cumsum(lengths)
  # All strokes at once: the chord from one stroke's end to the next stroke's
  # start has no points in between, so it never takes part.
  keep = _kept_points(ink.points, ends - lengths, ends - 1, tolerance)
  pieces = np.split(keep, ends[:-1])
  return Ink(
    tuple(
      Stroke.trusted(
        stroke.points[piece],
        None if stroke.times is None else stroke.times[piece],
        None if stroke.pressures is None else stroke.pressures[piece],
      )
      for stroke, piece in zip(ink.strokes, pieces, strict=True)
    )
  )


def _kept_points(
  points: FloatArray,
  firsts: np.ndarray,
  lasts: np.ndarray,
  tolerance: float,
) -> np.ndarray:
  """bool[points]; splits every open chord once per round, all in one go."""
  keep = np.zeros(len(points), bool)
  keep[firsts] = keep[lasts] = True
  # Points whose chord may still be split, in order.
  open_points = np.flatnonzero(~keep)
  while len(open_points) > _FEW_POINTS:
    anchors = np.flatnonzero(keep)
    chord = np.searchsorted(anchors, open_points) - 1
    squared = _squared_distances(
      points[open_points],
      points[anchors[chord]],
      points[anchors[chord + 1]],
    )
    starts_run = np.empty(len(chord), bool)
    starts_run[0] = True
    np.not_equal(chord[1:], chord[:-1], out=starts_run[1:])
    runs = np.flatnonzero(starts_run)
    run_of = np.cumsum(starts_run) - 1
    farthest = np.maximum.reduceat(squared, runs)[run_of]
    splits = farthest > tolerance * tolerance
    candidates = np.flatnonzero(splits & (squared == farthest))
    # The first of several equally far points, one per chord: written last.
    choice = np.empty(len(runs), np.intp)
    choice[run_of[candidates[::-1]]] = candidates[::-1]
    keep[open_points[choice[run_of[candidates]]]] = True
    open_points = open_points[splits]
    open_points = open_points[~keep[open_points]]
  if len(open_points):
    _split_few(points, keep, open_points, tolerance * tolerance)
  return keep


def _split_few(
  points: FloatArray,
  keep: np.ndarray,
  open_points: np.ndarray,
  squared_tolerance: float,
) -> None:
  """Splits the open chords to the end, in place, one after the other.

  The same arithmetic in plain floats: for a word's hundred points, arrays
  spend their time on being called.
  """
  anchors = np.flatnonzero(keep)
  right = np.unique(np.searchsorted(anchors, open_points))
  chords = np.stack([anchors[right - 1], anchors[right]], axis=1).tolist()
  x, y = points.T.tolist()
  kept = []
  while chords:
    first, last = chords.pop()
    start_x, start_y = x[first], y[first]
    run_x, run_y = x[last] - start_x, y[last] - start_y
    squared_length = run_x * run_x + run_y * run_y
    most, farthest = squared_tolerance, 0
    for i in range(first + 1, last):
      off_x, off_y = x[i] - start_x, y[i] - start_y
      # A chord whose ends coincide is a point: distance to its start.
      if squared_length > 0:
        fraction = (off_x * run_x + off_y * run_y) / squared_length
        if fraction < 0.0:
          fraction = 0.0
        elif fraction > 1.0:
          fraction = 1.0
        off_x -= fraction * run_x
        off_y -= fraction * run_y
      squared = off_x * off_x + off_y * off_y
      if squared > most:
        most, farthest = squared, i
    if farthest:
      kept.append(farthest)
      chords.append([first, farthest])
      chords.append([farthest, last])
  keep[kept] = True


def _squared_distances(
  points: FloatArray, starts: FloatArray, ends: FloatArray
) -> FloatArray:
  """Squared distance of each point to its own segment, float64[points]."""
  directions = (ends - starts).T
  offsets = (points - starts).T
  squared_lengths = directions[0] ** 2 + directions[1] ** 2
  along = offsets[0] * directions[0] + offsets[1] * directions[1]
  # A chord whose ends coincide is a point: distance to its start.
  fractions = np.divide(
    along, squared_lengths, out=np.zeros_like(along), where=squared_lengths > 0
  )
  fractions = np.minimum(np.maximum(fractions, 0.0), 1.0)
  misses = offsets - fractions * directions
  return misses[0] ** 2 + misses[1] ** 2
