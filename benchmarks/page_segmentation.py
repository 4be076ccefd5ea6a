"""The built-in segmenter and the way back, on pages whose words are known.

  python benchmarks/page_segmentation.py unipen_train_r01_v07_subset.tar.xz

Composes pages of UNIPEN words (category 7): several writers a page, ruled and
squared paper, slopes, uneven light, JPEG. Measures the share of words found
(intersection over union of at least 0.5), boxes without a word, whether the
words found come in reading order, and how far a pixel of the model's picture is
from where its crop was cut: red spots are put into the page, found in the
picture the model would see, and sent back.

Writers who spell letter by letter (a tenth of their gaps between strokes is
wider than 0.6 small letters) are left out: between their letters and their
words is no difference to see.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import pathlib
import time
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.unipen import read_unipen
from inksight_jax.inference.crops import CropConfig, cut_words
from inksight_jax.inference.segmentation.builtin import BuiltinSegmenter
from inksight_jax.inference.segmentation.order import reading_order
from inksight_jax.inference.segmentation.types import WordRegion
from inksight_jax.ink.page import Page
from inksight_jax.ink.types import Ink
from inksight_jax.rendering.letterbox import letterbox
from inksight_jax.rendering.pages import (
  PageStyle,
  compose_page,
  small_letter_height,
)

Words = list[tuple[str, Ink]]
Image = NDArray[np.uint8]

SIZE = 28.0
STYLES = (
  PageStyle(rules="lines", skew=1.5),
  PageStyle(rules="grid", skew=-2.5),
  PageStyle(columns=2),
  PageStyle(rules="lines", skew=4.0, inverted=True),
)
WIDEST_GAP = 0.6
LEAST_WORDS = 60
WRITERS_A_PAGE = 3
WORDS_A_WRITER = 35
COLORS = ((200, 30, 60), (30, 90, 200), (20, 140, 60), (190, 110, 0))


def inner_gaps(ink: Ink) -> list[float]:
  """Paper between the strokes of a word, pixels along x."""
  spans = sorted(
    (float(s.points[:, 0].min()), float(s.points[:, 0].max()))
    for s in ink.strokes
  )
  gaps, reached = [], spans[0][1]
  for left, right in spans[1:]:
    if left > reached:
      gaps.append(left - reached)
    reached = max(reached, right)
  return gaps


def read_words(archive: str) -> dict[str, Words]:
  """Words of each writer with enough of them, small letters SIZE high."""
  found: dict[str, Words] = collections.defaultdict(list)
  for record in read_unipen(archive, ["7"]):
    if record.ink:
      found[record.writer].append((record.text, record.ink))
  kept = {}
  for writer, words in sorted(found.items()):
    size = float(np.median([small_letter_height(ink) for _, ink in words]))
    gaps = [gap / size for _, ink in words for gap in inner_gaps(ink)]
    wide = float(np.percentile(gaps, 90)) if gaps else 0.0
    if len(words) >= LEAST_WORDS and wide < WIDEST_GAP and size > 8:
      kept[writer] = [(t, ink.scaled(SIZE / size)) for t, ink in words]
  return kept


def compose(words: dict[str, Words], seed: int) -> tuple[Image, Page]:
  """The page of a seed."""
  rng = np.random.default_rng(seed)
  names = rng.choice(sorted(words), WRITERS_A_PAGE, replace=False).tolist()
  chosen: Words = []
  for name in names:
    first = int(rng.integers(len(words[name]) - WORDS_A_WRITER))
    chosen += words[name][first : first + WORDS_A_WRITER]
  style = STYLES[seed % len(STYLES)]
  image, page, _ = compose_page(chosen, style, rng, SIZE)
  return image, page


def overlaps(page: Page, regions: Sequence[WordRegion]) -> NDArray[np.float64]:
  """Intersection over union of each word and each region."""
  first = np.array([word.box for word in page.words])[:, None]
  second = np.array([r.box for r in regions]).reshape(-1, 4)[None]
  low = np.maximum(first[..., :2], second[..., :2])
  high = np.minimum(first[..., 2:], second[..., 2:])
  shared = np.prod(np.maximum(high - low, 0), axis=-1)
  areas = [np.prod(b[..., 2:] - b[..., :2], axis=-1) for b in (first, second)]
  return shared / (areas[0] + areas[1] - shared)


def way_back(image: Image, regions: Sequence[WordRegion]) -> list[float]:
  """Distances in page pixels between red spots and where they come back to."""
  distances = []
  for region in regions:
    left, top, right, bottom = region.box
    place = np.array(
      [left + 0.31 * (right - left), top + 0.43 * (bottom - top)]
    )
    radius = max(3, round((right - left) / 60))
    page = image.copy()
    center = (round(place[0] * 16), round(place[1] * 16))
    cv2.circle(page, center, 2 * radius * 16, (255, 255, 255), -1, 4, 4)
    cv2.circle(page, center, radius * 16, (255, 0, 0), -1, cv2.LINE_AA, 4)
    config = CropConfig(mask_neighbours=False, max_aspect=50.0)
    (crop,) = cut_words(page, [region], config)
    square, placement = letterbox(crop.tiles[0].image, 224)
    values = square.astype(float)
    red = values[..., 0] - values[..., 1:].max(axis=2)
    red = np.where(red > 0.4 * red.max(), red, 0.0)
    rows, columns = np.nonzero(red)
    weight = red[rows, columns]
    seen = np.array(
      [np.average(columns, weights=weight), np.average(rows, weights=weight)]
    )
    back = crop.to_page(placement.invert(Ink.from_arrays([[seen]]))).points[0]
    distances.append(float(np.hypot(*(back - place))))
  return distances


def draw(image: Image, lines: Sequence[Sequence[WordRegion]]) -> Image:
  """The page with boxes in a colour per line and a number per word."""
  drawn = image.copy()
  number = 0
  for index, line in enumerate(lines):
    color = COLORS[index % len(COLORS)]
    for region in line:
      left, top, right, bottom = (round(value) for value in region.box)
      cv2.rectangle(drawn, (left, top), (right, bottom), color, 2)
      number += 1
      cv2.putText(
        drawn, str(number), (left, top - 3), cv2.FONT_HERSHEY_SIMPLEX, 0.6,
        color, 2, cv2.LINE_AA,
      )  # fmt: skip
  return drawn


@dataclasses.dataclass
class Score:
  """What is measured on one page."""

  page: int
  words: int
  found: int
  boxes: int
  spurious: int
  ordered: bool
  worst_distance: float
  seconds: float


def measure(image: Image, page: Page, number: int) -> tuple[Score, Image]:
  """Segments a page; returns the numbers and a picture."""
  start = time.perf_counter()
  regions = BuiltinSegmenter()(image)
  seconds = time.perf_counter() - start
  lines = reading_order(regions)
  ordered = [region for line in lines for region in line]
  hit = overlaps(page, ordered) >= 0.5
  order = [int(np.argmax(row)) for row in hit if row.any()]
  score = Score(
    number,
    len(page.words),
    int(hit.any(axis=1).sum()),
    len(ordered),
    int((~hit.any(axis=0)).sum()),
    order == sorted(order),
    max(way_back(image, ordered[::4]), default=0.0),
    seconds,
  )
  return score, draw(image, lines)


def main() -> None:
  """Prints one line per page and the totals as JSON."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("archive", help="archive or folder of UNIPEN")
  parser.add_argument("--pages", type=int, default=3)
  parser.add_argument("--photo", help="also draw the words of this photo")
  parser.add_argument("--output_dir", type=pathlib.Path, required=True)
  args = parser.parse_args()
  args.output_dir.mkdir(parents=True, exist_ok=True)
  words = read_words(args.archive)
  print(f"{len(words)} writers")
  scores = []
  for number in range(args.pages):
    score, picture = measure(*compose(words, number), number)
    scores.append(score)
    print(json.dumps(dataclasses.asdict(score)), flush=True)
    file = args.output_dir / f"page_{number}.png"
    cv2.imwrite(str(file), picture[..., ::-1])
  if args.photo:
    photo = cv2.imread(args.photo)
    if photo is None:
      raise SystemExit(f"{args.photo} cannot be read")
    image = np.ascontiguousarray(photo[..., ::-1]).astype(np.uint8)
    lines = reading_order(BuiltinSegmenter()(image))
    drawn = draw(image, lines)
    cv2.imwrite(str(args.output_dir / "photo.png"), drawn[..., ::-1])
    print(f"{args.photo}: {[len(line) for line in lines]} words in lines")
  total = sum(score.words for score in scores)
  summary = {
    "words": total,
    "found": sum(score.found for score in scores) / total,
    "spurious": sum(score.spurious for score in scores),
    "in_order": sum(score.ordered for score in scores),
    "worst_distance": max(score.worst_distance for score in scores),
  }
  print(json.dumps(summary))


if __name__ == "__main__":
  main()
