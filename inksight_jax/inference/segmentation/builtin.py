"""The segmenter that comes along: OpenCV and NumPy, no model, no network."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.segmentation import binarize
from inksight_jax.inference.segmentation.components import (
  Pieces,
  connected_pieces,
  letter_height,
  stroke_width,
  writing_mask,
)
from inksight_jax.inference.segmentation.gaps import split_words
from inksight_jax.inference.segmentation.geometry import (
  Upright,
  estimate_skew,
  turn_upright,
)
from inksight_jax.inference.segmentation.lines import InkPixels, assign_lines
from inksight_jax.inference.segmentation.rules import remove_rules
from inksight_jax.inference.segmentation.types import Image, WordRegion

# Writing smaller than this many pixels high cannot be read anyway.
_LEAST_LETTER = 4.0
# What comes so near to the border, as a share of the shorter side, touches it.
_BORDER = 0.02


@dataclasses.dataclass(frozen=True)
class BuiltinSegmenter:
  """Finds handwritten words on photos and scans.

  Light, shadows, coloured pens, rules, squares, light writing on dark ground
  and slopes up to 20 degrees are dealt with; printed pages work as well.

  Attributes:
    max_pixels: larger pictures are looked at shrunk to this many pixels;
      boxes are of the full size all the same.
  """

  max_pixels: float = 4e6

  def __call__(self, image: Image) -> Sequence[WordRegion]:
    """Finds the words of a page, line by line."""
    small, scale = binarize.limit_size(image, self.max_pixels)
    ink = binarize.find_ink(small)
    skew = estimate_skew(ink.mask)
    mask, upright = turn_upright(255 * ink.mask, skew)
    contrast, _ = turn_upright(ink.contrast, skew)
    border, _ = turn_upright(_border(ink.mask.shape), skew)
    mask, pieces, letters, pen = find_writing(
      # Half of a line one pixel wide is left where it falls between pixels.
      (mask > 100).astype(np.uint8),
      contrast,
      ink.least,
      border,
    )
    if not len(pieces) or letters < _LEAST_LETTER:
      return []
    pixels = assign_lines(mask, pieces, letters)
    word, size = split_words(pixels, letters)
    height, width = image.shape[:2]
    return _regions(pixels, word, upright, scale, (width, height), size, pen)


def _border(shape: tuple[int, ...]) -> NDArray[np.uint8]:
  """255 along the border of a picture."""
  wide = max(3, round(_BORDER * min(shape)))
  border = np.full(shape, 255, np.uint8)
  border[wide:-wide, wide:-wide] = 0
  return border


def find_writing(
  mask: NDArray[np.uint8],
  contrast: NDArray[np.uint8],
  least: float,
  border: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], Pieces, float, float]:
  """What of the ink can be writing.

  Args:
    mask: uint8[height, width], 1 where ink is, upright.
    contrast: uint8[height, width], how strong it is.
    least: contrast above which a pixel is more than the paper's grain.
    border: uint8[height, width], above 0 along the border of the picture.

  Returns:
    The mask of the writing, its pieces, the typical height of a piece and the
    width of strokes, pixels.
  """
  mask = remove_rules(mask, contrast, least)
  pen = stroke_width(mask)
  pieces = connected_pieces(mask)
  letters = letter_height(pieces, pen)
  mask = writing_mask(mask, border, pieces, pen, letters)
  pieces = connected_pieces(mask)
  # Pictures and edges are gone: measure again.
  return mask, pieces, letter_height(pieces, pen), stroke_width(mask)


def _regions(
  pixels: InkPixels,
  word: NDArray[np.int64],
  upright: Upright,
  scale: float,
  page: tuple[int, int],
  size: float,
  pen: float,
) -> list[WordRegion]:
  """Words as regions of the page, specks left out."""
  points = np.stack([pixels.columns, pixels.rows], 1).astype(np.float64)
  points = upright.back(points)
  if not (word >= 0).any():
    return []
  order = np.argsort(word, kind="stable")
  order = order[np.searchsorted(word[order], 0) :]
  ends = np.nonzero(np.diff(word[order], append=word.max() + 1))[0] + 1
  regions = []
  for own in np.split(order, ends[:-1]):
    height = float(np.ptp(pixels.rows[own]) + 1)
    width = float(np.ptp(pixels.columns[own]) + 1)
    # Neither letters nor a dash: dirt, or a full stop far from its word.
    if max(height, width) < 0.6 * size or len(own) < 3 * pen * pen:
      continue
    line = int(np.bincount(pixels.line[own]).argmax())
    regions.append(_region(points[own], line, upright.angle, scale, page))
  return regions


def _region(
  points: NDArray[np.float64],
  line: int,
  angle: float,
  scale: float,
  page: tuple[int, int],
) -> WordRegion:
  """A word of ink pixels given in pixels of the shrunk page."""
  first = np.floor(points.min(axis=0) + 0.5)
  cells = np.rint(points - first).astype(int)
  columns, rows = cells.max(axis=0) + 1
  mask = np.zeros((rows, columns), bool)
  mask[cells[:, 1], cells[:, 0]] = True
  left, top = (first / scale).tolist()
  right, bottom = ((first + np.array([columns, rows])) / scale).tolist()
  box = (
    float(max(0, np.floor(left))),
    float(max(0, np.floor(top))),
    float(min(page[0], np.ceil(right))),
    float(min(page[1], np.ceil(bottom))),
  )
  return WordRegion(
    box=box,
    line=line,
    angle=angle,
    mask=mask,
    mask_origin=(left, top),
    mask_cell=1 / scale,
  )
