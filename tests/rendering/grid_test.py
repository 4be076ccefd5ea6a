"""A filled grid, photographed, and cut up again."""

import cv2
import numpy as np
import pytest

from inksight_jax.rendering.grid import Grid, cut_sheet, draw_sheet, find_marks

SCALE = 6.0
WORDS = tuple(f"word{number}" for number in range(15))


@pytest.fixture(scope="module")
def grid() -> Grid:
  return Grid(WORDS, columns=2, rows=6)


def filled(grid: Grid, sheet: int, skip: int = -1) -> np.ndarray:
  """A sheet with the number of each box written as so many strokes."""
  page = draw_sheet(grid, sheet, SCALE).copy()
  for place in range(len(grid.words_of(sheet))):
    if place == skip:
      continue
    left, top, wide, high = (v * SCALE for v in grid.box(place))
    for stroke in range(place + 1):
      x = round(left + wide * (stroke + 1) / 14)
      start, end = round(top + 0.3 * high), round(top + 0.7 * high)
      cv2.line(page, (x, start), (x + 8, end), (30, 30, 60), 3)
  return page


def photograph(
  page: np.ndarray, turn: int = 0
) -> tuple[np.ndarray, np.ndarray]:
  """The page on a dark desk, from aside, unevenly lit, turned by right angles.

  Returns the photo and the map from page pixels to photo pixels.
  """
  height, width = page.shape[:2]
  corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
  seen = np.array([[160, 90], [1250, 180], [1330, 1600], [60, 1500]], float)
  matrix = cv2.getPerspectiveTransform(
    corners.astype(np.float32), np.roll(seen, -turn, 0).astype(np.float32)
  )
  photo = cv2.warpPerspective(
    page, matrix, (1400, 1700), borderValue=(70, 60, 50)
  )
  light = np.linspace(1.0, 0.65, 1400)[None, :, None]
  noise = np.random.default_rng(0).normal(0, 3, photo.shape)
  return np.clip(photo * light + noise, 0, 255).astype(np.uint8), matrix


def strokes(picture: np.ndarray) -> int:
  """Dark runs along the middle row."""
  row = picture[picture.shape[0] // 2].mean(axis=1) < 140
  return int((row[1:] & ~row[:-1]).sum() + row[0])


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_marks_are_where_the_camera_put_them(grid, turn):
  photo, matrix = photograph(filled(grid, 0), turn)
  middles = (grid.marks * SCALE).astype(np.float32)[None]
  expected = cv2.perspectiveTransform(middles, matrix)[0]
  np.testing.assert_allclose(find_marks(photo), expected, atol=1.5)


def test_every_word_comes_back_with_its_label(grid):
  photo, _ = photograph(filled(grid, 0, skip=4), turn=2)
  sheet, cells = cut_sheet(photo, grid)
  assert sheet == 0
  assert [word for word, _ in cells] == list(WORDS[:12])
  for place, (_, picture) in enumerate(cells):
    if place == 4:
      assert picture is None
      continue
    assert strokes(picture) == place + 1
    # White paper, nothing of the frame: the corners are clean.
    assert picture[:4, :4].min() > 200 and picture[-4:, -4:].min() > 200


def test_the_sheet_numbers_itself(grid):
  photo, _ = photograph(filled(grid, 1))
  sheet, cells = cut_sheet(photo, grid)
  assert sheet == 1
  assert [word for word, _ in cells] == list(WORDS[12:])
  shorter = Grid(WORDS[:5], columns=2, rows=6)
  with pytest.raises(ValueError, match="shows sheet 2"):
    cut_sheet(photo, shorter)


def test_no_sheet_no_words(grid):
  with pytest.raises(ValueError, match="0 of the 3 marks"):
    find_marks(np.full((300, 200, 3), 230, np.uint8))
  page = filled(grid, 0)
  page[-200:, -200:] = 255
  with pytest.raises(ValueError, match="0 of the 1"):
    find_marks(page)


def test_a_grid_comes_back_from_its_description(grid):
  assert Grid.from_json(grid.to_json()) == grid
  for text in ("{", "[]", '{"words": ["a"], "colour": 1}'):
    with pytest.raises(ValueError, match="description of a grid"):
      Grid.from_json(text)
  with pytest.raises(ValueError, match="too small"):
    Grid(("a",), columns=12)
  with pytest.raises(ValueError, match="at least one"):
    Grid(())
