"""Which pixels of a photo are ink, whatever light and paper.

The paper is estimated by a wide median, which follows light, shadows and stains
but no strokes; ink is what differs from it in any colour by a good share of
the strongest ink nearby. (An adaptive threshold in the sense of Sauvola and
Pietikäinen, Pattern Recognition 33(2), 2000, on the distance from the paper
instead of on grey values, so that pale pencil and coloured pens count.)
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Mask = NDArray[np.uint8]

# Longer side of the picture in which the paper is estimated, pixels.
_PAPER_SIDE = 800
# Side of the median's window as a share of the longer side.
_PAPER_WINDOW = 0.15
# Least difference of ink from paper, grey levels.
_LEAST_CONTRAST = 14.0
# Ink is darker than this share of the strongest ink nearby.
_LOCAL_SHARE = 0.38
# ... and than this share of the strongest ink of the page.
_PAGE_SHARE = 0.1
# Ink differs by so many standard deviations of the paper's grain.
_NOISE_FACTOR = 4.0


@dataclasses.dataclass(frozen=True, eq=False)
class InkMap:
  """Ink and paper of a picture.

  Attributes:
    mask: uint8[height, width], 1 where ink is.
    contrast: uint8[height, width], how far each pixel is from the paper, in
      the direction of the ink.
    least: contrast above which a pixel is more than the paper's grain.
    paper: uint8[height, width, 3], the picture without its ink.
    light_on_dark: whether the ink is lighter than the paper.
  """

  mask: Mask
  contrast: NDArray[np.uint8]
  least: float
  paper: Image
  light_on_dark: bool


def limit_size(image: Image, pixels: float) -> tuple[Image, float]:
  """Shrinks a picture to at most so many pixels.

  Args:
    image: uint8[height, width, 3].
    pixels: rows times columns.

  Returns:
    The picture, the same one if it is small enough, and the scale: pixels of
    the result per pixel of `image`.
  """
  height, width = image.shape[:2]
  scale = min(1.0, (pixels / (height * width)) ** 0.5)
  if scale == 1.0:
    return image, 1.0
  size = (max(1, round(width * scale)), max(1, round(height * scale)))
  small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
  return small.astype(np.uint8, copy=False), scale


def estimate_paper(image: Image) -> Image:
  """The picture without its ink: a median over a wide window.

  Args:
    image: uint8[height, width, 3].
  """
  height, width = image.shape[:2]
  scale = min(1.0, _PAPER_SIDE / max(height, width))
  size = (max(1, round(width * scale)), max(1, round(height * scale)))
  small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
  window = max(3, round(_PAPER_WINDOW * max(size)) // 2 * 2 + 1)
  smooth = cv2.medianBlur(small, window)
  # A second pass rounds the corners that a median leaves.
  smooth = cv2.blur(smooth, (window // 4 * 2 + 1,) * 2)
  paper = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)
  return paper.astype(np.uint8, copy=False)


def _spread(image: Image) -> float:
  """Standard deviation of the grain of paper and sensor, grey levels.

  From the median difference of neighbours, which strokes and rules do not
  change as long as they cover less than half of the page.
  """
  if image.shape[1] < 2:
    return 0.0
  difference = cv2.absdiff(image[:, 1:], image[:, :-1]).max(axis=2)
  # The difference of two normal values has sqrt(2) of their deviation, and
  # half of its amounts are below 0.674 of its own.
  return float(np.median(difference)) / (0.674 * 2**0.5)


def _local_peak(contrast: NDArray[np.uint8]) -> NDArray[np.uint8]:
  """Strongest ink around each pixel, smoothly."""
  height, width = contrast.shape
  step = max(1, round(max(height, width) / 400))
  # Largest values first: plain shrinking would lose thin strokes.
  strongest = cv2.dilate(contrast, np.ones((step, step), np.uint8))
  top, left = min(step // 2, height - 1), min(step // 2, width - 1)
  small = strongest[top::step, left::step]
  reach = max(3, round(max(small.shape) * 0.04) * 2 + 1)
  small = cv2.dilate(small, np.ones((reach, reach), np.uint8))
  small = cv2.blur(small, (reach, reach))
  peak = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
  return peak.astype(np.uint8, copy=False)


def find_ink(image: Image) -> InkMap:
  """Tells ink from paper.

  Args:
    image: uint8[height, width, 3] RGB, of a moderate size: see `limit_size`.
  """
  paper = estimate_paper(image)
  smooth = cv2.GaussianBlur(image, (3, 3), 0.7).astype(np.uint8, copy=False)
  # Saturating differences: what lies on the other side of the paper is 0.
  darker, lighter = (
    cv2.subtract(*pair).max(axis=2).astype(np.uint8, copy=False)
    for pair in ((paper, smooth), (smooth, paper))
  )
  weights = [
    float(np.square(np.maximum(c, 24).astype(np.float32) - 24).sum())
    for c in (darker, lighter)
  ]
  light_on_dark = weights[1] > weights[0]
  contrast = lighter if light_on_dark else darker
  floor = max(
    _LEAST_CONTRAST,
    _NOISE_FACTOR * _spread(smooth),
    _PAGE_SHARE * float(np.percentile(contrast, 99.9)),
  )
  threshold = np.maximum(_LOCAL_SHARE * _local_peak(contrast), floor)
  mask = (contrast > threshold).astype(np.uint8)
  return InkMap(mask, contrast, floor, paper, light_on_dark)
