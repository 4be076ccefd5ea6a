"""A model directory with random parameters, written once."""

import pathlib

import jax
import pytest

from inksight_jax.inference import predictor, recipe
from inksight_jax.training import checkpoints, state

TINY = pathlib.Path(__file__).parent / "tiny.gin"


@pytest.fixture(scope="session")
def tiny_gin() -> str:
  return str(TINY)


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp("model")
  recipe.parse([str(TINY)])
  built = recipe.build()
  built.save(folder)
  tasks = built.tasks
  shapes = {
    "encoder_input_image": (1, tasks.image_size, tasks.image_size, 3),
    "encoder_input_tokens": (1, tasks.input_length),
    "decoder_input_tokens": (1, tasks.target_length),
    "decoder_target_tokens": (1, tasks.target_length),
  }
  init = jax.jit(
    lambda key: built.model.get_initial_variables(key, shapes)["params"]
  )
  params = init(jax.random.PRNGKey(0)).unfreeze()
  checkpointer = checkpoints.Checkpointer(str(folder))
  checkpointer.save(state.TrainState(jax.numpy.int32(7), params, ()), seed=0)
  checkpointer.wait()
  checkpointer.close()
  return folder


@pytest.fixture(scope="session")
def model(model_dir: pathlib.Path) -> predictor.Predictor:
  return predictor.load(model_dir, batch_size=4)
