"""Xournal++ notes: pages, layers, tools, pressures, bombs."""

import base64
import dataclasses
import gzip
import re
import subprocess

import cv2
import numpy as np
import pytest

from inksight_jax.ink.xopp import read_xopp, write_xopp

NOTES = """<?xml version="1.0" standalone="no"?>
<xournal creator="Xournal++ 1.1.3" fileversion="4"><title>Xournal++</title>
<preview>iVBORw0KGgo=</preview>
<page width="612.0" height="792.0">
<background type="solid" color="#ffffffff" style="lined"/>
<layer>
<stroke tool="pen" color="#3333ccff" width="2.26 1.00 2.00">10 20 30 40 50 60\
</stroke>
<stroke tool="highlighter" color="#ffff007f" width="8.5">0 0 1 1</stroke>
<stroke tool="eraser" color="#ffffffff" width="8.5">0 0 1 1</stroke>
<stroke tool="pen" color="#000000ff" width="1.41"/>
<text font="Sans" size="12" x="1" y="2" color="#000000ff">typed</text>
</layer>
<layer><stroke tool="pen" color="#000000ff" width="1.41">5.5 6 5.5 6</stroke>
</layer></page>
<page width="612.0" height="792.0"><background type="solid"/><layer>
<stroke tool="pen" color="#000000ff" width="1.41" pressures="0.5">1 2 3 4\
</stroke></layer></page></xournal>"""


@pytest.mark.parametrize(
  "pack", [str.encode, lambda s: gzip.compress(s.encode())]
)
def test_pages_layers_and_pressures(pack):
  first, second = read_xopp(pack(NOTES))
  assert (first.width, first.height, first.typed) == (612, 792, ("typed",))
  pen, dot = first.ink.strokes
  assert pen.points.tolist() == [[10, 20], [30, 40], [50, 60]]
  assert pen.pressures.tolist() == [1, 2, 2]  # one per segment
  assert dot.points.tolist() == [[5.5, 6], [5.5, 6]] and dot.pressures is None
  # MrWriter's own attribute.
  assert second.ink.strokes[0].pressures.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
  ("old", "new", "message"),
  [
    (">10 20 30", ">10 20 x", "n:7: could not convert"),
    (">10 20 30 40", ">10 20 30", "n:7: 5 numbers do not make points"),
    ("2.26 1.00", "2.26 thick", "n:7: could not convert"),
    (">10 20", ">nan 20", "n:7: .*not finite"),
    ('width="612.0"', 'size="A4"', "page without width"),
    ("xournal", "journal", "root is <journal>"),
  ],
)
def test_what_is_wrong_is_said(old, new, message):
  with pytest.raises(ValueError, match=message):
    read_xopp(NOTES.replace(old, new).encode(), name="n")


def test_a_damaged_gzip_and_a_bomb_are_refused():
  packed = gzip.compress(NOTES.encode())
  for damaged in (packed[:-9], packed[:15], packed[:30] + packed[31:]):
    with pytest.raises(ValueError, match="damaged gzip"):
      read_xopp(damaged)
  with pytest.raises(ValueError, match="unpacks to more than the limit of"):
    read_xopp(gzip.compress(bytes(2**25), 1))


def test_what_is_written_is_read_back(page, pictures):
  picture = pictures["png"]
  data = write_xopp(dataclasses.replace(page, picture=picture))
  assert data == write_xopp(dataclasses.replace(page, picture=picture))
  (read,) = read_xopp(data)
  assert (read.width, read.height) == (450, 150)
  assert read.typed == tuple(word.text for word in page.words)
  for stroke, written in zip(page.ink.strokes, read.ink.strokes, strict=True):
    expected = (stroke.points + 0.5) * 0.75
    if len(stroke) == 1:  # Xournal++ wants two points of a dot.
      expected = np.repeat(expected, 2, axis=0)
    np.testing.assert_allclose(written.points, expected, atol=6e-4)
  image = re.search(b">([A-Za-z0-9+/=]+)</image>", gzip.decompress(data))
  assert base64.b64decode(image[1]) == picture.data
  with pytest.raises(ValueError, match="image/png"):
    write_xopp(dataclasses.replace(page, picture=pictures["jpeg"]))


def test_xournalpp_opens_it(page, pictures, tmp_path, program):
  words = [program("xvfb-run"), "-a", program("xournalpp")]
  for name, picture in (("ink", None), ("photo", pictures["png"])):
    notes = tmp_path / f"{name}.xopp"
    made = dataclasses.replace(page, picture=picture)
    notes.write_bytes(write_xopp(made))
    subprocess.run(
      [*words, "-i", tmp_path / f"{name}.png", notes],
      check=True,
      capture_output=True,
      timeout=120,
    )
  image = cv2.imread(str(tmp_path / "ink.png")).astype(int)
  scale = image.shape[1] / page.width
  blue = np.argwhere(image[..., 0] - image[..., 1] > 50) / scale
  # First wave: x 50..150, y 30..80 and its dot at y 18; line width 4.
  first = blue[(blue[:, 0] < 95) & (blue[:, 1] < 180)]
  np.testing.assert_allclose(first.min(0), [16.5, 48.5], atol=1)
  np.testing.assert_allclose(first.max(0), [82.5, 152.5], atol=1)
  # The texts are green and stand above their words.
  assert ((image[..., 1] - image[..., 2]) > 60).sum() > 500
  # The photo is grey where ours does not cover it.
  photo = cv2.imread(str(tmp_path / "photo.png"))
  assert ((photo > 110) & (photo < 130)).all(2).sum() > 500
