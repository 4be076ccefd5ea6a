"""Generated words: plausible timing, legible shapes, the same for a seed."""

import dataclasses

import numpy as np
import pytest

from inksight_jax.ink.types import Ink
from inksight_jax.rendering.glyphs import CURSIVE_FONTS, PRINT_FONTS, load_font
from inksight_jax.rendering.handwriting import (
  HandwritingConfig,
  supported_characters,
  write_word,
)
from inksight_jax.rendering.strokes import draw_coverage

WORDS = ("hello", "quick", "jumping", "Berlin", "x", "i", "don't", "to be")


def neat(font, **changes):
  return HandwritingConfig(
    fonts=(font,),
    messiness=0.0,
    slant=(0.0, 0.0),
    aspect=(1.0, 1.0),
    spacing=(0.0, 0.0),
    **changes,
  )


@pytest.mark.parametrize("font", PRINT_FONTS + CURSIVE_FONTS)
def test_every_character_of_a_font_can_be_written(font):
  characters = supported_characters((font,))
  assert set("abcxyzABCXYZ0123456789.,!?'-").issubset(characters)
  config = HandwritingConfig(fonts=(font,))
  for character in characters.strip(" "):
    ink = write_word(character, np.random.default_rng(0), config)
    assert ink.num_points >= 1


def test_the_same_seed_gives_the_same_ink():
  for word in WORDS:
    first = write_word(word, np.random.default_rng(7))
    again = write_word(word, np.random.default_rng(7))
    np.testing.assert_array_equal(first.points, again.points)
    other = write_word(word, np.random.default_rng(8))
    assert (
      first.num_points != other.num_points
      or np.abs(first.points - other.points).max() > 1
    )


@pytest.mark.parametrize("seed", range(6))
def test_times_are_those_of_a_pen(seed):
  config = HandwritingConfig()
  for word in WORDS:
    ink = write_word(word, np.random.default_rng(seed), config)
    times = np.concatenate([stroke.times for stroke in ink.strokes])
    assert times[0] == 0
    assert (np.diff(times) > 0).all()
    for stroke in ink.strokes:
      steps = np.diff(stroke.times)
      assert (steps <= config.period + 1e-6).all()
      np.testing.assert_allclose(steps[:-1], config.period, rtol=1e-6)
    for before, after in zip(ink.strokes, ink.strokes[1:], strict=False):
      assert after.times[0] - before.times[-1] >= config.pause[0]
    letters = len(word.replace(" ", ""))
    if letters > 3:
      assert 120 < times[-1] / letters < 900


def test_the_pen_slows_down_in_corners():
  # A printed "v" has one corner, at its foot.
  config = neat("futural", keep_joined=(1.0, 1.0), period=2.0)
  ink = write_word("v", np.random.default_rng(0), config)
  (stroke,) = ink.strokes
  speed = np.hypot(*np.diff(stroke.points, axis=0).T) / np.diff(stroke.times)
  foot = int(np.argmax(stroke.points[:, 1]))
  middle = speed[foot // 2]
  assert speed[foot] < 0.6 * middle
  assert speed[0] < 0.6 * middle


@pytest.mark.parametrize("font", ["futural", "cursive"])
def test_without_mess_the_letters_are_the_fonts(font):
  """Drawn ink covers the font's own lines, which are drawn independently."""
  config = neat(font, x_height=60.0, period=2.0, drop_dot=0.0)
  for character in "abdeghijkmnpqrstuvwxyzABEGHKMNRTW2345678":
    ink = write_word(character, np.random.default_rng(0), config)
    glyph = load_font(font)[character]
    lines = [line for pen_down in glyph.pen_downs for line in pen_down]
    font_ink = Ink.from_arrays([*lines, *glyph.marks]).scaled(60.0)
    left, top, right, bottom = font_ink.bounds
    font_ink = font_ink.scaled(1.0, (20 - left, 20 - top))
    height, width = int(bottom - top) + 40, int(right - left) + 40
    ink = ink.scaled(1.0, (20, 20))
    wide = draw_coverage(ink, height, width, 16.0) > 0
    thin = draw_coverage(font_ink, height, width, 1.0) > 128
    assert (wide & thin).sum() >= 0.97 * thin.sum(), character


def test_cursive_joins_and_print_lifts():
  rng = np.random.default_rng(0)
  joined = neat("cursive", keep_joined=(1.0, 1.0))
  assert len(write_word("lune", rng, joined)) == 1
  # Dots and bars wait until the word is done.
  ink = write_word("mint", rng, joined)
  assert len(ink) == 3
  assert ink.strokes[0].length > 10 * ink.strokes[1].length
  assert len(write_word("lune", rng, neat("futural"))) == 4


def test_x_height_is_in_pixels():
  for font in ("futural", "cursive"):
    for x_height in (20.0, 100.0):
      ink = write_word(
        "x", np.random.default_rng(0), neat(font, x_height=x_height)
      )
      left, top, _, bottom = ink.bounds
      assert (left, top) == (0.0, 0.0)
      assert bottom - top == pytest.approx(x_height, rel=0.1)


def test_messiness_grows_the_difference_between_hands():
  def spread(messiness):
    config = dataclasses.replace(neat("futural"), messiness=messiness)
    words = [
      write_word("o", np.random.default_rng(seed), config) for seed in range(8)
    ]
    return np.std([word.bounds[2] / word.bounds[3] for word in words])

  assert spread(0.0) < 5e-3 < spread(1.0) < spread(3.0)


def test_bad_requests_say_what_is_wrong():
  rng = np.random.default_rng(0)
  with pytest.raises(ValueError, match="漢"):
    write_word("a漢", rng)
  with pytest.raises(ValueError, match="nothing to write"):
    write_word("  ", rng)
  with pytest.raises(ValueError, match="fonts"):
    HandwritingConfig(fonts=())
  with pytest.raises(ValueError, match="period"):
    HandwritingConfig(period=0.0)
