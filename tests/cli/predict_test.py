"""`predict`: every file opens, no bad image stops the others."""

import json
import pathlib
import re
import xml.dom.minidom

import numpy as np
import pytest
from PIL import Image

from inksight_jax.cli import predict
from inksight_jax.cli.main import main
from inksight_jax.ink.inkml import read_inkml


@pytest.fixture
def crops(tmp_path: pathlib.Path) -> pathlib.Path:
  folder = tmp_path / "crops"
  folder.mkdir()
  rng = np.random.default_rng(0)
  for name, size in (("a.png", (30, 50)), ("b.jpg", (64, 20))):
    pixels = rng.integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(folder / name)
  (folder / "empty.png").write_bytes(b"")
  (folder / "notes.txt").write_text("not looked at")
  return folder


def test_one_bad_image_does_not_stop_the_others(
  trained: pathlib.Path,
  crops: pathlib.Path,
  tmp_path: pathlib.Path,
  capsys: pytest.CaptureFixture[str],
):
  out = tmp_path / "out"
  words = ["predict", f"--model_dir={trained}", f"--output_dir={out}"]
  assert main([*words, str(crops)]) == 1
  printed = capsys.readouterr().out
  assert "2 of 3 images done" in printed
  assert "empty.png is empty (0 bytes)" in printed
  assert {path.name for path in out.iterdir()} == {
    f"{stem}.{ending}"
    for stem in ("a", "b")
    for ending in ("inkml", "svg", "png", "gif", "json", "html")
  } | {"summary.json", "predictions.jsonl"}
  for stem, size in (("a", (50, 30)), ("b", (20, 64))):
    values = json.loads((out / f"{stem}.json").read_text())
    ink, annotations = read_inkml(out / f"{stem}.inkml")
    assert len(ink) == len(values["strokes"])
    # XML cannot hold control characters, which an untrained model may write.
    legal = re.sub(
      "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", values["text"]
    )
    assert annotations["textField"] == legal
    assert annotations["exampleId"] == stem
    xml.dom.minidom.parse(str(out / f"{stem}.svg"))
    for ending in ("png", "gif"):
      with Image.open(out / f"{stem}.{ending}") as image:
        assert image.size == size
  summary = json.loads((out / "summary.json").read_text())
  assert (summary["images"], summary["failures"]) == (3, 1)
  assert summary["task"] == "recognize_and_derender"


def test_formats_task_and_json_are_as_asked(
  trained: pathlib.Path,
  crops: pathlib.Path,
  tmp_path: pathlib.Path,
  capsys: pytest.CaptureFixture[str],
):
  out = tmp_path / "out"
  words = ["predict", f"--model_dir={trained}", f"--output_dir={out}"]
  words += ["--format=svg,json", "--json", str(crops / "a.png")]
  told = [*words, "--task=derender_with_text"]
  assert main(told) == 1
  assert "needs --text" in capsys.readouterr().err
  assert main([*told, "--text=a1"]) == 0
  summary = json.loads(capsys.readouterr().out)
  assert summary["results"][0]["text"] == "a1"
  assert summary["results"][0]["files"] == ["a.svg", "a.json"]
  assert len(list(out.iterdir())) == 4
  assert main([*words, "--task=recognize_image"]) == 1
  assert "not trained for" in capsys.readouterr().err


def test_images_are_found_once_and_in_order(crops: pathlib.Path):
  pattern = str(crops / "?.*")
  a, b = str(crops / "a.png"), str(crops / "b.jpg")
  assert predict.find_images([b, pattern]) == [b, a]
  assert predict.find_images([str(crops)]) == [a, b, str(crops / "empty.png")]
  # A file that is not there is a failure of its own, reported at the end.
  assert predict.find_images(["nowhere.png"]) == ["nowhere.png"]
  for missing in (str(crops / "*.webp"), str(crops.parent)):
    with pytest.raises(ValueError, match="No image found"):
      predict.find_images([missing])


def test_names_never_collide():
  paths = ["x/w.png", "y/w.jpg", "z/W.png", "summary.png", "w_2.png"]
  names = predict.output_names(paths)
  assert list(names.values()) == ["w", "w_2", "W_3", "summary_2", "w_2_2"]


def test_unknown_formats_are_refused():
  assert predict.parse_formats("svg, gif") == ["svg", "gif"]
  with pytest.raises(ValueError, match="'doc'; choose from inkml"):
    predict.parse_formats("svg,doc")


def test_pages_are_predicted_and_bad_ones_reported(
  trained: pathlib.Path,
  tmp_path: pathlib.Path,
  capsys: pytest.CaptureFixture[str],
):
  folder = tmp_path / "scans"
  folder.mkdir()
  page = np.full((160, 300, 3), 240, np.uint8)
  for x in (40, 170):
    for step in range(4):
      page[60:100, x + 18 * step : x + 18 * step + 5] = 20
      page[80:84, x + 18 * step : x + 18 * step + 14] = 20
  Image.fromarray(page).save(folder / "page.png")
  Image.new("RGB", (40, 30), "white").save(folder / "blank.png")
  (folder / "broken.png").write_bytes(b"no picture")
  out = tmp_path / "out"
  words = ["predict", f"--model_dir={trained}", f"--output_dir={out}"]
  words += ["--page", "--format=json,pagexml", str(folder)]
  assert main([*words, "--segmenter=magic"]) == 1
  assert "builtin, doctr, tesseract" in capsys.readouterr().err
  assert main(words) == 1
  assert "broken.png is not a picture" in capsys.readouterr().out
  values = json.loads((out / "page.json").read_text())
  assert (values["width"], values["height"]) == (300, 160)
  (line,) = values["lines"]
  assert [round(word["box"][0]) for word in line] == pytest.approx(
    [40, 170], abs=3
  )
  assert json.loads((out / "blank.json").read_text())["lines"] == []
  assert (out / "page.page.xml").exists()
