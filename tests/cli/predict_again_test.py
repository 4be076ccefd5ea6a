"""`predict` goes on where it was stopped, and repeats nothing in vain."""

import json
import os
import pathlib
import types

import numpy as np
import pytest
from PIL import Image

from inksight_jax.cli import predict
from inksight_jax.cli.main import main
from inksight_jax.cli.predictions import JOURNAL, Journal
from inksight_jax.inference import predictor
from inksight_jax.inference.results import Result
from inksight_jax.ink.types import Ink
from inksight_jax.rendering.images import read_image


class Model:
  """Answers with the mean of the image, and counts what it is asked."""

  def __init__(self) -> None:
    self.step = 7
    self.tasks = types.SimpleNamespace(
      tasks=("derender", "recognize_image"), FAMILY="inksight"
    )
    self.asked: list[str] = []
    self.stop_after = 10**6

  def check_task(self, task: str) -> None:
    assert task in self.tasks.tasks

  def prepare(self, path: str):
    if "odd" in path:
      raise IndexError("a decoder fell over")
    return path, read_image(path)

  def predict_prepared(self, prepared, task, texts):
    results = []
    for path, image in prepared:
      if len(self.asked) == self.stop_after:
        raise KeyboardInterrupt
      self.asked.append(os.path.basename(path))
      height, width = image.shape[:2]
      results.append(
        Result(
          task=task,
          text=str(int(image.mean())),
          ink=Ink.from_arrays([[[1, 1], [5, 5]]]),
          confidence=0.5,
          tokens=np.zeros(1, np.int32),
          log_probs=np.zeros(1, np.float32),
          truncated=False,
          empty=False,
          width=width,
          height=height,
        )
      )
    return results


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
  made = Model()
  monkeypatch.setattr(predictor, "load", lambda *_: made)
  return made


@pytest.fixture
def words(tmp_path: pathlib.Path) -> list[str]:
  folder = tmp_path / "in"
  folder.mkdir()
  for index in range(5):
    grey = np.full((20, 30, 3), 10 * index, np.uint8)
    Image.fromarray(grey).save(folder / f"{index}.png")
  return [
    *("predict", "--model_dir=m", str(folder)),
    *(f"--output_dir={tmp_path / 'out'}", "--format=svg,png", "--batch_size=1"),
  ]


def summary(words: list[str]) -> dict:
  folder = pathlib.Path(words[3].partition("=")[2])
  return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def test_an_interrupted_run_goes_on(model, words, tmp_path, capsys):
  model.stop_after = 3
  assert main(words) == 130
  assert model.asked == ["0.png", "1.png", "2.png"]
  model.stop_after = 10**6
  assert main(words) == 0
  assert model.asked == ["0.png", "1.png", "2.png", "3.png", "4.png"]
  assert "5 of 5 images done, 3 of them before" in capsys.readouterr().out
  results = summary(words)["results"]
  assert [r["text"] for r in results] == ["0", "10", "20", "30", "40"]
  assert [bool(r.get("skipped")) for r in results] == [True] * 3 + [False] * 2
  assert main(words) == 0
  assert len(model.asked) == 5
  assert summary(words)["skipped"] == 5


def test_a_kill_while_a_file_is_written(model, words, tmp_path, monkeypatch):
  save = Result.save

  def killed(self, path, kind, image, name):
    save(self, path, kind, image, name)
    if name.endswith("1.png") and kind == "png":
      # As SIGKILL: nobody tidies up.
      os.truncate(path, 10)
      os.link(path, path + ".rest")
      raise KeyboardInterrupt

  monkeypatch.setattr(Result, "save", killed)
  assert main(words) == 130
  out = tmp_path / "out"
  # The half-written picture never stands where a whole one belongs.
  assert not (out / "1.png").exists() and (out / "1.svg").exists()
  os.rename(out / "1.png.partial.rest", out / "1.png.partial")
  with (out / JOURNAL).open("a") as journal:
    journal.write('{"image": "cut o')
  monkeypatch.setattr(Result, "save", save)
  assert main(words) == 0
  assert model.asked == ["0.png", "1.png", "1.png", "2.png", "3.png", "4.png"]
  with Image.open(out / "1.png") as image:
    image.load()
  assert not list(out.glob("*.partial"))
  assert main(words) == 0 and len(model.asked) == 6


