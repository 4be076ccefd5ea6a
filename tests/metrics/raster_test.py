"""One-pixel traces and dilation against per-pixel brute force."""

import numpy as np
import pytest
from scipy import ndimage

from inksight_jax.ink.types import Ink, Stroke
from inksight_jax.metrics import raster


def strokes(*points: list[tuple[float, float]]) -> Ink:
  return Ink(tuple(Stroke(np.array(stroke, np.float64)) for stroke in points))


def scribble(seed: int, points: int = 6, high: float = 19.0) -> Ink:
  rng = np.random.default_rng(seed)
  return strokes(*(rng.uniform(0, high, (points, 2)) for _ in range(2)))


def distance_to_segments(ink: Ink, size: int) -> np.ndarray:
  """Distance of every pixel centre to the nearest segment, one by one."""
  result = np.full((size, size), np.inf)
  for stroke in ink.strokes:
    for start, end in zip(stroke.points[:-1], stroke.points[1:], strict=True):
      for row in range(size):
        for column in range(size):
          pixel = np.array([column, row], np.float64)
          along = np.dot(pixel - start, end - start)
          along = np.clip(along / np.dot(end - start, end - start), 0, 1)
          gap = np.linalg.norm(pixel - start - along * (end - start))
          result[row, column] = min(result[row, column], gap)
  return result


@pytest.mark.parametrize("seed", range(3))
def test_a_trace_stays_within_one_pixel_of_its_strokes(seed: int):
  ink = scribble(seed)
  mask = raster.trace_mask(ink, 20, 20)
  distance = distance_to_segments(ink, 20)
  # A drawn pixel holds a point of the stroke: at most half a diagonal away.
  assert distance[mask].max() <= np.sqrt(0.5) + 1e-9
  # Whatever the stroke crosses for longer than one sampling step is drawn.
  assert mask[distance < 0.15].all()


@pytest.mark.parametrize("seed", range(3))
def test_a_stroke_is_connected_and_a_pen_lift_is_not_bridged(seed: int):
  ink = scribble(seed)
  for stroke in ink.strokes:
    mask = raster.trace_mask(Ink((stroke,)), 20, 20)
    assert ndimage.label(mask, np.ones((3, 3)))[1] == 1
  apart = strokes([(1, 1), (4, 1)], [(12, 1), (15, 1)])
  assert not raster.trace_mask(apart, 20, 20)[1, 6:11].any()


def test_hand_drawn_cases():
  dot = raster.trace_mask(strokes([(2, 1)]), 3, 4)
  assert np.argwhere(dot).tolist() == [[1, 2]]
  line = raster.trace_mask(strokes([(0, 0), (3, 3)]), 4, 4)
  np.testing.assert_array_equal(line, np.eye(4, dtype=bool))
  outside = strokes([(-5, 1), (1, 1)], [(9e9, -9e9)])
  mask = raster.trace_mask(outside, 3, 3)
  assert np.argwhere(mask).tolist() == [[1, 0], [1, 1]]
  assert not raster.trace_mask(Ink(), 3, 3).any()


def test_shifting_the_ink_by_pixels_shifts_the_mask():
  ink = strokes([(1.5, 2.5), (4.5, 7.25)])
  mask = raster.trace_mask(ink, 20, 20)
  shifted = raster.trace_mask(ink.scaled(1.0, (3.0, 5.0)), 20, 20)
  np.testing.assert_array_equal(shifted, np.roll(mask, (5, 3), (0, 1)))


def test_dilation_is_scipys():
  mask = np.random.default_rng(0).random((17, 13)) < 0.05
  expected = ndimage.binary_dilation(mask, np.ones((3, 3)))
  np.testing.assert_array_equal(raster.dilate(mask), expected)


def test_a_mask_without_pixels_is_refused():
  with pytest.raises(ValueError, match="0 x 5"):
    raster.trace_mask(Ink(), 0, 5)
