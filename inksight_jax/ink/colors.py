"""The palette for pictures that show writing order."""

from __future__ import annotations

import numpy as np

# Blue, teal, green, orange, red: hue alone tells the order, and every stop is
# dark enough to read on white paper.
_STOPS = np.array(
  [(38, 70, 200), (0, 145, 165), (50, 150, 60), (235, 135, 0), (205, 30, 45)],
  np.float64,
)


def stroke_color(fraction: float) -> tuple[int, int, int]:
  """Colour of a moment of writing.

  Args:
    fraction: 0 for the first point written, 1 for the last; clipped.

  Returns:
    (red, green, blue), each in 0..255.
  """
  positions = np.linspace(0.0, 1.0, len(_STOPS))
  red, green, blue = (
    round(float(np.interp(fraction, positions, channel)))
    for channel in _STOPS.T
  )
  return red, green, blue
