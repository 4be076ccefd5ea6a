"""Strokes and inks refuse bad arrays and measure what they hold."""

import math
import pickle

import numpy as np
import pytest

from inksight_jax.ink.types import Ink, Stroke


def test_length_and_bounds_of_a_three_four_five_triangle():
  ink = Ink.from_arrays([[[0, 0], [3, 4], [3, 0]], [[-1.5, 2]]])
  assert ink.strokes[0].length == 9.0
  assert ink.strokes[1].length == 0.0
  assert ink.bounds == (-1.5, 0.0, 3.0, 4.0)
  assert (len(ink), ink.num_points) == (2, 4)
  np.testing.assert_array_equal(ink.points, [[0, 0], [3, 4], [3, 0], [-1.5, 2]])


def test_a_quarter_turn_maps_right_to_down_and_keeps_times():
  ink = Ink.from_arrays([[[1, 0, 5], [2, 0, 9]]])
  turn = np.array([[0.0, -1.0], [1.0, 0.0]])
  turned = ink.transformed(turn, np.array([10.0, 0.0]))
  np.testing.assert_array_equal(turned.points, [[10, 1], [10, 2]])
  np.testing.assert_array_equal(turned.strokes[0].times, [5, 9])


def test_scaling_comes_before_shifting():
  scaled = Ink.from_arrays([[[1, 2]]]).scaled(3.0, (10.0, 20.0))
  np.testing.assert_array_equal(scaled.points, [[13, 26]])


def test_a_map_cuts_its_strokes_as_they_were_and_travels_without_caches():
  ink = Ink.from_arrays([[[0, 0], [1, 2]], [[3, 4]], [[5, 6], [7, 8], [9, 1]]])
  mapped = ink.transformed([[1.0, 2.0], [3.0, 4.0]], [5.0, 6.0])
  matrix = np.array([[1.0, 2.0], [3.0, 4.0]])
  for before, after in zip(ink.strokes, mapped.strokes, strict=True):
    np.testing.assert_allclose(
      after.points, before.points @ matrix.T + np.array([5.0, 6.0])
    )
  with pytest.raises(ValueError, match="read-only"):
    mapped.points[0, 0] = 1.0
  copy = pickle.loads(pickle.dumps(mapped))
  assert set(vars(copy)) == {"strokes"}
  np.testing.assert_array_equal(copy.points, mapped.points)


def test_an_empty_ink_has_no_points_and_no_bounds():
  ink = Ink()
  assert not ink
  assert not ink.has_times
  assert ink.points.shape == (0, 2)
  with pytest.raises(ValueError, match="no bounds"):
    _ = ink.bounds


def test_times_count_only_where_every_stroke_has_them():
  timed, plain = Ink.from_arrays([[[0, 0, 1]], [[0, 0]]]).strokes
  assert Ink((timed,)).has_times
  assert not Ink((timed, plain)).has_times


@pytest.mark.parametrize(
  "points", [np.zeros((0, 2)), np.zeros((3, 3)), np.zeros(4)]
)
def test_a_stroke_refuses_wrong_shapes(points):
  with pytest.raises(ValueError, match=r"shape \[points >= 1, 2\]"):
    Stroke(points)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_stroke_refuses_coordinates_that_are_not_finite(bad):
  with pytest.raises(ValueError, match="not finite"):
    Stroke(np.array([[0.0, bad]]))


@pytest.mark.parametrize("name", ["times", "pressures"])
def test_a_stroke_refuses_a_wrong_number_of_values(name):
  with pytest.raises(ValueError, match=f"`{name}` needs one value per point"):
    Stroke(np.zeros((2, 2)), **{name: np.zeros(3)})


def test_from_arrays_refuses_a_fourth_column():
  with pytest.raises(ValueError, match="2 or 3"):
    Ink.from_arrays([[[0, 0, 0, 0]]])
