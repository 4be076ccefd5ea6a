"""Beam search of CTC against all paths, counted one by one."""

import collections
import itertools
import math

import numpy as np
import pytest

from inksight_jax.text import ctc_decoding
from inksight_jax.text.ctc_decoding import NGram, WordList, beam_search

# PAD and EOS, three tokens, the blank.
BLANK = 5
TOKENS = (2, 3, 4)


def frames(count: int, seed: int = 0) -> np.ndarray:
  rng = np.random.default_rng(seed)
  logits = rng.normal(0.0, 1.5, (count, BLANK + 1))
  logits[:, :2] = -30.0
  return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def by_brute_force(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
  """Log-probability of every text: its paths, each collapsed by the book."""
  totals: dict[tuple[int, ...], float] = collections.defaultdict(float)
  for path in itertools.product((*TOKENS, BLANK), repeat=len(log_probs)):
    text = tuple(key for key, _ in itertools.groupby(path) if key != BLANK)
    totals[text] += math.exp(sum(log_probs[i, p] for i, p in enumerate(path)))
  return {text: math.log(total) for text, total in totals.items()}


def test_a_wide_beam_is_exact():
  for seed in range(3):
    log_probs = frames(5, seed)
    expected = by_brute_force(log_probs)
    found = beam_search(log_probs, BLANK, beam=10_000)
    assert len(found) == len(expected)
    for hypothesis in found:
      assert hypothesis.log_prob == pytest.approx(
        expected[hypothesis.tokens], abs=1e-9
      )
    assert [h.score for h in found] == pytest.approx(
      sorted(expected.values(), reverse=True)
    )


def test_all_alignments_count_and_not_the_best_one():
  """Blank is best in each frame, "2" in sum (Graves 2006, figure 2)."""
  log_probs = np.log(np.full((2, BLANK + 1), 1e-12))
  log_probs[:, 2], log_probs[:, BLANK] = math.log(0.4), math.log(0.6)
  best = beam_search(log_probs, BLANK, beam=4)[0]
  assert best.tokens == (2,)
  assert best.log_prob == pytest.approx(math.log(0.64))


def test_a_word_list_leaves_its_words():
  words = [(2, 2), (3, 4), (4,), (2, 3, 2)]
  log_probs = frames(5, 7)
  expected = by_brute_force(log_probs)
  found = beam_search(log_probs, BLANK, 1_000, WordList(words))
  assert {h.tokens for h in found} == set(words)
  assert found[0].tokens == max(words, key=expected.__getitem__)
  for hypothesis in found:
    assert hypothesis.score == pytest.approx(expected[hypothesis.tokens])
  # Several words: 4 stands between them, and ends none.
  spaced = WordList([(2,), (3, 2)], separators=[4])
  texts = {h.tokens for h in beam_search(log_probs, BLANK, 1_000, spaced)}
  assert texts == {
    (2,), (3, 2), (2, 4, 2), (2, 4, 3, 2), (3, 2, 4, 2), (2, 4, 2, 4, 2),
    (3, 2, 4, 3, 2),
  }  # fmt: skip
  with pytest.raises(ValueError, match="empty"):
    WordList([()])


def test_an_n_gram_shifts_the_choice_by_its_weight():
  model = NGram([(2, 3), (2, 3), (2, 3, 4)], size=4, order=2)
  log_probs = frames(4, 3)
  expected = by_brute_force(log_probs)

  def total(text, weight):
    steps = [
      model.probability((ctc_decoding.EOS_ID, *text[:i]), token)
      for i, token in enumerate((*text, ctc_decoding.EOS_ID))
    ]
    return expected[text] + weight * sum(map(math.log, steps)) + 0.1 * len(text)

  for weight in (0.5, 8.0):
    found = beam_search(log_probs, BLANK, 1_000, model, weight, bonus=0.1)
    best = max(expected, key=lambda text: total(text, weight))
    assert found[0].tokens == best
    assert found[0].score == pytest.approx(total(best, weight))


def test_an_n_gram_is_a_distribution_by_witten_and_bell():
  model = NGram([(2, 3), (2, 2)], size=4, order=3)
  for context in ((), (2,), (3,), (2, 2), (4, 2), (9, 9, 9)):
    total = sum(model.probability(context, t) for t in (1, *TOKENS))
    assert total == pytest.approx(1.0)
  # By hand: 2 three times, 3 once, the end twice; three kinds in six.
  first = (3 + 3 * 0.25) / 9
  assert model.probability((), 2) == pytest.approx(first)
  # Behind 2: 3 once, 2 once, the end once.
  assert model.probability((2,), 2) == pytest.approx((1 + 3 * first) / 6)
  state = model.start()
  for token in (2, 3, 4, 2):
    state, _ = model.advance(state, token)
  assert state == (4, 2)


def test_bad_frames_are_refused():
  with pytest.raises(ValueError, match="beam of 0"):
    beam_search(frames(2), BLANK, beam=0)
  with pytest.raises(ValueError, match="blank 6"):
    beam_search(frames(2), 6)
