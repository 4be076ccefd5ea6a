"""The neutral page: text, baselines, sizes on paper."""

import numpy as np
import pytest

from inksight_jax.ink.page import Page, Picture, Word
from inksight_jax.ink.types import Ink


def test_the_text_leaves_out_what_is_empty(page):
  assert page.text == "hello wörld\n漢字 नमस्ते a < b"
  blank = Word((0.0, 0.0, 1.0, 1.0))
  lines = ((blank, page.words[0]), (blank,), (page.words[1],))
  assert Page(9, 9, lines).text == "hello\nwörld"
  assert len(page.ink) == 10 and len(page.words) == 5


def test_a_descender_does_not_pull_the_baseline_down():
  x = np.linspace(10, 90, 200)
  body = np.where(np.arange(200) % 20 < 10, 20.0, 50.0)
  descender, dot = [[85, 50], [85, 75]], [[40, 12]]
  ink = Ink.from_arrays([np.stack([x, body], 1).tolist(), descender, dot])
  word = Word((5.0, 10.0, 95.0, 80.0), "any", ink)
  assert word.baseline == 50.5
  # Without ink a fifth of the box lies below; never outside of the box.
  assert Word((0.0, 0.0, 50.0, 100.0)).baseline == 80
  assert Word((5.0, 10.0, 95.0, 40.0), "any", ink).baseline == 40


def test_the_confidence_of_a_text_is_that_of_all_its_characters():
  word = Word((0.0, 0.0, 1.0, 1.0), "ab", characters=(0.5, 0.4))
  assert word.text_confidence == pytest.approx(0.2)
  assert Word((0.0, 0.0, 1.0, 1.0), "ab").text_confidence is None


@pytest.mark.parametrize(
  ("width", "height", "longer"), [(250, 126, 187.5), (1200, 4000, 842)]
)
def test_paper_is_a_sheet_at_most(width, height, longer):
  page = Page(width, height, ())
  assert max(width, height) * page.points_per_pixel == pytest.approx(longer)


def test_a_picture_says_what_it_is():
  picture = Picture(b"abc", "image/png", 1, 1)
  assert picture.data_uri == "data:image/png;base64,YWJj"
  with pytest.raises(ValueError, match=r"PDF takes .*jpeg, not image/png"):
    picture.require("image/jpeg", "PDF")
