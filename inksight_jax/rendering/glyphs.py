"""Letters of the single-stroke Hershey fonts, in the order a hand writes them.

The fonts (public domain, A. V. Hershey, NBS 1967) list a letter's lines in
drafting order: the stem of an "a" first, each line on its own. The tables below
put them into pen order and say which lines one pen-down may cover.
"""

from __future__ import annotations

import dataclasses
import functools
import unicodedata

import numpy as np
from numpy.typing import NDArray

Polyline = NDArray[np.float64]

PRINT_FONTS = ("futural", "rowmans")
CURSIVE_FONTS = ("cursive", "scripts")

# Hershey units: baseline y = 9; top of "x" at -5 (print) and 0 (cursive).
_BASELINE = 9.0
_X_TOP = {"futural": -5.0, "rowmans": -5.0, "cursive": 0.0, "scripts": 0.0}

# Pen-downs separated by blanks, the font's line numbers (from 1) inside one
# separated by commas, "-" for a line written backwards. Lines after "|" are
# marks, which a joined-up hand adds when the word is done.
_PRINT_ORDER = {
  "a": "2,1", "b": "1,2", "d": "2,1", "g": "2,1", "h": "1,2", "k": "1 2,3",
  "m": "1,2,3", "n": "1,2", "p": "1,2", "q": "2,1", "r": "1,2", "u": "1,2",
  "v": "1,-2", "w": "1,-2,3,-4", "z": "2,1,3", "i": "2|1", "j": "2|1",
  "t": "1|2", "f": "1|2", "A": "-1,2 3", "B": "1,2,3", "D": "1,2",
  "E": "-2,1,4 3", "F": "-2,1 3", "G": "1 2", "K": "1 2,3", "L": "1,2",
  "M": "-1,2,-3,4", "N": "-1,2,-3", "P": "1,2", "R": "1,2,3", "V": "1,-2",
  "W": "1,-2,3,-4", "Z": "2,1,3", "7": "2,1",
}  # fmt: skip
_CURSIVE_ORDER = {
  "d": "1,2", "g": "1,2", "h": "1,2", "i": "2|1", "j": "2|1", "k": "1,2,3",
  "m": "1,2,3", "n": "1,2", "p": "1,2,3", "q": "1,2", "s": "1,2",
  "t": "1,2|3", "u": "1,2", "v": "1,2", "w": "1,2,3", "x": "1|2", "y": "1,2",
  "B": "1,2", "F": "2 1 3", "M": "1,2,3", "N": "1,2", "T": "2 1", "U": "1,2",
  "W": "1,-2,3,-4", "Y": "1,2", "7": "2,1",
}  # fmt: skip
# Bowls of these start inside the letter: a joining line comes in over the top
# and the pen retraces it.
_OVERCURVE = frozenset("acdgoq")


@dataclasses.dataclass(frozen=True, eq=False)
class Glyph:
  """One letter in x-heights: baseline y = 0, x-height y = -1, left edge x = 0.

  Attributes:
    pen_downs: lines grouped by pen-down, in writing order; float64[points, 2]
      each. One line may end away from where the next begins: the pen retraces.
    marks: dots and bars that may wait until the word is done.
    advance: distance from the left edge to the next letter's left edge.
    lead_in: line from the left to the first point, along the top of the bowl,
      or None where the letter begins at its left edge.
    joins: whether the letter is made to be joined to its neighbours.
  """

  pen_downs: tuple[tuple[Polyline, ...], ...]
  marks: tuple[Polyline, ...]
  advance: float
  lead_in: Polyline | None
  joins: bool


def _normalize(points: Polyline, left: float, unit: float) -> Polyline:
  # Dots are drawn as diamonds of two units; a pen makes a point.
  if len(points) > 2 and np.ptp(points, axis=0).max() <= 2.0:
    points = np.repeat(points[:-1].mean(0, keepdims=True), 2, axis=0)
  points = (points - (left, _BASELINE)) / unit
  points.flags.writeable = False
  return points


def _ordered(
  lines: list[Polyline], order: str
) -> tuple[tuple[tuple[Polyline, ...], ...], tuple[Polyline, ...]]:
  def line(number: str) -> Polyline:
    index = int(number)
    return lines[index - 1] if index > 0 else lines[-index - 1][::-1]

  body, _, marks = order.partition("|")
  pen_downs = tuple(
    tuple(line(number) for number in pen_down.split(","))
    for pen_down in body.split()
  )
  return pen_downs, tuple(line(number) for number in marks.split())


def _lead_in(first: Polyline) -> Polyline:
  """The first line's way over the top, backwards."""
  y = first[:, 1]
  top = int(np.argmin(y[: len(y) // 2]))
  after = top
  while after + 1 < len(y) and y[after + 1] <= y[top]:
    after += 1
  return first[1 : after + 2][::-1]


@functools.cache
def load_font(font: str) -> dict[str, Glyph]:
  """Loads one font as glyphs by character; cached.

  Args:
    font: one of PRINT_FONTS or CURSIVE_FONTS.

  Raises:
    ValueError: the font is none of these.
  """
  if font not in _X_TOP:
    raise ValueError(
      f"Unknown handwriting font {font!r}; single-stroke fonts are "
      f"{', '.join(PRINT_FONTS + CURSIVE_FONTS)}."
    )
  # Unpacking the fonts takes a moment; only writers of words pay for it.
  from HersheyFonts import HersheyFonts

  hershey = HersheyFonts()
  hershey.load_default_font(font)
  unit = _BASELINE - _X_TOP[font]
  cursive = font in CURSIVE_FONTS
  orders = _CURSIVE_ORDER if cursive else _PRINT_ORDER
  glyphs = {}
  for character, drawn in hershey.all_glyphs.items():
    if unicodedata.category(character).startswith("C"):
      continue
    # A cursive "x" is small; digits drawn for print would tower over it.
    scale = unit * (1.3 if cursive and not character.isalpha() else 1.0)
    lines = [
      _normalize(np.array(line, np.float64), float(drawn.left_offset), scale)
      for line in drawn.strokes
    ]
    default = " ".join(str(index + 1) for index in range(len(lines)))
    pen_downs, marks = _ordered(lines, orders.get(character, default))
    joins = cursive and character.isalpha()
    glyphs[character] = Glyph(
      pen_downs=pen_downs,
      marks=marks,
      advance=drawn.char_width / scale,
      lead_in=_lead_in(lines[0])
      if cursive and character in _OVERCURVE
      else None,
      joins=joins,
    )
  return glyphs
