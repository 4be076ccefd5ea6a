"""Simplification against the textbook recursion."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inksight_jax.ink.simplify import simplify
from inksight_jax.ink.types import Ink, Stroke


def squared_distance(p, a, b) -> Fraction:
  dx, dy = b[0] - a[0], b[1] - a[1]
  ox, oy = p[0] - a[0], p[1] - a[1]
  square = dx * dx + dy * dy
  t = (ox * dx + oy * dy) / square if square > 0 else Fraction(0)
  t = min(max(t, Fraction(0)), Fraction(1))
  mx, my = ox - t * dx, oy - t * dy
  return mx * mx + my * my


def recursive(points, tolerance) -> list:
  """Ramer 1972, Douglas and Peucker 1973: split at the farthest point."""
  if len(points) <= 2:
    return points
  distances = [squared_distance(p, points[0], points[-1]) for p in points[1:-1]]
  far = max(range(len(distances)), key=lambda i: (distances[i], -i))
  if distances[far] <= tolerance * tolerance:
    return [points[0], points[-1]]
  split = far + 1
  return recursive(points[: split + 1], tolerance)[:-1] + recursive(
    points[split:], tolerance
  )


# Eighths are exact in fractions and floats alike, so that ties must agree;
# small whole numbers give many of them, repeats and points on a line.
coordinates = st.integers(-6, 6) | st.integers(-400, 400).map(lambda v: v / 8)
strokes = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=25)


def assert_equals_recursion(arrays, tolerance):
  simplified = simplify(Ink.from_arrays(arrays), tolerance)
  expected = [
    recursive([(Fraction(x), Fraction(y)) for x, y in s], Fraction(tolerance))
    for s in arrays
  ]
  found = [[tuple(p) for p in s.points.tolist()] for s in simplified.strokes]
  assert found == expected


@settings(deadline=None)
@given(
  st.lists(strokes, min_size=1, max_size=4),
  st.sampled_from([0.0, 0.5, 1.0, 2.5, 10.0, 1000.0]),
)
def test_equals_the_recursion_on_every_stroke(arrays, tolerance):
  assert_equals_recursion(arrays, tolerance)


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_recursion_where_there_are_many_points(seed):
  rng = np.random.default_rng(seed)
  # Three strokes that close upon themselves among them, many ties.
  arrays = [
    (rng.integers(-1, 2, (size, 2)).cumsum(0) % 40).tolist()
    for size in (700, 3, 1, 150, 400)
  ]
  arrays[0].append(arrays[0][0])
  assert_equals_recursion(arrays, 1.5)


def test_a_corner_stays_and_a_wobble_goes():
  ink = Ink.from_arrays([[[0, 0], [5, 0.4], [10, 0], [10.4, 5], [10, 10]]])
  np.testing.assert_array_equal(
    simplify(ink, 0.5).points, [[0, 0], [10, 0], [10, 10]]
  )
  assert simplify(ink, 0.3).num_points == 5


def test_a_retraced_hook_survives():
  # Out to 10 and back to 2: distance to the line is 0, to the segment 8.
  ink = Ink.from_arrays([[[0, 0], [10, 0], [2, 0]]])
  assert simplify(ink, 1.0).num_points == 3


def test_times_and_pressures_follow_their_points():
  stroke = Stroke(
    np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [2.0, 9.0]]),
    np.array([0.0, 10.0, 20.0, 30.0]),
    np.array([0.1, 0.2, 0.3, 0.4]),
  )
  (kept,) = simplify(Ink((stroke,)), 0.5).strokes
  np.testing.assert_array_equal(kept.times, [0, 20, 30])
  np.testing.assert_array_equal(kept.pressures, [0.1, 0.3, 0.4])


def test_empty_ink_and_dots_pass_through():
  assert not simplify(Ink(), 1.0)
  dots = Ink.from_arrays([[[1, 2]], [[3, 4]]])
  np.testing.assert_array_equal(simplify(dots, 99.0).points, [[1, 2], [3, 4]])


@pytest.mark.parametrize("tolerance", [-1.0, float("nan")])
def test_a_tolerance_below_zero_is_refused(tolerance):
  with pytest.raises(ValueError, match="at least 0 px"):
    simplify(Ink(), tolerance)
