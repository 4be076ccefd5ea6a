"""The order in which words are read: columns, then lines, then words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.segmentation.types import WordRegion

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# The paper between columns is at least so many heights of a word wide ...
_GUTTER = 1.6
# ... along at least so many lines on either side.
_GUTTER_LINES = 3
# Gaps that may be between columns; the widest are tried.
_MAX_CANDIDATES = 60
# More words than this are noise, without columns.
_MAX_WORDS = 4000
# Words of one line overlap by this share of the lower one's height.
_OVERLAP = 0.45


@dataclasses.dataclass(frozen=True, eq=False)
class _Layout:
  """Words in a frame in which lines run level; one row per word.

  Attributes:
    boxes: float64[words, 4], left, top, right, bottom.
    rows: int64[words], which words stand on one line, columns or not.
    height: of a typical word.
  """

  boxes: FloatArray
  rows: IntArray
  height: float


def reading_order(
  regions: Sequence[WordRegion],
) -> list[list[WordRegion]]:
  """Sorts words into lines, top to bottom, words from left to right.

  Text in columns is read column by column; a heading across them comes first.

  Args:
    regions: words in any order.
  """
  if not regions:
    return []
  layout = _level(regions)
  lines = _read(layout, np.arange(len(regions)))
  return [[regions[index] for index in line] for line in lines]


def _level(regions: Sequence[WordRegion]) -> _Layout:
  """Boxes of the words after the page is turned upright."""
  boxes = np.array([region.box for region in regions], np.float64)
  angle = np.deg2rad(np.median([region.angle for region in regions]))
  center = (boxes[:, :2] + boxes[:, 2:]) / 2
  half = (boxes[:, 2:] - boxes[:, :2]) / 2
  turn = np.array(
    [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
  )
  center = center @ turn.T
  # A box around a sloping word is higher than the word.
  high = half[:, 1] - np.abs(np.tan(angle)) * half[:, 0]
  half[:, 1] = np.maximum(high, 0.4 * half[:, 1])
  boxes = np.concatenate([center - half, center + half], axis=1)
  height = float(np.median(boxes[:, 3] - boxes[:, 1]))
  return _Layout(boxes, _rows(regions, boxes), max(height, 1.0))


def _rows(regions: Sequence[WordRegion], boxes: FloatArray) -> IntArray:
  """Lines that the segmenter tells, else those that heights tell."""
  lines = [region.line for region in regions if region.line is not None]
  if len(lines) == len(regions):
    return np.unique(lines, return_inverse=True)[1].astype(np.int64)
  rows = np.zeros(len(boxes), np.int64)
  # The last word of each line found so far.
  ends: list[int] = []
  for index in np.argsort(boxes[:, 0], kind="stable").tolist():
    best, most = -1, _OVERLAP
    for number, end in enumerate(ends):
      top = max(boxes[index, 1], boxes[end, 1])
      bottom = min(boxes[index, 3], boxes[end, 3])
      low = min(
        boxes[index, 3] - boxes[index, 1], boxes[end, 3] - boxes[end, 1]
      )
      share = (bottom - top) / max(low, 1e-9)
      if share > most:
        best, most = number, share
    if best < 0:
      best = len(ends)
      ends.append(index)
    ends[best] = index
    rows[index] = best
  return rows


def _read(layout: _Layout, words: IntArray) -> list[list[int]]:
  """Lines of some words in reading order."""
  gutter = _find_gutter(layout, words)
  if gutter is None:
    return _lines(layout, words)
  x, top, bottom = gutter
  boxes = layout.boxes[words]
  middle = (boxes[:, 1] + boxes[:, 3]) / 2
  beside = (middle >= top) & (middle <= bottom)
  left = beside & ((boxes[:, 0] + boxes[:, 2]) / 2 < x)
  parts = (middle < top, left, beside & ~left, middle > bottom)
  return [
    line for part in parts if part.any() for line in _read(layout, words[part])
  ]


def _find_gutter(
  layout: _Layout, words: IntArray
) -> tuple[float, float, float] | None:
  """The longest strip of paper between two columns.

  Returns:
    x of its middle, its first and last row of words; None without columns.
  """
  boxes, rows = layout.boxes[words], layout.rows[words]
  least = _GUTTER * layout.height
  if len(boxes) > _MAX_WORDS:
    return None
  after, gap = _right_neighbours(boxes, layout.height)
  found = np.nonzero((gap >= least) & np.isfinite(gap))[0]
  found = found[np.argsort(-gap[found])][:_MAX_CANDIDATES]
  best, longest = None, 0.0
  for number in found.tolist():
    pair = number, int(after[number])
    strip = _extend(boxes, rows, pair, least)
    x, top, bottom = strip
    middle = (boxes[:, 1] + boxes[:, 3]) / 2
    beside = (middle >= top) & (middle <= bottom)
    left = beside & (boxes[:, 2] <= x)
    right = beside & (boxes[:, 0] >= x)
    if (left | right).sum() != beside.sum():
      continue
    lines = min(len(np.unique(rows[left])), len(np.unique(rows[right])))
    if lines >= _GUTTER_LINES and bottom - top > longest:
      best, longest = strip, bottom - top
  return best


def _right_neighbours(
  boxes: FloatArray, height: float
) -> tuple[IntArray, FloatArray]:
  """The next word to the right of each, about level with it, and the gap."""
  middle = (boxes[:, 1] + boxes[:, 3]) / 2
  after = np.zeros(len(boxes), np.int64)
  gap = np.full(len(boxes), np.inf)
  for index in range(len(boxes)):
    level = np.abs(middle - middle[index]) < 1.1 * height
    apart = np.where(
      level & (boxes[:, 0] > boxes[index, 0]),
      boxes[:, 0] - boxes[index, 2],
      np.inf,
    )
    after[index] = np.argmin(apart)
    gap[index] = apart[after[index]]
  return after, gap


def _extend(
  boxes: FloatArray, rows: IntArray, pair: tuple[int, int], least: float
) -> tuple[float, float, float]:
  """Follows the paper between two words up and down while it is wide enough.

  Returns:
    x of its middle, middle rows of the first and last words beside it.
  """
  left, right = float(boxes[pair[0], 2]), float(boxes[pair[1], 0])
  middle = (boxes[:, 1] + boxes[:, 3]) / 2
  start = float(middle[list(pair)].mean())
  order = np.argsort(np.abs(middle - start), kind="stable")
  bounds = [-np.inf, np.inf]
  for index in order.tolist():
    if not bounds[0] < middle[index] < bounds[1]:
      continue
    low, high = float(boxes[index, 0]), float(boxes[index, 2])
    if high <= left or low >= right:
      continue
    # What reaches into the strip narrows it from its side.
    narrowed = (high, right) if high - left < right - low else (left, low)
    if narrowed[1] - narrowed[0] >= least:
      left, right = narrowed
    else:
      # The whole line ends the strip, also its words beside it.
      line = middle[rows == rows[index]]
      if middle[index] < start:
        bounds[0] = max(bounds[0], float(line[line < start].max()))
      else:
        bounds[1] = min(bounds[1], float(line[line >= start].min()))
  inside = middle[(middle > bounds[0]) & (middle < bounds[1])]
  return (left + right) / 2, float(inside.min()), float(inside.max())


def _lines(layout: _Layout, words: IntArray) -> list[list[int]]:
  """Lines of one column, top to bottom."""
  boxes, rows = layout.boxes[words], layout.rows[words]
  found = []
  for row in np.unique(rows):
    own = np.nonzero(rows == row)[0]
    own = own[np.argsort(boxes[own, 0], kind="stable")]
    middle = float(np.median((boxes[own, 1] + boxes[own, 3]) / 2))
    found.append((middle, own.tolist()))
  found.sort(key=lambda line: line[0])
  joined: list[tuple[float, list[int]]] = []
  for middle, own in found:
    # A line that a wide gap has broken: level, and beside each other.
    if joined and middle - joined[-1][0] < 0.5 * layout.height:
      last = joined[-1][1]
      apart = (
        boxes[last, 2].max() <= boxes[own, 0].min()
        or boxes[own, 2].max() <= boxes[last, 0].min()
      )
      if apart:
        last += own
        last.sort(key=lambda index: boxes[index, 0])
        continue
    joined.append((middle, own))
  return [words[line].tolist() for _, line in joined]
