"""The padding rule against an independent resampling, and its inverse."""

import numpy as np
import pytest
from PIL import Image

from inksight_jax.ink.types import Ink
from inksight_jax.rendering.letterbox import (
  border_color,
  letterbox,
  padding_color,
)
from inksight_jax.rendering.strokes import Style, draw_ink


def smooth_picture(height, width, seed=0):
  small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
  picture = Image.fromarray(small).resize((width, height), Image.BICUBIC)
  return np.asarray(picture)


@pytest.mark.parametrize(
  ("height", "width", "size"), [(120, 200, 50), (96, 33, 32), (64, 64, 64)]
)
def test_matches_pillow_and_pads_evenly(height, width, size):
  image = smooth_picture(height, width)
  square, _ = letterbox(image, size, "black")
  scale = size / max(height, width)
  inner_height, inner_width = round(height * scale), round(width * scale)
  top, left = (size - inner_height) // 2, (size - inner_width) // 2
  expected = np.zeros((size, size, 3), np.uint8)
  expected[top : top + inner_height, left : left + inner_width] = (
    Image.fromarray(image).resize((inner_width, inner_height), Image.BOX)
  )
  assert np.abs(square.astype(int) - expected).max() <= 2


def test_integer_shrinking_is_the_mean_of_blocks():
  image = np.random.default_rng(1).integers(0, 256, (40, 80, 3), np.uint8)
  square, placement = letterbox(image, 20, "white")
  blocks = image.reshape(10, 4, 20, 4, 3).mean((1, 3))
  assert np.abs(square[5:15] - blocks).max() <= 0.51
  assert (square[:5] == 255).all() and (square[15:] == 255).all()
  assert placement.scale == 0.25


@pytest.mark.parametrize("shape", [(60, 151), (233, 100), (30, 40)])
@pytest.mark.parametrize("size", [64, 224])
def test_placement_finds_a_dot_again(shape, size):
  height, width = shape
  for x, y in [(0.2 * width, 0.3 * height), (0.83 * width, 0.71 * height)]:
    dot = Ink.from_arrays([[[x, y]]])
    image = draw_ink(dot, height, width, Style(8.0))
    square, placement = letterbox(image, size, "white")
    dark = 255.0 - square[:, :, 0]
    rows, columns = np.mgrid[:size, :size]
    found = [
      (dark * columns).sum() / dark.sum(),
      (dark * rows).sum() / dark.sum(),
    ]
    mapped = placement.apply(dot).points[0]
    np.testing.assert_allclose(found, mapped, atol=0.35)
    back = placement.invert(placement.apply(dot)).points[0]
    np.testing.assert_allclose(back, [x, y], atol=1e-9)


def test_corners_map_to_the_edge_of_the_square():
  _, placement = letterbox(np.zeros((50, 200, 3), np.uint8), 100)
  edges = Ink.from_arrays([[[-0.5, -0.5], [199.5, 49.5]]])
  np.testing.assert_allclose(
    placement.apply(edges).points, [[-0.5, 36.5], [99.5, 61.5]]
  )


def test_paper_is_the_median_of_the_border():
  image = np.full((40, 90, 3), (200, 190, 180), np.uint8)
  image[10:30, 10:80] = 0
  image[0, :10] = 5  # ink that touches the edge does not matter
  assert border_color(image) == (200, 190, 180)
  square, _ = letterbox(image, 64, "paper")
  assert square[0, 0].tolist() == [200, 190, 180]
  assert square[-1, -1].tolist() == [200, 190, 180]


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (3000, 1)])
def test_extreme_shapes_fit(shape):
  square, _ = letterbox(np.full((*shape, 3), 7, np.uint8), 32, "white")
  assert square.shape == (32, 32, 3)
  assert (square == 7).any()


def test_bad_pictures_are_refused():
  with pytest.raises(ValueError, match="RGB"):
    letterbox(np.zeros((4, 4), np.uint8), 8)
  with pytest.raises(ValueError, match="positive"):
    letterbox(np.zeros((0, 4, 3), np.uint8), 8)
  with pytest.raises(ValueError, match="grey"):
    padding_color(np.zeros((4, 4, 3), np.uint8), "grey")
