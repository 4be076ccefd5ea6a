"""Sheets of boxes to write words into, and the words out of photos of them.

Four marks at the corners, squares within squares, are found in any photo; the
one at the lower right has an empty centre, which tells up from down. Squares at
the top number the sheet.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from inksight_jax.rendering.sheet import printable

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]

# All lengths in mm. Of a mark: its side, that of the hole, of what is in it.
_MARK, _HOLE, _CENTRE = 10.0, 7.2, 4.4
# From the edges of the paper to the middle of a mark: printers leave out less.
_TO_MARK = 14.0
_BITS, _BIT, _BIT_STEP = 10, 3.0, 4.5
_TOP, _SIDE = 26.0, 10.0
_CAPTION = 5.0
_GAP = 3.0
_FRAME_COLOR, _CAPTION_COLOR = (150, 190, 225), (120, 120, 120)
# Left out inside a frame, so that no trace of it is in the picture.
_INSET = 1.2
# A photo is laid flat at this many pixels for a millimetre: 254 dpi.
_SCALE = 10.0
# Darker than paper by so much is ink; a box with less of it is empty.
_INK, _LEAST_INK = 50.0, 0.001


@dataclasses.dataclass(frozen=True)
class Grid:
  """What is on the sheets.

  Attributes:
    words: one for each box, row by row, sheet by sheet.
    columns, rows: boxes of a sheet.
    width, height: of the paper, mm; A4 by default.
  """

  words: tuple[str, ...]
  columns: int = 3
  rows: int = 12
  width: float = 210.0
  height: float = 297.0

  def __post_init__(self) -> None:
    object.__setattr__(self, "words", tuple(self.words))
    if not self.words or min(self.columns, self.rows) < 1:
      raise ValueError(
        f"{len(self.words)} words in {self.columns} x {self.rows} boxes? Give "
        "at least one of each."
      )
    _, _, wide, high = self.box(0)
    if wide < 15.0 or high < 7.0:
      raise ValueError(
        f"Boxes of {wide:.0f} x {high:.0f} mm are too small to write in; take "
        "fewer columns or rows."
      )
    if self.sheets >= 2**_BITS:
      raise ValueError(f"{self.sheets} sheets are more than can be numbered.")

  @property
  def sheets(self) -> int:
    """Sheets that the words take."""
    return -(-len(self.words) // (self.columns * self.rows))

  def words_of(self, sheet: int) -> tuple[str, ...]:
    """The words of a sheet, row by row."""
    size = self.columns * self.rows
    return self.words[sheet * size : (sheet + 1) * size]

  def box(self, place: int) -> Box:
    """Left, top, width and height of a box, mm; the caption is above it."""
    row, column = divmod(place, self.columns)
    across = (self.width - 2 * _SIDE - (self.columns - 1) * _GAP) / self.columns
    down = (self.height - 2 * _TOP - self.rows * _CAPTION) / self.rows
    left = _SIDE + column * (across + _GAP)
    top = _TOP + row * (down + _CAPTION) + _CAPTION
    return left, top, across, down

  @property
  def marks(self) -> NDArray[np.float64]:
    """Middles of the marks, mm: from the upper left, clockwise."""
    right, bottom = self.width - _TO_MARK, self.height - _TO_MARK
    corners = [(_TO_MARK, _TO_MARK), (right, _TO_MARK)]
    return np.array([*corners, (right, bottom), (_TO_MARK, bottom)])

  def bit(self, number: int) -> Box:
    """Left, top, width and height of a square of the sheet's number, mm."""
    left = self.width / 2 + (number - _BITS / 2) * _BIT_STEP
    return left, _TO_MARK - _BIT / 2, _BIT, _BIT

  def to_json(self) -> str:
    """Text that `from_json` reads."""
    return json.dumps(dataclasses.asdict(self), ensure_ascii=False) + "\n"

  @classmethod
  def from_json(cls, text: str) -> Grid:
    """Reads what `to_json` wrote.

    Raises:
      ValueError: it is something else.
    """
    try:
      values: Mapping[str, Any] = json.loads(text)
      return cls(**{**values, "words": tuple(values["words"])})
    except (json.JSONDecodeError, TypeError, KeyError) as error:
      raise ValueError(f"Not the description of a grid: {error}.") from error


