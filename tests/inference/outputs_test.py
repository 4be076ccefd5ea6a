"""Every result, of a word or a page, becomes every file."""

import gzip
import io
import json
import pathlib
import xml.etree.ElementTree as ElementTree

import cv2
import numpy as np
import pytest
from PIL import Image

from inksight_jax.inference import outputs
from inksight_jax.inference.outputs import FORMATS, kind_of
from inksight_jax.inference.page import PageResult, PageWord
from inksight_jax.inference.results import Result
from inksight_jax.ink.inkml import read_document
from inksight_jax.ink.types import Ink

PHOTO = np.full((60, 120, 3), 200, np.uint8)
STROKES = [[[20, 10], [60, 40]], [[30, 50]]]


def result(shift: float = 0, **changes) -> Result:
  values = {
    "task": "recognize_and_derender",
    "text": "ab c",
    "ink": Ink.from_arrays(STROKES).scaled(1.0, (shift, 0.0)),
    "confidence": 0.5,
    "tokens": np.asarray([5, 1], np.int32),
    "log_probs": np.asarray([-0.5, -0.1], np.float32),
    "truncated": False,
    "empty": False,
    "width": 120,
    "height": 60,
    "character_confidences": (0.9, 0.8, 0.7, 0.6),
  }
  return Result(**(values | changes))


def page() -> PageResult:
  words = tuple(
    PageWord((10.0 + x, 5.0, 50.0 + x, 55.0), result(float(x), text=text))
    for x, text in ((0, "ab c"), (40, "d\u6f22 e"))
  )
  return PageResult("recognize_and_derender", 120, 60, (words,))


@pytest.mark.parametrize("made", [result(), page()], ids=["word", "page"])
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_a_file_of_its_kind(made, kind, tmp_path):
  path = tmp_path / f"a{FORMATS[kind]}"
  assert kind_of(path) == kind
  made.save(path, image=PHOTO, name="folder/photo.jpg")
  data = path.read_bytes()
  if kind in ("inkml", "svg", "animated", "pagexml", "alto"):
    ElementTree.fromstring(data)
  magic = {
    "png": b"\x89PNG",
    "gif": b"GIF8",
    "json": b"{",
    "xopp": b"\x1f\x8b",
    "pdf": b"%PDF-",
    "html": b"<!DOCTYPE html>",
  }
  assert data.startswith(magic.get(kind, b""))
  assert [p.name for p in tmp_path.iterdir()] == [path.name]
  text = data.decode("utf-8", "ignore")
  if kind in ("pagexml", "alto"):
    assert "photo.jpg" in text and "folder" not in text
  if kind == "inkml":
    assert ">photo<" in text
  if kind == "html":
    assert "<h1>photo</h1>" in text and "data:image/jpeg" in text
  if kind == "xopp":
    assert b"<image" in gzip.decompress(data)
  if kind == "pdf":
    assert b"/DCTDecode" in data


def test_without_a_photo_the_ink_stands_alone():
  made = result()
  assert "data:image" not in made.to_html()
  assert b"/DCTDecode" not in made.to_pdf()
  assert b"<image" not in gzip.decompress(made.to_xopp())
  kept = result(image=PHOTO)
  assert "data:image" in kept.to_html()
  assert b"/DCTDecode" not in kept.to_pdf(photo=False)
  assert b"<image" not in gzip.decompress(kept.to_xopp(photo=False))
  with pytest.raises(ValueError, match="60 x 120 pixels; got one of 9 x 9"):
    made.to_html(image=np.zeros((9, 9, 3), np.uint8))


def test_photos_inside_files_are_shrunk():
  large = np.zeros((1000, 4000, 3), np.uint8)
  made = result(width=4000, height=1000)
  picture = made.to_page(large).picture
  assert picture is not None
  assert (picture.width, picture.height) == (2048, 512)
  with Image.open(io.BytesIO(picture.data)) as image:
    assert (image.format, image.size) == ("JPEG", (2048, 512))
  png = made.to_page(large, "image/png").picture
  assert png is not None and png.width == outputs.PNG_SIZE


def test_endings_and_formats_that_are_unknown():
  assert kind_of("A.SVG") == "svg" and kind_of("a.animated.svg") == "animated"
  with pytest.raises(ValueError, match=r"a\.doc: no format ends like this"):
    kind_of("a.doc")
  with pytest.raises(ValueError, match="'doc'; choose from inkml"):
    result().save("a.doc", "doc")


def test_words_have_their_own_confidence():
  made = result()
  words = made.to_dict()["words"]
  assert words == [
    {"text": "ab", "confidence": 0.72},
    {"text": "c", "confidence": 0.6},
  ]
  told = result(character_confidences=())
  assert told.word_confidences == [] and told.to_dict()["words"] == []


def test_a_page_says_where_its_words_are():
  made = page()
  values = json.loads(made.to_json())
  (line,) = values["lines"]
  assert [word["box"] for word in line] == [[10, 5, 50, 55], [50, 5, 90, 55]]
  assert line[1]["strokes"][0] == [[60, 10], [100, 40]]
  assert values["text"] == "ab c d\u6f22 e"
  document = read_document(made.to_inkml("p").encode(), groups=True)
  assert document.annotations["exampleId"] == "p"
  assert [g.annotations["textField"] for g in document.groups if g.leaf] == [
    "ab c",
    "d\u6f22 e",
  ]
  assert made.to_svg().count("<polyline") == 4
  assert made.overlay(PHOTO).shape == (60, 120, 3)


def test_a_video_holds_the_frames_in_order(tmp_path: pathlib.Path):
  made = result(width=121, height=61)
  path = tmp_path / "a.mp4"
  made.save_mp4(path)
  video = cv2.VideoCapture(str(path))
  inked = []
  while True:
    there, frame = video.read()
    if not there:
      break
    assert frame.shape == (62, 122, 3)  # sides are even
    inked.append(int((frame.min(2) < 200).sum()))
  video.release()
  # Three points, the last frame stands for 1.5 s.
  assert len(inked) == 2 + 25
  assert inked[0] < inked[2] and inked[-1] > 50
  with pytest.raises(ValueError, match="at least one frame"):
    outputs.write_mp4(path, [])


def test_text_from_a_shell_may_hold_halves_of_characters(tmp_path):
  made = result(text="a\udcff", character_confidences=())
  for kind, ending in FORMATS.items():
    made.save(tmp_path / f"a{ending}", image=PHOTO)
    assert (tmp_path / f"a{ending}").stat().st_size, kind
