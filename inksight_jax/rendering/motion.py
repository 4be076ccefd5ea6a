"""How a pen moves along letters: smooth curves, speed, sampling, tremor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

# Joints below this angle are curves of a font's polygon, above it are corners.
_SMOOTH_TURN = np.cos(np.deg2rad(65.0))
_SHARP_TURN = np.cos(np.deg2rad(100.0))
_SAMPLES_PER_SEGMENT = 6


def _hermite_basis(samples: int) -> Floats:
  # Denser at both ends, where the pen may be speeding up or slowing down.
  t = (1 - np.cos(np.pi * np.arange(samples + 1) / samples)) / 2
  return np.stack(
    [
      2 * t**3 - 3 * t**2 + 1,
      t**3 - 2 * t**2 + t,
      -2 * t**3 + 3 * t**2,
      t**3 - t**2,
    ],
    axis=1,
  )


_BASIS = _hermite_basis(_SAMPLES_PER_SEGMENT)


def smooth(
  points: Floats, strokes: Indices
) -> tuple[Floats, Indices, NDArray[np.bool_]]:
  """Runs a Hermite curve through the control points; corners stay corners.

  Returns:
    points, stroke numbers and, per point, whether the pen stops there.
  """
  step = np.diff(points, axis=0)
  inside = strokes[1:] == strokes[:-1]
  length = np.maximum(np.sqrt((step * step).sum(1)), 1e-9)
  unit = step / length[:, None]
  # Tangents at joints: the nearer neighbour counts more.
  joint = inside[1:] & inside[:-1]
  before, after = length[:-1, None], length[1:, None]
  mean = (unit[:-1] * after + unit[1:] * before) / (before + after)
  cosine = (unit[:-1] * unit[1:]).sum(1)
  smoothness = (cosine - _SHARP_TURN) / (_SMOOTH_TURN - _SHARP_TURN)
  smoothness = np.clip(smoothness, 0.0, 1.0)
  leaving, arriving = unit.copy(), unit.copy()
  tangent = mean * smoothness[:, None]
  leaving[1:][joint] = tangent[joint]
  arriving[:-1][joint] = tangent[joint]

  chosen = np.flatnonzero(inside)
  scale = length[chosen, None]
  corners = np.stack(
    [
      points[chosen],
      leaving[chosen] * scale,
      points[chosen + 1],
      arriving[chosen] * scale,
    ],
    axis=1,
  )
  curve = _BASIS @ corners  # [segments, samples + 1, 2]
  # A segment gives its start and inner samples; the last of a stroke its end.
  ends = np.ones(len(chosen), bool)
  ends[:-1] = strokes[chosen[1:]] != strokes[chosen[:-1]]
  keep = np.ones(curve.shape[:2], bool)
  keep[:, -1] = ends
  stops = np.zeros(curve.shape[:2], bool)
  stops[:, -1] = ends
  sharp = np.ones(len(points), bool)
  sharp[1:-1] = ~joint | (smoothness < 0.2)
  stops[:, 0] = sharp[chosen]
  numbers = np.broadcast_to(strokes[chosen][:, None], keep.shape)
  return curve[keep], numbers[keep], stops[keep]


def pen_times(
  points: Floats,
  strokes: Indices,
  stops: NDArray[np.bool_],
  top_speed: float,
  pause: tuple[float, float],
  rng: np.random.Generator,
) -> Floats:
  """Milliseconds at each point: slow in curves and where the pen stops.

  Curves follow the two-thirds power law (Lacquaniti, Terzuolo and Viviani,
  1983): speed falls with the cube root of curvature. Starts and stops are at
  constant acceleration.
  """
  step = np.diff(points, axis=0)
  length = np.sqrt((step * step).sum(1))
  way = np.concatenate([[0.0], np.cumsum(length)])
  angle = np.arctan2(step[:, 1], step[:, 0])
  turn = np.abs((np.diff(angle) + np.pi) % (2 * np.pi) - np.pi)
  bend = np.zeros(len(length))
  bend[1:] = turn / np.maximum(length[1:] + length[:-1], 1e-3) * 2
  bend = np.convolve(np.pad(bend, 2), np.full(5, 0.2), mode="valid")
  speed = (1 + (0.5 * bend) ** 2) ** (-1 / 6)
  marks = way[stops]
  middle = (way[1:] + way[:-1]) / 2
  right = np.clip(np.searchsorted(marks, middle), 1, len(marks) - 1)
  near = np.minimum(middle - marks[right - 1], marks[right] - middle)
  speed = speed * np.sqrt(np.clip(near / 0.4, 0.06, 1.0))
  top = top_speed / 1000
  duration = length / (top * speed)
  lifted = strokes[1:] != strokes[:-1]
  low, high = pause
  pauses = low + (high - low) * rng.random(int(lifted.sum()))
  duration[lifted] = length[lifted] / top + pauses
  return np.concatenate([[0.0], np.cumsum(duration)])


def sample(
  points: Floats,
  times: Floats,
  strokes: Indices,
  period: float,
) -> tuple[Floats, Floats, Indices]:
  """Reads the pen every `period` ms and at both ends of each stroke.

  Returns:
    points, times and the index at which each next stroke begins.
  """
  first = np.flatnonzero(np.diff(strokes, prepend=-1))
  last = np.append(first[1:], len(strokes)) - 1
  start, stop = times[first], times[last]
  counts = np.ceil((stop - start) / period - 1e-9).astype(np.intp) + 1
  splits = np.cumsum(counts)
  within = np.arange(splits[-1]) - np.repeat(splits - counts, counts)
  when = np.repeat(start, counts) + within * period
  when = np.minimum(when, np.repeat(stop, counts))
  sampled = np.stack(
    [np.interp(when, times, points[:, axis]) for axis in (0, 1)], axis=1
  )
  return sampled, when, splits[:-1]


def shake(
  points: Floats,
  splits: Indices,
  rng: np.random.Generator,
  amount: float,
) -> Floats:
  """Rounds corners as inertia does and adds the pen's tremor."""
  edges = np.zeros(len(points), bool)
  edges[[0, -1]] = True
  edges[splits] = True
  edges[splits - 1] = True
  inner = np.flatnonzero(~edges)
  points = points.copy()
  points[inner] = (
    points[inner - 1] + 2 * points[inner] + points[inner + 1]
  ) / 4
  noise = rng.standard_normal((2, len(points) + 6))
  kernel = np.full(7, 7**-0.5)
  tremor = np.stack([np.convolve(row, kernel, "valid") for row in noise], 1)
  return points + amount * tremor