def draw_sheet(grid: Grid, sheet: int, scale: float = 300 / 25.4) -> Image:
  """A sheet to be printed.

  Args:
    grid: what is on the sheets.
    sheet: number of the sheet, from 0.
    scale: pixels for a millimetre.

  Returns:
    uint8[height, width, 3] RGB.
  """
  size = round(grid.width * scale), round(grid.height * scale)
  picture = PillowImage.new("RGB", size, (255, 255, 255))
  draw = ImageDraw.Draw(picture)

  def square(middle: Sequence[float], side: float, color: str) -> None:
    x, y = middle
    edges = [x - side / 2, y - side / 2, x + side / 2, y + side / 2]
    draw.rectangle([edge * scale for edge in edges], fill=color)

  for number, middle in enumerate(grid.marks.tolist()):
    square(middle, _MARK, "black")
    square(middle, _HOLE, "white")
    if number != 2:
      square(middle, _CENTRE, "black")
  for number in range(_BITS):
    if sheet >> number & 1:
      left, top, wide, high = grid.bit(number)
      square((left + wide / 2, top + high / 2), _BIT, "black")
  font = ImageFont.load_default(0.72 * _CAPTION * scale)
  for place, word in enumerate(grid.words_of(sheet)):
    left, top, wide, high = grid.box(place)
    edges = [left, top, left + wide, top + high]
    draw.rectangle(
      [edge * scale for edge in edges],
      outline=_FRAME_COLOR,
      width=max(1, round(0.3 * scale)),
    )
    draw.text(
      (left * scale, (top - 0.95 * _CAPTION) * scale),
      printable(word),
      fill=_CAPTION_COLOR,
      font=font,
    )
  return np.asarray(picture)


def cut_sheet(
  photo: Image, grid: Grid
) -> tuple[int, list[tuple[str, Image | None]]]:
  """The words that were written on a sheet.

  Args:
    photo: uint8[height, width, 3], the four marks on it, any way up.
    grid: what was printed.

  Returns:
    (number of the sheet, by box its word and uint8[height, width, 3], on white
    paper, 254 dpi; None where nothing was written).

  Raises:
    ValueError: the marks cannot be found, or the number is of no sheet.
  """
  marks = find_marks(photo)
  target = grid.marks * _SCALE
  matrix = cv2.getPerspectiveTransform(
    marks.astype(np.float32), target.astype(np.float32)
  )
  size = round(grid.width * _SCALE), round(grid.height * _SCALE)
  flat = np.asarray(
    cv2.warpPerspective(
      photo, matrix, size, flags=cv2.INTER_LINEAR, borderValue=(255, 255, 255)
    ),
    np.uint8,
  )
  bits = [_crop(flat, grid.bit(n), -0.8).mean() < 128 for n in range(_BITS)]
  sheet = sum(1 << number for number, bit in enumerate(bits) if bit)
  if sheet >= grid.sheets:
    raise ValueError(
      f"The photo shows sheet {sheet + 1} of a grid that has {grid.sheets}; is "
      "it another grid, or are the squares at the top covered?"
    )
  words = grid.words_of(sheet)
  return sheet, [
    (word, _written(_crop(flat, grid.box(place), -_INSET)))
    for place, word in enumerate(words)
  ]


