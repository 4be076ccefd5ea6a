"""Cuts lines into words where the gaps are those between words.

Gaps are measured within the height of small letters, so that tails and bars
that reach over the next word close none, and in bands of rows, so that slanted
writing is as good as upright: half the narrowest place, half the mean (both
distances are compared by Seni and Cohen, Pattern Recognition 27(1), 1994).
Where gaps fall into two kinds, Otsu's threshold tells them apart: that of the
page first, then that of each line, which is drawn towards the page's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.segmentation.lines import InkPixels

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Gaps are measured in so many bands of rows, which reach beyond small letters
# by this share of their height.
_BANDS = 6
_BEYOND = 0.2
# Rows of small letters hold this share of the fullest row's ink.
_CORE_SHARE = 0.45
# Gaps between words lie in this range, heights of small letters.
_LEAST_GAP = 0.4
_LARGEST_GAP = 1.6
# Where gaps are of one kind, words are so far apart.
_USUAL_GAP = 0.75
# Gaps weigh in with at most this many heights of small letters.
_CLIP = 2.0
# Two kinds of gaps differ by this factor, of square roots.
_LEAST_RATIO = 1.5
# Points and commas, low and smaller than this share of small letters, belong
# to the word before them, however loosely they are set.
_MARK = 0.6
_MARK_GAP = 1.4
# What lies so far above or below small letters belongs to no word.
_FAR = 2.0
# A line's own threshold is at least this share of the page's.
_LEAST_SHARE = 0.85
# A line of fewer gaps tells nothing of its own.
_LEAST_GAPS = 6


def small_letters(pixels: InkPixels, letters: float) -> tuple[float, float]:
  """Rows of small letters about the middle of a line: (first, last).

  Args:
    pixels: of the page.
    letters: typical height of a piece, pixels.
  """
  reach = max(2, round(2 * letters))
  near = np.rint(np.clip(pixels.above, -reach, reach)).astype(int) + reach
  profile = np.bincount(near, minlength=2 * reach + 1).astype(np.float64)
  width = max(1, round(letters / 8))
  profile = np.convolve(profile, np.ones(width) / width, mode="same")
  # The clipped ends collect all that is far away.
  profile[[0, -1]] = 0
  peak = int(np.argmax(profile))
  low = profile < _CORE_SHARE * profile[peak]
  above = np.nonzero(low[:peak])[0]
  below = np.nonzero(low[peak:])[0]
  first = (int(above[-1]) + 1 if len(above) else 0) - reach
  last = (peak + int(below[0]) - 1 if len(below) else 2 * reach) - reach
  return float(first), float(max(last, first + 1))


def otsu(values: FloatArray) -> tuple[float, float]:
  """Splits values into two kinds.

  Args:
    values: float64[values], at least two.

  Returns:
    The threshold, half way between the kinds, and the ratio of their means
    (large over small).
  """
  ordered = np.sort(values)
  count = np.arange(1, len(ordered))
  sums = np.cumsum(ordered)
  small = sums[:-1] / count
  large = (sums[-1] - sums[:-1]) / (len(ordered) - count)
  between = count * (len(ordered) - count) * np.square(large - small)
  cut = int(np.argmax(between))
  threshold = (ordered[cut] + ordered[cut + 1]) / 2
  return float(threshold), float(large[cut] / max(small[cut], 1e-6))


def _threshold(gaps: FloatArray, size: float, usual: float) -> float:
  """Least gap between words.

  Args:
    gaps: pixels, positive ones.
    size: height of small letters, pixels.
    usual: what to believe where gaps are of one kind, pixels.
  """
  if len(gaps) < _LEAST_GAPS:
    return usual
  # Square roots: the gaps between words vary more than those within.
  root, ratio = otsu(np.sqrt(np.minimum(gaps, _CLIP * size)))
  if ratio < _LEAST_RATIO:
    return usual
  return float(np.clip(root**2, _LEAST_GAP * size, _LARGEST_GAP * size))


def split_words(pixels: InkPixels, letters: float) -> tuple[IntArray, float]:
  """Numbers the words.

  Args:
    pixels: of the page.
    letters: typical height of a piece, pixels.

  Returns:
    int64[pixels], the word of each, from 0, or -1 for none; and the height of
    small letters.
  """
  first, last = small_letters(pixels, letters)
  size = last - first + 1
  # Small letters of a line vary; a bit of what reaches out counts too.
  top, bottom = first - _BEYOND * size, last + _BEYOND * size
  band = np.floor((pixels.above - top) * (_BANDS / (bottom - top + 1)))
  band = band.astype(np.int64)
  core = (band >= 0) & (band < _BANDS)
  count = int(pixels.piece.max()) + 1
  key = pixels.piece[core] * _BANDS + band[core]
  left, right = (
    side.reshape(count, _BANDS)
    for side in _extent(key, pixels.columns[core], count * _BANDS)
  )
  outer_left, outer_right = _extent(pixels.piece, pixels.columns, count)
  line_of = np.zeros(count, np.int64)
  line_of[pixels.piece] = pixels.line
  # Pieces in order of their lines, from left to right.
  order = np.nonzero(np.isfinite(left).any(axis=1))[0]
  order = order[np.lexsort((left[order].min(axis=1), line_of[order]))]
  gaps, starts = _gaps(left[order], right[order], line_of[order], size)
  inner = gaps[~starts]
  page = _threshold(inner[inner > 0], size, _USUAL_GAP * size)
  limits = np.full(len(order), page)
  for line in np.unique(line_of[order]):
    own = line_of[order] == line
    mine = gaps[own & ~starts]
    limit = _threshold(mine[mine > 0], size, page)
    # Half the way, and not far down: few gaps mislead.
    limits[own] = np.sqrt(page * max(limit, _LEAST_SHARE * page))
  highest, lowest = _extent(pixels.piece, pixels.above, count)
  mark = highest > first + 0.5 * size
  mark &= lowest - highest < _MARK * size
  mark &= outer_right - outer_left < _MARK * size
  limits[mark[order]] = np.maximum(limits[mark[order]], _MARK_GAP * size)
  word = np.full(count, -1, np.int64)
  word[order] = np.cumsum(starts | (gaps > limits)) - 1
  _attach(word, line_of, outer_left, outer_right, page)
  # No dot is that far above its letter: remains of rules.
  far = (highest > last + _FAR * size) | (lowest < first - _FAR * size)
  word[far] = -1
  return word[pixels.piece], size


def _extent(
  key: IntArray, values: IntArray | FloatArray, count: int
) -> tuple[FloatArray, FloatArray]:
  """Least and largest value of each key below `count`; infinite if none."""
  left, right = np.full(count, np.inf), np.full(count, -np.inf)
  np.minimum.at(left, key, values)
  np.maximum.at(right, key, values)
  return left, right


def _gaps(
  left: FloatArray, right: FloatArray, line: IntArray, size: float
) -> tuple[FloatArray, NDArray[np.bool_]]:
  """Paper before each piece, and whether it is the first one of its line.

  Args:
    left: float64[pieces, bands] pixels, infinite where a band has no ink.
    right: the same of the right side.
    line: int64[pieces], ascending.
    size: height of small letters, pixels.
  """
  starts = np.ones(len(line), bool)
  starts[1:] = line[1:] != line[:-1]
  gaps = np.zeros(len(line))
  reached = np.full(left.shape[1], -np.inf)
  for index in range(len(line)):
    if starts[index]:
      reached = right[index]
      continue
    apart = left[index] - reached
    # A dot or a bar has ink in few bands: there it is as near as can be.
    nearest = left[index].min() - reached.max()
    apart = np.where(
      np.isfinite(apart), np.minimum(apart, nearest + 0.5 * size), nearest
    )
    gaps[index] = float(apart.min() + apart.mean()) / 2 - 1
    reached = np.maximum(reached, right[index])
  return gaps, starts


def _attach(
  word: IntArray,
  line: IntArray,
  left: FloatArray,
  right: FloatArray,
  limit: float,
) -> None:
  """Gives dots, accents and stray tails the word they stand nearest to."""
  loose = np.nonzero(word < 0)[0]
  if not len(loose):
    return
  fixed = np.nonzero(word >= 0)[0]
  fresh = int(word.max()) + 1
  found = np.full(len(loose), -1, np.int64)
  for number, piece in enumerate(loose):
    near = fixed[line[fixed] == line[piece]]
    if not len(near):
      continue
    apart = np.maximum(left[near] - right[piece], left[piece] - right[near])
    best = int(np.argmin(apart))
    if apart[best] < limit:
      found[number] = word[near[best]]
  alone = found < 0
  found[alone] = fresh + np.arange(int(alone.sum()))
  word[loose] = found
