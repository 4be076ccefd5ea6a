"""Writing ink as SVG."""

from __future__ import annotations

import itertools

import numpy as np

from inksight_jax.ink.colors import stroke_color
from inksight_jax.ink.types import FloatArray, Ink

# Colours along the writing order; more would only make the file longer.
_COLOR_STEPS = 32


def write_svg(
  ink: Ink,
  width: float,
  height: float,
  stroke_width: float = 2,
  color_by_order: bool = False,
) -> str:
  """Draws ink as an SVG document.

  Args:
    ink: points in pixels; (0, 0) is the centre of the top left pixel, as in
      `rendering`, so the drawing lies exactly over a picture of that size.
    width: of the picture, pixels.
    height: of the picture, pixels.
    stroke_width: pixels.
    color_by_order: colours the ink from first to last point instead of black.

  Returns:
    The document as text. One-point strokes are dots of the stroke's width.
  """
  check_size(width, height, stroke_width)
  lines = [
    f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" '
    f'height="{height:g}" viewBox="-0.5 -0.5 {width:g} {height:g}">',
    f'<g fill="none" stroke="#000000" stroke-width="{stroke_width:g}" '
    'stroke-linecap="round" stroke-linejoin="round">',
  ]
  first = 0
  for stroke in ink.strokes:
    if not color_by_order:
      lines.append(polyline(stroke.points))
    else:
      fractions = (first + np.arange(len(stroke))) / max(1, ink.num_points - 1)
      lines.extend(_colored_lines(stroke.points, fractions))
    first += len(stroke)
  lines += ["</g>", "</svg>", ""]
  return "\n".join(lines)


def check_size(width: float, height: float, stroke_width: float) -> None:
  """Raises a ValueError unless all three are positive."""
  if not (width > 0 and height > 0 and stroke_width > 0):
    raise ValueError(
      "Width, height and stroke width must be positive pixels; got "
      f"{width}, {height} and {stroke_width}."
    )


def polyline(points: FloatArray, attributes: str = "") -> str:
  """An element through points; `attributes` begin with a blank."""
  # A path of no length draws a dot, because the line caps are round.
  if len(points) == 1:
    points = np.repeat(points, 2, axis=0)
  path = " ".join(f"{x:.2f},{y:.2f}" for x, y in points.tolist())
  return f'<polyline{attributes} points="{path}"/>'


def _colored_lines(points: FloatArray, fractions: FloatArray) -> list[str]:
  """One line per run of segments that share a colour."""
  # A segment takes the colour of the point it starts from.
  steps = np.rint(fractions * (_COLOR_STEPS - 1)).astype(int)
  steps = steps[: max(1, len(steps) - 1)].tolist()
  lines = []
  first = 0
  for step, run in itertools.groupby(steps):
    last = first + len(list(run))
    red, green, blue = stroke_color(step / (_COLOR_STEPS - 1))
    color = f' stroke="#{red:02x}{green:02x}{blue:02x}"'
    lines.append(polyline(points[first : last + 1], color))
    first = last
  return lines
