"""Words in fonts: what is drawn is what is written, in the right direction."""

import pathlib

import cv2
import numpy as np
import pytest

from inksight_jax.datasets import font_words
from inksight_jax.datasets.registry import load_records

matplotlib = pytest.importorskip("matplotlib")
# A font with Latin letters that comes with a library.
FONT = (
  pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
)
LATIN = {"alphabet": "abcde", "min_length": 3, "max_length": 4}


def _read(split="train", **options):
  options = {**LATIN, "count": 8, "held_out_count": 6, **options}
  return list(load_records("font_words", FONT, split, **options))


def test_words_are_drawn_across_and_downwards():
  for vertical in (0.0, 1.0):
    for record in _read(vertical=vertical):
      height, width = record.image.shape[:2]
      assert (height > width) == bool(vertical)
      # As many pieces of ink as letters.
      grey = record.image.astype(float).mean(axis=-1)
      paper = grey[0, 0]
      ink = np.abs(grey - paper) > 0.5 * np.abs(grey - paper).max()
      pieces, _ = cv2.connectedComponents(ink.astype(np.uint8))
      assert pieces - 1 == len(record.text)


def test_splits_share_no_word_and_repeat():
  words = {split: {r.text for r in _read(split)} for split in ("train", "test")}
  assert not words["train"] & words["test"]
  again = _read()
  assert [r.text for r in again] == [r.text for r in _read(count=12)][:8]
  np.testing.assert_array_equal(again[3].image, _read()[3].image)


def test_hangul_is_the_2350_syllables_of_ks_x_1001():
  syllables = font_words.hangul_syllables()
  assert len(syllables) == len(set(syllables)) == 2350
  assert (syllables[0], syllables[-1]) == ("가", "힝")
  assert all("가" <= s <= "힣" for s in syllables)


def test_a_font_without_the_letters_is_named(tmp_path):
  with pytest.raises(ValueError, match=r"DejaVuSans\.ttf lacks '가"):
    _read(alphabet="hangul")
  with pytest.raises(ValueError, match=r"No font .* apt install fonts-nanum"):
    list(load_records("font_words", tmp_path, "train"))
  (tmp_path / "a.ttf").write_bytes(b"no font")
  with pytest.raises(ValueError, match="cannot be read as a font"):
    list(load_records("font_words", tmp_path, "train"))


def test_korean_words_where_this_machine_has_a_font():
  try:
    font_words.find_fonts()
  except ValueError as error:
    pytest.skip(str(error))
  record = next(iter(load_records("font_words", "", "train", count=1)))
  assert record.text and set(record.text) <= set(font_words.hangul_syllables())
  assert record.image.std() > 10
