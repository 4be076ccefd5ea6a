"""Scores of predictors whose answers are known beforehand."""

import copy

import numpy as np
import pytest

from inksight_jax.inference.evaluation import (
  by_class,
  evaluate,
  predict_samples,
  teacher_forced,
  text_class,
)
from inksight_jax.inference.held_out import Sample, held_out_samples
from inksight_jax.inference.predictor import Answer, Predictor
from inksight_jax.text.codecs import EOS_ID


@pytest.fixture(scope="module")
def samples(model: Predictor) -> dict[str, list[Sample]]:
  return held_out_samples(model.tasks, "test", 6)


def with_answers(
  model: Predictor, answers: dict[bytes, list[int]] | None
) -> Predictor:
  """Answers by what is asked; nothing but EOS where `answers` is None."""

  class Fake(Predictor):
    def answer(self, images, inputs, tasks):
      tokens = [
        [EOS_ID] if answers is None else answers[key(image, prompt)]
        for image, prompt in zip(images, inputs, strict=True)
      ]
      return [
        Answer(np.asarray(t, np.int32), np.zeros(len(t), np.float32))
        for t in tokens
      ]

  return Fake(model.model, model.params, model.tasks, step=5, batch_size=4)


def key(image: np.ndarray, prompt: np.ndarray) -> bytes:
  return image.tobytes() + np.asarray(prompt, np.int32).tobytes()


def test_the_true_answers_score_perfectly(
  model: Predictor, samples: dict[str, list[Sample]]
):
  truth = {
    key(s.example.image, s.example.inputs): s.example.targets.tolist()
    for chosen in samples.values()
    for s in chosen
  }
  metrics = evaluate(with_answers(model, truth), samples, seed=3).metrics
  for task in ("recognize_ink", "recognize_and_derender"):
    assert metrics[f"{task}/cer"] == metrics[f"{task}/wer"] == 0
    assert metrics[f"{task}/exact_match"] == 1
    assert metrics[f"{task}/cer_shuffled"] > 0.3
  for task in ("derender", "derender_with_text", "recognize_and_derender"):
    assert metrics[f"{task}/aiou"] == 1
    for name in ("ldtw", "dtw", "chamfer", "stroke_count_error", "empty"):
      assert metrics[f"{task}/{name}"] == 0
    assert metrics[f"{task}/ldtw_shuffled"] > 1
    assert metrics[f"{task}/aiou_shuffled"] < 0.7
  assert "recognize_ink/aiou" not in metrics
  assert "derender/cer" not in metrics
  assert metrics["step"] == 5 and metrics["seed"] == 3
  assert metrics["samples"] == 24 and metrics["derender/samples"] == 6
  assert metrics["wall_seconds"] > 0
  assert all(np.isfinite(list(metrics.values())))


def test_no_answer_scores_worst(
  model: Predictor, samples: dict[str, list[Sample]]
):
  result = evaluate(with_answers(model, None), samples)
  assert result.metrics["recognize_ink/cer"] == 1
  assert result.metrics["recognize_ink/exact_match"] == 0
  assert result.metrics["derender/aiou"] == 0
  assert result.metrics["derender/empty"] == 1
  diagonal = np.hypot(model.tasks.canvas, model.tasks.canvas)
  assert result.metrics["derender/ldtw"] == pytest.approx(diagonal)
  assert result.metrics["derender/truncated"] == 0


def test_a_task_that_only_reads_gets_no_credit_for_ink(
  model: Predictor, samples: dict[str, list[Sample]]
):
  sample = samples["recognize_ink"][0]
  vocabulary = model.tasks.vocabulary
  mixed = [
    *vocabulary.encode_text("b"),
    *vocabulary.encode_ink(samples["derender"][0].ink),
  ]
  answers = {key(sample.example.image, sample.example.inputs): mixed}
  [found] = predict_samples(with_answers(model, answers), [sample])
  assert (found.text, len(found.ink), found.truncated) == ("b", 0, True)
  assert len(found.confidences) == 1


def test_teacher_forced_scores_do_not_depend_on_the_batch_size(
  model: Predictor, samples: dict[str, list[Sample]]
):
  chosen = samples["derender"][:5]
  # Shares the compiled functions.
  other = copy.copy(model)
  other.batch_size = 3
  scores = teacher_forced(model, chosen), teacher_forced(other, chosen)
  # 4 + 1 samples and 3 + 2: if a row that fills up a batch counted, they
  # would differ.
  assert scores[0] == pytest.approx(scores[1], rel=1e-4)
  assert 0 <= scores[0]["token_accuracy"] <= 1


def test_classes_of_text():
  assert text_class("7") == text_class("90210") == "digits"
  assert text_class("word") == "lowercase"
  for text in ("Word", "a1", "don't", "two words", "\u6f22"):
    assert text_class(text) == "other"


def test_scores_by_class_are_those_of_the_subsets():
  truths = ["1", "ab", "2", "cd", "X"]
  predictions = ["1", "ax", "7", "cd", "X"]
  assert by_class(truths, predictions) == {
    "exact_match_digits": 0.5,
    "cer_digits": 0.5,
    "samples_digits": 2,
    "exact_match_lowercase": 0.5,
    "cer_lowercase": 0.25,
    "samples_lowercase": 2,
    "exact_match_other": 1.0,
    "cer_other": 0.0,
    "samples_other": 1,
  }
  assert by_class(["1", "2"], ["1", "2"]) == {}


def test_nothing_to_evaluate_is_an_error(model: Predictor):
  with pytest.raises(ValueError, match="no sample of 'derender'"):
    evaluate(model, {"derender": []})
