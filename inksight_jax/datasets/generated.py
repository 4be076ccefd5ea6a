"""Generated pen words: unlimited ink and text with nothing to download."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from inksight_jax.datasets.record import Record
from inksight_jax.datasets.splits import (
  DEFAULT_FRACTIONS,
  SPLITS,
  split_of,
)
from inksight_jax.rendering.handwriting import (
  HandwritingConfig,
  supported_characters,
  write_word,
)

SOURCE = "generated_words"
LOWER_CASE = "abcdefghijklmnopqrstuvwxyz"
_MAX_DRAWS = 10_000


@functools.cache
def english_words() -> tuple[str, ...]:
  """Some 1,400 common English words, in lower case."""
  text = importlib.resources.files("inksight_jax.datasets").joinpath(
    "words.txt"
  )
  return tuple(text.read_text(encoding="ascii").split())


def split_of_word(word: str) -> str:
  """Says in which split a word may be written, whatever the seed."""
  return split_of("word/" + word, DEFAULT_FRACTIONS)


def _word_list(
  split: str, alphabet: str, min_length: int, max_length: int
) -> list[str]:
  words = [
    word
    for word in english_words()
    if min_length <= len(word) <= max_length
    and set(word) <= set(alphabet)
    and split_of_word(word) == split
  ]
  if not words:
    raise ValueError(
      f"No English word of {min_length} to {max_length} letters of "
      f"{alphabet!r} is in the {split} split; widen the lengths or the "
      "alphabet, or use words='random'."
    )
  return words


def _random_word(
  rng: np.random.Generator,
  split: str,
  alphabet: str,
  lengths: tuple[int, int],
) -> str:
  letters = list(alphabet)
  for _ in range(_MAX_DRAWS):
    length = int(rng.integers(lengths[0], lengths[1] + 1))
    word = "".join(rng.choice(letters, length))
    if word == word.strip() and split_of_word(word) == split:
      return word
  raise ValueError(
    f"No word of {lengths[0]} to {lengths[1]} letters of {alphabet!r} falls in "
    f"the {split} split; allow longer words or more letters."
  )


def read_generated_words(
  count: int,
  seed: int = 0,
  alphabet: str = LOWER_CASE,
  min_length: int = 2,
  max_length: int = 8,
  words: str = "random",
  split: str = "train",
  handwriting: HandwritingConfig | Mapping[str, Any] | None = None,
) -> Iterator[Record]:
  """Writes words in ever new hands.

  Words and pen noise of validation and test are held out: a word belongs to
  one split by its hash, whatever the seed, and each split draws its hands from
  its own random numbers. Record i is the same whatever `count` is.

  Args:
    count: number of records.
    seed: another seed gives other words and hands.
    alphabet: letters of random words; English words use no others.
    min_length: fewest letters of a word.
    max_length: most letters of a word.
    words: "random" letters or "english", a list of common words.
    split: "train", "validation" or "test".
    handwriting: the hands, or the fields of a `HandwritingConfig`.

  Yields:
    Records whose ink has times in ms.

  Raises:
    ValueError: an option out of range, letters that the fonts lack, or a
      choice of letters and lengths that leaves the split without words.
  """
  if split not in SPLITS:
    raise ValueError(f"Split {split!r}; one of {', '.join(SPLITS)}.")
  if words not in ("random", "english"):
    raise ValueError(f"words={words!r}; wanted 'random' or 'english'.")
  if count < 0 or not 1 <= min_length <= max_length or not alphabet:
    raise ValueError(
      f"count={count}, min_length={min_length}, max_length={max_length}, "
      f"alphabet={alphabet!r}; wanted count >= 0, 1 <= min_length <= "
      "max_length and at least one letter."
    )
  if not isinstance(handwriting, HandwritingConfig):
    handwriting = HandwritingConfig(**(handwriting or {}))
  missing = set(alphabet) - set(supported_characters(handwriting.fonts))
  if missing:
    raise ValueError(
      f"The fonts {', '.join(handwriting.fonts)} lack "
      f"{''.join(sorted(missing))!r}; take these out of the alphabet."
    )
  choices: Sequence[str] = ()
  if words == "english":
    choices = _word_list(split, alphabet, min_length, max_length)
  for index in range(count):
    rng = np.random.default_rng((seed, SPLITS.index(split), index))
    if choices:
      word = choices[int(rng.integers(len(choices)))]
    else:
      word = _random_word(rng, split, alphabet, (min_length, max_length))
    name = f"{split}/{seed}/{index:07d}"
    yield Record(
      id=name,
      source=SOURCE,
      text=word,
      writer=name,
      ink=write_word(word, rng, handwriting),
    )
