"""`evaluate`: files, keys, table."""

import json
import pathlib

import pytest
from PIL import Image

from inksight_jax.cli.evaluate import table, write_reliability
from inksight_jax.cli.main import main


def test_metrics_and_pictures_are_written(
  trained: pathlib.Path,
  tmp_path: pathlib.Path,
  capsys: pytest.CaptureFixture[str],
):
  words = ["evaluate", f"--model_dir={trained}", f"--output_dir={tmp_path}"]
  assert main([*words, "--samples=4", "--seed=3", "--json"]) == 0
  metrics = json.loads((tmp_path / "metrics.json").read_text())
  assert json.loads(capsys.readouterr().out) == metrics
  for key in (
    "recognize_ink/cer",
    "recognize_ink/exact_match",
    "recognize_and_derender/cer",
    "derender/aiou",
    "derender/ldtw",
    "derender/chamfer",
    "derender/stroke_count_error",
    "derender/token_accuracy",
    "derender/ldtw_shuffled",
    "derender/aiou_shuffled",
  ):
    assert metrics[key] >= 0, key
  assert metrics["step"] == 2
  assert metrics["seed"] == 3
  assert metrics["samples"] == 16
  assert metrics["split"] == "test"
  assert metrics["wall_seconds"] > 0
  for name in ("samples.png", "worst.png"):
    with Image.open(tmp_path / name) as image:
      assert image.format == "PNG"


def test_reliability_is_written_where_something_was_read(
  tmp_path: pathlib.Path,
):
  pytest.importorskip("matplotlib")
  points = [{"confidence": 0.9, "accuracy": 0.8, "count": 5}]
  files = write_reliability({"read": points, "trace": []}, str(tmp_path))
  assert files == ["reliability.json", "reliability.png"]
  assert json.loads((tmp_path / files[0]).read_text()) == {"read": points}
  assert write_reliability({"read": []}, str(tmp_path)) == []


def test_the_table_puts_controls_below_their_task():
  text = table(
    {
      "derender/samples": 8,
      "derender/aiou": 0.6181,
      "derender/aiou_shuffled": 0.21,
      "recognize_ink/samples": 8,
      "recognize_ink/cer": 0.05,
      "step": 3,
      "wall_seconds": 1.25,
    }
  )
  head, derender, control, recognize, foot = text.splitlines()
  assert head.split() == ["samples", "cer", "aiou"]
  assert derender.split() == ["derender", "8", "0.618"]
  assert control.split() == ["shuffled", "control", "0.210"]
  assert recognize.split() == ["recognize_ink", "8", "0.050"]
  # In the column of its own metric.
  assert control.index("0.210") == derender.index("0.618") == head.index(
    "aiou"
  ) - 1  # fmt: skip
  assert foot == "step 3, 1.2 s"


def test_a_folder_without_a_model_is_one_line(
  tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
):
  assert main(["evaluate", f"--model_dir={tmp_path}"]) == 1
  error = capsys.readouterr().err
  assert error.startswith("error: There is no config.gin in")
  assert len(error.splitlines()) == 1
