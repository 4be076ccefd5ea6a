"""A page is its words, in order."""

import numpy as np
import pytest

from inksight_jax.inference.page import PageResult, PageWord
from inksight_jax.inference.results import Result
from inksight_jax.ink.page import bounding_box
from inksight_jax.ink.types import Ink


def word(text: str, x: float, confidence: float, **changes) -> PageWord:
  values = {
    "task": "recognize_and_derender",
    "text": text,
    "ink": Ink.from_arrays([[[x, 5], [x + 4, 9]]]),
    "confidence": confidence,
    "tokens": np.asarray([1], np.int32),
    "log_probs": np.asarray([-0.1], np.float32),
    "truncated": False,
    "empty": False,
    "width": 100,
    "height": 50,
  }
  box = (x - 1.0, 4.0, x + 6.0, 11.0)
  return PageWord(box, Result(**(values | changes)))


def test_text_ink_and_confidence_are_those_of_the_words():
  lines = ((word("a", 10, 0.5), word("", 20, 0.5)), (word("b", 5, 0.125),))
  page = PageResult("recognize_and_derender", 100, 50, lines)
  assert page.text == "a\nb"
  assert [stroke.points[0, 0] for stroke in page.ink.strokes] == [10, 20, 5]
  # (1/2 * 1/2 * 1/8) ** (1/3)
  np.testing.assert_allclose(page.confidence, 2 ** (-5 / 3))
  assert not page.truncated and not page.empty


def test_flags_of_words_reach_the_page():
  long = word("a", 10, 0.5, truncated=True)
  none = word("", 10, 0.0, empty=True)
  page = PageResult("derender", 100, 50, ((long, none),))
  assert page.truncated and not page.empty and page.confidence == 0
  assert PageResult("derender", 100, 50, ((none,),)).empty
  blank = PageResult("derender", 100, 50, ())
  assert (blank.empty, blank.text, blank.confidence) == (True, "", 0.0)


def test_the_bounding_box_holds_all_boxes():
  boxes = [(3.0, 4.0, 9.0, 5.0), (5.0, 1.0, 7.0, 8.0)]
  assert bounding_box(boxes) == (3.0, 1.0, 9.0, 8.0)
  with pytest.raises(ValueError, match="no bounds"):
    bounding_box([])
