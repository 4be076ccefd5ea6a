"""Ink that writes itself, as an SVG without script."""

from __future__ import annotations

from inksight_jax.ink.colors import stroke_color
from inksight_jax.ink.page import Page, Picture
from inksight_jax.ink.svg import check_size, polyline
from inksight_jax.ink.timing import Span, spans
from inksight_jax.ink.types import Stroke

# Seconds that the finished writing stands before it starts again.
_REST = 2.0
# A dash as long as the stroke (pathLength makes it 1) is shifted out of sight.
# Gap and shift are longer than 1 by a little, or the round caps of both ends
# would show as dots.
_GAP, _SHIFT = 1.2, 1.1


def write_animated_svg(page: Page) -> str:
  """Draws ink that appears stroke by stroke, again and again.

  Strokes are dashes whose offset CSS animates, in writing order, each for a
  time proportional to its length. A viewer without CSS animations, and a
  reader who asked for less motion, sees the finished ink.

  Args:
    page: its ink in pixels; (0, 0) is the centre of the top left pixel. Its
      picture, if any, lies faded below.

  Returns:
    The document as text.
  """
  check_size(page.width, page.height, page.line_width)
  times = spans(page)
  total = (times[-1].end if times else 0.0) + _REST
  rules, lines = [], []
  strokes = page.ink.strokes
  for index, (stroke, time) in enumerate(zip(strokes, times, strict=True)):
    rules.append(_keyframes(index, stroke, time, total))
    red, green, blue = stroke_color(index / max(1, len(strokes) - 1))
    dot = stroke.length == 0
    # A dot has no length that a dash could be a part of.
    lines.append(
      polyline(
        stroke.points,
        f' class="{"d" if dot else "s"}"'
        f' stroke="#{red:02x}{green:02x}{blue:02x}"'
        + ("" if dot else ' pathLength="1"')
        + f' style="animation-name:k{index}"',
      )
    )
  style = "\n".join(
    [
      f".s{{stroke-dasharray:1 {_GAP}}}",
      f".s,.d{{animation:{total:.3f}s linear infinite}}",
      "@media (prefers-reduced-motion:reduce){.s,.d{animation:none!important}}",
      *rules,
    ]
  )
  return "\n".join(
    [
      f'<svg xmlns="http://www.w3.org/2000/svg" width="{page.width}" '
      f'height="{page.height}" '
      f'viewBox="-0.5 -0.5 {page.width} {page.height}">',
      f"<style>\n{style}\n</style>",
      *([image_element(page, page.picture)] if page.picture else []),
      f'<g fill="none" stroke-width="{page.line_width:g}" '
      'stroke-linecap="round" stroke-linejoin="round">',
      *lines,
      "</g>",
      "</svg>",
      "",
    ]
  )


def image_element(page: Page, picture: Picture, opacity: float = 0.5) -> str:
  """An SVG image of the size of the page that holds its own data."""
  return (
    f'<image x="-0.5" y="-0.5" width="{page.width}" height="{page.height}" '
    f'preserveAspectRatio="none" opacity="{opacity:g}" '
    f'href="{picture.data_uri}"/>'
  )


def _keyframes(index: int, stroke: Stroke, time: Span, total: float) -> str:
  start, end = (100 * moment / total for moment in (time.start, time.end))
  if stroke.length == 0:
    # Two frames at one place make a step.
    return (
      f"@keyframes k{index}{{0%,{start:.4f}%{{visibility:hidden}}"
      f"{start + 0.001:.4f}%,to{{visibility:visible}}}}"
    )
  return (
    f"@keyframes k{index}{{0%,{start:.4f}%{{stroke-dashoffset:{_SHIFT}}}"
    f"{end:.4f}%,to{{stroke-dashoffset:0}}}}"
  )
