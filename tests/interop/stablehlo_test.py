"""A StableHLO folder, run by its own loader with JAX alone."""

import ast
import importlib.util
import io
import pathlib
import runpy
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from inksight_jax.inference.predictor import Predictor
from inksight_jax.interop.stablehlo import save_stablehlo

FOREIGN = ("flax", "orbax", "optax", "tensorflow", "inksight_jax", "cv2", "gin")


@pytest.fixture(scope="module")
def folder(tiny_predictor: Predictor, tmp_path_factory) -> pathlib.Path:
  path = tmp_path_factory.mktemp("stablehlo")
  save_stablehlo(tiny_predictor, path)
  return path


@pytest.fixture(scope="module")
def model(folder: pathlib.Path):
  spec = importlib.util.spec_from_file_location("load", folder / "load.py")
  assert spec and spec.loader
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.Model(folder)


def test_the_loader_is_an_example_of_sixty_lines(folder: pathlib.Path):
  text = (folder / "load.py").read_text(encoding="utf-8")
  assert len(text.splitlines()) <= 60
  imported = {
    name.split(".")[0]
    for node in ast.walk(ast.parse(text))
    if isinstance(node, ast.Import | ast.ImportFrom)
    for name in [getattr(node, "module", None) or node.names[0].name]
  }
  assert imported <= {"json", "pathlib", "sys", "jax", "numpy"}


def test_answers_are_those_of_the_predictor(
  model, tiny_predictor: Predictor, picture_files: list[bytes]
):
  tasks = tiny_predictor.tasks
  scale = max(tasks.image_shape) / tasks.canvas
  for data in picture_files[:3]:
    prepared = tiny_predictor.prepare(Image.open(io.BytesIO(data)))
    for task, text in (
      ("derender", ""),
      ("recognize_and_derender", ""),
      ("derender_with_text", "a1"),
    ):
      (result,) = tiny_predictor.predict_prepared([prepared], task, [text])
      decoded = tasks.vocabulary.decode(result.tokens)
      words, strokes = model.answer(prepared.image, task, text)
      assert words == decoded.text
      assert len(strokes) == len(decoded.ink)
      for stroke, expected in zip(strokes, decoded.ink.strokes, strict=True):
        np.testing.assert_allclose(stroke, expected.points * scale, atol=1e-5)


def test_any_batch_is_answered_row_by_row(model, tiny_predictor: Predictor):
  rng = np.random.default_rng(0)
  tasks = tiny_predictor.tasks
  images = rng.integers(0, 256, (3, *tasks.image_shape, 3), np.uint8)
  prompt = np.zeros((3, tasks.prompt_length), np.int32)
  ids = tasks.prompt("derender")
  prompt[:, : len(ids)] = ids
  inputs = {
    "image": images,
    "prompt": prompt,
    "writes_text": np.zeros(3, bool),
    "writes_ink": np.ones(3, bool),
  }
  together = jax.device_get(model.run(model.weights, inputs))
  answers = tiny_predictor.answer(list(images), [ids] * 3, ["derender"] * 3)
  for row, answer in enumerate(answers):
    tokens = together["tokens"][row, : together["lengths"][row]]
    np.testing.assert_array_equal(tokens, answer.tokens)


def test_the_loader_runs_where_only_jax_is(
  folder: pathlib.Path,
  tiny_predictor: Predictor,
  tmp_path: pathlib.Path,
  monkeypatch,
  capsys,
):
  picture = np.full((*tiny_predictor.tasks.image_shape, 3), 255, np.uint8)
  picture[10:20, 15] = 0
  np.save(tmp_path / "word.npy", picture)
  own = {name for name in sys.modules if name.split(".")[0] in FOREIGN}
  with monkeypatch.context() as patch:
    for name in {*FOREIGN, *own}:
      patch.setitem(sys.modules, name, None)
    patch.setattr(
      sys, "argv", ["load.py", str(tmp_path / "word.npy"), "derender"]
    )
    runpy.run_path(str(folder / "load.py"), run_name="__main__")
  result = tiny_predictor.predict([picture], "derender")[0]
  strokes = ast.literal_eval(capsys.readouterr().out.splitlines()[1])
  assert [len(s) for s in strokes] == [
    len(s.points) for s in result.ink.strokes
  ]


def test_no_path_of_this_machine_is_in_the_file(folder: pathlib.Path):
  with np.load(folder / "model.npz") as file:
    program = file["module"].tobytes()
  root = str(pathlib.Path(__file__).resolve().parents[2])
  assert root.encode() not in program
  assert b"site-packages" not in program
