"""Backgrounds to write on: paper colours, rules, grids, grain and clutter."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.rendering.photo import add_noise, add_stains
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


def _brightness(color: np.ndarray | Color) -> float:
  return float(np.dot(color, (0.299, 0.587, 0.114)))


def _color(values: np.ndarray) -> Color:
  red, green, blue = np.clip(np.rint(values), 0, 255).astype(int).tolist()
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
  ink = np.array(_INKS[int(rng.integers(len(_INKS)))], np.float64)
  ink = ink + rng.uniform(-15.0, 25.0, 3)
  # Most papers are near white with a tint; some are yellow, grey, pink.
  level = 255.0 - 75.0 * rng.random() ** 2
  paper = level - rng.uniform(0.0, 35.0, 3) * rng.random()
  if inverted:
    ink, paper = 255.0 - ink * 0.5, 255.0 - paper + rng.uniform(0.0, 30.0, 3)
  difference = _brightness(paper) - _brightness(ink)
  missing = _CONTRAST - abs(difference)
  if missing > 0:
    ink = ink - np.sign(difference) * missing
  return _color(paper), _color(ink)


def _mixed(color: Color, other: Color, share: float) -> Color:
  return _color(np.array(color) * (1 - share) + np.array(other) * share)


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
  along = np.array([np.cos(angle), np.sin(angle)])
  across = np.array([-along[1], along[0]])
  middle = np.array([side / 2, side / 2])
  first = -0.75 * side + rng.random() * spacing
  for shift in np.arange(first, 0.75 * side, spacing):
    ends = (
      middle + across * shift + np.outer((-0.75 * side, 0.75 * side), along)
    )
    start, end = np.rint(ends * 16).astype(int).tolist()
    cv2.line(image, tuple(start), tuple(end), color, thickness, cv2.LINE_AA, 4)


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
  color = _mixed(paper, tone[int(rng.integers(4))], rng.uniform(0.2, 0.6))
  if _brightness(paper) < 100:
    color = _mixed(paper, (255, 255, 255), rng.uniform(0.15, 0.4))
  angle = np.deg2rad(rng.uniform(-4.0, 4.0))
  thickness = max(1, round(0.5 * line_width))
  spacing = side * (rng.uniform(0.08, 0.2) if grid else rng.uniform(0.18, 0.5))
  _draw_rules(image, color, spacing, thickness, angle, rng)
  if grid:
    _draw_rules(image, color, spacing, thickness, angle + np.pi / 2, rng)
  elif rng.random() < 0.2:
    margin = _mixed(paper, (200, 60, 70), 0.6)
    x = round(side * rng.uniform(0.02, 0.2))
    cv2.line(image, (x, 0), (x, side), margin, thickness, cv2.LINE_AA)


def clutter(
  image: Image, paper: Color, ink: Color, rng: np.random.Generator
) -> None:
  """Lays patches, edges, print and stains over the paper, in place.

  All of it stays nearer to the paper than to the ink, so that writing on it
  can be read.
  """
  side = image.shape[0]
  for _ in range(int(rng.integers(2, 7))):
    other = _color(rng.uniform(0.0, 255.0, 3))
    # Full strength only on what does not darken towards the ink.
    gap = abs(_brightness(other) - _brightness(ink))
    share = rng.uniform(0.15, 0.5) * min(1.0, gap / 90.0)
    color = _mixed(paper, other, share)
    x, y, width, height = (rng.uniform(-0.2, 1.0, 4) * side).tolist()
    kind = rng.random()
    if kind < 0.35:
      angle = rng.uniform(0.0, 90.0)
      box = cv2.boxPoints(
        ((x, y), (abs(width) + side / 4, abs(height) + side / 6), angle)
      )
      cv2.fillConvexPoly(image, np.int32(np.rint(box)), color, cv2.LINE_AA)  # pyright: ignore[reportCallIssue, reportArgumentType]
    elif kind < 0.55:
      radius = (round(abs(width) / 3 + 2), round(abs(height) / 3 + 2))
      turn = rng.uniform(0.0, 180.0)
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
        side / rng.uniform(100.0, 400.0), color, 1, cv2.LINE_AA,
      )  # fmt: skip


def grain(image: Image, rng: np.random.Generator) -> Image:
  """Fibres and stains: coarse and fine unevenness of the paper.

  Args:
    image: uint8[side, side, 3].
    rng: source of randomness.
  """
  cells = int(rng.integers(3, 9))
  image = add_stains(image, rng.uniform(2.0, 12.0), cells, rng)
  return add_noise(image, rng.uniform(0.6, 5.0), rng, grey=True)


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
