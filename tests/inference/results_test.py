"""Results in every form say the same thing at the same place."""

import dataclasses
import json
import pathlib
import re

import numpy as np
import pytest
from PIL import Image

from inksight_jax.inference.outputs import OVERLAY_SIZE
from inksight_jax.inference.results import Result
from inksight_jax.ink.inkml import read_inkml
from inksight_jax.ink.types import Ink

CROSS = Ink.from_arrays([[[20, 5], [20, 35]], [[8, 20.5], [32, 20.5]]])


def make_result(ink: Ink, height: int, width: int, **changes) -> Result:
  values = {
    "task": "recognize_and_derender",
    "text": "t",
    "ink": ink,
    "confidence": 0.5,
    "tokens": np.asarray([5, 1], np.int32),
    "log_probs": np.asarray([-0.5, -0.1], np.float32),
    "truncated": False,
    "empty": False,
    "width": width,
    "height": height,
    "image": np.full((height, width, 3), 200, np.uint8),
  }
  return Result(**(values | changes))


def test_inkml_holds_the_ink_and_the_text():
  result = make_result(CROSS, 40, 60, text="a < b & \u6f22")
  ink, annotations = read_inkml(result.to_inkml("word_7").encode())
  assert len(ink) == 2
  np.testing.assert_allclose(ink.points, CROSS.points)
  assert annotations == {
    "application": "inksight-jax",
    "inferenceMode": "Recognize and Derender",
    "exampleId": "word_7",
    "textField": "a < b & \u6f22",
  }
  assert "exampleId" not in result.to_inkml()


def test_svg_has_the_size_of_the_picture():
  svg = make_result(CROSS, 40, 60).to_svg()
  assert re.search('viewBox="-0.5 -0.5 60 40"', svg)
  assert svg.count("<polyline") == 2


def test_json_holds_strokes_in_pixels():
  values = json.loads(make_result(CROSS, 40, 60).to_json())
  assert values["strokes"] == [[[20, 5], [20, 35]], [[8, 20.5], [32, 20.5]]]
  assert (values["text"], values["width"], values["height"]) == ("t", 60, 40)


def test_the_overlay_lies_on_the_ink_of_the_picture():
  picture = np.full((40, 60, 3), 255, np.uint8)
  picture[:, 20] = 0
  over = make_result(CROSS, 40, 60).overlay(picture).astype(int)
  # Colour is where the predicted ink is; the old ink has faded to grey.
  colored = over.max(axis=2) - over.min(axis=2) > 30
  rows, columns = np.nonzero(colored[:15])
  assert set(columns) <= {19, 20, 21} and 20 in columns
  assert rows.min() in (4, 5)
  assert (over[39, 20] == 128).all()
  assert (over[39, 0] == 255).all()


def test_a_shrunk_overlay_keeps_the_place():
  height, width = 1000, 4 * OVERLAY_SIZE
  # A vertical line in the middle of pixel column 3000, over many rows.
  ink = Ink.from_arrays([[[3000, 100], [3000, 900]]])
  picture = np.full((height, width, 3), 255, np.uint8)
  over = make_result(ink, height, width).overlay(picture).astype(int)
  assert over.shape == (height // 4, OVERLAY_SIZE, 3)
  weight = (over.max(axis=2) - over.min(axis=2)).sum(axis=0)
  centre = (weight * np.arange(OVERLAY_SIZE)).sum() / weight.sum()
  # Half a pixel of convention missed would move it by 0.375.
  assert abs(centre - ((3000 + 0.5) / 4 - 0.5)) < 0.18


def test_an_overlay_needs_the_right_picture():
  result = make_result(CROSS, 40, 60, image=None)
  with pytest.raises(ValueError, match="keeps no image"):
    result.show()
  with pytest.raises(ValueError, match="40 x 60 pixels; got one of 60 x 40"):
    result.overlay(np.zeros((60, 40, 3), np.uint8))
  assert make_result(CROSS, 40, 60).show().size == (60, 40)


def test_the_gif_writes_stroke_after_stroke(tmp_path: pathlib.Path):
  path = tmp_path / "a.gif"
  make_result(CROSS, 40, 60).save_gif(path)
  counts = []
  with Image.open(path) as gif:
    for frame in range(gif.n_frames):
      gif.seek(frame)
      counts.append(np.asarray(gif.convert("L")) < 200)
  assert len(counts) > 1
  inked = [int(c.sum()) for c in counts]
  assert inked == sorted(inked) and inked[0] < inked[-1]
  # The horizontal stroke comes last.
  assert not counts[0][20, 10] and counts[-1][20, 10]


def test_an_empty_result_still_gives_every_file(tmp_path: pathlib.Path):
  result = make_result(Ink(), 1, 1, text="", empty=True)
  assert "<trace " not in result.to_inkml()
  assert "<polyline" not in result.to_svg(color_by_order=True)
  assert result.overlay().shape == (1, 1, 3)
  result.save_gif(tmp_path / "a.gif")
  assert json.loads(result.to_json())["strokes"] == []


def test_a_page_is_read_line_by_line(tmp_path: pathlib.Path):
  sure = (0.5, 0.5, 1.0, 0.9, 0.25, 1.0)
  page = make_result(Ink(), 40, 60, text="ab\nc d", character_confidences=sure)
  assert page.line_confidences == [
    ("ab", 0.25),
    ("c d", pytest.approx(0.9 * 0.25)),
  ]
  file = tmp_path / "page.xml"
  places = ((1.0, 2.0, 30.0, 19.0), (1.0, 20.0, 40.0, 39.0))
  dataclasses.replace(page, line_boxes=places).save(str(file), "pagexml")
  text = file.read_text(encoding="utf-8")
  assert text.count("<TextLine") == 2
  assert re.findall(r"<Unicode>(.*)</Unicode>", text).count("c d") >= 1
  assert 'conf="0.2500"' in text and 'conf="0.2250"' in text
  lines = page.to_dict()["lines"]
  assert [line["text"] for line in lines] == ["ab", "c d"]
  assert lines[0]["confidence"] == 0.25
  given = make_result(Ink(), 40, 60, text="a\nb")
  assert given.line_confidences == [("a", None), ("b", None)]
