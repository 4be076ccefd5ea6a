"""`inksight-jax export` end to end; what it writes is tested in interop."""

import json
import pathlib

import pytest

from inksight_jax.cli.main import main


def test_a_model_directory_becomes_a_folder(
  trained: pathlib.Path, tmp_path: pathlib.Path, capsys
):
  output = tmp_path / "exported"
  words = ["export", f"--model_dir={trained}", f"--output_dir={output}"]
  words += ["--format=stablehlo", "--weights=bfloat16"]
  assert main(words) == 0
  assert "stablehlo" in capsys.readouterr().out
  assert {path.name for path in output.iterdir()} == {
    "README.md",
    "LICENSE",
    "config.gin",
    "vocabulary.json",
    "model.npz",
    "model.json",
    "load.py",
  }
  config = (trained / "config.gin").read_text()
  assert (output / "config.gin").read_text() == config
  assert "Apache" in (output / "LICENSE").read_text()
  card = (output / "README.md").read_text()
  for part in ("generated_words", "## Limits", "forgery", "Not evaluated"):
    assert part in card
  # A second time it would mix two models.
  assert main(words) == 1
  assert "not an empty folder" in capsys.readouterr().err


def test_the_card_shows_what_was_measured(
  trained: pathlib.Path, tmp_path: pathlib.Path
):
  from inksight_jax.inference import predictor
  from inksight_jax.interop import model_card

  model = predictor.load(trained)
  metrics = {
    "split": "test",
    "step": 2,
    "derender/samples": 16,
    "derender/aiou": 0.51249,
    "derender/aiou_shuffled": 0.1,
  }
  (tmp_path / "metrics.json").write_text(json.dumps(metrics))
  card = model_card.write(model, "", "savedmodel", "float32", tmp_path)
  assert "| derender | 16 | 0.512 (0.100) |" in card
  (tmp_path / "metrics.json").write_text("{")
  with pytest.raises(ValueError, match="damaged"):
    model_card.write(model, "", "savedmodel", "float32", tmp_path)


@pytest.mark.parametrize(
  ("words", "said"),
  [
    (["--model_dir=nowhere"], "No checkpoint found"),
    (["--t5x_checkpoint=nowhere"], "needs the recipe"),
    (
      [
        "--t5x_checkpoint=nowhere",
        "--gin_file=gin/recipes/inksight_quickstart.gin",
      ],
      "no T5X checkpoint",
    ),
    (["--model_dir=nowhere", "--gin_file=a.gin"], "brings its configuration"),
  ],
)
def test_wrong_sources_are_named(words, said, tmp_path, capsys):
  assert main(["export", *words, f"--output_dir={tmp_path / 'out'}"]) == 1
  assert said in capsys.readouterr().err
