"""PDF: text at its place for other programs, ink where it belongs."""

import dataclasses
import re
import subprocess
import xml.etree.ElementTree as ElementTree
import zlib

import cv2
import numpy as np
import pytest

from inksight_jax.ink.page import Page, Word
from inksight_jax.ink.pdf import visual_order, write_pdf
from inksight_jax.ink.types import Ink


def words_of(path, program) -> list[tuple[str, list[float]]]:
  """Words with their boxes in points, as poppler finds them."""
  done = subprocess.run(
    [program("pdftotext"), "-bbox", path, "-"],
    capture_output=True,
    check=True,
    timeout=60,
  )
  assert done.stderr in (b"", b"no word list\n")
  # Poppler writes titles beyond U+FFFF as surrogates.
  root = ElementTree.fromstring(done.stdout.decode("utf-8", "replace"))
  return [
    (e.text, [float(e.get(k)) for k in ("xMin", "yMin", "xMax", "yMax")])
    for e in root.iter("{http://www.w3.org/1999/xhtml}word")
  ]


def test_the_file_is_put_together_right(page, pictures):
  data = write_pdf(dataclasses.replace(page, picture=pictures["jpeg"]))
  places = re.findall(rb"^(\d{10}) 00000 n ", data, re.MULTILINE)
  for number, place in enumerate(places, 1):
    assert data[int(place) :].startswith(b"%d 0 obj\n" % number)
  start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", data)[1])
  assert data[start:].startswith(b"xref\n0 %d\n" % (len(places) + 1))
  for match in re.finditer(rb"/Length (\d+) >>\nstream\n", data):
    end = match.end() + int(match[1])
    assert data[end:].startswith(b"\nendstream\nendobj\n")
  assert write_pdf(page) == write_pdf(page)


def test_text_is_found_at_its_place_in_any_script(page, tmp_path, program):
  path = tmp_path / "a.pdf"
  path.write_bytes(write_pdf(page, "Tïtle 漢"))
  found = words_of(path, program)
  # "a < b" is one word here and three there.
  assert [text for text, _ in found] == [
    "hello",
    "wörld",
    "漢字",
    "नमस्ते",
    "a",
    "<",
    "b",
  ]
  for (_, box), word in zip(found[:4], page.words, strict=False):
    np.testing.assert_allclose(np.array(box) / 0.75, word.box, atol=0.01)
  info = subprocess.run(
    [program("pdfinfo"), path], capture_output=True, text=True, check=True
  ).stdout
  assert "Tïtle 漢" in info and "600 x 200" not in info
  assert re.search(r"Page size: +450 x 150 pts", info)


def test_hebrew_and_arabic_are_read_from_right_to_left(tmp_path, program):
  lines = tuple(
    (Word((10.0, 10.0 + 40 * row, 110.0, 40.0 + 40 * row), text),)
    for row, text in enumerate(("שלום", "سلام"))
  )
  path = tmp_path / "a.pdf"
  path.write_bytes(write_pdf(Page(200, 100, lines)))
  done = subprocess.run(
    [program("pdftotext"), path, "-"], capture_output=True, check=True
  )
  # Marks of direction are poppler's.
  text = re.sub("[\u200e\u200f\u202a-\u202e]", "", done.stdout.decode())
  assert text.split() == ["שלום", "سلام"]


def test_words_that_touch_stay_two_words(tmp_path, program):
  line = (
    Word((10.0, 10.0, 60.0, 40.0), "ab"),
    Word((60.0, 10.0, 99.0, 40.0), "c"),
  )
  data = write_pdf(Page(200, 100, (line,)))
  path = tmp_path / "a.pdf"
  path.write_bytes(data)
  assert [text for text, _ in words_of(path, program)] == ["ab", "c"]
  # Four characters are shown: the blank is one of them.
  content = zlib.decompress(
    data[data.index(b"4 0 obj") :].split(b"stream\n")[1]
  )
  assert (
    len(re.findall(rb"[0-9A-F]{4}", b"".join(re.findall(rb"<.*?>", content))))
    == 4
  )


def test_the_order_on_paper():
  assert visual_order("abc 12") == "abc 12"
  assert visual_order("אבג") == "גבא"
  assert visual_order("א12ב") == "ב12א"
  # The mark stays behind its letter.
  assert visual_order("שָב") == "בשָ"


def test_the_ink_is_drawn_as_vectors_on_the_photo(
  page, pictures, tmp_path, program
):
  path = tmp_path / "a.pdf"
  path.write_bytes(
    write_pdf(dataclasses.replace(page, picture=pictures["jpeg"]))
  )
  subprocess.run(
    [
      program("pdftoppm"),
      "-r",
      "384",
      "-png",
      "-singlefile",
      path,
      tmp_path / "a",
    ],
    check=True,
    timeout=60,
  )
  image = cv2.imread(str(tmp_path / "a.png")).astype(int)
  # 384 dpi of 0.75 points a pixel are 4 pixels each.
  assert image.shape == (800, 2400, 3)
  blue = np.argwhere(image[:400, :800, 0] - image[:400, :800, 2] > 50)
  # First wave: x 50..150, y 30..80 and its dot at y 18; line width 4; pixel
  # (x, y) has its centre at 4 x + 2.
  np.testing.assert_allclose(blue.min(0) / 4, [16.5, 48.5], atol=0.6)
  np.testing.assert_allclose(blue.max(0) / 4, [82.5, 152.5], atol=0.6)
  # The photo's ink has faded from 120 to 187; ours covers most of it.
  grey = (np.abs(image - 187) < 6).all(2).sum()
  assert 0 < grey < 0.3 * (image.min(2) < 100).sum()
  listed = subprocess.run(
    [program("pdfimages"), "-list", path], capture_output=True, text=True
  ).stdout
  assert listed.count("jpeg") == 1


@pytest.mark.parametrize(
  "text", ["", " ", "\n\x00", "\ud800", "\U0001f600" * 9]
)
def test_odd_texts_and_empty_pages(text, tmp_path, program):
  box = (3.0, 3.0, 3.0, 3.0)
  word = Word(box, text, Ink.from_arrays([[[1, 1]]]))
  path = tmp_path / "a.pdf"
  path.write_bytes(write_pdf(Page(9, 9, ((word, word),)), text))
  words_of(path, program)
  path.write_bytes(write_pdf(Page(1, 1, ())))
  assert words_of(path, program) == []


def test_a_png_is_refused(page, pictures):
  with pytest.raises(ValueError, match="image/jpeg"):
    write_pdf(dataclasses.replace(page, picture=pictures["png"]))
