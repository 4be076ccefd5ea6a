"""A small model of every prompt, and pictures."""

import io
import pathlib

import jax
import numpy as np
import pytest
from PIL import Image

from inksight_jax.inference import recipe
from inksight_jax.inference.predictor import Predictor

TINY = pathlib.Path(__file__).parents[1] / "inference" / "tiny.gin"


@pytest.fixture(scope="session")
def tiny_predictor() -> Predictor:
  """Random parameters; batches of at most four."""
  recipe.parse([str(TINY)])
  built = recipe.build()
  init = jax.jit(
    lambda key: built.model.get_initial_variables(
      key, built.tasks.input_shapes(1)
    )["params"]
  )
  params = init(jax.random.PRNGKey(0)).unfreeze()
  return Predictor(
    built.model, params, built.tasks, batch_size=4, constrained=True
  )


@pytest.fixture(scope="session")
def picture_files() -> list[bytes]:
  """Noise of many sizes, as JPEG and PNG files."""
  rng = np.random.default_rng(5)
  files = []
  for number in range(7):
    height, width = rng.integers(8, 90, 2)
    pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
    stream = io.BytesIO()
    kind = ("JPEG", "PNG")[number % 2]
    Image.fromarray(pixels).save(stream, kind)
    files.append(stream.getvalue())
  return files
