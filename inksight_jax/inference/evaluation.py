"""Scores of a model on held-out samples, each beside its control.

Keys are `<task>/<metric>`:

- tasks that write text: `cer`, `wer`, `exact_match`; `wrong_length` and
  `empty_text` (shares of the samples); `calibration_error` of the confidence of
  single characters; `exact_match_confident`, of the samples that are left when
  the least confident 2 % are refused; `auroc`, the chance that a right answer
  is surer than a wrong one, where there are both; and `exact_match_digits`,
  `exact_match_lowercase`, `exact_match_other` (and `cer_...`) where the true
  texts fall into more than one of these classes, or their pictures into more
  than one group of the tasks;
- tasks that write ink: `aiou`, `ldtw`, `dtw`, `chamfer`, `stroke_count_error`,
  `empty`, in pixels of the token canvas;
- all: `token_accuracy` and `loss` (the true tokens before each are given),
  `truncated` (share of answers that hit the length limit), `samples`.

`<metric>_shuffled` scores each prediction against another sample's truth. What
a task `<task>_square` scores is also there as `<task>/<metric>_square`: the
same with pictures on square canvases; and `<task>_views/<metric>` what several
views of each held-out picture are read as (`picture_views`).
"""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inksight_jax.inference.held_out import Sample
from inksight_jax.inference.predictor import Predictor
from inksight_jax.ink.types import Ink
from inksight_jax.metrics import confidence
from inksight_jax.metrics.summary import InkEvaluation, TextEvaluation
from inksight_jax.metrics.text import character_error_rate, exact_match
from inksight_jax.pipeline.examples import stack, to_model_features

# Ending of the names of tasks that are there to be compared with.
SQUARE = "_square"


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
  """Prediction for one sample.

  Attributes:
    sample: the sample.
    text: recognised text; empty for tasks that write none.
    ink: traced ink on the canvas; empty for tasks that write none.
    truncated: whether the answer hit the length limit.
    scores: scores of this sample alone, by metric.
    confidences: probability of each character of `text`.
    log_prob: of all tokens but those of ink, summed.
  """

  sample: Sample
  text: str
  ink: Ink
  truncated: bool
  scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
  confidences: Sequence[float] = ()
  log_prob: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
  """Result of an evaluation.

  Attributes:
    metrics: numbers by key, see the module; and `step`, `samples` (over all
      tasks), `seed`, `canvas` (pixels) and `wall_seconds`.
    outcomes: every prediction, by task.
  """

  metrics: dict[str, float | int]
  outcomes: dict[str, list[Outcome]]


def evaluate(
  predictor: Predictor,
  samples: Mapping[str, Sequence[Sample]],
  seed: int = 0,
) -> Evaluation:
  """Predicts and scores samples.

  Args:
    predictor: the model.
    samples: by task, as `held_out_samples` draws them.
    seed: fixes the shuffled controls.

  Raises:
    ValueError: a task has no samples.
  """
  start = time.perf_counter()
  metrics: dict[str, float | int] = {}
  outcomes: dict[str, list[Outcome]] = {}
  for task, chosen in samples.items():
    scores, outcomes[task] = evaluate_task(predictor, task, chosen, seed)
    metrics |= {f"{task}/{name}": value for name, value in scores.items()}
    plain = task.removesuffix(SQUARE)
    if plain != task and plain in samples:
      for name in ("cer", "exact_match"):
        metrics[f"{plain}/{name}{SQUARE}"] = scores[name]
  metrics |= {
    "step": predictor.step,
    "samples": sum(map(len, samples.values())),
    "seed": seed,
    "canvas": predictor.tasks.canvas,
    "wall_seconds": round(time.perf_counter() - start, 3),
  }
  return Evaluation(metrics, outcomes)


def evaluate_task(
  predictor: Predictor, task: str, samples: Sequence[Sample], seed: int
) -> tuple[dict[str, float], list[Outcome]]:
  """Predicts and scores samples of one task.

  Args:
    predictor: the model.
    task: task name.
    samples: of this task.
    seed: fixes the shuffled controls.

  Returns:
    (numbers by metric, every prediction).

  Raises:
    ValueError: there are no samples.
  """
  if not samples:
    raise ValueError(f"There is no sample of {task!r} to evaluate.")
  info = predictor.tasks.info(task)
  texts = TextEvaluation(seed)
  inks = InkEvaluation(predictor.tasks.canvas, seed=seed)
  outcomes = []
  for outcome in predict_samples(predictor, samples):
    scores: dict[str, float] = {}
    if info.writes_text:
      scores |= texts.add(outcome.sample.text, outcome.text)
    if info.writes_ink:
      scores |= inks.add(outcome.sample.ink, outcome.ink)
    outcomes.append(dataclasses.replace(outcome, scores=scores))
  groups = [predictor.tasks.group(sample.example) for sample in samples]
  metrics = text_scores(texts, outcomes, groups) if info.writes_text else {}
  metrics |= inks.result() if info.writes_ink else {}
  metrics |= teacher_forced(predictor, samples)
  metrics["truncated"] = float(np.mean([o.truncated for o in outcomes]))
  metrics["samples"] = len(samples)
  return metrics, outcomes


