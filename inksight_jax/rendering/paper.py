"""Backgrounds to write on: paper colours, rules, grids, grain and clutter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.rendering.draws import below, between
from inksight_jax.rendering.photo import add_grain
from inksight_jax.rendering.strokes import plain

Image = NDArray[np.uint8]
Color = tuple[int, int, int]

# RGB of pens on sale: blacks, blues, red, green, violet, pencil.
_INKS = (
  (15, 15, 20), (40, 40, 45), (20, 30, 90), (25, 60, 150), (10, 20, 60),
  (160, 25, 35), (20, 95, 55), (85, 30, 110), (85, 80, 80), (70, 45, 30),
)  # fmt: skip
# Least difference in brightness between ink and paper, grey levels.
_CONTRAST = 70.0


def _brightness(color: Sequence[float]) -> float:
  red, green, blue = color
  return 0.299 * red + 0.587 * green + 0.114 * blue


def _color(values: Iterable[float]) -> Color:
  red, green, blue = (min(255, max(0, round(value))) for value in values)
  return red, green, blue


def paper_color(
  rng: np.random.Generator, coloured: bool, inverted: bool
) -> tuple[Color, Color]:
  """Draws a paper and an ink that can be told apart.

  Args:
    rng: source of randomness.
    coloured: pens and papers of all colours instead of black on white.
    inverted: chalk on a board instead: light on dark.

  Returns:
    RGB of the paper, RGB of the ink; brightness differs by 70 at least.
  """
  if not coloured:
    return ((0, 0, 0), (255, 255, 255)) if inverted else (
      (255, 255, 255), (0, 0, 0)
    )  # fmt: skip
  pen = _INKS[below(rng, len(_INKS))]
  *tints, bright, tinted = rng.random(8).tolist()
  ink = [
    level - 15.0 + 40.0 * tint
    for level, tint in zip(pen, tints[:3], strict=True)
  ]
  # Most papers are near white with a tint; some are yellow, grey, pink.
  level = 255.0 - 75.0 * bright * bright
  paper = [level - 35.0 * tint * tinted for tint in tints[3:]]
  if inverted:
    ink = [255.0 - level * 0.5 for level in ink]
    paper = [255.0 - level + 30.0 * rng.random() for level in paper]
  difference = _brightness(paper) - _brightness(ink)
  missing = _CONTRAST - abs(difference)
  if missing > 0:
    ink = [level - math.copysign(missing, difference) for level in ink]
  return _color(paper), _color(ink)


def _mixed(color: Color, other: Color, share: float) -> Color:
  return _color(a + (b - a) * share for a, b in zip(color, other, strict=True))


def _draw_rules(
  image: Image,
  color: Color,
  spacing: float,
  thickness: int,
  angle: float,
  rng: np.random.Generator,
) -> None:
  """Draws parallel lines across the picture, in place."""
  side = image.shape[0]
  cosine, sine = math.cos(angle), math.sin(angle)
  first = -0.75 * side + rng.random() * spacing
  shifts = np.arange(first, 0.75 * side, spacing)[:, None]
  reach = np.array([-0.75 * side, 0.75 * side])
  ends = np.empty((len(shifts), 2, 2))
  ends[:, :, 0] = side / 2 - sine * shifts + cosine * reach
  ends[:, :, 1] = side / 2 + cosine * shifts + sine * reach
  lines = np.rint(ends * 16).astype(np.int32)
  cv2.polylines(image, list(lines), False, color, thickness, cv2.LINE_AA, 4)


def rule(
  image: Image,
  paper: Color,
  grid: bool,
  line_width: float,
  rng: np.random.Generator,
) -> None:
  """Rules lines or squares, in place; thinner and paler than the ink.

  Args:
    image: uint8[side, side, 3].
    paper: RGB under the lines.
    grid: squares instead of lines.
    line_width: the ink's, pixels.
    rng: source of randomness.
  """
  side = image.shape[0]
  tone = ((70, 110, 190), (120, 120, 120), (190, 80, 90), (90, 160, 120))
  color = _mixed(paper, tone[below(rng, 4)], between(rng, 0.2, 0.6))
  if _brightness(paper) < 100:
    color = _mixed(paper, (255, 255, 255), between(rng, 0.15, 0.4))
  angle = math.radians(between(rng, -4.0, 4.0))
  thickness = max(1, round(0.5 * line_width))
  spacing = side * (
    between(rng, 0.08, 0.2) if grid else between(rng, 0.18, 0.5)
  )
  _draw_rules(image, color, spacing, thickness, angle, rng)
  if grid:
    _draw_rules(image, color, spacing, thickness, angle + math.pi / 2, rng)
  elif rng.random() < 0.2:
    margin = _mixed(paper, (200, 60, 70), 0.6)
    x = round(side * between(rng, 0.02, 0.2))
    cv2.line(image, (x, 0), (x, side), margin, thickness, cv2.LINE_AA)


def clutter(
  image: Image, paper: Color, ink: Color, rng: np.random.Generator
) -> None:
  """Lays patches, edges, print and stains over the paper, in place.

  All of it stays nearer to the paper than to the ink, so that writing on it
  can be read.
  """
  side = image.shape[0]
  for _ in range(2 + below(rng, 5)):
    other = _color((255.0 * rng.random(3)).tolist())
    # Full strength only on what does not darken towards the ink.
    gap = abs(_brightness(other) - _brightness(ink))
    share = between(rng, 0.15, 0.5) * min(1.0, gap / 90.0)
    color = _mixed(paper, other, share)
    x, y, width, height = (rng.uniform(-0.2, 1.0, 4) * side).tolist()
    kind = rng.random()
    if kind < 0.35:
      angle = between(rng, 0.0, 90.0)
      box = cv2.boxPoints(
        ((x, y), (abs(width) + side / 4, abs(height) + side / 6), angle)
      )
      cv2.fillConvexPoly(image, np.int32(np.rint(box)), color, cv2.LINE_AA)  # pyright: ignore[reportCallIssue, reportArgumentType]
    elif kind < 0.55:
      radius = (round(abs(width) / 3 + 2), round(abs(height) / 3 + 2))
      turn = between(rng, 0.0, 180.0)
      fill = cv2.FILLED if rng.random() < 0.5 else 1
      center = (round(x), round(y))
      cv2.ellipse(image, center, radius, turn, 0, 360, color, fill, cv2.LINE_AA)
    elif kind < 0.8:
      ends = rng.uniform(-0.1, 1.1, (2, 2)) * side
      start, end = np.rint(ends).astype(int).tolist()
      cv2.line(image, tuple(start), tuple(end), color, 1, cv2.LINE_AA)
    else:
      letters = rng.integers(97, 123, 12).astype(np.uint8).tobytes().decode()
      cv2.putText(
        image, letters, (round(x), round(y)), cv2.FONT_HERSHEY_COMPLEX,
        side / between(rng, 100.0, 400.0), color, 1, cv2.LINE_AA,
      )  # fmt: skip


def grain(image: Image, rng: np.random.Generator) -> Image:
  """Fibres and stains: coarse and fine unevenness of the paper.

  Args:
    image: uint8[side, side, 3].
    rng: source of randomness.
  """
  cells = 3 + below(rng, 6)
  stains, fibres = between(rng, 2.0, 12.0), between(rng, 0.6, 5.0)
  return add_grain(image, stains, cells, fibres, rng)


def make_paper(
  side: int,
  paper: Color,
  ink: Color,
  line_width: float,
  rng: np.random.Generator,
  families: dict[str, bool],
) -> Image:
  """Builds the background of one picture.

  Args:
    side: pixels.
    paper: RGB of the paper.
    ink: RGB of the ink to come, which nothing may hide.
    line_width: width of the ink to come, pixels.
    rng: source of randomness.
    families: whether to use "clutter", "texture", "lines" and "grid".

  Returns:
    uint8[side, side, 3].
  """
  image = plain(side, side, paper)
  if families["clutter"]:
    clutter(image, paper, ink, rng)
  if families["texture"]:
    image = grain(image, rng)
  if families["grid"] or families["lines"]:
    rule(image, paper, families["grid"], line_width, rng)
  return image
