"""Words set in outline fonts, across or downwards, as on signs."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]


@functools.lru_cache(maxsize=256)
def open_font(path: str, size: int, index: int = 0) -> Any:
  """A font at a size in pixels.

  Args:
    path: TrueType or OpenType file, or a collection of them.
    size: of an em, pixels.
    index: which font of a collection.

  Raises:
    ValueError: the file is no font.
  """
  try:
    return ImageFont.truetype(path, size, index)
  except OSError as error:
    raise ValueError(f"{path} cannot be read as a font: {error}.") from error


def lacks(path: str, characters: str, index: int = 0) -> str:
  """The characters that a font draws as one it does not have."""
  font = open_font(path, 32, index)
  # Private use: drawn as the box that stands for what is missing.
  missing = bytes(font.getmask("\ue0ff"))
  return "".join(
    c
    for c in characters
    if not c.isspace() and bytes(font.getmask(c)) == missing
  )


def typeset(
  text: str,
  font: Any,
  vertical: bool = False,
  ink: Colour = (0, 0, 0),
  paper: Colour = (255, 255, 255),
  margin: float = 0.15,
) -> Image:
  """Draws a word.

  Args:
    text: at least one character that is no blank.
    font: of `open_font`.
    vertical: one character below the other.
    ink: colour of the text.
    paper: colour around it.
    margin: around the text, as a share of the font's size.

  Returns:
    uint8[height, width, 3], as large as the text and its margins.

  Raises:
    ValueError: there is nothing to draw.
  """
  rows = list(text) if vertical else [text]
  boxes = [font.getbbox(row) for row in rows]
  width = max(right - left for left, _, right, _ in boxes)
  heights = [bottom - top for _, top, _, bottom in boxes]
  if width < 1 or not any(heights):
    raise ValueError(f"{text!r} leaves no ink in this font.")
  edge = max(1, round(margin * font.size))
  gap = edge // 2 if vertical else 0
  # Blanks have no height of their own.
  heights = [height or font.size // 3 for height in heights]
  size = (width + 2 * edge, sum(heights) + gap * (len(rows) - 1) + 2 * edge)
  image = PillowImage.new("RGB", size, paper)
  pen = ImageDraw.Draw(image)
  y = edge
  for row, (left, top, right, _), height in zip(
    rows, boxes, heights, strict=True
  ):
    x = edge + (width - (right - left)) // 2
    pen.text((x - left, y - top), row, fill=ink, font=font)
    y += height + gap
  return np.asarray(image, np.uint8)
