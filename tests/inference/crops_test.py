"""Crops: what is in them, and that their pixels find back to the page."""

import itertools

import cv2
import numpy as np
import pytest

from inksight_jax.inference.crops import Crop, CropConfig, cut_words
from inksight_jax.inference.segmentation.masks import with_masks
from inksight_jax.inference.segmentation.types import WordRegion
from inksight_jax.inference.tiles import join_ink, join_text
from inksight_jax.ink.types import Ink
from inksight_jax.rendering.letterbox import letterbox
from inksight_jax.rendering.strokes import draw_ink

RED = (230, 0, 0)


def spots(image: np.ndarray, points: np.ndarray, radius: int) -> np.ndarray:
  """The page with red spots on it."""
  marked = image.copy()
  for x, y in points:
    center = (round(x * 16), round(y * 16))
    cv2.circle(marked, center, radius * 16, RED, cv2.FILLED, cv2.LINE_AA, 4)
  return marked


def centers(square: np.ndarray) -> np.ndarray:
  """Middles of red spots, weighted by how red a pixel is."""
  values = square.astype(float)
  red = np.clip(values[..., 0] - values[..., 1:].max(axis=2), 0, None)
  count, labels = cv2.connectedComponents((red > 25).astype(np.uint8))
  found = []
  for label in range(1, count):
    rows, columns = np.nonzero(labels == label)
    weight = red[rows, columns]
    found.append(
      (np.average(columns, weights=weight), np.average(rows, weights=weight))
    )
  return np.array(found)


