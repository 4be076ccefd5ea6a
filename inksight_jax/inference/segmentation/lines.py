"""Which line of writing each piece of ink belongs to.

The ink is smeared along the rows; ridges of what comes out are the middles of
lines, also where ascenders and descenders reach into each other (after
Bukhari, Shafait and Breuel, ICDAR 2009). Each piece goes to the ridge most of
it is nearest to; what holds two lines together is cut between them.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.segmentation.components import Pieces

Mask = NDArray[np.uint8]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Lines are looked for where letters are this many pixels high.
_LETTER = 12.0
# Smearing along and across lines, in heights of a letter.
_ALONG = 2.2
_ACROSS = 0.36
# A ridge is the highest place within so many heights of a letter.
_REACH = 0.55
# Weak ridges beside strong ones are rows of descenders or accents.
_WEAK = 0.45
_BESIDE = 1.5
# A piece is cut if so much of it belongs to another line.
_OTHER_SHARE = 0.2


@dataclasses.dataclass(frozen=True, eq=False)
class InkPixels:
  """Pixels of ink and what they belong to; one entry per pixel.

  Attributes:
    rows: int64[pixels], upright mask.
    columns: int64[pixels].
    piece: int64[pixels], from 0; a piece never spans two lines.
    line: int64[pixels], from 0, in no order.
    above: float64[pixels], rows below the middle of the line.
  """

  rows: IntArray
  columns: IntArray
  piece: IntArray
  line: IntArray
  above: FloatArray


def _ridges(smeared: NDArray[np.float32]) -> Mask:
  """Where smeared ink is highest along the column, and high enough."""
  reach = max(1, round(_REACH * _LETTER))
  column = np.ones((2 * reach + 1, 1), np.uint8)
  highest = cv2.dilate(smeared, column)
  peaks = smeared[(smeared == highest) & (smeared > 0.01)]
  if not len(peaks):
    return np.zeros(smeared.shape, np.uint8)
  level = 0.25 * float(np.percentile(peaks, 80))
  ridge = (smeared == highest) & (smeared > max(level, 0.012))
  return ridge.astype(np.uint8)


def _ridge_labels(
  ridge: Mask, smeared: NDArray[np.float32]
) -> NDArray[np.int32]:
  """Numbers connected ridges from 1 and drops those of no line."""
  joined = cv2.dilate(ridge, np.ones((3, 5), np.uint8))
  count, labels = cv2.connectedComponents(joined)
  labels = labels.astype(np.int32) * ridge
  rows, columns = np.nonzero(labels)
  numbers = labels[rows, columns]
  strength = np.zeros(count)
  np.add.at(strength, numbers, smeared[rows, columns])
  length = np.bincount(numbers, minlength=count)
  mean = strength / np.maximum(length, 1)
  # How strong the strongest ridge is above or below, within the height of a
  # line of writing.
  reach = 2 * round(_BESIDE * _LETTER) + 1
  value = np.where(labels > 0, mean[labels], 0).astype(np.float32)
  around = cv2.dilate(value, np.ones((reach, 3), np.uint8))
  rival = np.zeros(count)
  np.add.at(rival, numbers, around[rows, columns])
  rival /= np.maximum(length, 1)
  keep = (mean >= _WEAK * rival) & (length >= 0.6 * _LETTER)
  keep[0] = False
  if not keep.any():
    keep[np.argmax(strength)] = True
  return np.where(keep[labels], labels, 0).astype(np.int32)


def _nearest_ridge(
  labels: NDArray[np.int32],
) -> tuple[NDArray[np.int32], FloatArray]:
  """Label of the nearest ridge of each pixel, and the row of its middle there.

  Nearness counts across the line far more than along it.
  """
  height, width = labels.shape
  squeeze = 6
  narrow = -(-width // squeeze)
  padded = np.zeros((height, narrow * squeeze), np.int32)
  padded[:, :width] = labels
  blocks = padded.reshape(height, narrow, squeeze).max(axis=2)
  _, zones = cv2.distanceTransformWithLabels(
    (blocks == 0).astype(np.uint8),
    cv2.DIST_L2,
    5,
    labelType=cv2.DIST_LABEL_PIXEL,
  )
  rows, columns = np.nonzero(blocks)
  owner = np.zeros(int(zones.max()) + 1, np.int32)
  middle = np.zeros(len(owner))
  at = zones[rows, columns]
  owner[at] = blocks[rows, columns]
  middle[at] = rows
  zone = np.repeat(zones, squeeze, axis=1)[:, :width]
  return owner[zone], middle[zone]


def assign_lines(mask: Mask, pieces: Pieces, letters: float) -> InkPixels:
  """Gives every pixel of ink its line.

  Args:
    mask: uint8[height, width], 1 where writing is, upright.
    pieces: its connected pieces.
    letters: typical height of a piece, pixels.
  """
  scale = min(1.0, _LETTER / max(letters, 1.0))
  height, width = mask.shape
  size = (max(1, round(width * scale)), max(1, round(height * scale)))
  small = cv2.resize(
    mask.astype(np.float32), size, interpolation=cv2.INTER_AREA
  )
  letter = letters * scale
  smeared = cv2.GaussianBlur(
    small,
    (0, 0),
    sigmaX=_ALONG * letter,
    sigmaY=_ACROSS * letter,
    borderType=cv2.BORDER_CONSTANT,
  ).astype(np.float32)
  labels = _ridge_labels(_ridges(smeared), smeared)
  rows, columns = (axis.astype(np.int64) for axis in np.nonzero(mask))
  if not labels.any():
    line = np.zeros(len(rows), np.int64)
    above = rows.astype(np.float64) - rows.mean()
    return InkPixels(rows, columns, line, line, above)
  owner, middle = _nearest_ridge(labels)
  small_rows = np.minimum((rows * scale).astype(int), size[1] - 1)
  small_columns = np.minimum((columns * scale).astype(int), size[0] - 1)
  nearest = owner[small_rows, small_columns].astype(np.int64)
  piece = pieces.labels[rows, columns].astype(np.int64)
  line = _vote(piece, nearest, pieces, letters)
  # The middle of the piece's own line, which need not be the nearest one.
  above = rows - middle[small_rows, small_columns] / scale
  other = line != nearest
  if other.any():
    above[other] = rows[other] - _middle_of(
      labels, line[other], small_columns[other], scale
    )
  _, piece = np.unique(piece * (line.max() + 1) + line, return_inverse=True)
  return InkPixels(rows, columns, piece.astype(np.int64), line, above)


def _middle_of(
  labels: NDArray[np.int32], line: IntArray, column: NDArray, scale: float
) -> FloatArray:
  """Row of the middle of given lines at given columns, page pixels."""
  rows, columns = np.nonzero(labels)
  numbers = labels[rows, columns]
  middle = np.zeros(len(line))
  for number in np.unique(line):
    own = numbers == number
    order = np.argsort(columns[own], kind="stable")
    chosen = line == number
    middle[chosen] = np.interp(
      column[chosen], columns[own][order], rows[own][order]
    )
  return middle / scale


def _vote(
  piece: IntArray, nearest: IntArray, pieces: Pieces, letters: float
) -> IntArray:
  """The line of each pixel: that of most of its piece, unless it is cut."""
  base = int(nearest.max()) + 1
  key, index, count = np.unique(
    piece * base + nearest, return_inverse=True, return_counts=True
  )
  owner, line = key // base, key % base
  order = np.lexsort((-count, owner))
  first = np.ones(len(order), bool)
  first[1:] = owner[order][1:] != owner[order][:-1]
  main = np.zeros(len(pieces) + 1, np.int64)
  main[owner[order][first]] = line[order][first]
  share = count / np.maximum(pieces.area[owner], 1)
  # Only what is higher than a line can hold two lines together.
  tall = pieces.height[owner] > 2.2 * letters
  cut = tall & (share > _OTHER_SHARE)
  return np.where(cut, line, main[owner])[index]
