"""Generated words: held out, repeatable, within the options."""

import dataclasses
import itertools

import numpy as np
import pytest

from inksight_jax.datasets.generated import (
  english_words,
  read_generated_words,
  split_of_word,
)
from inksight_jax.rendering.handwriting import HandwritingConfig

SPLITS = ("train", "validation", "test")


def take(count: int = 40, **options):
  return list(read_generated_words(count, **options))


@pytest.mark.parametrize("words", ["random", "english"])
def test_words_and_hands_of_the_splits_are_disjoint(words: str):
  """Also over seeds: a test word of one seed is no training word of another."""
  found = {
    split: [
      r
      for seed in (0, 1)
      for r in take(
        seed=seed, split=split, words=words, min_length=2, max_length=5
      )
    ]
    for split in SPLITS
  }
  for one, other in itertools.combinations(SPLITS, 2):
    assert not {r.text for r in found[one]} & {r.text for r in found[other]}
    assert not {r.id for r in found[one]} & {r.id for r in found[other]}
    assert not {r.writer for r in found[one]} & {r.writer for r in found[other]}


def test_a_record_does_not_depend_on_how_many_are_read():
  few, many = take(3), take(6)
  for a, b in zip(few, many, strict=False):
    assert (a.id, a.text) == (b.id, b.text)
    np.testing.assert_array_equal(a.ink.points, b.ink.points)
  assert take(3, seed=1)[0].text != few[0].text or not np.array_equal(
    take(3, seed=1)[0].ink.points, few[0].ink.points
  )


def test_letters_and_lengths_are_kept():
  records = take(alphabet="abc", min_length=3, max_length=4)
  assert {len(r.text) for r in records} == {3, 4}
  assert set("".join(r.text for r in records)) == set("abc")
  assert all(r.ink and r.ink.has_times for r in records)


def test_english_words_are_clean_and_fill_all_splits():
  words = english_words()
  assert len(words) == len(set(words)) > 1_000
  assert all(w.isascii() and w.isalpha() and w.islower() for w in words)
  shares = [sum(split_of_word(w) == s for w in words) for s in SPLITS]
  assert shares[0] > 4 * shares[1] > 0 and shares[2] > 50


def test_hands_as_fields_equal_hands_as_config():
  config = HandwritingConfig(fonts=("futural",), messiness=0.5)
  fields = dataclasses.asdict(config)
  for a, b in zip(
    take(2, handwriting=config), take(2, handwriting=fields), strict=True
  ):
    np.testing.assert_array_equal(a.ink.points, b.ink.points)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"split": "dev"}, "one of train, validation, test"),
    ({"words": "german"}, "'random' or 'english'"),
    ({"alphabet": "aß"}, "lack 'ß'"),
    ({"min_length": 5, "max_length": 4}, "min_length <= max_length"),
    ({"alphabet": "zq", "words": "english"}, "No English word"),
    (
      {"alphabet": "a", "min_length": 1, "max_length": 1, "split": "test"},
      "allow longer words",
    ),
  ],
)
def test_impossible_options(options: dict, message: str):
  with pytest.raises(ValueError, match=message):
    take(1, **options)
