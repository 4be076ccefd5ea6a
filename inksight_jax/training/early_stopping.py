"""When held-out loss no longer falls: which step was best, when to give up."""

import math
from collections.abc import Iterable, Mapping

import numpy as np


class EarlyStopping:
  """Watches one held-out number among those that are reported.

  It is a `writers.Writer`, so it sees what the curve shows. The loop saves the
  best step only, and stops when there was none better for too long.

  Attributes:
    best: least value so far.
    best_step: its step; None before the first evaluation.
  """

  def __init__(
    self,
    patience: int,
    metric: str = "eval/loss",
    history: Iterable[Mapping[str, float]] = (),
  ) -> None:
    """Takes up where earlier reports end.

    Args:
      patience: evaluations in a row that may bring nothing better.
      metric: name of the number; less is better.
      history: lines of the curve of a run that is resumed.

    Raises:
      ValueError: `patience` is not positive.
    """
    if patience < 1:
      raise ValueError(
        f"`patience` is {patience}; it must be at least 1 evaluation, or None "
        "to train to the last step."
      )
    self.best = math.inf
    self.best_step: int | None = None
    self._patience = patience
    self._metric = metric
    self._waited = 0
    for line in history:
      self.scalars(int(line["step"]), line)

  @property
  def exhausted(self) -> bool:
    """Whether to stop."""
    return self._waited >= self._patience

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """Notes the metric, where it is among the values."""
    if self._metric not in values:
      return
    if values[self._metric] < self.best:
      self.best, self.best_step = values[self._metric], step
      self._waited = 0
    else:
      self._waited += 1

  def image(self, step: int, name: str, image: np.ndarray) -> None:
    """Looks at no pictures."""

  def close(self) -> None:
    """Holds nothing open."""
