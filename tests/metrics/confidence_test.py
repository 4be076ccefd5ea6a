"""Calibration and rejection against numbers worked out by hand."""

import numpy as np
import pytest

from inksight_jax.metrics.confidence import (
  accuracy_after_rejection,
  auroc,
  calibration_error,
  characters_right,
  reliability,
)


def test_calibration_error_of_four_predictions():
  # Bins of a half: 0.4 and 0.2 with one right, 0.9 and 0.7 with both right.
  confidences, right = [0.4, 0.9, 0.2, 0.7], [True, True, False, True]
  assert reliability(confidences, right, 2) == [
    pytest.approx({"confidence": 0.3, "accuracy": 0.5, "count": 2}),
    pytest.approx({"confidence": 0.8, "accuracy": 1.0, "count": 2}),
  ]
  expected = 0.5 * 0.2 + 0.5 * 0.2
  assert calibration_error(confidences, right, 2) == pytest.approx(expected)
  assert calibration_error([], []) == 0.0
  # Certainty belongs to the last bin, not behind it.
  assert calibration_error([1.0, 1.0], [True, False]) == pytest.approx(0.5)


def test_who_is_right_as_often_as_confident_is_calibrated():
  rng = np.random.default_rng(0)
  confidences = rng.uniform(0, 1, 40_000)
  right = (rng.uniform(0, 1, 40_000) < confidences).tolist()
  assert calibration_error(confidences.tolist(), right) < 0.02
  assert calibration_error((confidences**4).tolist(), right) > 0.2


def test_rejection_leaves_out_the_least_confident():
  confidences = [0.9, 0.1, 0.8, 0.7, 0.6]
  right = [True, False, True, True, False]
  assert accuracy_after_rejection(confidences, right, 0.0) == 0.6
  assert accuracy_after_rejection(confidences, right, 0.39) == 0.75
  assert accuracy_after_rejection(confidences, right, 0.4) == 1.0
  with pytest.raises(ValueError, match="at least one"):
    accuracy_after_rejection([], [])
  with pytest.raises(ValueError, match="2 confidences, 1 answers"):
    reliability([0.1, 0.2], [True])


@pytest.mark.parametrize(
  ("truth", "prediction", "right"),
  [
    ("12345", "12345", [1, 1, 1, 1, 1]),
    ("12345", "1245", [1, 1, 1, 1]),
    ("12345", "12945", [1, 1, 0, 1, 1]),
    ("123", "1923", [1, 0, 1, 1]),
    ("", "7", [0]),
    ("7", "", []),
  ],
)
def test_characters_are_right_where_the_alignment_says_so(
  truth, prediction, right
):
  assert characters_right(truth, prediction) == [bool(r) for r in right]


def test_auroc_is_the_share_of_pairs_in_the_right_order():
  rng = np.random.default_rng(0)
  # Few values, so that there are ties.
  sure = rng.integers(0, 6, 40) / 5
  right = rng.random(40) < 0.3 + 0.4 * sure
  pairs = [
    (a > b) + 0.5 * (a == b)
    for a, hit in zip(sure, right, strict=True)
    if hit
    for b, other in zip(sure, right, strict=True)
    if not other
  ]
  got = auroc(sure.tolist(), right.tolist())
  np.testing.assert_allclose(got, np.mean(pairs))
  assert 0.55 < got < 0.95
  assert np.isnan(auroc([0.5, 0.6], [True, True]))
