"""Pages put together of words, with everything known about them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.page import Box, Page, Word
from inksight_jax.ink.types import Ink
from inksight_jax.rendering.paper import paper_color
from inksight_jax.rendering.photo import add_grain, add_noise, compress, shade
from inksight_jax.rendering.strokes import composite, draw_coverage, plain

Image = NDArray[np.uint8]
Range = tuple[float, float]
Color = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class PageStyle:
  """How a page looks; lengths in pixels unless another unit is said.

  Attributes:
    width: of the page.
    height: of the page.
    margin: free border.
    pitch: from line to line; 0 chooses by the size of the writing.
    gap: between words, in heights of small letters: smallest, largest.
    rules: "none", "lines" or "grid".
    skew: degrees by which all falls to the right.
    columns: how many columns of text.
    line_width: of the pen.
    coloured: pens and papers of all colours; else black on white.
    inverted: chalk on a board.
    light: uneven light, as in a photo.
    grain: of paper and sensor, grey levels.
    quality: of the JPEG the page went through; 0 for none.
  """

  width: int = 1600
  height: int = 1200
  margin: float = 90.0
  pitch: float = 0.0
  gap: Range = (0.8, 1.7)
  rules: str = "none"
  skew: float = 0.0
  columns: int = 1
  line_width: float = 3.5
  coloured: bool = True
  inverted: bool = False
  light: bool = True
  grain: float = 3.0
  quality: int = 85


def small_letter_height(ink: Ink) -> float:
  """Height of small letters, pixels, from where most of the ink is.

  Args:
    ink: a word along the x axis.
  """
  low, high = small_letter_band(ink)
  return max(high - low, 1.0)


def small_letter_band(ink: Ink) -> tuple[float, float]:
  """Rows between which most of the ink is: those of small letters.

  Args:
    ink: a word along the x axis, not empty.

  Returns:
    (upper, lower) row, pixels; the same where the ink is dots only.
  """
  # Arc lengths: a slow pen gives more points, not more ink.
  lines = [s.points for s in ink.strokes if len(s) > 1]
  if not lines:
    middle = float(np.median(ink.points[:, 1]))
    return middle, middle
  points = np.concatenate([(p[1:] + p[:-1]) / 2 for p in lines])
  weight = np.concatenate([np.hypot(*np.diff(p, axis=0).T) for p in lines])
  order = np.argsort(points[:, 1])
  share = np.cumsum(weight[order]) / max(float(weight.sum()), 1e-9)
  low, high = np.interp((0.15, 0.85), share, points[order, 1]).tolist()
  return low, high


def _middle(ink: Ink) -> float:
  """Row of the middle of small letters."""
  return float(np.median(ink.points[:, 1]))


def _bounds_box(ink: Ink, reach: float) -> Box:
  """Edges of the pixels that the drawn ink covers."""
  left, top, right, bottom = ink.bounds
  return (
    left - reach + 0.5, top - reach + 0.5,
    right + reach + 0.5, bottom + reach + 0.5,
  )  # fmt: skip


def compose_page(
  words: Sequence[tuple[str, Ink]],
  style: PageStyle,
  rng: np.random.Generator,
  size: float = 0.0,
) -> tuple[Image, Page, int]:
  """Writes words line by line until they or the page are at an end.

  Args:
    words: text and ink of each, in reading order; inks keep their size.
    style: how the page looks.
    rng: source of randomness.
    size: height of small letters, pixels; measured if 0.

  Returns:
    uint8[height, width, 3]; the page with text, ink and box of each word, the
    boxes around the drawn ink; and how many words found room.
  """
  size = size or float(np.median([small_letter_height(i) for _, i in words]))
  pitch = style.pitch or 3.2 * size
  placed = _place(words, style, rng, size, pitch)
  angle = np.deg2rad(style.skew)
  turn = np.array(
    [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
  )
  center = np.array([style.width / 2, style.height / 2])
  lines = []
  for line in placed:
    turned = [
      (text, ink.transformed(turn, center - turn @ center))
      for text, ink in line
    ]
    lines.append(
      tuple(
        Word(_bounds_box(ink, style.line_width / 2), text, ink)
        for text, ink in turned
      )
    )
  page = Page(style.width, style.height, tuple(lines), style.line_width)
  image = _draw(page, style, rng, pitch, turn, center)
  return image, page, len(page.words)


def _place(
  words: Sequence[tuple[str, Ink]],
  style: PageStyle,
  rng: np.random.Generator,
  size: float,
  pitch: float,
) -> list[list[tuple[str, Ink]]]:
  """Lines of words at their places, before the page is turned."""
  gutter = 4.0 * size
  room = style.width - 2 * style.margin - gutter * (style.columns - 1)
  room /= style.columns
  lines: list[list[tuple[str, Ink]]] = []
  waiting = list(words)
  for column in range(style.columns):
    first = style.margin + column * (room + gutter)
    y = style.margin + pitch / 2
    while waiting and y < style.height - style.margin - pitch / 2:
      x, line = first, []
      while waiting:
        text, ink = waiting[0]
        left, _, right, _ = ink.bounds
        if line and x + right - left > first + room:
          break
        waiting.pop(0)
        shift = (x - left, y - _middle(ink) + rng.normal(0, 0.04 * size))
        line.append((text, ink.scaled(1.0, shift)))
        x += right - left + size * rng.uniform(*style.gap)
      lines.append(line)
      y += pitch * rng.uniform(0.97, 1.06)
  return lines


def _draw(
  page: Page,
  style: PageStyle,
  rng: np.random.Generator,
  pitch: float,
  turn: NDArray[np.float64],
  center: NDArray[np.float64],
) -> Image:
  """Paper, rules, ink, light and camera."""
  paper, pen = paper_color(rng, style.coloured, style.inverted)
  image = plain(style.height, style.width, paper)
  if style.coloured:
    image = add_grain(image, 8.0, 5, 1.5, rng)
  if style.rules != "none":
    _draw_rules(image, paper, style, rng, pitch, turn, center)
  coverage = draw_coverage(
    page.ink, style.height, style.width, style.line_width
  )
  image = composite(image, coverage, pen)
  if style.light:
    image = shade(image, rng)
  if style.grain:
    image = add_noise(image, style.grain, rng)
  return compress(image, style.quality) if style.quality else image


def _draw_rules(
  image: Image,
  paper: Color,
  style: PageStyle,
  rng: np.random.Generator,
  pitch: float,
  turn: NDArray[np.float64],
  center: NDArray[np.float64],
) -> None:
  """Rules along the lines of writing, or squares, in place."""
  tone = np.array(((70, 110, 190), (120, 120, 120), (190, 80, 90))[
    int(rng.integers(3))
  ])  # fmt: skip
  mixed = 0.5 * np.array(paper) + 0.5 * tone
  color = tuple(int(value) for value in mixed)
  spacing = pitch / 2.5 if style.rules == "grid" else pitch
  reach = float(np.hypot(style.width, style.height))
  axes = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
  for along in axes[: 2 if style.rules == "grid" else 1]:
    for shift in np.arange(-reach, reach, spacing):
      middle = center + turn @ (along[::-1] * (shift + 0.8 * spacing))
      ends = middle + np.outer((-reach, reach), turn @ along)
      start, end = np.rint(ends * 16).astype(int).tolist()
      cv2.line(image, tuple(start), tuple(end), color, 2, cv2.LINE_AA, 4)
