"""Glyphs: the font's lines, all of them, in a hand's order."""

import numpy as np
import pytest

from inksight_jax.rendering.glyphs import load_font


@pytest.mark.parametrize("font", ["futural", "cursive"])
def test_pen_orders_use_every_line_of_the_font_once(font):
  """Nothing drawn by the font may be lost or drawn twice."""
  from HersheyFonts import HersheyFonts

  hershey = HersheyFonts()
  hershey.load_default_font(font)
  for character, glyph in load_font(font).items():
    lines = [line for pen_down in glyph.pen_downs for line in pen_down]
    lines += glyph.marks
    drawn = hershey.all_glyphs[character].strokes
    assert len(lines) == len(drawn), character
    assert sum(map(len, lines)) <= sum(map(len, drawn)), character
    starts = {tuple(np.round(line, 6)[i]) for line in lines for i in (0, -1)}
    assert len(starts) >= len({line[0] for line in drawn}) - 1, character


def test_bowls_come_before_stems_and_dots_last():
  for letter in "adgq":
    first = load_font("futural")[letter].pen_downs[0][0]
    assert np.ptp(first[:, 0]) > 0.5  # the bowl; a stem is a plumb line
  glyph = load_font("futural")["i"]
  (dot,) = glyph.marks
  (stem,) = glyph.pen_downs[0]
  assert np.ptp(dot, axis=0).max() == 0
  assert dot[0, 1] < stem[:, 1].min()


@pytest.mark.parametrize("font", ["futural", "cursive"])
def test_baseline_and_x_height(font):
  glyph = load_font(font)["x"]
  points = np.concatenate([line for pen in glyph.pen_downs for line in pen])
  assert points[:, 1].max() == pytest.approx(0, abs=0.05)
  assert points[:, 1].min() == pytest.approx(-1, abs=0.05)


def test_cursive_letters_meet_at_the_edges():
  font = load_font("cursive")
  for letter in "bcdefhiklmnprstuvwxyz":
    end = font[letter].pen_downs[-1][-1][-1]
    assert abs(end[0] - font[letter].advance) < 0.15, letter
  for letter in "acdgoq":
    lead, start = font[letter].lead_in, font[letter].pen_downs[0][0][0]
    assert lead[0, 0] < start[0] and (lead[:, 1] < -0.5).all(), letter


def test_unknown_fonts_are_refused():
  with pytest.raises(ValueError, match="comic"):
    load_font("comic")
