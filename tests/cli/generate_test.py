"""`generate`, and `evaluate --judge`, with untrained weights."""

import csv
import json
import pathlib

import jax
import numpy as np
import pytest
from PIL import Image

from inksight_jax.cli import main
from inksight_jax.datasets.image_folder import read_image_folder
from inksight_jax.inference import recipe, word_generator
from inksight_jax.training import checkpoints, state

pytest.importorskip("sklearn")
RECIPES = pathlib.Path(__file__).parents[2] / "gin" / "recipes"


def save_untrained(folder: pathlib.Path, name: str) -> pathlib.Path:
  recipe.parse(
    [str(RECIPES / f"{name}.gin")],
    # As small as it gets.
    ["word_gan.WordGANConfig.widths = (8, 8, 8)"] if "gan" in name else [],
  )
  built = recipe.build()
  built.save(folder)
  shapes = built.tasks.input_shapes(1)
  init = jax.jit(
    lambda key: built.model.get_initial_variables(key, shapes)["params"]
  )
  params = init(jax.random.key(0)).unfreeze()
  checkpointer = checkpoints.Checkpointer(str(folder))
  checkpointer.save(state.TrainState(jax.numpy.int32(3), params, ()), seed=0)
  checkpointer.wait()
  checkpointer.close()
  return folder


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp("gan")
  return save_untrained(folder, "handwriting_gan_quickstart")


def test_words_become_a_data_set(gan, tmp_path, capsys):
  out = tmp_path / "out"
  words = tmp_path / "words.txt"
  words.write_text("42\n\n7\n")
  arguments = ["123", f"--text_file={words}", f"--output_dir={out}"]
  assert (
    main.main(["generate", f"--model_dir={gan}", "--styles=2", *arguments]) == 0
  )
  assert "6 pictures of 3 words in 2 styles" in capsys.readouterr().out
  records = sorted(read_image_folder(out), key=lambda r: r.id)
  assert [r.text for r in records] == ["123", "123", "42", "42", "7", "7"]
  widths = [r.image.shape[1] for r in records if r.image is not None]
  assert widths == [48, 48, 32, 32, 16, 16]
  assert len({r.writer for r in records}) == 2
  with open(out / "labels.csv", encoding="utf-8") as file:
    assert next(csv.reader(file)) == ["image", "text", "writer"]
  assert (out / "sheet.png").exists()
  # The same style of the same seed again, alone.
  generator = word_generator.load(gan)
  (alone,) = generator.generate(["42"], generator.draw_styles(1, 0))
  with Image.open(out / "00001_000.png") as picture:
    np.testing.assert_array_equal(np.asarray(picture), alone)


def test_what_cannot_be_written_leaves_nothing_behind(gan, tmp_path, capsys):
  out = tmp_path / "out"
  for word in ("1234", "1a", ""):
    arguments = ["12", word, f"--output_dir={out}"]
    assert main.main(["generate", f"--model_dir={gan}", *arguments]) == 1
    assert "cannot be written" in capsys.readouterr().err
  assert (
    main.main(["generate", f"--model_dir={gan}", f"--output_dir={out}"]) == 1
  )
  assert "give words" in capsys.readouterr().err
  assert not out.exists()


def test_a_judge_scores_it(gan, tmp_path, capsys):
  judge = save_untrained(tmp_path / "judge", "word_recognizer_quickstart")
  arguments = [f"--judge={judge}", f"--output_dir={tmp_path}", "--samples=12"]
  assert main.main(["evaluate", f"--model_dir={gan}", *arguments]) == 0
  metrics = json.loads((tmp_path / "metrics.json").read_text())
  assert metrics["generate_words/samples"] == 12
  for name in ("judge_cer", "judge_cer_shuffled", "judge_cer_real"):
    assert metrics[f"generate_words/{name}"] > 0.5
  assert 0 < metrics["generate_words/style_std_real"] < 0.5
  assert (tmp_path / "sheet.png").exists()
  # The other way round, and without a judge.
  for command in (
    ["evaluate", f"--model_dir={judge}", f"--judge={judge}", "--samples=2"],
    ["evaluate", f"--model_dir={gan}", "--samples=2"],
  ):
    assert main.main(command) == 1
    assert "HandwritingGAN" in capsys.readouterr().err
