"""Three of the benchmark's twenty kills, on a smaller model."""

import importlib.util
import pathlib
import sys

import jax
import numpy as np
import pytest

from inksight_jax.training import checkpoints

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def kill_resume():
  path = ROOT / "benchmarks" / "kill_resume.py"
  spec = importlib.util.spec_from_file_location("kill_resume", path)
  assert spec is not None and spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  sys.modules["kill_resume"] = module  # Dataclasses look themselves up there.
  spec.loader.exec_module(module)
  return module


def test_killed_runs_end_like_the_quiet_one(kill_resume, tmp_path, monkeypatch):
  # The flags below are for the program, not for the JAX of these tests.
  jax.devices()
  # One device, and a compiler that does not try hard.
  flags = "--xla_backend_optimization_level=0"
  monkeypatch.setenv("XLA_FLAGS", flags)
  arguments = [
    f"--gin_file={ROOT / 'tests' / 'inference' / 'tiny.gin'}",
    "--gin_file=gin/optimizers/adamw.gin",
    "--gin_file=gin/runs/train.gin",
    "--gin_file=gin/runs/from_records.gin",
    "--gin.DROPOUT_RATE=0.1",
    "--gin.TRAIN_STEPS=40",
    "--gin.BATCH_SIZE=2",
    "--gin.WARMUP_STEPS=5",
    "--gin.EVAL_EVERY=0",
    "--gin.PICTURE_EVERY=0",
    "--gin.LOG_EVERY=1",
    "--gin.CHECKPOINT_EVERY=4",
  ]
  result = kill_resume.compare(tmp_path, arguments, kills=3, seed=1)
  assert len(result["kills"]) == 3, result
  assert result["differences"] == []
  assert result["steps"] == 40

  # The comparison notices one flipped bit, and one loss.
  model = tmp_path / "quiet" / "model"
  load = checkpoints.load_params

  def flipped(path):
    params = load(path)
    if path == str(model):
      table = params["token_embedder"]["embedding"].copy()
      table.view(np.uint32)[0, 0] ^= 1
      params["token_embedder"]["embedding"] = table
    return params

  monkeypatch.setattr(kill_resume.checkpoints, "load_params", flipped)
  other = tmp_path / "killed" / "model"
  assert kill_resume.differences(model, other) == [
    "['token_embedder']['embedding']"
  ]
  monkeypatch.undo()
  curve = model / "curve.jsonl"
  curve.write_text(curve.read_text().replace('"step": 7,', '"step": 700,', 1))
  assert kill_resume.differences(model, other) == ["step 7", "step 700"]
