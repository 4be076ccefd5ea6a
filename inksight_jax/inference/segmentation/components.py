"""Connected pieces of ink, and which of them can be writing."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
IntArray = NDArray[np.int64]

# More pieces than this are noise; only the largest are looked at.
_MAX_PIECES = 20_000


@dataclasses.dataclass(frozen=True, eq=False)
class Pieces:
  """Connected pieces of ink.

  Attributes:
    labels: int32[height, width], 0 for paper, pieces counted from 1.
    left, top, right, bottom: int64[pieces + 1] pixels, right and bottom
      exclusive; entry 0 stands for the paper.
    area: int64[pieces + 1] pixels of ink.
  """

  labels: NDArray[np.int32]
  left: IntArray
  top: IntArray
  right: IntArray
  bottom: IntArray
  area: IntArray

  @property
  def width(self) -> IntArray:
    """Pixels."""
    return self.right - self.left

  @property
  def height(self) -> IntArray:
    """Pixels."""
    return self.bottom - self.top

  def __len__(self) -> int:
    return len(self.area) - 1


def stroke_width(mask: Mask) -> float:
  """Typical width of strokes, pixels; at least 1.

  Args:
    mask: uint8[height, width], 1 where ink is.
  """
  if not mask.any():
    return 1.0
  distance = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
  # Within a line of width w the distance to its edge is w / 4 on average.
  return max(1.0, 4 * float(distance[mask > 0].mean()) - 1)


def connected_pieces(mask: Mask) -> Pieces:
  """Labels the pieces of a mask; 8 neighbours count as connected."""
  _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
  stats = stats.astype(np.int64)
  left = stats[:, cv2.CC_STAT_LEFT]
  top = stats[:, cv2.CC_STAT_TOP]
  return Pieces(
    labels.astype(np.int32, copy=False),
    left,
    top,
    left + stats[:, cv2.CC_STAT_WIDTH],
    top + stats[:, cv2.CC_STAT_HEIGHT],
    stats[:, cv2.CC_STAT_AREA],
  )


def letter_height(pieces: Pieces, pen: float) -> float:
  """Typical height of a piece of writing, pixels; 0 if there is none.

  Args:
    pieces: of the page.
    pen: width of strokes, pixels.
  """
  height, width = pieces.height[1:], pieces.width[1:]
  letters = (height > 2 * pen) & (pieces.area[1:] > 2 * pen * pen)
  if not letters.any():
    return 0.0
  # Weighted by width: a cursive word counts like its letters.
  height, width = height[letters], width[letters]
  order = np.argsort(height)
  weight = np.cumsum(np.minimum(width[order], 10 * height[order]))
  return float(height[order][np.searchsorted(weight, weight[-1] / 2)])


def writing_mask(
  mask: Mask, border: Mask, pieces: Pieces, pen: float, letters: float
) -> Mask:
  """Drops specks, the edges of the sheet, blots and pictures.

  Args:
    mask: uint8[height, width], 1 where ink is.
    border: uint8[height, width], 1 along the border of the picture, which may
      lie askew in the mask.
    pieces: its connected pieces.
    pen: width of strokes, pixels.
    letters: typical height of a piece, pixels.

  Returns:
    A new mask.
  """
  width, height, area = pieces.width, pieces.height, pieces.area
  filled = area / np.maximum(width * height, 1)
  specks = (np.maximum(width, height) < 0.8 * pen) | (area < 0.4 * pen * pen)
  at_edge = np.zeros(len(area), bool)
  at_edge[pieces.labels[border > 0]] = True
  # The edge of the sheet, a shadow of it, a finger: along the picture's border.
  along = (height > 3 * letters) | (width > 6 * letters)
  edges = at_edge & along & ((filled > 0.5) | (filled < 0.12))
  edges |= at_edge & (height > 2 * letters) & (width < 0.3 * height)
  edges |= at_edge & (width > 5 * letters) & (height < 0.5 * letters)
  # Alone on the picture, it is itself what heights are measured by.
  edges |= at_edge & (height > 0.5 * len(mask)) & (width < 0.2 * height)
  edges |= at_edge & (width > 0.5 * mask.shape[1]) & (height < 0.1 * width)
  blots = (filled > 0.7) & (np.minimum(width, height) > 3.5 * pen)
  blots |= (height > 7 * letters) & (height > 20)
  drop = specks | edges | blots
  drop[0] = True
  if len(pieces) > _MAX_PIECES:
    smallest = np.partition(area[1:], -_MAX_PIECES)[-_MAX_PIECES]
    drop |= area < max(smallest, 2)
  return (~drop)[pieces.labels].astype(np.uint8)
