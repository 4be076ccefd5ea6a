"""Ink of one colour over a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Color = tuple[int, int, int]


def composite(background: Image, coverage: Image, color: Color) -> Image:
  """Lays ink of one colour over a picture.

  Args:
    background: uint8[height, width, 3] RGB.
    coverage: uint8[height, width] from `draw_coverage`.
    color: RGB of the ink.

  Returns:
    uint8[height, width, 3], a new array.
  """
  left, top, wide, high = cv2.boundingRect(coverage)
  image = background.copy()
  lay(image, coverage[top : top + high, left : left + wide], left, top, color)
  return image


def lay(image: Image, piece: Image, left: int, top: int, color: Color) -> None:
  """`composite` in place, for coverage of a part of the picture.

  Args:
    image: uint8[height, width, 3] RGB.
    piece: uint8[rows, columns] from `draw_piece`.
    left: column of the picture where `piece` begins.
    top: row of the picture where `piece` begins.
    color: RGB of the ink.
  """
  if not piece.size:
    return
  rows, columns = piece.shape
  under = image[top : top + rows, left : left + columns]
  # Bytes all the way: ten times faster than floats with a broadcast axis.
  clear = cv2.cvtColor(cv2.bitwise_not(piece), cv2.COLOR_GRAY2RGB)
  mixed = cv2.multiply(under, clear, scale=1 / 255)
  if any(color):
    inks = [cv2.convertScaleAbs(piece, alpha=level / 255) for level in color]
    mixed = cv2.add(mixed, cv2.merge(inks))
  under[:] = mixed