def predict_samples(
  predictor: Predictor, samples: Sequence[Sample]
) -> list[Outcome]:
  """Predictions for samples, not yet scored.

  What a task does not write is left out: ink tokens in the answer of a task
  that only reads count for nothing.
  """
  answers = predictor.answer(
    [sample.example.image for sample in samples],
    [sample.example.inputs for sample in samples],
    [sample.task for sample in samples],
  )
  vocabulary = predictor.tasks.vocabulary
  outcomes = []
  for sample, answer in zip(samples, answers, strict=True):
    info = predictor.tasks.info(sample.task)
    decoded = vocabulary.decode(answer.tokens)
    is_text = answer.tokens < vocabulary.ink_offset
    confidences = vocabulary.character_confidences(
      answer.tokens, answer.log_probs.tolist()
    )
    outcomes.append(
      Outcome(
        sample,
        decoded.text if info.writes_text else "",
        decoded.ink if info.writes_ink else Ink(),
        not decoded.ended,
        confidences=confidences if info.writes_text else (),
        log_prob=float(answer.log_probs[is_text].sum()),
      )
    )
  return outcomes


def text_scores(
  texts: TextEvaluation, outcomes: Sequence[Outcome], groups: Sequence[str]
) -> dict[str, float]:
  """All numbers of a task that writes text, by metric.

  Args:
    texts: what was read, beside the truth.
    outcomes: the same, with confidences.
    groups: of each sample, as the tasks group pictures.
  """
  pairs = texts.truths, texts.predictions
  return {
    **texts.result(),
    **confidence_scores(outcomes),
    **by_class(*pairs),
    **by_class(*pairs, groups),
  }


def confidence_scores(outcomes: Sequence[Outcome]) -> dict[str, float]:
  """Lengths of the recognised texts, and whether confidence means anything.

  Args:
    outcomes: of a task that writes text.

  Returns:
    `wrong_length`, `empty_text`, `calibration_error`,
    `exact_match_confident` and `auroc`, see the module.
  """
  texts = [(outcome.sample.text, outcome.text) for outcome in outcomes]
  confidences, right = _characters(outcomes)
  sure = [outcome.log_prob for outcome in outcomes]
  correct = [a == b for a, b in texts]
  ranked = confidence.auroc(sure, correct)
  return {
    "wrong_length": float(np.mean([len(a) != len(b) for a, b in texts])),
    "empty_text": float(np.mean([not b for _, b in texts])),
    "calibration_error": confidence.calibration_error(confidences, right),
    "exact_match_confident": confidence.accuracy_after_rejection(sure, correct),
    # JSON has no nan.
    **({} if np.isnan(ranked) else {"auroc": ranked}),
  }


def reliability(outcomes: Sequence[Outcome]) -> list[dict[str, float]]:
  """Single characters by their confidence; see `confidence.reliability`."""
  return confidence.reliability(*_characters(outcomes))


def _characters(outcomes: Sequence[Outcome]) -> tuple[list[float], list[bool]]:
  """How sure each recognised character is, and whether it is right."""
  confidences: list[float] = []
  right: list[bool] = []
  for outcome in outcomes:
    confidences += outcome.confidences
    right += confidence.characters_right(outcome.sample.text, outcome.text)
  return confidences, right


def text_class(text: str) -> str:
  """Class by which recognition is broken down: digits, lowercase or other."""
  if text.isdecimal():
    return "digits"
  if text.isalpha() and text.islower():
    return "lowercase"
  return "other"


def by_class(
  truths: Sequence[str],
  predictions: Sequence[str],
  names: Sequence[str] | None = None,
) -> dict[str, float]:
  """`exact_match_<class>` and `cer_<class>`, where classes are mixed.

  Args:
    truths: true texts.
    predictions: recognised texts, in the same order.
    names: class of each; that of the text by default.

  Returns:
    Nothing where all truths are of one class.
  """
  classes: dict[str, list[int]] = collections.defaultdict(list)
  names = [text_class(truth) for truth in truths] if names is None else names
  for index, name in enumerate(names):
    classes[name].append(index)
  if len(classes) < 2:
    return {}
  scores: dict[str, float] = {}
  for name, rows in sorted(classes.items()):
    chosen = [truths[i] for i in rows], [predictions[i] for i in rows]
    scores[f"exact_match_{name}"] = exact_match(*chosen)
    scores[f"cer_{name}"] = character_error_rate(*chosen)
    scores[f"samples_{name}"] = len(rows)
  return scores


def teacher_forced(
  predictor: Predictor, samples: Sequence[Sample]
) -> dict[str, float]:
  """`token_accuracy` and `loss` with the true tokens before each given."""
  totals: dict[str, Any] = {}
  size = min(predictor.batch_size, len(samples))
  for first in range(0, len(samples), size):
    features = [
      to_model_features(sample.example, predictor.tasks)
      for sample in samples[first : first + size]
    ]
    batch = stack(features + features[:1] * (size - len(features)))
    # Rows that only fill up the batch weigh nothing.
    batch["decoder_loss_weights"][len(features) :] = 0
    metrics = predictor.score(batch)
    totals = {
      name: totals[name].merge(metrics[name]) if totals else metrics[name]
      for name in ("accuracy", "loss")
    }
  return {
    "token_accuracy": float(totals["accuracy"].compute()),
    "loss": float(totals["loss"].compute()),
  }
