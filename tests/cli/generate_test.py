"""`generate`, and `evaluate --judge`, with untrained weights."""

import csv
import json
import pathlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from inksight_jax.cli import generate, main
from inksight_jax.datasets.image_folder import read_image_folder
from inksight_jax.inference import word_generator

pytest.importorskip("sklearn")
RECIPES = pathlib.Path(__file__).parents[2] / "gin" / "recipes"


@pytest.fixture(scope="module")
def gan(
  tmp_path_factory: pytest.TempPathFactory,
  save_untrained: Callable[..., pathlib.Path],
) -> pathlib.Path:
  return save_untrained(
    tmp_path_factory.mktemp("gan"),
    [RECIPES / "handwriting_gan_quickstart.gin"],
    # As small as it gets.
    ["word_gan.WordGANConfig.widths = (8, 8, 8)"],
  )


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


def test_a_judge_scores_it(gan, tmp_path, capsys, save_untrained):
  judge = save_untrained(
    tmp_path / "judge", [RECIPES / "word_recognizer_quickstart.gin"]
  )
  arguments = [f"--judge={judge}", f"--output_dir={tmp_path}", "--samples=12"]
  assert main.main(["evaluate", f"--model_dir={gan}", *arguments]) == 0
  metrics = json.loads((tmp_path / "metrics.json").read_text())
  assert metrics["generate_words/samples"] == 12
  for name in ("judge_cer", "judge_cer_shuffled", "judge_cer_real"):
    assert metrics[f"generate_words/{name}"] > 0.5
  assert 0 < metrics["generate_words/style_std_real"] < 0.5
  # Noise of an untrained network is no digit, in whatever space.
  for name in ("fid", "kid", "nearest_train"):
    made, real = (
      metrics[f"generate_words/{name}{end}"] for end in ("", "_real")
    )
    assert made > real
  assert metrics["generate_words/near_copies"] == 0.0
  assert metrics["set_up"]["words"] == 12
  assert "image_encoder at step 3" in metrics["set_up"]["features"]
  assert (tmp_path / "sheet.png").exists()
  # The other way round, and without a judge.
  for command in (
    ["evaluate", f"--model_dir={judge}", f"--judge={judge}", "--samples=2"],
    ["evaluate", f"--model_dir={gan}", "--samples=2"],
  ):
    assert main.main(command) == 1
    assert "HandwritingGAN" in capsys.readouterr().err


def test_a_data_set_of_any_size(gan, tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(generate, "CHUNK", 4)
  arguments = ["generate", f"--model_dir={gan}", "12", "345", "--count=10"]
  for folder in ("one", "again"):
    assert main.main([*arguments, f"--output_dir={tmp_path / folder}"]) == 0
  assert "10 pictures" in capsys.readouterr().out
  one, again = (
    sorted(read_image_folder(tmp_path / folder), key=lambda r: r.id)
    for folder in ("one", "again")
  )
  assert len(one) == 10 and {r.text for r in one} == {"12", "345"}
  assert len({r.writer for r in one}) == 10
  for first, second in zip(one, again, strict=True):
    assert first.text == second.text
    np.testing.assert_array_equal(first.image, second.image)
  # One word in ten styles.
  same = [r.image.tobytes() for r in one if r.text == "12"]
  assert len(set(same)) == len(same)


def test_from_one_style_to_another(gan, tmp_path):
  generator = word_generator.load(gan)
  drawn = generator.draw_styles(6, 0)
  arguments = ["123", "--style=5", "--to_style=2", "--styles=3"]
  out = f"--output_dir={tmp_path}"
  assert main.main(["generate", f"--model_dir={gan}", *arguments, out]) == 0
  ends = generator.generate(["123"] * 2, drawn[[5, 2]])
  for name, picture in zip(("00000_000", "00000_002"), ends, strict=True):
    with Image.open(tmp_path / f"{name}.png") as found:
      difference = np.asarray(found).astype(int) - picture
    assert np.abs(difference).max() <= 1
  between = word_generator.styles_between(drawn[5], drawn[2], 3)[1]
  shortest = min(np.linalg.norm(drawn[5]), np.linalg.norm(drawn[2]))
  assert np.linalg.norm(between) > 0.9 * shortest
  assert np.linalg.norm(between - drawn[5]) < np.linalg.norm(
    drawn[2] - drawn[5]
  )


def test_a_page_of_lines(gan, tmp_path):
  text = tmp_path / "text.txt"
  text.write_text("12 345 6\n789\n")
  arguments = ["--page", f"--text_file={text}", "--page_width=100"]
  out = f"--output_dir={tmp_path}"
  assert main.main(["generate", f"--model_dir={gan}", *arguments, out]) == 0
  assert (tmp_path / "page.txt").read_text() == "12 345\n6\n789\n"
  with Image.open(tmp_path / "page.png") as page:
    grey = np.asarray(page).mean(axis=2)
  assert grey.shape[1] <= 100
  # Three lines of ink with paper between them.
  inked = (grey < 128).any(axis=1)
  assert (inked[1:] & ~inked[:-1]).sum() >= 1
  narrow = [*arguments[:2], "--page_width=40"]
  assert main.main(["generate", f"--model_dir={gan}", *narrow, out]) == 1


@pytest.mark.parametrize(
  ("options", "message"),
  [
    (["--style_from=x", "--style=1"], "exclude"),
    (["--count=3", "--page"], "exclude"),
    (["--to_style=1"], "needs --style"),
    (["--style=-1"], "number of a style"),
    (["--count=0"], "at least 1"),
    (["--style_from=absent"], "no such folder"),
  ],
)
def test_options_that_do_not_go_together(
  gan, tmp_path, capsys, options, message
):
  out = f"--output_dir={tmp_path}"
  assert main.main(["generate", f"--model_dir={gan}", "12", out, *options]) == 1
  assert message in capsys.readouterr().err


def test_a_model_without_style_encoder_says_so(gan, tmp_path, capsys):
  Image.new("RGB", (30, 10)).save(tmp_path / "a.png")
  arguments = ["12", f"--style_from={tmp_path}", f"--output_dir={tmp_path}"]
  assert main.main(["generate", f"--model_dir={gan}", *arguments]) == 1
  assert "without a style encoder" in capsys.readouterr().err
