"""The built-in segmenter against pages of known words."""

import pathlib

import cv2
import numpy as np
import pytest

from inksight_jax.datasets.generated import read_generated_words
from inksight_jax.inference.segmentation.builtin import BuiltinSegmenter
from inksight_jax.inference.segmentation.order import reading_order
from inksight_jax.ink.page import Box, Page
from inksight_jax.rendering.pages import (
  PageStyle,
  compose_page,
  small_letter_height,
)

PHOTO = pathlib.Path(__file__).parents[4] / "shared/data/inksight/page.jpg"


def overlap(first: Box, second: Box) -> float:
  """Intersection over union, cell by cell."""
  wide = min(first[2], second[2]) - max(first[0], second[0])
  high = min(first[3], second[3]) - max(first[1], second[1])
  if wide <= 0 or high <= 0:
    return 0.0
  areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (first, second)]
  return wide * high / (sum(areas) - wide * high)


def compose(style: PageStyle, seed: int = 0) -> tuple[np.ndarray, Page]:
  records = list(read_generated_words(60, seed=seed, min_length=3))
  inks = [record.ink for record in records if record.ink]
  scale = 20 / np.median([small_letter_height(ink) for ink in inks])
  words = [(r.text, r.ink.scaled(scale)) for r in records if r.ink]
  image, page, _ = compose_page(words, style, np.random.default_rng(seed))
  assert len(page.words) > 15
  return image, page


# Each word has a hand and a spacing of its own: gaps have to be wide.
GAP = (1.5, 2.2)
SIZE = {"width": 900, "height": 600, "gap": GAP}
STYLES = {
  "plain": PageStyle(**SIZE, margin=50, coloured=False, light=False, grain=0),
  "lines, falling": PageStyle(**SIZE, margin=80, rules="lines", skew=3.0),
  "squares, rising": PageStyle(**SIZE, margin=80, rules="grid", skew=-4.0),
  "two columns": PageStyle(**(SIZE | {"width": 1300}), margin=50, columns=2),
  "chalk": PageStyle(**SIZE, margin=50, inverted=True),
}


@pytest.mark.parametrize("name", STYLES)
def test_words_are_found_and_read_in_order(name: str):
  image, page = compose(STYLES[name])
  lines = reading_order(BuiltinSegmenter()(image))
  found = [region.box for line in lines for region in line]
  matches = [
    [i for i, box in enumerate(found) if overlap(word.box, box) >= 0.5]
    for word in page.words
  ]
  missed = [w.text for w, m in zip(page.words, matches, strict=True) if not m]
  assert len(missed) <= 0.05 * len(matches), missed
  assert len(found) <= 1.1 * len(matches)
  order = [match[0] for match in matches if match]
  assert order == sorted(order)
  skew = [region.angle for line in lines for region in line]
  assert abs(np.median(skew) - STYLES[name].skew) < 1.0


def test_boxes_are_those_of_the_full_picture():
  image, page = compose(STYLES["plain"])
  large = cv2.resize(image, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
  regions = BuiltinSegmenter(max_pixels=image[:, :, 0].size)(large)
  hits = [
    max(overlap(tuple(3 * v for v in word.box), r.box) for r in regions)
    for word in page.words
  ]
  assert np.median(hits) > 0.85


@pytest.mark.parametrize(
  "image",
  [
    np.full((300, 400, 3), 230, np.uint8),
    np.zeros((1, 1, 3), np.uint8),
    np.random.default_rng(0).integers(225, 240, (300, 400, 3), np.uint8),
    np.repeat(np.arange(256, dtype=np.uint8), 300).reshape(256, 300, 1)
    * np.ones(3, np.uint8),
  ],
  ids=["blank", "pixel", "grain", "gradient"],
)
def test_paper_without_writing_has_no_words(image: np.ndarray):
  assert list(BuiltinSegmenter()(image)) == []


def test_rules_and_edges_alone_are_no_words():
  image = np.full((500, 700, 3), 235, np.uint8)
  for y in range(40, 500, 60):
    cv2.line(image, (0, y), (700, y + 9), (120, 140, 200), 2)
  cv2.line(image, (80, 0), (76, 500), (210, 120, 120), 2)
  # The table that the sheet lies on.
  image[:, :25] = (60, 50, 40)
  assert list(BuiltinSegmenter()(image)) == []


def test_the_sample_photo_splits_into_its_words():
  if not PHOTO.exists():
    pytest.skip("the sample photo of the InkSight release is not here")
  image = cv2.imread(str(PHOTO))[..., ::-1]
  lines = reading_order(BuiltinSegmenter()(np.ascontiguousarray(image)))
  boxes = [region.box for line in lines for region in line]
  # "brown fox jumps over the lazy dog", columns read off the picture by eye;
  # "The quick" is set so tight that it may come as one.
  wanted = [(389, 595), (628, 742), (765, 991), (1027, 1165), (1195, 1306),
            (1347, 1498), (1534, 1658)]  # fmt: skip
  assert len(lines) == 1
  assert len(boxes) in (8, 9)
  for (left, right), box in zip(wanted, boxes[-7:], strict=True):
    assert abs(box[0] - left) < 15
    # A full stop belongs to its word.
    assert abs(box[2] - right) < 15 or box is boxes[-1]
