"""Text errors against hand-computed cases, a recursive edit distance, jiwer."""

import functools

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inksight_jax.metrics import text

WORDS = st.text(alphabet="ab é字", max_size=6)


@functools.cache
def recursive_edit_distance(a: str, b: str) -> int:
  if not a or not b:
    return len(a) + len(b)
  return min(
    recursive_edit_distance(a[1:], b) + 1,
    recursive_edit_distance(a, b[1:]) + 1,
    recursive_edit_distance(a[1:], b[1:]) + (a[0] != b[0]),
  )


@settings(max_examples=50, deadline=None)
@given(WORDS, WORDS)
def test_edit_distance_equals_the_recursion(a: str, b: str):
  assert text.edit_distance(a, b) == recursive_edit_distance(a, b)


def test_character_error_rate_by_hand():
  # 1 replaced of 3, 2 inserted of 2, all 5 deleted: 8 edits, 10 characters.
  rate = text.character_error_rate(["cat", "to", "house"], ["cut", "toad", ""])
  assert rate == pytest.approx(8 / 10)


def test_an_empty_prediction_costs_its_whole_reference():
  assert text.character_error_rate(["word"], [""]) == 1.0
  assert text.word_error_rate(["two words"], [""]) == 1.0


def test_an_empty_reference_adds_insertions_only():
  assert text.character_error_rate(["", "ab"], ["x", "ab"]) == 0.5


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.text("ab c", min_size=1), st.text("ab c"))))
def test_character_error_rate_is_jiwers(pairs: list[tuple[str, str]]):
  pairs = [pair for pair in pairs if pair[0].strip()]
  # jiwer strips and joins white space; ours compares the strings as they are.
  pairs = [(a.replace(" ", ""), b.replace(" ", "")) for a, b in pairs]
  if pairs:
    references, predictions = map(list, zip(*pairs, strict=True))
    assert text.character_error_rate(references, predictions) == pytest.approx(
      jiwer.cer(references, predictions)
    )


def test_word_error_rate_by_hand():
  # 1 of 3 replaced, 1 inserted to 1: 2 errors, 4 words.
  references = ["the  quick fox", "runs"]
  predictions = ["the quack fox", "runs away"]
  assert text.word_error_rate(references, predictions) == pytest.approx(2 / 4)


def test_exact_match_counts_whole_strings():
  assert text.exact_match(["a", "b", "c", "c"], ["a", "B", "c", "c "]) == 0.5


@pytest.mark.parametrize(
  "metric", [text.character_error_rate, text.word_error_rate, text.exact_match]
)
def test_bad_lists_are_refused(metric):
  with pytest.raises(ValueError, match="2 references and 1 predictions"):
    metric(["a", "b"], ["a"])
  with pytest.raises(ValueError, match="not defined"):
    metric([], [])


def test_rates_without_reference_text_are_refused():
  with pytest.raises(ValueError, match="no character"):
    text.character_error_rate([""], ["a"])
  with pytest.raises(ValueError, match="no word"):
    text.word_error_rate(["  "], ["a"])
