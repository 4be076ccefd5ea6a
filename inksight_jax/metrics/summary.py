"""Metrics of a whole evaluation, beside what guessing would have scored.

Each metric comes with a control, `<metric>_shuffled`: every prediction scored
against the truth of another sample. A model that ignores its input scores the
same on both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from inksight_jax.ink.types import Ink
from inksight_jax.metrics import ink as ink_metrics
from inksight_jax.metrics import text as text_metrics


class TextEvaluation:
  """Collects pairs of true and recognised text.

  Attributes:
    truths: true strings in the order added.
    predictions: recognised strings in the same order.
  """

  def __init__(self, seed: int = 0) -> None:
    """Starts empty.

    Args:
      seed: fixes the shuffled control.
    """
    self.seed = seed
    self.truths: list[str] = []
    self.predictions: list[str] = []

  def __len__(self) -> int:
    return len(self.truths)

  def add(self, truth: str, prediction: str) -> dict[str, float]:
    """Adds one sample and returns its own scores.

    Args:
      truth: the reference; not empty or white space only.
      prediction: recognised text; may be empty, which costs 100 %.

    Returns:
      `cer`, `wer` and `exact_match` of this sample.

    Raises:
      ValueError: the truth holds no word, so that no rate is defined.
    """
    scores = _text_scores([truth], [prediction])
    self.truths.append(truth)
    self.predictions.append(prediction)
    return scores

  def result(self) -> dict[str, float]:
    """Corpus-level `cer`, `wer`, `exact_match`; controls from 2 samples on.

    Raises:
      ValueError: nothing was added.
    """
    _check_not_empty(len(self))
    scores = _text_scores(self.truths, self.predictions)
    if len(self) < 2:
      return scores
    others = derangement(len(self), self.seed)
    shuffled = _text_scores([self.truths[i] for i in others], self.predictions)
    return scores | _controls(shuffled)


class InkEvaluation:
  """Collects pairs of true and traced ink on one canvas.

  Scores are means over samples: `aiou`, `ldtw`, `dtw` and `chamfer` as in
  `metrics.ink`, `stroke_count_error`, and `empty`, the share of predictions
  without a stroke, which get the worst value: the diagonal of the canvas.

  Attributes:
    truths: true inks in the order added.
    predictions: traced inks in the same order.
  """

  def __init__(
    self,
    canvas: int = 224,
    spacing: float = ink_metrics.SPACING,
    pen: int = 3,
    seed: int = 0,
  ) -> None:
    """Starts empty.

    Args:
      canvas: side N of the canvas that all inks lie on, pixels.
      spacing: resampling distance before distances are taken, pixels.
      pen: odd width of the true ink in AIoU, pixels.
      seed: fixes the shuffled control.
    """
    self.canvas = canvas
    self.spacing = spacing
    self.pen = pen
    self.seed = seed
    self.truths: list[Ink] = []
    self.predictions: list[Ink] = []
    self._scores: list[dict[str, float]] = []

  def __len__(self) -> int:
    return len(self.truths)

  def add(self, truth: Ink, prediction: Ink) -> dict[str, float]:
    """Adds one sample and returns its own scores.

    Args:
      truth: true ink on the canvas; not empty.
      prediction: traced ink on the canvas; may be empty.

    Returns:
      One number for each metric; sort by them to find the worst cases.

    Raises:
      ValueError: the truth has no stroke.
    """
    if not truth:
      raise ValueError(
        f"The true ink of sample {len(self)} has no stroke; leave samples "
        "without ink out of an ink evaluation."
      )
    scores = self._score(truth, prediction)
    self.truths.append(truth)
    self.predictions.append(prediction)
    self._scores.append(scores)
    return scores

  def result(self) -> dict[str, float]:
    """Means over samples; controls from 2 samples on.

    Raises:
      ValueError: nothing was added.
    """
    _check_not_empty(len(self))
    scores = _means(self._scores)
    if len(self) < 2:
      return scores
    others = derangement(len(self), self.seed)
    shuffled = _means(
      [
        self._score(self.truths[other], prediction)
        for other, prediction in zip(others, self.predictions, strict=True)
      ]
    )
    # Whether a prediction is empty does not depend on the truth.
    del shuffled["empty"]
    return scores | _controls(shuffled)

  def _score(self, truth: Ink, prediction: Ink) -> dict[str, float]:
    worst = float(np.hypot(self.canvas, self.canvas))
    scores = ink_metrics.distances(prediction, truth, self.spacing, worst)
    scores["aiou"] = ink_metrics.aiou(prediction, truth, self.canvas, self.pen)
    scores["stroke_count_error"] = float(
      ink_metrics.stroke_count_error(prediction, truth)
    )
    scores["empty"] = float(not prediction)
    return scores


def derangement(size: int, seed: int) -> list[int]:
  """A random permutation without a fixed point: one cycle (Sattolo, 1986).

  Args:
    size: number of samples, at least 2.
    seed: the same seed gives the same permutation.

  Raises:
    ValueError: fewer than 2 samples cannot be deranged.
  """
  if size < 2:
    raise ValueError(f"A derangement needs at least 2 samples; got {size}.")
  rng = np.random.default_rng(seed)
  order = list(range(size))
  for last in range(size - 1, 0, -1):
    other = int(rng.integers(last))
    order[last], order[other] = order[other], order[last]
  return order


def _text_scores(
  truths: Sequence[str], predictions: Sequence[str]
) -> dict[str, float]:
  return {
    "cer": text_metrics.character_error_rate(truths, predictions),
    "wer": text_metrics.word_error_rate(truths, predictions),
    "exact_match": text_metrics.exact_match(truths, predictions),
  }


def _means(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
  return {
    name: float(np.mean([score[name] for score in scores]))
    for name in scores[0]
  }


def _controls(scores: Mapping[str, float]) -> dict[str, float]:
  return {f"{name}_shuffled": value for name, value in scores.items()}


def _check_not_empty(samples: int) -> None:
  if not samples:
    raise ValueError(
      "No sample was added, so there is nothing to average; check that the "
      "split holds samples of this task."
    )
