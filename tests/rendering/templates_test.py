"""Canvases of a token budget: the tables, the choice, the padding."""

import numpy as np
import pytest

from inksight_jax.rendering.templates import (
  Template,
  Templates,
  template_table,
)

# rows x columns, worked out by hand from the rule.
TABLE_64 = (
  "1x63 2x31 3x20 4x15 5x11 6x9 7x8 8x7 9x6 10x5 12x4 15x3 16x3 19x2 20x2 21x2 "
  "29x1 30x1 31x1 32x1"
)
TABLE_128_BEGINS = (
  "1x127 2x63 3x41 4x31 5x24 6x20 7x17 8x15 9x13 10x11 11x10 12x9 13x8 14x8 "
  "15x7 16x7 17x6 18x6 20x5 21x5 24x4 25x4 30x3 31x3 32x3 39x2 40x2 41x2 42x2 "
  "59x1"
)


def names(table):
  return [f"{template.rows}x{template.columns}" for template in table]


def test_tables_are_those_of_the_rule():
  assert names(template_table(64)) == TABLE_64.split()
  found = names(template_table(128))
  begins = TABLE_128_BEGINS.split()
  assert found[: len(begins)] == begins
  assert found[-1] == "64x1"
  assert len(found) == 35


@pytest.mark.parametrize("budget", [2, 3, 7, 32, 100, 500])
def test_no_template_exceeds_its_budget(budget):
  templates = Templates(budget)
  square = Templates(budget, square=True).table[0]
  for template in (*templates.table, square):
    assert template.rows * (template.columns + 1) <= budget
    assert template.columns >= 1
  assert square.rows == square.columns
  side = square.rows + 1
  assert side * (side + 1) > budget
  assert templates.table, "Some canvas fills any budget."


@pytest.mark.parametrize(
  ("size", "expected"),
  [
    ((590, 296), (240, 128)),
    ((1462, 347), (384, 80)),
    ((368, 940), (96, 272)),
    ((100, 100), (160, 176)),
  ],
)
def test_choice_by_aspect_ratio(size, expected):
  """Pictures and canvases as width, height, worked out with the rule."""
  templates = Templates(128, 16)
  height, width = templates.size(templates.choose(size[1], size[0]))
  assert (width, height) == expected


def test_choice_is_the_nearest_ratio():
  rng = np.random.default_rng(0)
  for budget in (16, 64, 128):
    templates = Templates(budget, 8)
    for height, width in rng.integers(10, 300, (50, 2)).tolist():
      chosen = templates.choose(height, width)
      distance = abs(chosen.columns / chosen.rows - width / height)
      for other in templates.table:
        assert distance <= abs(other.columns / other.rows - width / height)


@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize(
  ("height", "width"), [(10, 43), (300, 40), (33, 33), (200, 900), (5, 5)]
)
def test_fit_puts_the_picture_in_the_corner(height, width, square):
  templates = Templates(32, 8, square)
  image = np.full((height, width, 3), 200, np.uint8)
  fitted = templates.fit(image, "black")
  rows, columns = fitted.template.rows, fitted.template.columns
  assert fitted.image.shape == (8 * rows, 8 * columns, 3)
  ink = fitted.image[:, :, 0] == 200
  # It touches two opposite sides: as large as it can be.
  assert ink[0, 0]
  assert ink[0].all() or ink[:, 0].all()
  # A cell counts if any pixel of it is the picture's.
  cells = ink.reshape(rows, 8, columns, 8).any(axis=(1, 3))
  np.testing.assert_array_equal(fitted.mask, cells)
  # The picture is not distorted beyond the rounding to pixels.
  scale = fitted.placement.scale
  assert abs(int(ink[:, 0].sum()) - height * scale) <= 0.5
  assert abs(int(ink[0].sum()) - width * scale) <= 0.5


def test_placement_maps_corners():
  fitted = Templates(32, 8).fit(np.zeros((20, 60, 3), np.uint8))
  scale, offset = fitted.placement.scale, fitted.placement.offset
  left, top = -0.5 * scale + offset[0], -0.5 * scale + offset[1]
  assert left == pytest.approx(-0.5)
  assert top == pytest.approx(-0.5)


def test_errors_say_what_to_do():
  with pytest.raises(ValueError, match="budget of 1 tokens"):
    Templates(1)
  with pytest.raises(ValueError, match="at least 1 pixel"):
    Templates(64, 0)
  with pytest.raises(ValueError, match="empty"):
    Templates(64).choose(0, 5)
  with pytest.raises(ValueError, match=r"9000 x 1 pixels is too thin"):
    Templates(64, 8).fit(np.zeros((1, 9000, 3), np.uint8))
  assert Templates(64, 8).choose(1, 900) == Template(1, 63)
