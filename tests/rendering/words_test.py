"""Words in frames: where their ink lies."""

import numpy as np
import pytest

from inksight_jax.ink.types import Ink
from inksight_jax.rendering.words import (
  draw_found,
  draw_spread,
  spread_picture,
)

SIZE = (32, 96)


def zigzag(width: float, ascender: float = 0.0) -> Ink:
  """Small letters from 0 to 10 and perhaps a tall stroke before them."""
  x = np.linspace(0.0, width, 401)
  y = 10.0 * np.abs((np.arange(401) / 10) % 2 - 1.0)
  strokes = [np.stack([x, y], axis=1)]
  if ascender:
    strokes.insert(0, np.array([[0.0, 10.0], [0.0, 10.0 - ascender]]))
  return Ink.from_arrays(strokes)


def box(image: np.ndarray) -> tuple[int, int, int, int]:
  """First and last column and row that are darker than half."""
  dark = image[:, :, 0] < 128
  columns, rows = np.flatnonzero(dark.any(0)), np.flatnonzero(dark.any(1))
  return tuple(int(v) for v in (columns[0], columns[-1], rows[0], rows[-1]))


def test_a_spread_word_fills_its_width_and_keeps_its_band():
  image = draw_spread(zigzag(40.0), SIZE, 64, pen=2.0)
  left, right, top, bottom = box(image)
  assert 0 <= left <= 2 and 61 <= right <= 63
  assert abs((top + bottom) / 2 - 15.5) <= 1.5
  # An ascender moves nothing: small letters lie where they did.
  tall = draw_spread(zigzag(40.0, 13.0), SIZE, 64, pen=2.0)
  assert box(tall)[2] < top - 3
  assert box(tall[:, 10:])[2:] == pytest.approx((top, bottom), abs=1.5)
  assert (image[:, 64:] == 255).all()


def test_nothing_is_cut_off_and_lines_keep_their_width():
  for ink in (zigzag(4.0, 200.0), zigzag(900.0), zigzag(0.5)):
    for image in (
      draw_spread(ink, SIZE, 32, pen=2.0),
      draw_found(ink, SIZE, pen=2.0),
      draw_found(ink, SIZE, 2.0, fill=0.6, sink=1.0),
    ):
      dark = image[:, :, 0] < 128
      assert dark.any()
      assert not dark[[0, -1]].any() and not dark[:, -1].any()
  # A lone stroke is not drawn out to a bar.
  left, right, *_ = box(draw_spread(zigzag(0.5, 20.0), SIZE, 96, pen=2.0))
  assert right - left < 6


def test_a_found_word_keeps_its_aspect():
  ink = zigzag(30.0)
  left, right, top, bottom = box(draw_found(ink, SIZE, pen=1.0))
  assert left <= 2
  assert (right - left) / (bottom - top) == pytest.approx(3.0, rel=0.1)
  small = box(draw_found(ink, SIZE, pen=1.0, fill=0.5, sink=0.0))
  assert small[3] - small[2] == pytest.approx((bottom - top) / 2, abs=1.5)
  assert small[2] <= top + 1


def test_a_spread_picture_gets_white_paper():
  image = np.full((40, 50, 3), (200, 180, 160), np.uint8)
  image[10:30, 10:40] = 40
  spread = spread_picture(image, SIZE, 48)
  assert spread.shape == (*SIZE, 3)
  assert (spread[:2] == 255).all() and (spread[:, 48:] == 255).all()
  left, right, top, bottom = box(spread)
  assert (left, top) == (pytest.approx(9.6, abs=1), pytest.approx(8, abs=1))
  assert right == pytest.approx(37.4, abs=1)
  assert bottom == pytest.approx(23, abs=1)
