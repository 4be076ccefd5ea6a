"""The padding rule: any picture onto the frame that the network sees.

Training and inference call this one function; a model trained with another
rule than it is used with fails in ways that look like a bad model.
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.normalize import Placement
from inksight_jax.rendering.strokes import plain

Image = NDArray[np.uint8]
Padding = Literal["paper", "black", "white"]

Align = Literal["center", "left", "corner"]

PADDINGS: tuple[str, ...] = ("paper", "black", "white")
ALIGNMENTS: tuple[str, ...] = ("center", "left", "corner")


def border_color(image: Image) -> tuple[int, int, int]:
  """Median colour of the outermost pixels: the paper, where ink is rare.

  Args:
    image: uint8[height, width, 3].

  Returns:
    (red, green, blue).
  """
  border = np.concatenate(
    [image[0], image[-1], image[1:-1, 0], image[1:-1, -1]]
  )
  red, green, blue = np.median(border, axis=0).astype(int).tolist()
  return red, green, blue


def padding_color(image: Image, padding: str) -> tuple[int, int, int]:
  """Colour that `padding` means for `image`, RGB.

  Raises:
    ValueError: `padding` is not one of PADDINGS.
  """
  if padding == "black":
    return 0, 0, 0
  if padding == "white":
    return 255, 255, 255
  if padding == "paper":
    return border_color(image)
  raise ValueError(
    f"Unknown padding {padding!r}; choose one of {', '.join(PADDINGS)}."
  )


def letterbox(
  image: Image,
  size: int | tuple[int, int],
  padding: Padding = "paper",
  align: Align = "center",
  max_scale: float = math.inf,
) -> tuple[Image, Placement]:
  """Scales a picture into a frame, aspect kept, and pads what is left.

  Args:
    image: uint8[height, width, 3] RGB.
    size: side of a square frame, or its (height, width), pixels.
    padding: "paper" for the median colour of the picture's border, or "black"
      or "white".
    align: "center", or "left" for pictures read from there: a line then begins
      at the same place whatever its length; "corner" for the left and the top.
    max_scale: greatest factor from source to frame, for pictures that are all
      of one resolution.

  Returns:
    uint8[height, width, 3] of the frame and the placement that maps pixel
    centres of `image` to pixel centres of the frame. The picture's sides are
    rounded to whole pixels, so the placement is off by at most a quarter of a
    pixel where it does not fill the frame.

  Raises:
    ValueError: not an RGB picture of bytes, an empty one, or a bad `padding`.
  """
  if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
    raise ValueError(
      "A picture must be uint8[height, width, 3]; got "
      f"{image.dtype}[{', '.join(map(str, image.shape))}]. Convert it to RGB."
    )
  height, width = image.shape[:2]
  rows, columns = (size, size) if isinstance(size, int) else size
  if not height or not width or min(rows, columns) < 1:
    raise ValueError(
      f"Cannot fit a {width} x {height} picture into {columns} x {rows} "
      "pixels; all must be positive."
    )
  color = padding_color(image, padding)
  scale = min(rows / height, columns / width, max_scale)
  new_height = min(rows, max(1, round(height * scale)))
  new_width = min(columns, max(1, round(width * scale)))
  # INTER_AREA averages what falls into a pixel: thin strokes do not vanish.
  interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
  inner = cv2.resize(
    image, (new_width, new_height), interpolation=interpolation
  )
  top = (rows - new_height) // 2 if align != "corner" else 0
  left = (columns - new_width) // 2 if align == "center" else 0
  frame = plain(rows, columns, color)
  frame[top : top + new_height, left : left + new_width] = inner
  # Centres match: source pixel edges lie at -1/2 and length - 1/2.
  offset = (
    left + new_width / 2 - 0.5 - (width / 2 - 0.5) * scale,
    top + new_height / 2 - 0.5 - (height / 2 - 0.5) * scale,
  )
  return frame, Placement(scale, offset)
