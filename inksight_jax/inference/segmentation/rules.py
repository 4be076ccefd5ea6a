"""Takes ruled lines, squares and margins out of an ink mask.

A rule is thin, straight and far longer than a letter is high. What crosses it
stays: only runs of ink no thicker than the rule are wiped out along it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.segmentation.components import stroke_width

Mask = NDArray[np.uint8]

# A rule is so many times longer than letters are high, ...
_LEAST_LENGTH = 6.0
# ... or it crosses the whole picture and is this long, or paler than the ink.
_WHOLE_SHARE = 0.95
_SURE_LENGTH = 4.0
_PALE = 0.75
_LEAST_COLUMNS = 12
# Letters are at most so high, as a share of the picture.
_LARGEST_LETTER = 0.25
# Ink lies along so much of a rule, and not of any line through writing.
_COVERED = 0.75
# Pieces of a rule are at least this many stroke widths long.
_LEAST_PIECE = 9.0


def _letter_height(thick: Mask) -> float:
  """Typical height of what is not thin, pixels."""
  _, _, stats, _ = cv2.connectedComponentsWithStats(thick, connectivity=8)
  heights = stats[1:, cv2.CC_STAT_HEIGHT].astype(np.float64)
  if not len(heights):
    return 0.0
  # Weighted by height: specks are many.
  order = np.argsort(heights)
  weight = np.cumsum(heights[order])
  return float(heights[order][np.searchsorted(weight, weight[-1] / 2)])


def _fit_path(
  columns: NDArray[np.intp], rows: NDArray[np.intp], left: int, right: int
) -> tuple[NDArray[np.float64], float]:
  """Row of the middle of a rule in columns left to right, and its spread."""
  # A sheet bends little: three degrees of freedom more than a straight line
  # would let the path follow writing.
  x = (columns - left) / max(right - left, 1)
  fit = np.polynomial.Polynomial.fit(x, rows, 2, domain=[0, 1])
  spread = float(np.sqrt(np.mean(np.square(rows - fit(x)))))
  return fit((np.arange(left, right) - left) / max(right - left, 1)), spread


def _rule_pieces(thin: Mask, pen: float, width: int) -> Mask:
  """What of `thin` is long and level, crossing strokes bridged."""
  gap = max(5, round(2 * pen))
  piece = min(max(12, round(_LEAST_PIECE * pen)), width)
  bridged = cv2.morphologyEx(thin, cv2.MORPH_CLOSE, np.ones((3, gap), np.uint8))
  pieces = cv2.morphologyEx(
    bridged, cv2.MORPH_OPEN, np.ones((1, piece), np.uint8)
  )
  return pieces.astype(np.uint8, copy=False)


def remove_level_rules(
  mask: Mask, contrast: NDArray[np.uint8], least: float
) -> None:
  """Wipes out rules that run along the rows, in place.

  Args:
    mask: uint8[height, width], 1 where ink is, upright.
    contrast: uint8[height, width], how strong it is; rules become 0.
    least: contrast of the palest rules.
  """
  width = mask.shape[1]
  # Rules are paler than ink: between the lines they may be seen in full, in
  # the mask of the ink only here and there.
  faint = np.maximum(mask, (contrast > least).astype(np.uint8))
  pen = stroke_width(mask)
  thickness = max(2, round(1.3 * pen))
  tall = cv2.morphologyEx(
    faint, cv2.MORPH_OPEN, np.ones((thickness + 1, 1), np.uint8)
  ).astype(np.uint8, copy=False)
  thin = cv2.subtract(faint, tall).astype(np.uint8, copy=False)
  # Where rules along the other side hold all together, nothing is that high.
  letters = min(_letter_height(tall), _LARGEST_LETTER * mask.shape[0])
  pieces = _rule_pieces(thin, pen, width)
  # Pieces of one rule lie behind each other.
  reach = np.ones((3, max(3, round(2 * letters) | 1)), np.uint8)
  joined = cv2.dilate(pieces, reach)
  _, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
  ink = float(np.median(contrast[tall > 0])) if tall.any() else 0.0
  wide = stats[:, cv2.CC_STAT_WIDTH]
  long = wide >= min(_LEAST_LENGTH * letters, _WHOLE_SHARE * width)
  long &= stats[:, cv2.CC_STAT_HEIGHT] <= 0.05 * wide + 4 * thickness + 3
  for label in np.nonzero(long)[0].tolist():
    if not label:
      continue
    x, y, wide, high, _ = stats[label].tolist()
    place = (slice(y, y + high), slice(x, x + wide))
    own = (labels[place] == label) & (pieces[place] > 0)
    rows, columns = np.nonzero(own)
    # Pictures of a few columns have no rules.
    if np.ptp(columns) < _LEAST_COLUMNS:
      continue
    if wide < _SURE_LENGTH * letters:
      strength = float(np.median(contrast[place][own & (faint[place] > 0)]))
      if strength > _PALE * ink:
        continue
    path, spread = _fit_path(columns + x, rows + y, x, x + wide)
    band = _band(faint, path, x, thickness // 2 + 1)
    if spread < thickness and band.any(axis=0).mean() > _COVERED:
      rule = _rule_pixels(thin, path, x, thickness)
      mask[rule] = 0
      contrast[rule] = 0


def _band(
  mask: Mask, path: NDArray[np.float64], left: int, reach: int
) -> NDArray[np.bool_]:
  """Ink along a path, bool[2 reach + 1, columns]; paper beyond the picture."""
  height = mask.shape[0]
  columns = left + np.arange(len(path))
  rows = np.rint(path).astype(int) + np.arange(-reach, reach + 1)[:, None]
  inside = (rows >= 0) & (rows < height)
  return (mask[np.clip(rows, 0, height - 1), columns] > 0) & inside


def _rule_pixels(
  thin: Mask, path: NDArray[np.float64], left: int, thickness: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
  """Rows and columns of thin runs along a path."""
  reach = thickness // 2 + 2
  shifts, columns = np.nonzero(_band(thin, path, left, reach))
  return np.rint(path).astype(int)[columns] + shifts - reach, columns + left


def remove_rules(mask: Mask, contrast: NDArray[np.uint8], least: float) -> Mask:
  """Wipes out rules along rows and columns.

  Args:
    mask: uint8[height, width], 1 where ink is, upright.
    contrast: uint8[height, width], how strong it is.
    least: contrast of the palest rules.

  Returns:
    A new mask.
  """
  mask, contrast = mask.copy(), contrast.copy()
  # Rules across make letters look high: the first kind is looked for again
  # when the second is gone.
  remove_level_rules(mask, contrast, least)
  mask, contrast = (np.ascontiguousarray(a.T) for a in (mask, contrast))
  remove_level_rules(mask, contrast, least)
  mask, contrast = (np.ascontiguousarray(a.T) for a in (mask, contrast))
  remove_level_rules(mask, contrast, least)
  return mask
