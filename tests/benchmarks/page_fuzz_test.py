"""A few of the pictures that `benchmarks/page_fuzz.py` tries."""

import importlib.util
import pathlib
import types

import numpy as np
import pytest

from inksight_jax.ink.types import Ink
from inksight_jax.rendering.strokes import draw_ink

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "page_fuzz.py"


@pytest.fixture(scope="module")
def fuzz() -> types.ModuleType:
  spec = importlib.util.spec_from_file_location("page_fuzz", SCRIPT)
  assert spec is not None and spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def page() -> np.ndarray:
  """Zigzags in three lines."""
  strokes = [
    [[x + 6 * i, y + 25 * (i % 2)] for i in range(12)]
    for y in (30, 90, 150)
    for x in (20, 120, 220)
  ]
  return draw_ink(Ink.from_arrays(strokes), 200, 320)


def test_odd_pictures_give_words_or_a_value_error(
  fuzz: types.ModuleType, tmp_path: pathlib.Path
):
  rng = np.random.default_rng(0)
  path = tmp_path / "picture"
  refused = found = 0
  for _ in range(15):
    data, _ = fuzz.encode(fuzz.mutate(page(), rng), rng)
    path.write_bytes(data)
    try:
      found += fuzz.process(path) > 0
    except ValueError:
      refused += 1
  assert refused < 8 and found > 2


@pytest.mark.parametrize(
  "shape", [(1, 1), (1, 3000), (3000, 1), (2, 2), (3, 900)]
)
def test_strips_and_single_pixels_pass(
  fuzz: types.ModuleType, tmp_path: pathlib.Path, shape: tuple[int, int]
):
  noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
  fuzz.Image.fromarray(noise).save(tmp_path / "strip.png")
  assert fuzz.process(tmp_path / "strip.png") >= 0
