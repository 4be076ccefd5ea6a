"""A model directory with random parameters, written once."""

import pathlib
from collections.abc import Callable

import pytest

from inksight_jax.inference import predictor

TINY = pathlib.Path(__file__).parent / "tiny.gin"


@pytest.fixture(scope="session")
def tiny_gin() -> str:
  return str(TINY)


@pytest.fixture(scope="session")
def model_dir(
  tmp_path_factory: pytest.TempPathFactory,
  save_untrained: Callable[..., pathlib.Path],
) -> pathlib.Path:
  return save_untrained(tmp_path_factory.mktemp("model"), [TINY], step=7)


@pytest.fixture(scope="session")
def model(model_dir: pathlib.Path) -> predictor.Predictor:
  return predictor.load(model_dir, batch_size=4)