@pytest.mark.parametrize("degrees", [0.0, 7.0, -12.0])
@pytest.mark.parametrize("width", [180, 613, 1500])
def test_pixels_find_back_to_the_page(width: int, degrees: float):
  height = 160
  # Marks of a word, and its box, after the page is turned.
  angle = np.deg2rad(degrees)
  turn = np.array(
    [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
  )
  x = np.linspace(0.04, 0.96, 7) * width
  y = height * np.array([0.1, 0.9, 0.5, 0.2, 0.8, 0.15, 0.85])
  points = np.stack([x, y], 1) @ turn.T
  points += (60.3, 60.8) - points.min(axis=0)
  page = np.full((*np.ceil(points.max(axis=0) + 60)[::-1].astype(int), 3), 225)
  radius = max(3, width // 90)
  page = spots(page.astype(np.uint8), points, radius)
  inked = (page[..., 1] < 128).astype(np.uint8)
  left, top, wide, high = cv2.boundingRect(inked)
  region = WordRegion(
    (left, top, left + wide, top + high),
    angle=degrees,
    mask=inked[top : top + high, left : left + wide] > 0,
    mask_origin=(left, top),
  )
  (crop,) = cut_words(page, [region], CropConfig(max_aspect=20.0))
  square, placement = letterbox(crop.tiles[0].image, 224)
  found = centers(square)
  ink = placement.invert(Ink.from_arrays(found[:, None]))
  back = crop.to_page(ink).points
  apart = np.hypot(*(points[:, None] - back[None]).transpose(2, 0, 1)).min(1)
  assert len(found) == len(points)
  assert apart.max() < 1.0
  if degrees:
    # Turned level: as high as the word, not as the box around it.
    assert crop.height < 1.6 * height


def test_the_ink_of_neighbours_is_painted_over():
  # Two words with overlapping boxes that do not touch.
  image = np.full((200, 400, 3), (200, 220, 240), np.uint8)
  cv2.line(image, (50, 60), (200, 60), (20, 20, 60), 5)
  cv2.line(image, (50, 60), (50, 120), (20, 20, 60), 5)
  cv2.line(image, (80, 90), (220, 90), (60, 20, 20), 5)
  cv2.line(image, (220, 90), (220, 140), (60, 20, 20), 5)
  regions = with_masks(
    image,
    [WordRegion((47, 57, 203, 123)), WordRegion((77, 87, 223, 143))],
  )
  assert all(region.mask is not None for region in regions)
  crop = cut_words(image, regions)[0]
  plain = cut_words(image, regions, CropConfig(mask_neighbours=False))[0]
  whole, hidden = plain.tiles[0].image, crop.tiles[0].image

  def count(picture: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((np.abs(picture.astype(int) - color).max(2) < 30).sum())

  assert count(whole, (60, 20, 20)) > 300
  assert count(hidden, (60, 20, 20)) == 0
  assert count(hidden, (20, 20, 60)) == count(whole, (20, 20, 60)) > 500
  # What is painted is paper.
  changed = (whole != hidden).any(axis=2)
  assert np.abs(hidden[changed].astype(int) - (200, 220, 240)).max() < 12


def wide_word() -> tuple[np.ndarray, Ink, Crop]:
  """Letters and one long stroke, 1200 x 90 pixels, cut into tiles."""
  rng = np.random.default_rng(0)
  strokes = [
    np.stack([x + rng.uniform(0, 45, 6), rng.uniform(60, 140, 6)], 1)
    for x in range(50, 1250, 60)
  ]
  x = np.arange(60.0, 1200.0, 5.0)
  strokes.append(np.stack([x, 100 + 20 * np.sin(x / 40)], 1))
  ink = Ink.from_arrays(strokes)
  image = draw_ink(ink, 200, 1320)
  left, top, right, bottom = ink.bounds
  region = WordRegion((left - 1, top - 1, right + 2, bottom + 2))
  (crop,) = cut_words(image, with_masks(image, [region]))
  return image, ink, crop


def test_wide_words_are_tiled_and_their_ink_joined():
  _, ink, crop = wide_word()
  assert len(crop.tiles) > 2 and all(crop.cut_ink)
  assert all(t.image.shape[1] <= 4 * crop.height for t in crop.tiles)
  # Each tile "reads" all ink within it, as far as it sees.
  inks = []
  for tile in crop.tiles:
    right = tile.left + tile.image.shape[1]
    seen = []
    for stroke in crop_frame(ink, crop).strokes:
      inside = (stroke.points[:, 0] > tile.left) & (stroke.points[:, 0] < right)
      dense = densify(stroke.points)
      inside = (dense[:, 0] >= tile.left) & (dense[:, 0] < right)
      if inside.sum() > 1:
        seen.append(dense[inside] - (tile.left, 0))
    inks.append(Ink.from_arrays(seen))
  joined = crop.to_page(join_ink(crop, inks))
  # No stroke is there twice, and none is lost.
  assert len(joined) == len(ink)
  length = sum(stroke.length for stroke in ink.strokes)
  assert sum(s.length for s in joined.strokes) == pytest.approx(length, 0.01)
  drawn, wanted = (draw_ink(i, 200, 1320) for i in (joined, ink))
  assert np.abs(drawn.astype(int) - wanted).mean() < 0.5


def crop_frame(ink: Ink, crop: Crop) -> Ink:
  inverse = np.linalg.inv(crop.matrix)
  return ink.transformed(inverse, -inverse @ crop.offset)


def densify(points: np.ndarray) -> np.ndarray:
  steps = [np.linspace(a, b, 200) for a, b in itertools.pairwise(points)]
  return np.concatenate(steps)


def test_text_of_tiles_is_joined():
  _, _, crop = wide_word()
  count = len(crop.tiles)
  texts = ["abc", "cde", *[""] * (count - 2)]
  assert join_text(crop, texts) == ("abcde", [0, 1, *[0] * (count - 2)])
  empty = Crop(crop.tiles, crop.matrix, crop.offset, 9, (False,) * (count - 1))
  assert join_text(empty, texts) == ("abccde", [0] * count)


def test_impossible_settings_are_refused():
  with pytest.raises(ValueError, match="max_aspect"):
    CropConfig(max_aspect=1.0)
