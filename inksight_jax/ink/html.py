"""One HTML page that plays the ink over the photo, without any network."""

from __future__ import annotations

import html
import pathlib
import re
from collections.abc import Mapping, Sequence

from inksight_jax.ink.animated_svg import image_element
from inksight_jax.ink.colors import stroke_color
from inksight_jax.ink.page import Page, Word
from inksight_jax.ink.safe_xml import legal_text
from inksight_jax.ink.svg import check_size, polyline
from inksight_jax.ink.timing import Span, spans
from inksight_jax.ink.types import Stroke

_TEMPLATE = pathlib.Path(__file__).with_name("player.html")
_HOLE = re.compile(r"{{(\w+)}}")


def write_html(page: Page, title: str = "") -> str:
  """Writes a player: play, pause, speed, step through words, confidence.

  Everything is inside: photo, style and script; a content security policy
  forbids the rest. Without script the finished ink and the texts show.

  Args:
    page: its ink in pixels; its picture, if any, lies faded below.
    title: heading; the image's name by default.

  Returns:
    The document as text.
  """
  check_size(page.width, page.height, page.line_width)
  times = spans(page)
  word_times = _word_spans(page, times)
  words = [
    f'<li><ol class="line">{"".join(items)}</ol></li>'
    for items in _items(page, word_times)
  ]
  count = len(page.words)
  holes = {
    "title": _escape(title or page.image_name or "Handwriting"),
    "summary": f"{count} {'word' if count == 1 else 'words'}, "
    f"{len(times)} {'stroke' if len(times) == 1 else 'strokes'}",
    "width": str(page.width),
    "height": str(page.height),
    "line_width": f"{page.line_width:g}",
    "label": _escape(f"Handwriting: {page.text or 'no text'}"),
    "picture": image_element(page, page.picture) if page.picture else "",
    "hidden": "" if page.picture else " hidden",
    "strokes": "\n".join(_groups(page, times)),
    "words": "\n".join(words),
    "duration": f"{times[-1].end if times else 0:.2f}",
  }
  return _fill(_TEMPLATE.read_text(encoding="utf-8"), holes)


def _fill(template: str, holes: Mapping[str, str]) -> str:
  """Fills all holes in one pass: what is filled in is not looked at again."""
  return _HOLE.sub(lambda match: holes[match[1]], template)


def _escape(text: str) -> str:
  return html.escape(legal_text(text), quote=True)


def _word_spans(page: Page, times: Sequence[Span]) -> list[Span]:
  """From the first to the last stroke; words without ink take no time."""
  found, first, now = [], 0, 0.0
  for word in page.words:
    own = times[first : first + len(word.ink)]
    first += len(word.ink)
    found.append(Span(own[0].start, own[-1].end) if own else Span(now, now))
    now = found[-1].end
  return found


def _groups(page: Page, times: Sequence[Span]) -> list[str]:
  """Box and strokes of each word."""
  lines, index = [], 0
  for number, word in enumerate(page.words):
    left, top, right, bottom = word.box
    # Edges of pixels against centres: half a pixel.
    lines.append(
      f'<g data-word="{number}"><rect x="{left - 0.5:g}" y="{top - 0.5:g}" '
      f'width="{max(0.0, right - left):g}" '
      f'height="{max(0.0, bottom - top):g}"/>'
    )
    for stroke in word.ink.strokes:
      fraction = index / max(1, len(times) - 1)
      lines.append(_stroke(stroke, times[index], fraction))
      index += 1
    lines.append("</g>")
  return lines


def _stroke(stroke: Stroke, time: Span, fraction: float) -> str:
  red, green, blue = stroke_color(fraction)
  # A dot has no length that a dash could be a part of.
  length = ' pathLength="1"' if stroke.length > 0 else ""
  return polyline(
    stroke.points,
    f' stroke="#{red:02x}{green:02x}{blue:02x}"{length}'
    f' data-start="{time.start:.3f}" data-end="{time.end:.3f}"',
  )


def _items(page: Page, times: Sequence[Span]) -> list[list[str]]:
  """Buttons of the words of each line."""
  number, lines = 0, []
  for line in page.lines:
    items = []
    for word in line:
      items.append(_button(word, times[number]))
      number += 1
    lines.append(items)
  return lines


def _button(word: Word, time: Span) -> str:
  shown = _escape(word.text) or "(no text)"
  percent = (
    "" if word.confidence is None else f"{round(100 * word.confidence)} %"
  )
  characters = " ".join(f"{value:.3f}" for value in word.characters)
  return (
    f'<li><button type="button" data-start="{time.start:.3f}" '
    f'data-end="{time.end:.3f}" data-text="{_escape(word.text)}" '
    f'data-confidence="{percent}" data-characters="{characters}">'
    f'<span dir="auto">{shown}</span>'
    f'<span class="quiet">{percent}</span></button></li>'
  )
