"""Resampling: closed forms, equal steps, and points on the pen's path."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inksight_jax.ink.resample import resample, resample_length, resample_time
from inksight_jax.ink.types import Ink, Stroke

coordinates = st.floats(-100, 100, width=32)
strokes = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=8)


def distance_to_path(point, path) -> float:
  starts, steps = path[:-1], np.diff(path, axis=0)
  squares = (steps * steps).sum(1)
  along = ((point - starts) * steps).sum(1)
  t = np.divide(along, squares, out=np.zeros(len(steps)), where=squares > 0)
  feet = starts + np.clip(t, 0, 1)[:, np.newaxis] * steps
  return min(np.hypot(*(np.vstack([feet, path[:1]]) - point).T))


def test_a_pen_at_constant_speed_is_where_its_clock_says():
  times = np.array([100.0, 103.0, 131.0, 155.0, 190.0])
  points = np.stack([2 * times, 7 - times], axis=1)
  (stroke,) = resample_time(Ink((Stroke(points, times),)), 20.0).strokes
  assert stroke.times is not None
  expected = np.array([100.0, 120.0, 140.0, 160.0, 180.0, 190.0])
  np.testing.assert_allclose(stroke.times, expected)
  np.testing.assert_allclose(
    stroke.points, np.stack([2 * expected, 7 - expected], axis=1)
  )


def test_a_duration_of_whole_periods_gets_no_extra_point():
  # 0.3 / 0.1 is a little less than 3 and 0.6 / 0.2 a little more in floats.
  for period, end in [(0.1, 0.3), (0.2, 0.6), (20.0, 60.0)]:
    ink = Ink.from_arrays([[[0, 0, 0], [6, 0, end]]])
    (stroke,) = resample_time(ink, period).strokes
    np.testing.assert_allclose(stroke.points[:, 0], [0, 2, 4, 6])


def test_a_stroke_faster_than_the_period_keeps_its_ends():
  ink = Ink.from_arrays([[[0, 0, 0], [1, 1, 2], [5, 0, 5]]])
  (stroke,) = resample_time(ink, 20.0).strokes
  np.testing.assert_array_equal(stroke.points, [[0, 0], [5, 0]])


def test_pressure_is_interpolated_too():
  stroke = Stroke(
    np.array([[0.0, 0.0], [4.0, 0.0]]),
    np.array([0.0, 40.0]),
    np.array([1.0, 3.0]),
  )
  (timed,) = resample_time(Ink((stroke,)), 20.0).strokes
  np.testing.assert_allclose(timed.pressures, [1, 2, 3])
  (spaced,) = resample_length(Ink((stroke,)), 1.0).strokes
  np.testing.assert_allclose(spaced.pressures, [1, 1.5, 2, 2.5, 3])
  np.testing.assert_allclose(spaced.times, [0, 10, 20, 30, 40])


@settings(deadline=None, max_examples=50)
@given(st.lists(strokes, max_size=3), st.sampled_from([5.0, 30.0, 1000.0]))
def test_spaced_points_lie_on_the_path_in_equal_steps(arrays, spacing):
  ink = Ink.from_arrays(arrays)
  for before, after in zip(
    ink.strokes, resample_length(ink, spacing).strokes, strict=True
  ):
    np.testing.assert_array_equal(after.points[0], before.points[0])
    if before.length > 0:
      np.testing.assert_array_equal(after.points[-1], before.points[-1])
      assert len(after) - 1 == pytest.approx(
        before.length / spacing, abs=1 + 1e-6
      )
    for point in after.points:
      assert distance_to_path(point, before.points) < 1e-6
    chords = np.hypot(*np.diff(after.points, axis=0).T)
    assert (chords <= spacing * (1 + 1e-6)).all()


def test_a_straight_stroke_is_cut_into_equal_parts():
  ink = Ink.from_arrays([[[0, 0], [1, 0], [9, 0], [10, 0]]])
  points = resample_length(ink, 3.0).points
  np.testing.assert_allclose(points[:, 0], [0, 2.5, 5, 7.5, 10])


def test_a_resting_pen_keeps_its_first_and_last_moment():
  ink = Ink.from_arrays([[[0, 0, 0], [0, 0, 50], [4, 0, 60], [4, 0, 90]]])
  (stroke,) = resample_length(ink, 2.0).strokes
  np.testing.assert_allclose(stroke.points[:, 0], [0, 2, 4])
  np.testing.assert_allclose(stroke.times, [0, 55, 90])


def test_time_is_preferred_and_one_bad_stroke_falls_back_for_all():
  timed = [[0, 0, 0], [40, 0, 40]]
  standing = [[0, 0, 7], [40, 0, 7]]
  backwards = [[0, 0, 9], [40, 0, 3]]
  plain = [[0, 0], [40, 0]]
  assert resample(Ink.from_arrays([timed]), 20.0, 5.0).num_points == 3
  for other in (standing, backwards, plain):
    ink = resample(Ink.from_arrays([timed, other]), 20.0, 5.0)
    assert [len(s) for s in ink.strokes] == [9, 9]


@given(st.data())
@settings(deadline=None, max_examples=50)
def test_all_strokes_at_once_equal_stroke_by_stroke(data):
  size = data.draw(st.integers(1, 4))
  seed = data.draw(st.integers(0, 99))
  rng = np.random.default_rng(seed)
  strokes, clock = [], 0.0
  for _ in range(size):
    count = int(rng.integers(1, 9))
    # The pen rests now and then, and strokes may follow without a pause.
    steps = rng.choice([0.0, 5.0, 13.0, 90.0], count)
    steps[-1] = max(steps[-1], 1.0)
    times = clock + np.cumsum(steps) - (steps[0] if count > 1 else 0.0)
    clock = float(times[-1])
    pressures = rng.random(count) if seed % 2 else None
    strokes.append(Stroke(rng.normal(size=(count, 2)), times, pressures))
  together = resample(Ink(tuple(strokes)), 20.0)
  for stroke, sampled in zip(strokes, together.strokes, strict=True):
    (alone,) = resample_time(Ink((stroke,)), 20.0).strokes
    np.testing.assert_array_equal(sampled.points, alone.points)
    np.testing.assert_array_equal(sampled.times, alone.times)
    if pressures is not None:
      np.testing.assert_array_equal(sampled.pressures, alone.pressures)


def test_the_default_spacing_follows_the_size_of_the_ink():
  for scale in (1e-3, 1.0, 1e3):
    ink = Ink.from_arrays([[[0, 0], [scale, 0]]])
    assert resample(ink).num_points == 33


def test_dots_and_empty_ink():
  dot = Ink.from_arrays([[[1, 2, 3]]])
  twice = Ink.from_arrays([[[1, 2], [1, 2]]])
  for result in (
    resample_time(dot),
    resample_length(dot, 1.0),
    resample(dot),
    resample(twice),
  ):
    np.testing.assert_array_equal(result.points, [[1, 2]])
  assert not resample(Ink())
  assert not resample_time(Ink())
  assert not resample_length(Ink(), 1.0)


@pytest.mark.parametrize(
  "array",
  [[[0, 0], [1, 1]], [[0, 0, 5], [1, 1, 4]], [[0, 0, math.nan], [1, 1, 1]]],
)
def test_unusable_times_are_refused_by_stroke(array):
  with pytest.raises(ValueError, match="Stroke 0 has no times that advance"):
    resample_time(Ink.from_arrays([array]))


@pytest.mark.parametrize("step", [0.0, -1.0, math.nan])
def test_a_step_must_be_positive(step):
  with pytest.raises(ValueError, match="must be positive"):
    resample_time(Ink(), step)
  with pytest.raises(ValueError, match="must be positive"):
    resample_length(Ink(), step)


def test_a_broken_clock_or_unit_does_not_fill_the_memory():
  ink = Ink.from_arrays([[[0, 0, 0], [1e300, 0, 1e17]]])
  with pytest.raises(ValueError, match="check the units"):
    resample_time(ink)
  with pytest.raises(ValueError, match="check the units"):
    resample_length(ink, 1.0)
