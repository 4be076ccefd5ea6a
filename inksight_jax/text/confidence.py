"""How sure a model is of each character that it wrote."""

from __future__ import annotations

import math
from collections.abc import Sequence

from inksight_jax.text.codecs import REPLACEMENT, TextCodec


def character_confidences(
  codec: TextCodec, ids: Sequence[int], log_probs: Sequence[float]
) -> tuple[float, ...]:
  """Probability of each code point of `codec.decode(ids)`.

  A character of several tokens (UTF-8 bytes) has the product of their
  probabilities; a token of several characters (a SentencePiece) is shared out
  among them as equal factors. So the product over a text, or over a word, is
  what the model gave to its tokens.

  Args:
    codec: of the text.
    ids: text ids.
    log_probs: log-probability of each id.

  Returns:
    One value of 0 to 1 per code point.

  Raises:
    ValueError: there is not one log-probability per id.
  """
  if len(ids) != len(log_probs):
    raise ValueError(
      f"Each id needs its log-probability: {len(ids)} ids, "
      f"{len(log_probs)} log-probabilities."
    )
  text = codec.decode(ids)
  confidences: list[float] = []
  pending = 0.0
  for count, log_prob in enumerate(log_probs, 1):
    pending += float(log_prob)
    done = len(text)
    if count < len(ids):
      done = _completed(text, codec.decode(ids[:count]))
    new = done - len(confidences)
    if new > 0:
      confidences += [min(1.0, math.exp(pending / new))] * new
      pending = 0.0
  # What completed no character belongs to the last one.
  if confidences and pending:
    confidences[-1] = min(1.0, confidences[-1] * math.exp(pending))
  return tuple(confidences)


def _completed(text: str, start: str) -> int:
  """How many characters of a text the first ids have settled.

  A character that is not complete yet reads as U+FFFD.
  """
  start = start.rstrip(REPLACEMENT)
  while not text.startswith(start):
    start = start[:-1]
  return len(start)


def word_confidences(
  text: str, characters: Sequence[float]
) -> list[tuple[str, float]]:
  """Words of a text, split at blanks, with the product of their characters.

  Args:
    text: any text.
    characters: confidence of each of its code points.
  """
  words: list[tuple[str, float]] = []
  inside = False
  for character, confidence in zip(text, characters, strict=True):
    if character.isspace():
      inside = False
      continue
    if not inside:
      words.append(("", 1.0))
      inside = True
    written, sure = words[-1]
    words[-1] = written + character, sure * confidence
  return words
