"""Picture sheets: many pictures and their captions as one picture."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_SCALE = 0.4
_LINE_HEIGHT = 15
_GAP = 6
_TEXT_COLOR = (40, 40, 40)
_FRAME_COLOR = (215, 215, 215)
# Longer side of a picture on a sheet, pixels: a page stays legible.
MAX_SIDE = 800


def printable(text: str) -> str:
  """Text as OpenCV's ASCII fonts can draw it.

  Accents are dropped, other scripts become escapes such as "\\u6f22": a caption
  in any language stays readable, or at least tells characters apart.
  """
  plain = []
  for character in text:
    letters = unicodedata.normalize("NFKD", character)
    letters = "".join(c for c in letters if not unicodedata.combining(c))
    if not (letters.isascii() and letters.isprintable()):
      letters = character.encode("unicode_escape").decode("ascii")
    plain.append(letters)
  return "".join(plain)


def _text_width(text: str) -> int:
  return cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)[0][0]


def _wrap(text: str, width: int) -> list[str]:
  """Breaks a caption into lines of at most `width` pixels."""
  lines: list[str] = []
  for paragraph in text.split("\n"):
    line = ""
    for character in printable(paragraph):
      if line and _text_width(line + character) > width:
        # Break at the last blank where there is one.
        head, blank, tail = line.rpartition(" ")
        lines.append(head if blank else line)
        line = tail if blank else ""
      line += character
    lines.append(line)
  return lines


def _caption_strip(text: str, width: int) -> Image:
  """uint8[height, width, 3] with the caption, as many lines as it takes."""
  lines = _wrap(text, max(width - 2, 8)) if text else []
  strip = np.full((len(lines) * _LINE_HEIGHT, width, 3), 255, np.uint8)
  for index, line in enumerate(lines):
    origin = (1, (index + 1) * _LINE_HEIGHT - 4)
    cv2.putText(
      strip, line, origin, _FONT, _FONT_SCALE, _TEXT_COLOR, 1, cv2.LINE_AA
    )
  return strip


def _to_rgb(image: Image, min_side: int, max_side: int) -> Image:
  if image.dtype != np.uint8 or image.ndim not in (2, 3) or not image.size:
    raise ValueError(
      "A sheet takes pictures of uint8[height, width] or [height, width, 3], "
      f"not empty; got {image.dtype}{list(image.shape)}."
    )
  if image.ndim == 2:
    image = np.repeat(image[:, :, None], 3, axis=2)
  if image.shape[2] != 3:
    raise ValueError(
      f"A picture has {image.shape[2]} channels; convert it to RGB."
    )
  longest = max(image.shape[:2])
  if longest > max_side:
    high, wide = (
      max(1, round(n * max_side / longest)) for n in image.shape[:2]
    )
    shrunk = cv2.resize(image, (wide, high), interpolation=cv2.INTER_AREA)
    image = np.asarray(shrunk, np.uint8)
  # Whole factors keep the pixels visible as the network sees them.
  factor = max(1, min_side // max(image.shape[:2]))
  image = image.repeat(factor, axis=0).repeat(factor, axis=1)
  return cv2.copyMakeBorder(
    image, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=_FRAME_COLOR
  ).astype(np.uint8, copy=False)


def _pad_to(image: Image, height: int, width: int) -> Image:
  padded = np.full((height, width, 3), 255, np.uint8)
  padded[: image.shape[0], : image.shape[1]] = image
  return padded


def _row(
  images: Sequence[Image], widths: Sequence[int], caption: str | Sequence[str]
) -> Image:
  """One row of the sheet: pictures over their captions."""
  single = isinstance(caption, str)
  height = max((image.shape[0] for image in images), default=1)
  cells = [
    _pad_to(image, height, width)
    for image, width in zip(images, widths, strict=False)
  ]
  if not single:
    strips = [
      _caption_strip(text, cell.shape[1])
      for text, cell in zip(caption, cells, strict=True)
    ]
    tallest = max((strip.shape[0] for strip in strips), default=0)
    cells = [
      np.concatenate([cell, _pad_to(strip, tallest, cell.shape[1])])
      for cell, strip in zip(cells, strips, strict=True)
    ]
  total = sum(widths) + _GAP * (len(widths) - 1)
  row = np.full((cells[0].shape[0], total, 3), 255, np.uint8)
  left = 0
  for cell in cells:
    row[:, left : left + cell.shape[1]] = cell
    left += cell.shape[1] + _GAP
  if single:
    row = np.concatenate([row, _caption_strip(caption, total)])
  return row


def tile(
  rows: Sequence[Sequence[Image]],
  captions: Sequence[str] | Sequence[Sequence[str]] = (),
  titles: Sequence[str] = (),
  min_side: int = 128,
  max_side: int = MAX_SIDE,
) -> Image:
  """Lays pictures out in rows and columns with captions.

  Args:
    rows: rows of pictures, uint8[height, width(, 3)] RGB of any sizes; rows may
      differ in length.
    captions: for each row one text below the row, or one text per picture;
      none at all when empty. Any script, see `printable`.
    titles: headings of the columns.
    min_side: smaller pictures are enlarged by a whole factor towards this many
      pixels.
    max_side: larger ones are shrunk to this many.

  Returns:
    uint8[height, width, 3] RGB on white.

  Raises:
    ValueError: no pictures, or captions that do not match the rows.
  """
  if not rows or not all(len(row) for row in rows):
    raise ValueError("A sheet needs at least one picture in every row.")
  if captions and len(captions) != len(rows):
    raise ValueError(f"{len(captions)} captions for {len(rows)} rows.")
  for row, caption in zip(rows, captions, strict=False):
    if not isinstance(caption, str) and len(caption) != len(row):
      raise ValueError(f"{len(caption)} captions for {len(row)} pictures.")
  images = [
    [_to_rgb(image, min_side, max_side) for image in row] for row in rows
  ]
  columns = max(len(row) for row in images)
  widths = [
    max(row[column].shape[1] for row in images if len(row) > column)
    for column in range(columns)
  ]
  texts: Sequence[str | Sequence[str]] = captions or [""] * len(rows)
  parts = []
  if titles:
    strips = [
      _caption_strip(title, width)
      for title, width in zip(titles, widths, strict=False)
    ]
    strips = [
      strip if len(strip) else _caption_strip(" ", 1) for strip in strips
    ]
    parts.append(_row(strips, widths, ""))
  parts += [
    _row(row, widths, text) for row, text in zip(images, texts, strict=True)
  ]
  gap = np.full((_GAP, parts[0].shape[1], 3), 255, np.uint8)
  stacked = [piece for part in parts for piece in (part, gap)][:-1]
  sheet = np.concatenate(stacked)
  return np.pad(
    sheet, ((_GAP, _GAP), (_GAP, _GAP), (0, 0)), constant_values=255
  )
