"""What is written where on a picture: the one view that all writers take.

A word image is a page of one line with one word.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from inksight_jax.ink.types import FloatArray, Ink

Box = tuple[float, float, float, float]
Polygon = tuple[tuple[float, float], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
  """An encoded picture to lie under the ink; it may be a shrunk copy.

  Attributes:
    data: the file.
    media_type: what it is.
    width: pixels of the file, which need not be those of the page.
    height: pixels of the file.
  """

  data: bytes
  media_type: Literal["image/jpeg", "image/png"]
  width: int
  height: int


@dataclasses.dataclass(frozen=True, eq=False)
class Word:
  """One word of a page.

  Attributes:
    box: left, top, right, bottom in page pixels; the edges of the pixels, so
      that a picture of 60 x 40 has the box (0, 0, 60, 40).
    text: what is written; may be empty.
    ink: its strokes in page pixels; (0, 0) is the centre of the top left pixel.
    confidence: 0 to 1, or None where nothing is known.
    characters: confidence of each code point of `text`; empty if unknown.
    polygon: outline in page pixels if it is known closer than the box.
  """

  box: Box
  text: str = ""
  ink: Ink = dataclasses.field(default_factory=Ink)
  confidence: float | None = None
  characters: tuple[float, ...] = ()
  polygon: Polygon = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Page:
  """Words in reading order.

  Attributes:
    width: of the source image, pixels.
    height: of the source image, pixels.
    lines: words of each line.
    line_width: width of the pen, pixels.
    picture: what lies under the ink, if it is to be shown.
    image_name: name of the source image's file; may be empty.
  """

  width: int
  height: int
  lines: tuple[tuple[Word, ...], ...]
  line_width: float = 2.0
  picture: Picture | None = None
  image_name: str = ""

  @property
  def words(self) -> tuple[Word, ...]:
    """All words, line after line."""
    return tuple(word for line in self.lines for word in line)

  @property
  def ink(self) -> Ink:
    """All strokes, word after word."""
    return Ink(tuple(s for word in self.words for s in word.ink.strokes))

  @property
  def text(self) -> str:
    """Words joined by blanks, lines by newlines."""
    return join_lines([[word.text for word in line] for line in self.lines])


def join_lines(lines: Sequence[Sequence[str]]) -> str:
  """Joins words by blanks and lines by newlines; empty ones are left out."""
  joined = (" ".join(filter(None, line)) for line in lines)
  return "\n".join(filter(None, joined))


def bounding_box(boxes: Sequence[Box]) -> Box:
  """The smallest box around boxes.

  Raises:
    ValueError: there are none.
  """
  if not boxes:
    raise ValueError("No boxes have no bounds.")
  values: FloatArray = np.asarray(boxes, np.float64)
  left, top = values[:, :2].min(0).tolist()
  right, bottom = values[:, 2:].max(0).tolist()
  return left, top, right, bottom
