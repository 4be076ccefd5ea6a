"""The page of the worst texts shows both, and what differs."""

import html.parser
import pathlib

import numpy as np

from inksight_jax.inference import worst_texts
from inksight_jax.inference.evaluation import Outcome
from inksight_jax.inference.held_out import Sample
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import Example


class Reader(html.parser.HTMLParser):
  """Collects the text of each kind of element."""

  def __init__(self) -> None:
    super().__init__()
    self.open: list[str] = []
    self.texts: dict[str, list[str]] = {}
    self.pictures: list[str] = []

  def handle_starttag(self, tag, attrs):
    if tag == "img":
      self.pictures.append(dict(attrs)["src"] or "")
    elif tag != "meta":
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    for tag in self.open[-1:]:
      self.texts.setdefault(tag, []).append(data)


def outcome(truth: str, text: str) -> Outcome:
  nothing = np.zeros(0, np.int32)
  example = Example(np.zeros((8, 8, 3), np.uint8), nothing, nothing)
  sample = Sample("page <1>", "recognize_page", example, truth, Ink())
  return Outcome(sample, text, Ink(), True, {"cer": 0.25})


def test_texts_differences_and_pictures_are_there(tmp_path: pathlib.Path):
  path = tmp_path / "worst.html"
  outcomes = [outcome("a <b>\nc", "a <b> c"), outcome("same", "same")]
  worst_texts.write(outcomes, str(path), "recognize_page")
  reader = Reader()
  reader.feed(path.read_text(encoding="utf-8"))
  assert not reader.open
  assert all(p.startswith("data:image/png;base64,") for p in reader.pictures)
  assert len(reader.pictures) == 2
  assert "a <b> c" in reader.texts["pre"]
  # The legend first; the lost line break is visible.
  assert reader.texts["del"][1:] == ["↵\n"]
  assert reader.texts["ins"][1:] == [" "]
  notes = " ".join(reader.texts["p"])
  assert "25.0%" in notes and "cut off" in notes
  assert "1. page <1>" in reader.texts["h2"]
