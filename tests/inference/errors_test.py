"""Errors of a reader, grouped and drawn."""

import json
import pathlib

import numpy as np

from inksight_jax.inference.errors import error_sheet, write_errors
from inksight_jax.inference.evaluation import Outcome, confidence_scores
from inksight_jax.inference.held_out import Sample
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import Example


def outcome(truth: str, text: str, shade: int, sure: float = 0.9) -> Outcome:
  nothing = np.zeros(0, np.int32)
  example = Example(np.full((14, 70, 3), shade, np.uint8), nothing, nothing)
  sample = Sample("id", "read_digits", example, truth, Ink())
  return Outcome(
    sample,
    text,
    Ink(),
    False,
    confidences=[sure] * len(text),
    log_prob=np.log(sure).item(),
  )


OUTCOMES = [
  outcome("12", "12", 10),
  outcome("12", "13", 60),
  outcome("42", "43", 110),
  outcome("52", "51", 160, sure=0.2),
  outcome("12", "2", 210, sure=0.6),
]


def test_groups_stand_in_order_and_right_answers_not_at_all():
  sheet = error_sheet(OUTCOMES)
  assert sheet is not None
  shades = [10, 60, 110, 160, 210]
  rows = {
    shade: np.flatnonzero((sheet == shade).all(2).sum(1) >= 140)
    for shade in shades
  }
  assert len(rows[10]) == 0
  # Enlarged twice; "2 -> 3" comes before the rarer "2 -> 1", lengths first.
  assert all(len(rows[shade]) == 28 for shade in shades[1:])
  assert rows[210].max() < rows[60].min() == rows[110].min()
  assert rows[60].max() < rows[160].min()
  assert error_sheet(OUTCOMES[:1]) is None


def test_files_are_written_where_there_are_errors(tmp_path: pathlib.Path):
  files = write_errors(OUTCOMES, str(tmp_path), "", 4)
  assert files == ["errors.json", "errors.png"]
  found = json.loads((tmp_path / "errors.json").read_text())
  assert found["wrong"] == 4 and found["lengths"]["too short"] == 1
  assert write_errors(OUTCOMES[:1], str(tmp_path), "a_", 4) == ["a_errors.json"]


def test_scores_of_five_answers():
  scores = confidence_scores(OUTCOMES)
  assert scores["wrong_length"] == 0.2 and scores["empty_text"] == 0.0
  # 0.9: four of six characters are right; 0.2: one of two; 0.6: one of one.
  expected = 6 / 9 * abs(0.9 - 4 / 6) + 2 / 9 * 0.3 + 1 / 9 * 0.4
  assert abs(scores["calibration_error"] - expected) < 1e-6
  assert scores["exact_match_confident"] == 0.2
