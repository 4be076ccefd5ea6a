"""A token language model on the command line, with untrained weights."""

import csv
import json
import pathlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest

import inksight_jax
from inksight_jax.cli import main
from inksight_jax.datasets.picture_tokens import write_picture_tokens
from inksight_jax.datasets.record import Record
from inksight_jax.inference import (
  held_out,
  picture_views,
  reconstructions,
  token_predictor,
)
from inksight_jax.metrics.text import character_error_rate

pytest.importorskip("sklearn")
RECIPES = pathlib.Path(__file__).parents[2] / "gin" / "recipes"
SMALL = [
  "transformer_decoder.DecoderConfig.emb_dim = 16",
  "transformer_decoder.DecoderConfig.mlp_dim = 16",
  "transformer_decoder.DecoderConfig.num_layers = 1",
  "WIDTHS = (4, 4, 4)",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
  folder = tmp_path_factory.mktemp("tokens")
  rng = np.random.default_rng(0)
  records = [
    Record(
      f"{n}",
      "unit",
      f"{n}",
      codes=rng.integers(0, 512, [(3, 9), (9, 2), (4, 7)][n % 3], np.int32),
    )
    for n in range(9)
  ]
  splits = dict.fromkeys(("train", "validation", "test"), records)
  write_picture_tokens(folder, splits, num_codes=512, length=32)
  return str(folder)


@pytest.fixture(scope="module")
def reader(
  tmp_path_factory: pytest.TempPathFactory,
  save_untrained: Callable[..., pathlib.Path],
  data: str,
) -> pathlib.Path:
  return save_untrained(
    tmp_path_factory.mktemp("reader"),
    [RECIPES / "inverse_dalle_quickstart_text.gin"],
    [f"DATA_PATH = {data!r}", *SMALL],
  )


def test_held_out_pictures_are_read_and_scored(reader, tmp_path, capsys):
  out = tmp_path / "out"
  command = ["evaluate", f"--model_dir={reader}", f"--output_dir={out}"]
  assert main.main([*command, "--samples=9"]) == 0
  assert "recognize_tokens" in capsys.readouterr().out
  metrics = json.loads((out / "metrics.json").read_text())
  assert metrics["recognize_tokens/samples_horizontal"] == 6
  assert metrics["recognize_tokens/samples_vertical"] == 3
  assert 0 <= metrics["recognize_tokens/exact_match_vertical"] <= 1
  assert (out / "samples.png").exists()


def test_pictures_of_the_first_stage_are_read_in_views(
  reader, tmp_path, capsys, save_untrained
):
  codes = save_untrained(
    tmp_path / "codes",
    [RECIPES / "inverse_dalle_quickstart.gin"],
    ["WIDTHS = (4, 4, 4)"],
  )
  out = tmp_path / "out"
  command = ["evaluate", f"--model_dir={reader}", f"--output_dir={out}"]
  command += ["--samples=8", "--views=3"]
  assert main.main(command) == 1
  assert "--tokenizer" in capsys.readouterr().err
  assert main.main([*command, f"--tokenizer={codes}"]) == 0
  assert "recognize_tokens_views" in capsys.readouterr().out
  metrics = json.loads((out / "metrics.json").read_text())
  # Picture by picture, as `predict` would.
  model = inksight_jax.load(reader)
  token_predictor.set_views(model, 3)
  tasks = reconstructions.load(codes).tasks
  samples = held_out.held_out_samples(tasks, "test", 8)["reconstruct"]
  pictures = [sample.example.image for sample in samples]
  read = [model.recognize(picture).text for picture in pictures]
  assert any(read)
  name = "recognize_tokens_views"
  assert metrics["views"] == 3 and metrics[f"{name}/samples"] == 8
  np.testing.assert_allclose(
    metrics[f"{name}/cer"],
    character_error_rate([sample.text for sample in samples], read),
  )
  # Three views, not one: the same numbers, and the model goes on so.
  token_predictor.set_views(model, 1)
  scores = picture_views.evaluate(model, codes, "test", 8, 3)
  assert model.views == 3
  assert scores.items() <= metrics.items()
  wide = sum(p.shape[1] > p.shape[0] for p in pictures)
  assert metrics[f"{name}/samples_horizontal"] == wide


def test_photos_are_read_in_one_view_or_several(reader, tmp_path):
  picture = np.zeros((20, 60, 3), np.uint8)
  picture[5:15, 10:50] = 255
  cv2.imwrite(str(tmp_path / "word.png"), picture)
  command = ["predict", f"--model_dir={reader}", str(tmp_path / "word.png")]
  out = tmp_path / "out"
  command += [f"--output_dir={out}", "--task=recognize"]
  assert main.main(command) == 0
  one = json.loads((out / "word.json").read_text())
  assert main.main([*command, "--views=3", "--overwrite"]) == 0
  several = json.loads((out / "word.json").read_text())
  assert "candidates" not in one
  assert several["candidates"][0]["text"] == several["text"]
  # The picture goes on, half of it given.
  command = ["generate", f"--model_dir={reader}", "--styles=2"]
  command += [f"--output_dir={tmp_path / 'on'}", "--continue"]
  assert main.main([*command, str(tmp_path / "word.png")]) == 0
  first = cv2.imread(str(tmp_path / "on" / "00000_000.png"))
  assert first.shape[0] % 8 == 0 and first.shape[1] % 8 == 0


def test_pictures_of_nothing_in_particular_are_labelled(
  reader, tmp_path, capsys
):
  out = tmp_path / "out"
  command = ["generate", f"--model_dir={reader}", f"--output_dir={out}"]
  assert main.main([*command, "--styles=3"]) == 0
  with open(out / "labels.csv", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == 3 and all(
    set(r["text"]) <= set("0123456789") for r in rows
  )
  assert (out / "sheet.png").exists()
  assert main.main([*command, "12"]) == 1
  assert "PICTURE_FIRST = False" in capsys.readouterr().err


def test_words_are_drawn_and_judged(tmp_path, data, capsys, save_untrained):
  writer = save_untrained(
    tmp_path / "writer",
    [RECIPES / "inverse_dalle_quickstart_text.gin"],
    [
      f"DATA_PATH = {data!r}",
      "PICTURE_FIRST = False",
      'RATES = {"text_to_image": 1.0}',
      *SMALL,
    ],
  )
  out = tmp_path / "out"
  command = ["generate", f"--model_dir={writer}", f"--output_dir={out}"]
  assert main.main([*command, "12", "345", "--styles=2"]) == 0
  assert len(list(out.glob("0*.png"))) == 4
  assert main.main([*command, "12345678"]) == 1
  assert "cannot be written" in capsys.readouterr().err
  judge = save_untrained(
    tmp_path / "judge", [RECIPES / "inverse_dalle_judge.gin"]
  )
  command = ["evaluate", f"--model_dir={writer}", f"--judge={judge}"]
  assert main.main([*command, "--samples=6", f"--output_dir={out}"]) == 0
  metrics = json.loads((out / "metrics.json").read_text())
  assert metrics["text_to_image/judge_cer"] > 0.3
  assert 0 <= metrics["text_to_image/parsed"] <= 1
  assert metrics["temperature"] == 1.0
  sheets = [(out / "sheet.png").read_bytes()]
  command += ["--samples=6", f"--output_dir={out}"]
  for extra in ([], ["--temperature=1e-6"]):
    assert main.main([*command, *extra]) == 0
    sheets.append((out / "sheet.png").read_bytes())
  assert sheets[0] == sheets[1] != sheets[2]
  # The likeliest picture of a text is always the same; others are not.
  cold, warm = (_drawn(writer, tmp_path / t, t) for t in ("1e-6", "1.0"))
  assert (cold[0] == cold[1]).all()
  assert warm[0].shape != warm[1].shape or (warm[0] != warm[1]).any()


def _drawn(writer, out, temperature):
  command = ["generate", f"--model_dir={writer}", f"--output_dir={out}"]
  command += ["12", "--styles=2", f"--temperature={temperature}"]
  assert main.main(command) == 0
  return [cv2.imread(str(path)) for path in sorted(out.glob("0*.png"))]
