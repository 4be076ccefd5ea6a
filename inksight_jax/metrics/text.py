"""Errors of recognised text: characters, words, whole strings.

Strings are compared as they are, code point by code point: normalise case,
white space or Unicode form before, where a benchmark asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import jiwer
from rapidfuzz.distance import Levenshtein


def edit_distance(reference: str, prediction: str) -> int:
  """Fewest characters to insert, delete or replace (Levenshtein, 1966)."""
  return Levenshtein.distance(reference, prediction)


def character_error_rate(
  references: Sequence[str], predictions: Sequence[str]
) -> float:
  """All edits over all reference characters, of the whole corpus.

  An empty prediction costs 100 % of its reference; a prediction that rambles
  can cost more than 100 %.

  Args:
    references: true strings; an empty one adds insertions but no characters.
    predictions: recognised strings, in the same order.

  Returns:
    Rate, 0 at best, without an upper bound.

  Raises:
    ValueError: the lists differ in length or the references hold no character.
  """
  _check_pairs(references, predictions)
  characters = sum(map(len, references))
  if not characters:
    raise ValueError(
      f"{len(references)} references hold no character, so an error rate is "
      "not defined; score only samples that have a text."
    )
  edits = sum(map(edit_distance, references, predictions))
  return edits / characters


def word_error_rate(
  references: Sequence[str], predictions: Sequence[str]
) -> float:
  """All word edits over all reference words, words split at white space.

  Raises:
    ValueError: the lists differ in length or the references hold no word.
  """
  _check_pairs(references, predictions)
  if not any(reference.split() for reference in references):
    raise ValueError(
      f"{len(references)} references hold no word, so an error rate is not "
      "defined; score only samples that have a text."
    )
  return float(jiwer.wer(list(references), list(predictions)))


def exact_match(references: Sequence[str], predictions: Sequence[str]) -> float:
  """Share of predictions that equal their reference, 0 to 1.

  Raises:
    ValueError: the lists differ in length or are empty.
  """
  _check_pairs(references, predictions)
  if not references:
    raise ValueError("Exact match of no samples is not defined; got 0 pairs.")
  hits = sum(map(str.__eq__, references, predictions))
  return hits / len(references)


def _check_pairs(references: Sequence[str], predictions: Sequence[str]) -> None:
  if len(references) != len(predictions):
    raise ValueError(
      f"Each reference needs one prediction; got {len(references)} references "
      f"and {len(predictions)} predictions."
    )
