"""Lines of words, of ink or cut out of scans, laid out on a small page."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.types import Ink
from inksight_jax.rendering.draws import between
from inksight_jax.rendering.pages import small_letter_height
from inksight_jax.rendering.paper import paper_color
from inksight_jax.rendering.photo import add_noise, shade
from inksight_jax.rendering.strokes import composite, draw_coverage, plain

Image = NDArray[np.uint8]
Range = tuple[float, float]
# Marks that follow a word without a blank, that a word follows so, and that
# stand below, or above, the middle of the line.
CLOSING = frozenset(",.;:!?)")
OPENING = frozenset("(")
LOW = frozenset(",.")
HIGH = frozenset("\"'")
# A crop of a word is about so many heights of small letters high.
_CROP_HEIGHT = 2.2


@dataclasses.dataclass(frozen=True)
class ParagraphStyle:
  """How a page looks; lengths in heights of small letters if not in pixels.

  Attributes:
    size: height of small letters of ink, pixels: smallest, largest.
    pitch: from line to line.
    gap: between words.
    margin: free border.
    indent: greatest shift of a line to the right.
    slope: greatest rise or fall of the lines, degrees.
    wobble: spread of the words about their line.
    lean: greatest slant that all ink of a page gets, pixels sideways per pixel
      up; one hand becomes many.
    stretch: its width changes by a factor in [1 / (1 + s), 1 + s].
    pen: width of the line of ink, pixels.
    coloured: pens and papers of all colours; else black on white.
    light: chance of uneven light.
    grain: greatest noise of the sensor, grey levels.
  """

  size: Range = (8.0, 11.0)
  pitch: Range = (2.6, 3.4)
  gap: Range = (0.9, 1.6)
  margin: Range = (0.4, 1.5)
  indent: float = 0.0
  slope: float = 0.0
  wobble: float = 0.05
  lean: float = 0.0
  stretch: float = 0.0
  pen: Range = (1.3, 2.2)
  coloured: bool = False
  light: float = 0.0
  grain: float = 0.0

  def __post_init__(self) -> None:
    for name in ("size", "pitch", "gap", "margin", "pen"):
      low, high = getattr(self, name)
      object.__setattr__(self, name, (low, high))
      if not 0.0 <= low <= high:
        raise ValueError(
          f"`{name}` must be a smallest and a largest number, not negative; "
          f"got {getattr(self, name)}."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Piece:
  """A word to be laid out: ink, or a picture of it on light paper.

  Attributes:
    text: what it says.
    ink: its strokes, in any unit.
    image: uint8[height, width, 3] at the resolution of the page.
    writer: pieces of one writer are brought to size together.
  """

  text: str
  ink: Ink | None = None
  image: Image | None = None
  writer: str = ""


def line_text(words: Sequence[str], separator: str = " ") -> str:
  """The words as one would type them: blanks, but none before a comma.

  A quotation mark opens and closes by turns.

  Args:
    words: words and marks, each by itself.
    separator: what stands between words.
  """
  text = ""
  for word, glued in zip(words, _glued(words), strict=True):
    text += word if glued or not text else separator + word
  return text


def _glued(words: Sequence[str]) -> list[bool]:
  """Whether each word follows the one before without a gap."""
  result, tight, quoted = [], False, False
  for word in words:
    closes = word in CLOSING or (word == '"' and quoted)
    result.append(tight or closes)
    tight = word in OPENING or (word == '"' and not quoted)
    quoted ^= word == '"'
  return result


def set_paragraph(
  lines: Sequence[Sequence[Piece]],
  size: tuple[int, int],
  style: ParagraphStyle,
  rng: np.random.Generator,
  separator: str = " ",
) -> tuple[Image, list[str]]:
  """Lays lines of words out on a page as large as they need.

  Args:
    lines: the words of each line; at least one.
    size: greatest (height, width) of the page, pixels. Words that stand out to
      the right and lines that stand out below are left out.
    style: how it looks.
    rng: source of randomness.
    separator: between the words of the text; "" sets them without gaps.

  Returns:
    (uint8[height, width, 3], the text of each line that is on it). No line
    where not even the first word has room.
  """
  letter = between(rng, *style.size)
  if style.lean or style.stretch:
    lines = _another_hand(lines, style, rng)
  flat = [piece for line in lines for piece in line]
  scales = _scales(flat, letter)
  if not any(piece.ink for piece in flat):
    heights = [p.image.shape[0] for p in flat if p.image is not None]
    letter = float(np.median(heights)) / _CROP_HEIGHT
  left, right, top, bottom = (
    letter * between(rng, *style.margin) for _ in range(4)
  )
  pitch = letter * between(rng, *style.pitch)
  fall = np.tan(np.deg2rad(between(rng, -style.slope, style.slope)))
  placed: list[tuple[Piece, float, float, float]] = []
  texts: list[str] = []
  y = 0.0
  for line in lines:
    x = left + letter * between(rng, 0.0, style.indent)
    row: list[tuple[Piece, float, float, float]] = []
    glued = _glued([piece.text for piece in line])
    for piece, tight in zip(line, glued, strict=True):
      scale = scales[piece.writer]
      wide, above, below = _extent(piece, scale, letter)
      if row and separator:
        x += letter * between(rng, *style.gap) * (0.3 if tight else 1.0)
      elif row:
        x += 0.25 * letter * between(rng, *style.gap)
      if x + wide + right > size[1]:
        break
      if not placed and not row:
        y = top + above
      y = max(y, top + above) if not placed else y
      middle = y + x * fall + rng.normal(0.0, style.wobble) * letter
      if middle - above < 0 or middle + below + bottom > size[0]:
        break
      row.append((piece, x, middle - above, scale))
      x += wide
    if not row:
      break
    placed += row
    texts.append(line_text([piece.text for piece, *_ in row], separator))
    y += pitch * between(rng, 0.95, 1.05)
  return _draw(placed, size, (right, bottom), style, rng), texts


def _another_hand(
  lines: Sequence[Sequence[Piece]],
  style: ParagraphStyle,
  rng: np.random.Generator,
) -> list[list[Piece]]:
  """The same words, all ink slanted and stretched alike."""
  lean = between(rng, -style.lean, style.lean)
  wide = (1.0 + style.stretch) ** between(rng, -1.0, 1.0)
  # Up is negative.
  matrix = ((wide, -lean), (0.0, 1.0))
  return [
    [
      dataclasses.replace(piece, ink=piece.ink.transformed(matrix, (0.0, 0.0)))
      if piece.ink
      else piece
      for piece in line
    ]
    for line in lines
  ]


def _scales(pieces: Sequence[Piece], letter: float) -> dict[str, float]:
  """Factor by writer that brings the ink to size; pictures keep theirs."""
  heights: dict[str, list[float]] = {}
  for piece in pieces:
    known = heights.setdefault(piece.writer, [])
    if piece.ink:
      known.append(small_letter_height(piece.ink))
  return {
    writer: letter / float(np.median(known)) if known else 1.0
    for writer, known in heights.items()
  }


def _extent(
  piece: Piece, scale: float, letter: float
) -> tuple[float, float, float]:
  """Width, and reach above and below the middle of the line, in pixels."""
  if piece.ink:
    left, top, right, bottom = piece.ink.bounds
    middle = float(np.median(piece.ink.points[:, 1]))
    above, below = (middle - top) * scale, (bottom - middle) * scale
    wide = (right - left) * scale
  else:
    assert piece.image is not None, "A piece is ink or a picture."
    high, wide = piece.image.shape[:2]
    above, below = high / 2, high / 2
  shift = 0.0
  # A mark alone does not say where it belongs.
  if piece.text in LOW:
    shift = 0.5 * letter
  elif piece.text in HIGH:
    shift = -0.8 * letter
  return wide, above - shift, below + shift


def _draw(
  placed: Sequence[tuple[Piece, float, float, float]],
  size: tuple[int, int],
  border: tuple[float, float],
  style: ParagraphStyle,
  rng: np.random.Generator,
) -> Image:
  """Paper, ink and camera; the page ends a border after the last word."""
  inks, crops = [], []
  right, bottom = 1.0, 1.0
  for piece, x, y, scale in placed:
    if piece.ink:
      left, top, *_ = piece.ink.bounds
      ink = piece.ink.scaled(scale, (x - left * scale, y - top * scale))
      inks += ink.strokes
      edge = ink.bounds[2:]
    else:
      assert piece.image is not None, "A piece is ink or a picture."
      crops.append((piece.image, round(x), round(y)))
      edge = x + piece.image.shape[1], y + piece.image.shape[0]
    right, bottom = max(right, edge[0]), max(bottom, edge[1])
  height = min(size[0], int(np.ceil(bottom + border[1])))
  width = min(size[1], int(np.ceil(right + border[0])))
  paper, pen = paper_color(rng, style.coloured, False)
  image = plain(height, width, paper)
  if inks:
    line = between(rng, *style.pen)
    coverage = draw_coverage(Ink(tuple(inks)), height, width, line)
    image = composite(image, coverage, pen)
  for crop, x, y in crops:
    _paste(image, crop, x, y)
  if rng.random() < style.light:
    image = shade(image, rng)
  if style.grain:
    image = add_noise(image, between(rng, 0.0, style.grain), rng)
  return image


def _paste(image: Image, crop: Image, left: int, top: int) -> None:
  """Lays a crop on the page, its paper turned into the page's, in place."""
  border = np.concatenate([crop[0], crop[-1], crop[:, 0], crop[:, -1]])
  paper = np.maximum(np.median(border, axis=0), 1.0)
  under = image[top : top + crop.shape[0], left : left + crop.shape[1]]
  clear = np.minimum(crop[: under.shape[0], : under.shape[1]] / paper, 1.0)
  under[:] = np.rint(under * clear).astype(np.uint8)


def shrink(image: Image, scale: float) -> Image:
  """A crop at another resolution.

  Args:
    image: uint8[height, width, 3].
    scale: 0.5 halves the sides.
  """
  if scale == 1.0:
    return image
  size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
  interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
  return np.asarray(
    cv2.resize(image, size, interpolation=interpolation), np.uint8
  )
