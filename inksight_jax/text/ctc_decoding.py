"""Texts from the frames of CTC, all alignments of a text counted together.

Prefix beam search (Graves 2008, chapter 7.5; Hannun et al. 2014, arXiv
1408.2873), optionally held to a word list or drawn to what a language model of
tokens expects. Greedy decoding, the best id of each frame, is in `models.ctc`.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

EOS_ID = 1
_NEVER = -math.inf
# Tokens this much less likely than the best of their frame are not tried.
_CUT = 12.0


@runtime_checkable
class Scorer(Protocol):
  """What texts are likely, token by token.

  A state stands for everything that was written before.
  """

  def start(self) -> Hashable:
    """The state of an empty text."""
    ...

  def advance(self, state: Any, token: int) -> tuple[Hashable, float] | None:
    """State behind a token and its log-probability; None if it cannot be."""
    ...

  def finish(self, state: Any) -> float:
    """Log-probability of ending here; -inf where no text may end."""
    ...


@dataclasses.dataclass(frozen=True)
class Hypothesis:
  """A text and how likely it is.

  Attributes:
    tokens: its ids, no blanks, no EOS.
    log_prob: of the frames, summed over the alignments that the beam kept; in
      nats.
    score: `log_prob`, and what the scorer adds.
  """

  tokens: tuple[int, ...]
  log_prob: float
  score: float


@dataclasses.dataclass
class _Prefix:
  """Log-probabilities of a prefix, by how its alignments end."""

  blank: float
  token: float
  state: Any
  expected: float

  @property
  def log_prob(self) -> float:
    return _add(self.blank, self.token)

  @property
  def score(self) -> float:
    return self.log_prob + self.expected


def beam_search(
  log_probs: NDArray[np.floating[Any]],
  blank_id: int,
  beam: int = 16,
  scorer: Scorer | None = None,
  weight: float = 1.0,
  bonus: float = 0.0,
) -> list[Hypothesis]:
  """The most likely texts of one picture.

  Args:
    log_probs: float[frames, vocab], natural logarithms, each frame normalised.
    blank_id: CTC's blank; PAD and EOS are never written.
    beam: prefixes kept after each frame.
    scorer: which texts may be and how likely they are; all alike without one.
    weight: of the scorer's log-probabilities beside those of the frames.
    bonus: added for each token, against a scorer's liking for short texts.

  Returns:
    Texts by score, best first; at most `beam`. Empty where the scorer lets no
    text of the beam end.

  Raises:
    ValueError: `beam` is not positive, or `log_probs` no matrix with a column
      for the blank.
  """
  if beam < 1 or log_probs.ndim != 2 or not 0 <= blank_id < log_probs.shape[1]:
    raise ValueError(
      f"A beam of {beam} over frames {list(log_probs.shape)} with the blank "
      f"{blank_id}? Give a positive beam and float[frames, vocab]."
    )
  start = None if scorer is None else scorer.start()
  kept: dict[tuple[int, ...], _Prefix] = {(): _Prefix(0.0, _NEVER, start, 0.0)}
  for frame in log_probs:
    kept = _step(kept, frame, blank_id, scorer, weight, bonus)
    if len(kept) > beam:
      order = sorted(kept.items(), key=lambda item: -item[1].score)
      kept = dict(order[:beam])
  found = []
  for tokens, prefix in kept.items():
    ending = 0.0 if scorer is None else weight * scorer.finish(prefix.state)
    score = prefix.score + ending
    if score > _NEVER:
      found.append(Hypothesis(tokens, prefix.log_prob, score))
  return sorted(found, key=lambda hypothesis: -hypothesis.score)


def _step(
  kept: dict[tuple[int, ...], _Prefix],
  frame: NDArray[np.floating[Any]],
  blank_id: int,
  scorer: Scorer | None,
  weight: float,
  bonus: float,
) -> dict[tuple[int, ...], _Prefix]:
  """All prefixes after one more frame."""
  values = frame.tolist()
  limit = max(values) - _CUT
  likely = [
    token
    for token, value in enumerate(values)
    if value >= limit and token > EOS_ID and token != blank_id
  ]
  after: dict[tuple[int, ...], _Prefix] = {}
  for tokens, prefix in kept.items():
    # The same text: a blank, or its last token held on.
    same = after.setdefault(
      tokens, _Prefix(_NEVER, _NEVER, prefix.state, prefix.expected)
    )
    same.blank = _add(same.blank, prefix.log_prob + values[blank_id])
    last = tokens[-1] if tokens else None
    if last is not None:
      same.token = _add(same.token, prefix.token + values[last])
    for token in likely:
      # A token again is a new one only behind a blank.
      before = prefix.blank if token == last else prefix.log_prob
      if before == _NEVER:
        continue
      longer = (*tokens, token)
      found = after.get(longer)
      if found is None:
        state, expected = prefix.state, prefix.expected + bonus
        if scorer is not None:
          step = scorer.advance(prefix.state, token)
          if step is None:
            continue
          state, expected = step[0], expected + weight * step[1]
        found = after[longer] = _Prefix(_NEVER, _NEVER, state, expected)
      found.token = _add(found.token, before + values[token])
  return after


def _add(one: float, other: float) -> float:
  """log(exp(one) + exp(other))."""
  if one < other:
    one, other = other, one
  if other == _NEVER:
    return one
  return one + math.log1p(math.exp(other - one))


class WordList:
  """Texts of known words: a word, or several with separators between them.

  All words are equally likely; only what is in the list may be read.
  """

  def __init__(
    self, words: Iterable[Sequence[int]], separators: Iterable[int] = ()
  ) -> None:
    """Builds the tree of the words.

    Args:
      words: ids of each word.
      separators: ids that may stand between words, blanks and line breaks for
        example; none for single words.

    Raises:
      ValueError: there is no word.
    """
    # Of each node: the nodes behind its tokens, and whether a word ends here.
    self._children: list[dict[int, int]] = [{}]
    self._ends: list[bool] = [False]
    self._separators = frozenset(separators)
    for word in words:
      self._insert(word)
    if len(self._children) == 1:
      raise ValueError("The word list is empty; give at least one word.")

  def _insert(self, word: Sequence[int]) -> None:
    node = 0
    for token in word:
      if token not in self._children[node]:
        self._children[node][token] = len(self._children)
        self._children.append({})
        self._ends.append(False)
      node = self._children[node][token]
    if node:
      self._ends[node] = True

  def start(self) -> int:
    """Before the first word."""
    return 0

  def advance(self, state: int, token: int) -> tuple[int, float] | None:
    """Down the tree, or to its root behind a separator."""
    if token in self._children[state]:
      return self._children[state][token], 0.0
    if token in self._separators and self._ends[state]:
      return 0, 0.0
    return None

  def finish(self, state: int) -> float:
    """0 where a word ends."""
    return 0.0 if self._ends[state] else _NEVER


class NGram:
  """Probability of a token from those before it, counted in texts.

  Interpolated by Witten and Bell (1991): a context counts as much as it was
  seen to be followed by few different tokens; the last resort is that all
  tokens are alike.
  """

  def __init__(
    self, texts: Iterable[Sequence[int]], size: int, order: int = 5
  ) -> None:
    """Counts.

    Args:
      texts: ids of each, no EOS.
      size: number of ids that may come.
      order: tokens that are looked at together, the one to come included.

    Raises:
      ValueError: `order` or `size` is not positive.
    """
    if order < 1 or size < 1:
      raise ValueError(
        f"An n-gram model of order {order} over {size} ids? Both are positive."
      )
    self._size, self._order = size, order
    self._counts: dict[tuple[int, ...], collections.Counter[int]] = (
      collections.defaultdict(collections.Counter)
    )
    for text in texts:
      # What ends a text stands before it too: beginnings are contexts.
      ids = [EOS_ID, *text, EOS_ID]
      for end in range(1, len(ids)):
        for length in range(min(end, order - 1) + 1):
          self._counts[tuple(ids[end - length : end])][ids[end]] += 1
    self._totals = {
      key: sum(seen.values()) for key, seen in self._counts.items()
    }

  def start(self) -> tuple[int, ...]:
    """Nothing but the beginning of a text."""
    return (EOS_ID,)[: self._order - 1]

  def advance(
    self, state: tuple[int, ...], token: int
  ) -> tuple[tuple[int, ...], float]:
    """The newest tokens, and log p(token | those before)."""
    newest = (*state, token)[max(0, len(state) + 2 - self._order) :]
    return newest, math.log(self.probability(state, token))

  def finish(self, state: tuple[int, ...]) -> float:
    """log p(end | the tokens before)."""
    return math.log(self.probability(state, EOS_ID))

  def probability(self, context: Sequence[int], token: int) -> float:
    """p(token | context); positive, and 1 in sum over the `size` ids."""
    value = 1.0 / self._size
    context = tuple(context)
    for length in range(min(len(context), self._order - 1) + 1):
      key = context[len(context) - length :]
      seen = self._counts.get(key)
      if seen is None:
        break
      kinds, total = len(seen), self._totals[key]
      value = (seen[token] + kinds * value) / (total + kinds)
    return value
