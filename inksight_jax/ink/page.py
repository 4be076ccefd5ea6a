"""What is written where on a picture: the one view that all writers take.

A word image is a page of one line with one word.
"""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from inksight_jax.ink.types import FloatArray, Ink, Stroke

Box = tuple[float, float, float, float]
Polygon = tuple[tuple[float, float], ...]

# Longer side of an A4 sheet, and a pixel of a screen, in points of 1/72 inch.
_A4_POINTS = 842.0
_SCREEN_POINTS = 0.75


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
  """An encoded picture to lie under the ink; it may be a shrunk copy.

  Attributes:
    data: the file, in RGB.
    media_type: "image/jpeg" or "image/png".
    width: pixels of the file, which need not be those of the page.
    height: pixels of the file.
  """

  data: bytes
  media_type: str
  width: int
  height: int

  @property
  def data_uri(self) -> str:
    """The file as a `data:` address."""
    data = base64.b64encode(self.data).decode("ascii")
    return f"data:{self.media_type};base64,{data}"

  def require(self, media_type: str, kind: str) -> None:
    """Raises a ValueError unless the picture is what a format can hold."""
    if self.media_type != media_type:
      raise ValueError(
        f"{kind} takes a picture as {media_type}, not {self.media_type}."
      )


@dataclasses.dataclass(frozen=True, eq=False)
class Word:
  """One word of a page.

  Attributes:
    box: left, top, right, bottom in page pixels; the edges of the pixels, so
      that a picture of 60 x 40 has the box (0, 0, 60, 40).
    text: what is written; may be empty.
    ink: its strokes in page pixels; (0, 0) is the centre of the top left pixel.
    confidence: of the whole answer, 0 to 1, or None where it is unknown.
    characters: confidence of each code point of `text`; empty if unknown, as
      where the text was given.
    polygon: outline in page pixels if it is known closer than the box.
  """

  box: Box
  text: str = ""
  ink: Ink = dataclasses.field(default_factory=Ink)
  confidence: float | None = None
  characters: tuple[float, ...] = ()
  polygon: Polygon = ()

  @property
  def text_confidence(self) -> float | None:
    """Probability of all characters of the text, or None."""
    return math.prod(self.characters) if self.characters else None

  @property
  def baseline(self) -> float:
    """Where the word stands, y in page pixels.

    The median over the places where the pen turned from down to up: letters
    with descenders are the fewer, and dots do not count. A fifth of the box
    lies below where there is no ink.
    """
    _, top, _, bottom = self.box
    turns = [_lowest_turns(stroke) for stroke in self.ink.strokes]
    lows = np.concatenate(turns) if turns else np.zeros(0)
    if not len(lows):
      return bottom - (bottom - top) / 5
    # A pixel's centre is half a pixel above its lower edge.
    return min(max(float(np.median(lows)) + 0.5, top), bottom)


def _lowest_turns(stroke: Stroke) -> FloatArray:
  """y of the local lows of a stroke, its ends included; none for a dot."""
  y = stroke.points[:, 1]
  y = y[np.concatenate(([True], np.diff(y) != 0))]
  if len(y) == 1:
    return y if stroke.length > 0 else np.zeros(0)
  before = np.concatenate(([-np.inf], y[:-1]))
  after = np.concatenate((y[1:], [-np.inf]))
  return y[(y > before) & (y > after)]


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
    placed: whether the boxes say where the lines stand; False where nobody
      knows, as of a page that was read whole.
  """

  width: int
  height: int
  lines: tuple[tuple[Word, ...], ...]
  line_width: float = 2.0
  picture: Picture | None = None
  image_name: str = ""
  placed: bool = True

  @property
  def points_per_pixel(self) -> float:
    """Scale for formats that measure paper, in points of 1/72 inch.

    Photos do not tell how large the paper was: a page becomes an A4 sheet, what
    is smaller stays as large as on a screen.
    """
    return min(_SCREEN_POINTS, _A4_POINTS / max(self.width, self.height))

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
