"""Ink to pixels: anti-aliased strokes with OpenCV.

One convention holds everywhere: the point (x, y) of an ink is the centre of
pixel column x, row y.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.colors import stroke_color
from inksight_jax.ink.types import Ink
from inksight_jax.rendering.composite import composite

Image = NDArray[np.uint8]
Color = tuple[int, int, int]

# OpenCV takes coordinates in 1/2**shift pixels and whole-pixel thickness only.
_SHIFT = 4
# Far beyond any picture, small enough for OpenCV's fixed-point numbers.
_MAX_COORDINATE = 1e6


@dataclasses.dataclass(frozen=True)
class Style:
  """How ink looks.

  Attributes:
    width: stroke width in image pixels; fractions count.
    ink_color: RGB in 0..255.
    paper_color: RGB in 0..255.
    antialias: smooth edges; without it every pixel is ink or paper.
  """

  width: float = 2.0
  ink_color: Color = (0, 0, 0)
  paper_color: Color = (255, 255, 255)
  antialias: bool = True

  def __post_init__(self) -> None:
    _check_width(self.width)


def _check_width(width: float) -> None:
  if not 0 < width <= 1000:
    raise ValueError(
      f"A stroke width must lie in (0, 1000] pixels; got {width}."
    )


def _check_size(height: int, width: int) -> None:
  if height < 1 or width < 1:
    raise ValueError(
      f"A picture needs at least 1 x 1 pixel; got {height} x {width}."
    )


def plain(height: int, width: int, color: Color) -> Image:
  """A picture of one colour, uint8[height, width, 3]."""
  # Rows at once: NumPy repeats three bytes at a time far more slowly.
  image = np.empty((height, 3 * width), np.uint8)
  image[:] = np.frombuffer(bytes(color) * width, np.uint8)
  return image.reshape(height, width, 3)


def _supersampling(height: int, width: int, antialias: bool) -> int:
  """Samples per pixel and axis: finer for small pictures, which show it."""
  if not antialias:
    return 1
  side = max(height, width)
  return 8 if side <= 96 else 4 if side <= 640 else 2 if side <= 4096 else 1


def _reduce(fine: Image, factor: int) -> Image:
  """Averages blocks of `factor` x `factor` samples; `factor` a power of 2."""
  # OpenCV averages 2 x 2 blocks tens of times faster than any other size.
  while factor > 1:
    height, width = fine.shape[:2]
    halved = cv2.resize(
      fine, (width // 2, height // 2), interpolation=cv2.INTER_AREA
    )
    fine = halved.astype(np.uint8, copy=False)
    factor //= 2
  return fine


def _fixed_point(points: NDArray[np.float64], factor: int) -> NDArray[np.int32]:
  # The centre of pixel 0 is sample (factor - 1) / 2 of the finer picture.
  samples = points * factor + (factor - 1) / 2
  samples = np.minimum(np.maximum(samples, -_MAX_COORDINATE), _MAX_COORDINATE)
  return np.rint(samples * (1 << _SHIFT)).astype(np.int32, order="C")


def _draw_stroke(
  image: Image,
  points: NDArray[np.int32],
  width: float,
  factor: int,
  color: Color | int,
) -> None:
  """Draws fixed-point `points` with round ends, in place; width in pixels."""
  if (points == points[0]).all():
    # A resting pen leaves more ink: dots are half a pixel wider than lines. A
    # filled circle of radius r covers 2 r + 1 samples.
    radius = ((width + 0.5) * factor - 1) / 2
    radius = max(1, round(radius * (1 << _SHIFT)))
    x, y = points[0].tolist()
    cv2.circle(image, (x, y), radius, color, cv2.FILLED, cv2.LINE_8, _SHIFT)
    return
  thickness = _thickness(width, factor)
  cv2.polylines(image, [points], False, color, thickness, cv2.LINE_8, _SHIFT)


def _thickness(width: float, factor: int) -> int:
  """What to ask of OpenCV for lines of `width` pixels."""
  # OpenCV draws thickness 2 k as 2 k + 1 samples and 1 as 1; smooth edges come
  # from the samples, since its own LINE_AA is slow and a pixel too wide.
  return max(1, 2 * int(width * factor / 2))


def draw_coverage(
  ink: Ink,
  height: int,
  width: int,
  line_width: float | Sequence[float] = 2.0,
  antialias: bool = True,
) -> Image:
  """Draws how much of each pixel is covered by ink.

  Args:
    ink: points in pixels of the picture; what lies outside is cut off.
    height: rows of the picture.
    width: columns of the picture.
    line_width: pixels, one for all strokes or one per stroke.
    antialias: grey edges; otherwise the values are 0 and 255 only.

  Returns:
    uint8[height, width], 0 for paper and 255 for full ink.

  Raises:
    ValueError: the picture has no pixel, or a width is not positive, or there
      are not as many widths as strokes.
  """
  _check_size(height, width)
  if np.ndim(line_width) == 0:
    widths = [float(line_width)] * len(ink)  # pyright: ignore[reportArgumentType]
  else:
    widths = [float(value) for value in line_width]  # pyright: ignore[reportGeneralTypeIssues]
  if len(widths) != len(ink):
    raise ValueError(
      f"{len(widths)} line widths for {len(ink)} strokes; give one per stroke."
    )
  coverage = np.zeros((height, width), np.uint8)
  piece, (left, top) = draw_piece(ink, height, width, widths, antialias)
  coverage[top : top + len(piece), left : left + piece.shape[1]] = piece
  return coverage


def draw_piece(
  ink: Ink,
  height: int,
  width: int,
  widths: Sequence[float],
  antialias: bool = True,
) -> tuple[Image, tuple[int, int]]:
  """`draw_coverage` where there is ink: a word fills a third of its square.

  Args:
    ink: points in pixels of the picture.
    height: rows of the picture.
    width: columns of the picture.
    widths: pixels, one per stroke.
    antialias: grey edges.

  Returns:
    uint8[rows, columns], and the (left, top) of it in the picture; no rows and
    columns where no ink is in the picture.
  """
  nothing = np.zeros((0, 0), np.uint8), (0, 0)
  if not ink:
    return nothing
  for stroke_width in widths:
    _check_width(stroke_width)
  left, top, right, bottom = _box(ink, max(widths), height, width)
  if left >= right or top >= bottom:
    return nothing
  factor = _supersampling(height, width, antialias)
  fine = np.zeros(((bottom - top) * factor, (right - left) * factor), np.uint8)
  samples = _fixed_point(ink.points, factor)
  samples -= np.array([left, top], np.int32) * (factor << _SHIFT)
  # A stroke is a dot where nothing has moved from its first point to its last.
  moves = (samples[1:] != samples[:-1]).any(axis=1).cumsum().tolist()
  moves.insert(0, 0)
  lines: dict[int, list[NDArray[np.int32]]] = {}
  end = 0
  for stroke, stroke_width in zip(ink.strokes, widths, strict=True):
    start, end = end, end + len(stroke.points)
    points = samples[start:end]
    if moves[end - 1] == moves[start]:
      _draw_stroke(fine, points, stroke_width, factor, 255)
    else:
      # All lines of a width at once.
      lines.setdefault(_thickness(stroke_width, factor), []).append(points)
  for thickness, group in lines.items():
    cv2.polylines(fine, group, False, 255, thickness, cv2.LINE_8, _SHIFT)
  return _reduce(fine, factor), (left, top)


def _box(
  ink: Ink, line_width: float, height: int, width: int
) -> tuple[int, int, int, int]:
  """Whole pixels around all ink within the picture: left, top, right, bottom.

  Args:
    ink: not empty.
    line_width: the widest, pixels.
    height, width: of the picture.
  """
  # Dots are half a pixel wider, the rest is for rounding.
  reach = line_width / 2 + 2
  left, top, right, bottom = ink.bounds
  return (
    max(0, math.floor(left - reach)),
    max(0, math.floor(top - reach)),
    min(width, math.ceil(right + reach + 1)),
    min(height, math.ceil(bottom + reach + 1)),
  )


def _paper(
  height: int, width: int, style: Style, background: Image | None
) -> Image:
  if background is None:
    return plain(height, width, style.paper_color)
  if background.shape != (height, width, 3):
    raise ValueError(
      f"The background is {background.shape}, the picture "
      f"{(height, width, 3)}; resize the background first."
    )
  return background.copy()


def _enlarge(image: Image, factor: int) -> Image:
  if factor == 1:
    return image
  height, width = image.shape[:2]
  enlarged = cv2.resize(
    image,
    (width * factor, height * factor),
    interpolation=cv2.INTER_NEAREST,
  )
  return enlarged.astype(np.uint8, copy=False)


def draw_ink(
  ink: Ink,
  height: int,
  width: int,
  style: Style = Style(),
  colors: Sequence[Color] | None = None,
  background: Image | None = None,
) -> Image:
  """Draws ink as round-ended lines; strokes of one place are round dots.

  Args:
    ink: points in pixels of the picture, pixel centres at whole numbers.
    height: rows of the picture.
    width: columns of the picture.
    style: width and colours.
    colors: RGB per stroke instead of `style.ink_color`; later strokes lie on
      top of earlier ones.
    background: uint8[height, width, 3] to draw upon instead of paper; kept.

  Returns:
    uint8[height, width, 3] RGB.

  Raises:
    ValueError: an empty picture, a background of another size, or not as many
      colours as strokes.
  """
  _check_size(height, width)
  image = _paper(height, width, style, background)
  if colors is None:
    coverage = draw_coverage(ink, height, width, style.width, style.antialias)
    return composite(image, coverage, style.ink_color)
  if len(colors) != len(ink):
    raise ValueError(
      f"{len(colors)} colours for {len(ink)} strokes; give one per stroke."
    )
  factor = _supersampling(height, width, style.antialias)
  fine = _enlarge(image, factor)
  for stroke, color in zip(ink.strokes, colors, strict=True):
    points = _fixed_point(stroke.points, factor)
    _draw_stroke(fine, points, style.width, factor, color)
  return _reduce(fine, factor)


@functools.lru_cache(256)
def _order_color(level: int) -> Color:
  return stroke_color(level / 255)


def draw_order_frames(
  ink: Ink,
  height: int,
  width: int,
  line_width: float,
  counts: Sequence[int],
  background: Image | None = None,
) -> list[Image]:
  """Draws the first points of an ink, coloured by writing order.

  Args:
    ink: points in pixels of the picture.
    height: rows of the picture.
    width: columns of the picture.
    line_width: pixels.
    counts: points written in each frame, ascending.
    background: uint8[height, width, 3] to draw upon instead of white; kept.

  Returns:
    uint8[height, width, 3] RGB per frame, colours of
    `ink.colors.stroke_color` over the whole ink.

  Raises:
    ValueError: a bad size, width or background, or counts that go down.
  """
  _check_size(height, width)
  _check_width(line_width)
  if any(after < before for before, after in itertools.pairwise(counts)):
    raise ValueError(f"`counts` must not go down; got {list(counts)}.")
  image = _paper(height, width, Style(), background)
  factor = _supersampling(height, width, True)
  fine = _enlarge(image, factor)
  last = max(ink.num_points - 1, 1)
  # One line per point, from the point before it; the first point of a stroke
  # has none unless it is a dot.
  lines = []
  for stroke in ink.strokes:
    points = _fixed_point(stroke.points, factor)
    lines.append(points if len(points) == 1 else None)
    lines += [points[i - 1 : i + 1] for i in range(1, len(points))]
  frames = []
  drawn = 0
  for count in counts:
    for index, line in enumerate(lines[drawn:count], drawn):
      if line is not None:
        color = _order_color(round(index / last * 255))
        _draw_stroke(fine, line, line_width, factor, color)
    drawn = max(drawn, count)
    # A copy where nothing is reduced: drawing goes on in `fine`.
    frames.append(_reduce(fine, factor) if factor > 1 else fine.copy())
  return frames


def draw_ordered(
  ink: Ink,
  height: int,
  width: int,
  line_width: float = 2.0,
  background: Image | None = None,
) -> Image:
  """Draws ink coloured by writing order, first point to last.

  Args:
    ink: points in pixels of the picture.
    height: rows of the picture.
    width: columns of the picture.
    line_width: pixels.
    background: uint8[height, width, 3] to draw upon instead of white; kept.

  Returns:
    uint8[height, width, 3] RGB, colours of `ink.colors.stroke_color`.
  """
  (image,) = draw_order_frames(
    ink, height, width, line_width, [ink.num_points], background
  )
  return image
