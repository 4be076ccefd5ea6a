"""What a model says of the same held-out samples, again and again."""

from __future__ import annotations

from typing import Any

from inksight_jax.inference import evaluation, held_out
from inksight_jax.inference.evaluation import Outcome
from inksight_jax.inference.predictor import Predictor
from inksight_jax.metrics.text import (
  character_error_rate,
  exact_match,
  word_error_rate,
)
from inksight_jax.models.sequence_to_sequence import SequenceToSequence
from inksight_jax.pipeline.task_set import TaskSet


class HeldOutPredictions:
  """Predictions for a few held-out samples while a model learns.

  Attributes:
    tasks: the tasks.
    split: where the samples come from.
    count: samples of each task.
    seed: which samples.
    cache: array shards to take them from; None builds them from records.
    batch_size: samples decoded together; all by default.
  """

  def __init__(
    self,
    tasks: TaskSet,
    split: str = "validation",
    count: int = 8,
    seed: int = 0,
    cache: str | None = None,
    batch_size: int | None = None,
  ) -> None:
    """Remembers what to predict; samples are read at the first call."""
    self.tasks = tasks
    self.split = split
    self.count = count
    self.seed = seed
    self.cache = cache
    self.batch_size = batch_size or count
    self._samples: dict[str, list[held_out.Sample]] | None = None
    self._predictor: Predictor | None = None

  def outcomes(
    self, model: SequenceToSequence, params: Any, step: int
  ) -> dict[str, list[Outcome]]:
    """Predictions by task, not yet scored.

    Args:
      model: the model object.
      params: its parameters now.
      step: training step.
    """
    if self._samples is None:
      self._samples = held_out.held_out_samples(
        self.tasks, self.split, self.count, self.seed, self.cache
      )
    if self._predictor is None or self._predictor.model is not model:
      self._predictor = Predictor(
        model, params, self.tasks, batch_size=self.batch_size
      )
    self._predictor.params = params
    self._predictor.step = step
    found = {
      task: evaluation.predict_samples(self._predictor, samples)
      for task, samples in self._samples.items()
    }
    # The trainer donates its parameters to the next step.
    self._predictor.params = None
    return found


class ErrorRates(HeldOutPredictions):
  """Error rates of the texts that a model writes by itself, as it learns.

  The curve of the loss is of texts whose beginning is given; this one is what
  `evaluate` measures.
  """

  def __call__(
    self, model: SequenceToSequence, params: Any, step: int
  ) -> dict[str, float]:
    """`eval/cer`, `eval/wer` and `eval/exact_match` of all tasks with text.

    Args:
      model: the model object.
      params: its parameters now.
      step: training step.

    Raises:
      ValueError: no task writes text.
    """
    pairs = [
      (outcome.sample.text, outcome.text)
      for task, outcomes in self.outcomes(model, params, step).items()
      for outcome in outcomes
      if self.tasks.info(task).writes_text
    ]
    if not pairs:
      raise ValueError(
        f"Error rates of texts: none of {', '.join(self.tasks.tasks)} writes "
        "one; leave run.train.score_fn out."
      )
    truths, predictions = ([pair[side] for pair in pairs] for side in (0, 1))
    return {
      "eval/cer": character_error_rate(truths, predictions),
      "eval/wer": word_error_rate(truths, predictions),
      "eval/exact_match": exact_match(truths, predictions),
    }
