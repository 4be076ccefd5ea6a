"""Laying ink over pictures against the same sum in floats."""

import numpy as np
import pytest

from inksight_jax.ink.types import Ink
from inksight_jax.rendering.composite import composite, lay
from inksight_jax.rendering.strokes import draw_coverage, draw_piece


def test_composite_is_the_linear_mix():
  rng = np.random.default_rng(0)
  background = rng.integers(0, 256, (9, 7, 3), np.uint8)
  coverage = rng.integers(0, 256, (9, 7), np.uint8)
  color = (200, 10, 90)
  mixed = composite(background, coverage, color)
  alpha = coverage[:, :, None] / 255
  expected = background * (1 - alpha) + np.array(color) * alpha
  assert np.abs(mixed - expected).max() <= 1.01


@pytest.mark.parametrize("color", [(0, 0, 0), (12, 90, 201)])
def test_a_piece_is_laid_in_place_and_touches_nothing_else(color):
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (20, 30, 3), np.uint8)
  piece = rng.integers(0, 256, (7, 9), np.uint8)
  coverage = np.zeros((20, 30), np.uint8)
  coverage[4:11, 15:24] = piece
  expected = composite(image, coverage, color)
  before = image.copy()
  lay(image, piece, 15, 4, color)
  np.testing.assert_array_equal(image, expected)
  outside = coverage == 0
  np.testing.assert_array_equal(image[outside], before[outside])
  lay(image, np.zeros((0, 0), np.uint8), 0, 0, color)
  np.testing.assert_array_equal(image, expected)


def test_pieces_of_a_drawing_are_the_drawing():
  ink = Ink.from_arrays([[[4, 5], [12, 9]], [[15, 3]], [[-9, 2], [1, 2]]])
  whole = draw_coverage(ink, 20, 30, [2.0, 3.0, 1.0])
  piece, (left, top) = draw_piece(ink, 20, 30, [2.0, 3.0, 1.0])
  pasted = np.zeros((20, 30), np.uint8)
  pasted[top : top + piece.shape[0], left : left + piece.shape[1]] = piece
  np.testing.assert_array_equal(pasted, whole)
  # Stroke by stroke, the darkest counts, but for grey edges that meet.
  alone = [
    draw_coverage(Ink((stroke,)), 20, 30, width)
    for stroke, width in zip(ink.strokes, (2.0, 3.0, 1.0), strict=True)
  ]
  np.testing.assert_array_equal(np.max(alone, axis=0), whole)
