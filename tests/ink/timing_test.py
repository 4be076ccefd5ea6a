"""Strokes follow each other at one pace."""

import numpy as np
import pytest

from inksight_jax.ink.page import Page, Word
from inksight_jax.ink.timing import spans
from inksight_jax.ink.types import Ink


def one_word(*strokes) -> Page:
  ink = Ink.from_arrays(strokes)
  return Page(200, 200, ((Word((0.0, 0.0, 200.0, 200.0), "", ink),),))


def test_time_is_proportional_to_length():
  long, short = spans(one_word([[0, 0], [0, 100]], [[0, 100], [40, 100]]))
  assert (long.end - long.start) / (short.end - short.start) == pytest.approx(
    2.5, rel=0.02
  )
  # The pen never left the paper.
  assert short.start == long.end


def test_the_size_of_the_picture_does_not_matter(page):
  large = Page(
    page.width * 10,
    page.height * 10,
    tuple(
      tuple(Word(w.box, w.text, w.ink.scaled(10.0)) for w in line)
      for line in page.lines
    ),
  )
  np.testing.assert_allclose(
    [s.end for s in spans(large)], [s.end for s in spans(page)], atol=0.02
  )


def test_dots_and_flights_take_a_moment():
  first, dot = spans(one_word([[0, 0], [0, 50]], [[150, 150]]))
  assert 0 < dot.start - first.end <= 0.4
  assert dot.end > dot.start


def test_no_ink_takes_no_time():
  assert spans(Page(9, 9, ())) == []
  # Ink without height: no division by zero, no endless playing.
  (flat,) = spans(one_word([[0, 5], [50, 5]]))
  assert 0 < flat.end < 10
