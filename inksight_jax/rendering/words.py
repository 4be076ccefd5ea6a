"""Words brought to the height of a frame, and to a width for each character."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.types import Ink
from inksight_jax.rendering.letterbox import border_color
from inksight_jax.rendering.pages import small_letter_band
from inksight_jax.rendering.strokes import composite, draw_coverage, plain

Image = NDArray[np.uint8]

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
# How much flatter or wider than written a spread word may become: an "i" is no
# bar as wide as an "m".
_STRETCH = (0.4, 1.8)


def draw_spread(
  ink: Ink,
  size: tuple[int, int],
  width: int,
  letter: float = 0.36,
  pen: float = 1.8,
) -> Image:
  """A word drawn over a given width, small letters on one band of rows.

  Lines stay as thick as the pen: the ink is stretched, not the picture.

  Args:
    ink: a word along the x axis, in any unit.
    size: (height, width) of the frame, pixels.
    width: of the word, pixels; what is left of the frame is paper.
    letter: height of small letters, as a share of the frame's.
    pen: width of the lines, pixels.

  Returns:
    uint8[height, width, 3], black on white.
  """
  height = size[0]
  left, top, right, bottom = ink.bounds
  room_across = max(1.0, width - pen - 2.0)
  room_down = max(1.0, height - pen - 2.0)
  upper, lower = small_letter_band(ink)
  # A dash has no small letters: taken as high as a third of a place is wide,
  # which is half of the frame.
  place = (right - left) * height / (2 * width)
  down = letter * height / max(lower - upper, 0.3 * place, 1e-6)
  down = min(down, room_down / max(bottom - top, 1e-6))
  across = room_across / max(right - left, 1e-6)
  across = float(np.clip(across, _STRETCH[0] * down, _STRETCH[1] * down))
  across = min(across, room_across / max(right - left, 1e-6))
  # The middle of the small letters on the middle row, as far as there is room.
  y = (height - 1) / 2 - down * (upper + lower) / 2
  edge = 0.5 + pen / 2
  y = float(np.clip(y, edge - top * down, height - 1 - edge - bottom * down))
  x = (width - 1) / 2 - across * (left + right) / 2
  placed = ink.transformed(((across, 0.0), (0.0, down)), (x, y))
  return _draw(placed, size, pen)


def draw_found(
  ink: Ink,
  size: tuple[int, int],
  pen: float = 1.8,
  fill: float = 1.0,
  sink: float = 0.5,
) -> Image:
  """A word as a tight crop of it would be fitted: aspect kept, at the left.

  Args:
    ink: a word along the x axis, in any unit.
    size: (height, width) of the frame, pixels.
    pen: width of the lines, pixels.
    fill: share of the frame that the word takes in height or width.
    sink: where what is left above and below goes, 0 all below, 1 all above.

  Returns:
    uint8[height, width, 3], black on white.
  """
  left, top, right, bottom = ink.bounds
  rows, columns = (side - pen - 2.0 for side in size)
  scale = fill * min(
    rows / max(bottom - top, 1e-6), columns / max(right - left, 1e-6)
  )
  free = size[0] - 1 - pen - 1 - (bottom - top) * scale
  edge = 0.5 + pen / 2
  placed = ink.scaled(
    scale, (edge - left * scale, edge + sink * free - top * scale)
  )
  return _draw(placed, size, pen)


def spread_picture(image: Image, size: tuple[int, int], width: int) -> Image:
  """A picture of a word, stretched to the frame's height and a given width.

  Args:
    image: uint8[height, width, 3], dark on lighter paper.
    size: (height, width) of the frame, pixels.
    width: of the word, pixels.

  Returns:
    uint8[height, width, 3]; the paper has become white.
  """
  paper = np.maximum(np.asarray(border_color(image), np.float64), 1.0)
  clear = np.minimum(image / paper * 255.0, 255.0)
  shrinks = image.shape[0] > size[0] or image.shape[1] > width
  stretched = cv2.resize(
    np.rint(clear).astype(np.uint8),
    (width, size[0]),
    interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
  )
  frame = plain(*size, _WHITE)
  frame[:, :width] = stretched
  return frame


def _draw(ink: Ink, size: tuple[int, int], pen: float) -> Image:
  coverage = draw_coverage(ink, *size, pen)
  return composite(plain(*size, _WHITE), coverage, _BLACK)
