"""One tiny model, trained through the command line."""

import pathlib

import pytest

from inksight_jax.cli.main import main

TINY = pathlib.Path(__file__).parents[1] / "inference" / "tiny.gin"


@pytest.fixture(scope="session")
def train_words() -> list[str]:
  """`train` and its configuration, without the model directory."""
  return [
    "train",
    f"--gin_file={TINY}",
    "--gin_file=gin/optimizers/adamw.gin",
    "--gin_file=gin/runs/train.gin",
    "--gin_file=gin/runs/from_records.gin",
    "--gin.TRAIN_STEPS=2",
    "--gin.WARMUP_STEPS=1",
    "--gin.BATCH_SIZE=8",
    "--gin.LOG_EVERY=1",
    "--gin.EVAL_EVERY=2",
    "--gin.run.train.num_eval_batches=1",
  ]


@pytest.fixture(scope="session")
def trained(
  train_words: list[str], tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
  folder = tmp_path_factory.mktemp("trained") / "model"
  assert main([*train_words, f"--model_dir={folder}"]) == 0
  return folder