def find_marks(photo: Image) -> NDArray[np.float64]:
  """Middles of the marks in a photo, from the sheet's upper left clockwise.

  Args:
    photo: uint8[height, width, 3].

  Returns:
    float64[4, 2], x and y in pixels.

  Raises:
    ValueError: they are not all there.
  """
  grey = np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), np.uint8)
  window = max(15, min(grey.shape) // 12) | 1
  dark = cv2.adaptiveThreshold(
    grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, window, 12
  )
  contours, tree = cv2.findContours(
    dark, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE
  )
  least = (min(grey.shape) / 70) ** 2
  full: list[tuple[float, NDArray[np.float64]]] = []
  hollow: list[tuple[float, NDArray[np.float64]]] = []
  for number, contour in enumerate(contours):
    area = cv2.contourArea(contour)
    if area < least or _depth(tree, number) % 2:
      # Too small, or light within dark.
      continue
    corners = _corners(contour)
    hole = _child(contours, tree, number, area, (0.3, 0.75))
    if corners is None or hole < 0:
      continue
    centre = _child(contours, tree, hole, area, (0.06, 0.4))
    (hollow if centre < 0 else full).append((area, _middle(corners)))
  full = sorted(full, key=lambda item: -item[0])
  if full:
    # Nearly as large as the others, whatever the perspective.
    size = full[0][0]
    hollow = [item for item in hollow if size / 6 < item[0] < size * 6]
  if len(full) >= 3 and hollow:
    return _clockwise(
      [middle for _, middle in full[:3]], [middle for _, middle in hollow]
    )
  raise ValueError(
    f"{len(full)} of the 3 marks with a centre and {len(hollow)} of the 1 "
    "without were found; take the photo with all four corners of the sheet, "
    "sharp and evenly lit."
  )


def _corners(contour: Any) -> NDArray[np.float64] | None:
  """The corners of a contour that is a convex quadrangle."""
  around = cv2.approxPolyDP(contour, 0.06 * cv2.arcLength(contour, True), True)
  if len(around) != 4 or not cv2.isContourConvex(around):
    return None
  return around.reshape(4, 2).astype(np.float64)


def _depth(tree: Any, number: int) -> int:
  """How many contours lie around one."""
  depth = 0
  while (number := int(tree[0, number, 3])) >= 0:
    depth += 1
  return depth


def _child(
  contours: Sequence[Any],
  tree: Any,
  number: int,
  area: float,
  share: tuple[float, float],
) -> int:
  """The contour within another that has a share of an area; -1 without."""
  child = int(tree[0, number, 2])
  while child >= 0:
    if share[0] * area < cv2.contourArea(contours[child]) < share[1] * area:
      return child
    child = int(tree[0, child, 0])
  return -1


def _middle(corners: NDArray[np.float64]) -> NDArray[np.float64]:
  """Where the diagonals meet: the square's middle, whatever the perspective."""
  a, b, c, d = corners
  along, other = c - a, d - b
  step = np.linalg.solve(np.stack([along, -other], axis=1), b - a)
  return a + step[0] * along


def _clockwise(
  full: Sequence[NDArray[np.float64]],
  hollow: Sequence[NDArray[np.float64]],
) -> NDArray[np.float64]:
  """The marks in order; the hollow one nearest to where it should be."""
  best: tuple[float, NDArray[np.float64]] | None = None
  for middle in hollow:
    points = np.stack([*full, middle])
    around = points - points.mean(axis=0)
    order = np.argsort(np.arctan2(around[:, 1], around[:, 0]))
    turn = int(np.flatnonzero(order == 3)[0])
    points = points[np.roll(order, 2 - turn)]
    # A parallelogram, but for perspective.
    error = float(np.linalg.norm(points[0] + points[2] - points[1] - points[3]))
    if best is None or error < best[0]:
      best = error, points
  assert best is not None, "There is a hollow mark."
  return best[1]


def _crop(flat: Image, box: Box, grow: float) -> Image:
  """A part of the flat sheet, mm; made larger on all sides by `grow`."""
  left, top, wide, high = box
  rows = slice(
    round((top - grow) * _SCALE), round((top + high + grow) * _SCALE)
  )
  columns = slice(
    round((left - grow) * _SCALE), round((left + wide + grow) * _SCALE)
  )
  return flat[rows, columns]


def _written(cell: Image) -> Image | None:
  """A cell on white paper, cut to its ink; None where there is none."""
  # The paper: what is light for some letters' width around, evenly lit or not.
  paper = cv2.medianBlur(cv2.dilate(cell, np.ones((15, 15), np.uint8)), 31)
  clear = np.minimum(cell * (255.0 / np.maximum(paper, 1)), 255.0)
  ink = 255.0 - clear.mean(axis=2) > _INK
  if ink.mean() < _LEAST_INK:
    return None
  rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
  margin = round(_SCALE)
  top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
  piece = clear[top : rows[-1] + margin + 1, left : columns[-1] + margin + 1]
  return np.rint(piece).astype(np.uint8)