@pytest.mark.parametrize(
  "change", ["image", "file", "task", "overwrite", "step", "format"]
)
def test_what_has_changed_is_done_again(model, words, tmp_path, change):
  assert main(words) == 0
  model.asked.clear()
  expected = [f"{i}.png" for i in range(5)]
  if change == "image":
    white = np.full((20, 30, 3), 255, np.uint8)
    Image.fromarray(white).save(tmp_path / "in" / "2.png")
    expected = ["2.png"]
  elif change == "file":
    (tmp_path / "out" / "3.svg").unlink()
    expected = ["3.png"]
  elif change == "task":
    words = [*words, "--task=recognize_image"]
  elif change == "overwrite":
    words = [*words, "--overwrite"]
  elif change == "step":
    model.step = 8
  else:
    words = [*words, "--format=inkml"]
  assert main(words) == 0
  assert model.asked == expected
  if change == "format":
    # The files of before still count.
    assert main([*words, "--format=svg,inkml"]) == 0
    assert model.asked == expected


def test_nothing_stops_the_other_images(model, words, tmp_path, capsys):
  (tmp_path / "in" / "odd.png").write_bytes(b"x")
  latin = os.fsencode(str(tmp_path / "in")) + b"/caf\xe9.png"
  with open(latin, "wb") as file:
    file.write((tmp_path / "in" / "4.png").read_bytes())
  # Where a folder is, no picture can be written.
  (tmp_path / "out" / "3.png").mkdir(parents=True)
  assert main(words) == 1
  shown = capsys.readouterr().out
  assert "5 of 7 images done" in shown
  assert "IndexError: a decoder fell over" in shown
  assert summary(words)["failures"] == 2
  model.asked.clear()
  assert main(words) == 1
  assert model.asked == ["3.png"]


def test_names_stay_when_images_are_added(model, words, tmp_path):
  other = tmp_path / "a_first"
  other.mkdir()
  Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(other / "0.png")
  assert main(words) == 0
  first = summary(words)["results"][0]["files"]
  assert main([*words[:2], str(other), *words[2:]]) == 0
  results = summary(words)["results"]
  assert results[0]["files"] == ["0_2.svg", "0_2.png"]
  assert results[1]["files"] == first == ["0.svg", "0.png"]
  assert len(model.asked) == 6


def test_a_strange_journal_is_no_reason_to_fail(tmp_path):
  (tmp_path / JOURNAL).write_bytes(
    b'\xff\xfe\n[]\n{"source": {}, "files": [], "name": "a"}\n{"source": 3}\n'
  )
  journal = Journal(str(tmp_path), {})
  assert journal.names == {}
  image = tmp_path / "a.png"
  image.write_bytes(b"x")
  journal.add(str(image), "a", {"files": ["a.svg"]})
  (tmp_path / "a.svg").write_bytes(b"x")
  again = Journal(str(tmp_path), {})
  assert again.done(str(image), [".svg"]) == {"files": ["a.svg"], "name": "a"}
  assert again.done(str(image), [".svg", ".png"]) is None
  assert again.done(str(tmp_path / "b.png"), [".svg"]) is None


def test_folders_of_any_depth_are_found(tmp_path):
  deep = tmp_path / "a" / "b"
  deep.mkdir(parents=True)
  (deep / "w.png").write_bytes(b"x")
  found = predict.find_images([str(tmp_path / "**" / "*.png")])
  assert found == [str(deep / "w.png")]
