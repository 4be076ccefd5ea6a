"""Whether a recogniser knows when it is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

BINS = 15


def characters_right(truth: str, prediction: str) -> list[bool]:
  """Which characters of a prediction are right, after the best alignment.

  Args:
    truth: true text.
    prediction: recognised text.

  Returns:
    For each character of the prediction whether it stands beside an equal one.
  """
  right = np.zeros(len(prediction), bool)
  for block in Levenshtein.opcodes(truth, prediction):
    if block.tag == "equal":
      right[block.dest_start : block.dest_end] = True
  return right.tolist()


def reliability(
  confidences: Sequence[float], right: Sequence[bool], bins: int = BINS
) -> list[dict[str, float]]:
  """What a reliability diagram shows: predictions by their confidence.

  Args:
    confidences: 0 to 1.
    right: whether each prediction is.
    bins: parts of equal width.

  Returns:
    For each part that is not empty: `confidence` (mean), `accuracy`, `count`.

  Raises:
    ValueError: the lists differ in length.
  """
  _check(confidences, right)
  values = np.asarray(confidences, float)
  hits = np.asarray(right, float)
  places = np.minimum((values * bins).astype(int), bins - 1)
  return [
    {
      "confidence": float(values[places == place].mean()),
      "accuracy": float(hits[places == place].mean()),
      "count": int((places == place).sum()),
    }
    for place in range(bins)
    if (places == place).any()
  ]


def calibration_error(
  confidences: Sequence[float], right: Sequence[bool], bins: int = BINS
) -> float:
  """Expected calibration error (Guo et al. 2017, section 2), 0 at best.

  Args:
    confidences: 0 to 1.
    right: whether each prediction is.
    bins: parts of equal width.

  Returns:
    The mean distance of confidence and accuracy; 0 without predictions.
  """
  parts = reliability(confidences, right, bins)
  total = sum(part["count"] for part in parts)
  return sum(
    part["count"] / total * abs(part["confidence"] - part["accuracy"])
    for part in parts
  )


def accuracy_after_rejection(
  confidences: Sequence[float], right: Sequence[bool], share: float = 0.02
) -> float:
  """Accuracy of what is left when the least confident share is refused.

  Args:
    confidences: any scale; equal ones are refused in the order given.
    right: whether each prediction is.
    share: to be refused, 0 to below 1; rounded down to whole predictions.

  Raises:
    ValueError: no predictions, lists that differ in length, or a bad share.
  """
  _check(confidences, right)
  if not len(right) or not 0.0 <= share < 1.0:
    raise ValueError(
      f"{len(right)} predictions, of which a share of {share} is refused; "
      "wanted at least one and a share in [0, 1)."
    )
  order = np.argsort(np.asarray(confidences, float), kind="stable")
  kept = order[int(share * len(order)) :]
  return float(np.asarray(right, float)[kept].mean())


def auroc(confidences: Sequence[float], right: Sequence[bool]) -> float:
  """Chance that a right answer is surer than a wrong one; ties count half.

  The area under the ROC curve, from the ranks (Mann and Whitney 1947).

  Args:
    confidences: any scale.
    right: whether each prediction is.

  Returns:
    0 to 1, 0.5 for confidences that mean nothing; nan where all answers are
    right, or all wrong.

  Raises:
    ValueError: the lists differ in length.
  """
  _check(confidences, right)
  hits = np.asarray(right, bool)
  num_right, num_wrong = int(hits.sum()), int((~hits).sum())
  if not (num_right and num_wrong):
    return float("nan")
  _, places, counts = np.unique(
    np.asarray(confidences, float), return_inverse=True, return_counts=True
  )
  # Equal ones share the mean of their ranks.
  ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
  below = ranks[hits].sum() - num_right * (num_right + 1) / 2
  return float(below / (num_right * num_wrong))


def _check(confidences: Sequence[float], right: Sequence[bool]) -> None:
  if len(confidences) != len(right):
    raise ValueError(f"{len(confidences)} confidences, {len(right)} answers.")
