"""Composed pages: from the right writers, anew each epoch, growing."""

import dataclasses
import itertools

import numpy as np
import pytest

from inksight_jax.datasets.record import Record
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.composed import Compose, ComposedSplit

INK = Ink.from_arrays([np.array([(0.0, 0.0), (9.0, 5.0)])])


def words(writers: int = 3, each: int = 20) -> list[Record]:
  return [
    Record(id=f"{w}-{n}", source="unit", text=f"{n}", writer=f"w{w}", ink=INK)
    for w in range(writers)
    for n in range(each)
  ]


def leaves(page: Record) -> list[Record]:
  return [word for line in page.parts for word in line.parts]


def test_a_page_has_lines_of_words_of_one_writer():
  compose = Compose(lines=(2, 4), words=(1, 3), count=50)
  split = ComposedSplit(words(), compose, "train")
  assert len(split) == 50
  lines, counts = set(), set()
  for index in range(50):
    page = split.at(index, 0)
    assert page.text == "\n".join(line.text for line in page.parts)
    assert len({word.writer for word in leaves(page)}) == 1
    lines.add(len(page.parts))
    counts |= {len(line.parts) for line in page.parts}
  assert lines == {2, 3, 4} and counts == {1, 2, 3}


def test_spans_follow_each_other_as_they_were_written():
  compose = Compose(lines=(1, 1), words=(6, 6), span=(3, 3))
  page = ComposedSplit(words(each=50), compose, "train").at(0, 0)
  numbers = [int(word.text) for word in leaves(page)]
  steps = np.diff(numbers)
  # Two runs of three, but for a draw at the end of a writer.
  assert np.count_nonzero(steps == 1) >= 3
  # The last word of a writer is not followed by the next one's first.
  mixed = Compose(lines=(1, 1), words=(8, 8), span=(8, 8), one_writer=False)
  split = ComposedSplit(words(each=2), mixed, "train")
  for index in range(20):
    page = leaves(split.at(index, 0))
    for one, two in itertools.pairwise(page):
      if (one.text, two.text) == ("1", "0"):
        break
    else:
      raise AssertionError("spans of two words must end")


def test_words_of_iam_follow_each_other_on_their_form_only():
  records = [
    Record(id=name, source="iam", text=name[-2:], writer="000", ink=INK)
    for name in ("a01-000u-00-00", "a01-000u-00-01", "a02-000-00-00")
  ]
  split = ComposedSplit(records, Compose(), "train")
  assert split._next.tolist() == [1, -1, -1]


def test_marks_do_not_meet_where_spans_do():
  records = [
    Record(id=f"{n}", source="unit", text=text, writer="w", ink=INK)
    for n, text in enumerate(["a", ",", ".", "b", "!"])
  ]
  compose = Compose(lines=(1, 1), words=(5, 5))
  split = ComposedSplit(records, compose, "train")
  for index in range(50):
    texts = [word.text for word in leaves(split.at(index, 0))]
    for one, two in itertools.pairwise(texts):
      assert not {one, two} <= set(",.!")


def test_only_marks_are_taken_rather_than_nothing():
  records = [Record(id="0", source="unit", text=",", writer="w", ink=INK)]
  compose = Compose(lines=(1, 1), words=(3, 3))
  assert len(leaves(ComposedSplit(records, compose, "train")[0])) == 3


def test_epochs_and_pages_differ_and_repeat_by_number_alone():
  compose = Compose(lines=(1, 3), words=(2, 4))
  one = ComposedSplit(words(), compose, "train")
  # Another process, another order of asking.
  two = ComposedSplit(words(), compose, "train")
  asked = [(index, epoch) for epoch in (0, 1) for index in range(8)]
  first = {key: one.at(*key).text for key in asked}
  second = {key: two.at(*key).text for key in reversed(asked)}
  assert first == second
  assert len(set(first.values())) == len(asked)
  held_out = ComposedSplit(words(), compose, "validation")
  assert held_out.at(3, 0).text == held_out.at(3, 5).text
  assert len(held_out) == compose.held_out_count


def test_pages_grow_with_the_epochs():
  compose = Compose(lines=(3, 5), words=(1, 1), grow=2)
  split = ComposedSplit(words(), compose, "train")

  def seen(epoch: int) -> set[int]:
    return {len(split.at(index, epoch).parts) for index in range(40)}

  assert seen(0) == seen(1) == {1}
  assert seen(4) == {3}
  assert seen(8) == seen(100) == {3, 4, 5}
  later = ComposedSplit(
    words(), dataclasses.replace(compose, grow_after=4), "train"
  )
  for epoch, most in ((0, 1), (5, 1), (6, 2), (8, 3)):
    assert {len(later.at(i, epoch).parts) for i in range(40)} == {most}
  # What is measured is the whole from the beginning.
  test = ComposedSplit(words(), compose, "test")
  assert {len(test[index].parts) for index in range(40)} == {3, 4, 5}


def test_words_without_text_or_shape_are_not_used():
  blank = [
    Record(id="a", source="unit", text=" ", writer="w", ink=INK),
    Record(id="b", source="unit", text="x", writer="w"),
  ]
  assert len(ComposedSplit(blank, Compose(), "train")) == 0
  page = ComposedSplit([*blank, *words(1, 1)], Compose(), "train")[0]
  assert {word.text for word in leaves(page)} == {"0"}


def test_settings_that_make_no_page_are_refused():
  with pytest.raises(ValueError, match="lines"):
    Compose(lines=(0, 2))
  with pytest.raises(ValueError, match="grow"):
    Compose(grow=-1)
  with pytest.raises(ValueError, match="grow_after"):
    Compose(grow_after=-1)
