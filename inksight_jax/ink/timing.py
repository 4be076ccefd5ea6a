"""When each stroke is written, for pictures that move."""

from __future__ import annotations

import dataclasses

import numpy as np

from inksight_jax.ink.page import Page

# Pace of a calm hand: a letter of height h takes about 3 h of ink.
_HEIGHTS_PER_SECOND = 6.0
# The pen flies faster than it writes, and never rests for longer.
_FLIGHT_SPEED = 2.0
_LONGEST_FLIGHT = 0.4
_SHORTEST_STROKE = 0.06


@dataclasses.dataclass(frozen=True)
class Span:
  """Seconds from the start of the writing; end is after start."""

  start: float
  end: float


def spans(page: Page) -> list[Span]:
  """Times of all strokes in writing order, by arc length at one even pace.

  Args:
    page: its ink in pixels; points may have times of their own, which are not
      used: a model's ink has none.

  Returns:
    One span per stroke of `page.ink`, in order, not overlapping; to 1 ms.
  """
  heights = [
    bottom - top
    for _, top, _, bottom in (w.ink.bounds for w in page.words if w.ink)
  ]
  # A word of dashes is flat; its letters are not.
  height = max(float(np.median(heights)), page.line_width) if heights else 1.0
  pace = _HEIGHTS_PER_SECOND * max(height, 1e-3)
  now, found = 0.0, []
  previous = None
  for stroke in page.ink.strokes:
    if previous is not None:
      flight = float(np.hypot(*(stroke.points[0] - previous)))
      now += min(_LONGEST_FLIGHT, flight / pace / _FLIGHT_SPEED)
    start = round(now, 3)
    now += max(_SHORTEST_STROKE, stroke.length / pace)
    found.append(Span(start, round(now, 3)))
    previous = stroke.points[-1]
  return found
