"""Errors by kind, on answers whose errors are plain to see."""

from inksight_jax.metrics.text_errors import (
  count_errors,
  differences,
  error_groups,
)


def test_an_error_is_of_a_length_or_of_characters():
  assert error_groups("123", "123") == []
  assert error_groups("123", "") == ["empty"]
  assert error_groups("123", "13") == ["too short"]
  assert error_groups("123", "1223") == ["too long"]
  assert error_groups("123", "173") == ["2 -> 7"]
  assert error_groups("155", "133") == ["5 -> 3", "5 -> 3"]


def test_counts_are_those_of_the_groups():
  truths = ["55", "56", "12", "123", "9", "44"]
  predictions = ["33", "53", "2", "1231", "", "44"]
  assert count_errors(truths, predictions) == {
    "wrong": 5,
    "lengths": {"empty": 1, "too short": 1, "too long": 1},
    "substitutions": {"5 -> 3": 2, "6 -> 3": 1},
    "insertions": {"1": 1},
    "deletions": {"1": 1, "9": 1},
  }


def test_differences_put_both_texts_together_again():
  assert differences("abc", "abc") == [("abc", "", "")]
  assert differences("one\ntwo", "on\ntwo!") == [
    ("on", "e", ""),
    ("\ntwo", "", "!"),
  ]
  for truth, prediction in (("", ""), ("", "ab"), ("kitten", "sitting")):
    parts = differences(truth, prediction)
    assert "".join(same + lost for same, lost, _ in parts) == truth
    assert "".join(same + added for same, _, added in parts) == prediction
