"""`train` end to end, on data made on the spot."""

import json
import pathlib

import pytest

from inksight_jax.cli.main import main


def test_the_model_directory_describes_itself(trained: pathlib.Path):
  names = {path.name for path in trained.iterdir()}
  assert {
    "config.gin",
    "vocabulary.json",
    "checkpoints",
    "curve.jsonl",
    "tensorboard",
  } <= names
  assert "TRAIN_STEPS = 2" in (trained / "config.gin").read_text()
  curve = [
    json.loads(line)
    for line in (trained / "curve.jsonl").read_text().splitlines()
  ]
  assert {line["step"] for line in curve} == {1, 2}
  assert all(line["train/loss"] > 0 for line in curve if "train/loss" in line)
  assert (trained / "checkpoints" / "2" / "params").is_dir()


def test_a_run_is_not_written_over(
  trained: pathlib.Path,
  train_words: list[str],
  capsys: pytest.CaptureFixture[str],
):
  assert main([*train_words, f"--model_dir={trained}"]) == 1
  error = capsys.readouterr().err
  assert "--resume" in error and len(error.splitlines()) == 1


def test_resume_goes_on_where_it_stopped(
  trained: pathlib.Path, train_words: list[str]
):
  before = (trained / "curve.jsonl").read_text()
  words = [*train_words, f"--model_dir={trained}", "--resume"]
  assert main(words) == 0
  assert (trained / "curve.jsonl").read_text() == before


def test_a_misspelt_name_is_one_line_and_no_folder(
  tmp_path: pathlib.Path,
  train_words: list[str],
  capsys: pytest.CaptureFixture[str],
):
  folder = tmp_path / "model"
  words = [*train_words, f"--model_dir={folder}", "--gin.TRIAN_STEPS=3"]
  assert main(words) == 1
  error = capsys.readouterr().err
  assert "did you mean TRAIN_STEPS" in error
  assert len(error.splitlines()) == 1
  assert not folder.exists()
