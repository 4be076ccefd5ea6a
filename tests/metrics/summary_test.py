"""Summaries against their own metrics, sample by sample, and their controls."""

import numpy as np
import pytest

from inksight_jax.ink.types import Ink, Stroke
from inksight_jax.metrics import ink as ink_metrics
from inksight_jax.metrics import summary


def random_ink(seed: int) -> Ink:
  rng = np.random.default_rng(seed)
  return Ink(tuple(Stroke(rng.uniform(4, 60, (4, 2))) for _ in range(2)))


def shifted(ink: Ink, pixels: float) -> Ink:
  return ink.scaled(1.0, (pixels, 0.0))


def test_ink_result_is_the_mean_of_the_samples():
  evaluation = summary.InkEvaluation(canvas=64)
  truths = [random_ink(seed) for seed in range(3)]
  predictions = [shifted(truths[0], 1.0), truths[1], Ink()]
  samples = [
    evaluation.add(truth, prediction)
    for truth, prediction in zip(truths, predictions, strict=True)
  ]
  result = evaluation.result()
  assert len(evaluation) == 3
  for name in ("aiou", "ldtw", "dtw", "chamfer", "stroke_count_error"):
    assert result[name] == pytest.approx(np.mean([s[name] for s in samples]))
  assert samples[0]["ldtw"] == ink_metrics.ldtw(predictions[0], truths[0])
  assert samples[1]["aiou"] == 1.0
  # The empty prediction: worst values, the canvas diagonal, both strokes lost.
  assert samples[2]["ldtw"] == pytest.approx(64 * np.sqrt(2))
  assert (samples[2]["aiou"], samples[2]["stroke_count_error"]) == (0.0, 2.0)
  assert result["empty"] == pytest.approx(1 / 3)


def test_the_control_pairs_predictions_with_other_truths():
  evaluation = summary.InkEvaluation(canvas=64, seed=3)
  truths = [random_ink(seed) for seed in range(4)]
  for truth in truths:
    evaluation.add(truth, shifted(truth, 1.0))
  result = evaluation.result()
  others = summary.derangement(4, seed=3)
  by_hand = [
    ink_metrics.ldtw(shifted(truths[i], 1.0), truths[other])
    for i, other in enumerate(others)
  ]
  assert result["ldtw_shuffled"] == pytest.approx(np.mean(by_hand))
  assert result["ldtw"] < result["ldtw_shuffled"] / 3
  assert result["aiou"] > result["aiou_shuffled"]
  assert "empty_shuffled" not in result


def test_a_model_blind_to_its_input_scores_as_its_control():
  evaluation = summary.InkEvaluation(canvas=64)
  for seed in range(5):
    evaluation.add(random_ink(seed), random_ink(99))
  result = evaluation.result()
  for name in ("aiou", "ldtw", "chamfer"):
    assert result[name] == pytest.approx(result[f"{name}_shuffled"])


def test_text_result_is_of_the_corpus_not_of_the_samples():
  evaluation = summary.TextEvaluation()
  assert evaluation.add("a", "b") == {"cer": 1.0, "wer": 1.0, "exact_match": 0}
  assert evaluation.add("cde", "cde")["exact_match"] == 1.0
  result = evaluation.result()
  # One wrong character of four; the mean of the two rates would be 0.5.
  assert result["cer"] == 0.25
  assert (result["wer"], result["exact_match"]) == (0.5, 0.5)
  # Crossed over: "b" for "cde" is 3 edits, "cde" for "a" is 3 edits.
  assert result["cer_shuffled"] == 6 / 4
  assert result["exact_match_shuffled"] == 0.0


def test_one_sample_has_no_control():
  evaluation = summary.TextEvaluation()
  evaluation.add("one", "one")
  assert set(evaluation.result()) == {"cer", "wer", "exact_match"}
  inks = summary.InkEvaluation(canvas=64)
  inks.add(random_ink(0), random_ink(0))
  assert not any(name.endswith("_shuffled") for name in inks.result())


@pytest.mark.parametrize("size", [2, 3, 7, 100])
def test_a_derangement_moves_every_sample(size: int):
  for seed in range(10):
    order = summary.derangement(size, seed)
    assert sorted(order) == list(range(size))
    assert all(i != other for i, other in enumerate(order))
    assert order == summary.derangement(size, seed)
  if size > 3:
    assert summary.derangement(size, 0) != summary.derangement(size, 1)


def test_what_cannot_be_scored_is_refused():
  with pytest.raises(ValueError, match="No sample"):
    summary.InkEvaluation().result()
  with pytest.raises(ValueError, match="No sample"):
    summary.TextEvaluation().result()
  with pytest.raises(ValueError, match="sample 0 has no stroke"):
    summary.InkEvaluation().add(Ink(), random_ink(0))
  with pytest.raises(ValueError, match="no character"):
    summary.TextEvaluation().add("", "x")
  with pytest.raises(ValueError, match="at least 2"):
    summary.derangement(1, 0)
