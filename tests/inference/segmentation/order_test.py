"""Reading order, against orders that are known."""

import itertools

import numpy as np
import pytest

from inksight_jax.inference.segmentation.order import reading_order
from inksight_jax.inference.segmentation.types import WordRegion


def block(
  x: float, y: float, lines: int, words: int, name: str
) -> list[WordRegion]:
  """A paragraph of words 60 x 20, 20 apart, with lines every 40 pixels."""
  return [
    WordRegion(
      (
        x + 80 * column,
        y + 40 * row + 3 * (column % 2),
        x + 80 * column + 60,
        y + 40 * row + 20,
      ),
      text=f"{name}{row}{column}",
    )
    for row, column in itertools.product(range(lines), range(words))
  ]


def turned(regions: list[WordRegion], degrees: float) -> list[WordRegion]:
  """Boxes around the regions after the page is turned."""
  angle = np.deg2rad(degrees)
  turn = np.array(
    [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
  )
  moved = []
  for region in regions:
    left, top, right, bottom = region.box
    corners = np.array(
      [[left, top], [right, top], [left, bottom], [right, bottom]]
    )
    corners = corners @ turn.T
    box = (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
    moved.append(WordRegion(box, text=region.text, angle=degrees))
  return moved


HEADING = block(100, 0, 1, 6, "h")
COLUMNS = [*block(0, 100, 5, 4, "l"), *block(420, 100, 5, 4, "r")]
# Lines of columns need not be level with each other.
SHIFTED = [*block(0, 100, 5, 4, "l"), *block(420, 117, 6, 3, "r")]
FOOTER = block(0, 400, 2, 9, "f")


@pytest.mark.parametrize("degrees", [0.0, 6.0, -11.0])
@pytest.mark.parametrize(
  "regions",
  [
    block(0, 0, 6, 5, "a"),
    COLUMNS,
    SHIFTED,
    [*HEADING, *COLUMNS, *FOOTER],
    [*block(0, 0, 3, 4, "a"), *block(0, 300, 3, 4, "b")],
  ],
  ids=["one", "two", "shifted", "heading and footer", "gap below"],
)
def test_order_survives_shuffling_and_turning(
  regions: list[WordRegion], degrees: float
):
  wanted = [region.text for region in regions]
  mixed = turned(regions, degrees)
  np.random.default_rng(0).shuffle(mixed)  # pyright: ignore[reportArgumentType]
  lines = reading_order(mixed)
  assert [region.text for line in lines for region in line] == wanted
  # No line mixes two rows of a block.
  assert all(len({r.text[:2] for r in line}) == 1 for line in lines)


def test_lines_of_the_segmenter_are_kept():
  # Two lines so slanted that heights alone would mix them.
  regions = [
    WordRegion((80.0 * i, 30.0 * i, 80.0 * i + 60, 30.0 * i + 20), line=7)
    for i in range(4)
  ] + [
    WordRegion((80.0 * i, 30.0 * i + 32, 80.0 * i + 60, 30.0 * i + 52), line=2)
    for i in range(4)
  ]
  lines = reading_order(regions[::-1])
  assert [[region.line for region in line] for line in lines] == [
    [7] * 4,
    [2] * 4,
  ]


def test_no_words_are_no_lines():
  assert reading_order([]) == []
