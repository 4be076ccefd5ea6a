"""HierText: one JSON object in a .jsonl.gz, and what is left out of it."""

import gzip
import json
import pathlib

import numpy as np
import pytest

from inksight_jax.datasets.hiertext import read_hiertext
from inksight_jax.datasets.skipped import SkipReport

ID = "00ff00ff00ff00ff"


def word(text: str, x: int, **other: object) -> dict:
  return {
    "vertices": [[x, 10], [x + 40, 10], [x + 40, 30], [x, 30]],
    "text": text,
    "legible": True,
    "handwritten": True,
    "vertical": False,
    **other,
  }


def write_hiertext(root: pathlib.Path, draw) -> pathlib.Path:
  draw(root / "validation" / f"{ID}.png", 200, 100)
  # The set has JPEG files; these pixels must survive to be compared.
  (root / f"validation/{ID}.png").rename(root / f"validation/{ID}.jpg")
  upwards = [[60, 90], [60, 40], [75, 40], [75, 90]]
  words = [
    word("buy", 10),
    word("SHOP", 60, handwritten=False),
    word("", 110, legible=False),
    word("down", 110, vertical=True),
    word("  ", 110),
    word("up", 0, vertices=upwards),
    word("two", 0, vertices=[[1, 2], [3, 4]]),
    word("far", 900),
  ]
  line = word("buy milk", 10, words=words)
  empty = word("no words", 10, words=[])
  gt = {
    "info": {"date": "2022", "version": "1"},
    "annotations": [
      {
        "image_id": ID,
        "image_width": 200,
        "image_height": 100,
        "paragraphs": [{"legible": True, "lines": [line, empty]}],
      },
      {
        "image_id": "0" * 16,
        "paragraphs": [{"lines": [{"words": [word("a", 1)]}]}],
      },
      7,
      {"image_id": ID, "paragraphs": []},
    ],
  }
  (root / "gt").mkdir()
  (root / "gt" / "validation.jsonl.gz").write_bytes(
    gzip.compress(json.dumps(gt).encode())
  )
  return root


@pytest.fixture
def hiertext(tmp_path: pathlib.Path, draw) -> pathlib.Path:
  return write_hiertext(tmp_path, draw)


def test_handwritten_legible_words(hiertext: pathlib.Path):
  report = SkipReport()
  records = list(read_hiertext(hiertext, report, split="validation"))
  # Numbers count every word of the image, read or not.
  assert {r.id: r.text for r in records} == {f"{ID}_0": "buy", f"{ID}_5": "up"}
  assert records[0].image is not None and records[1].image is not None
  np.testing.assert_array_equal(records[0].image[0, :, 0], np.arange(10, 50))
  # Read from below to above: columns of the crop go up the page.
  assert records[1].image.shape == (15, 50, 3)
  assert records[1].image[7, 0, 1] > records[1].image[7, -1, 1] + 40
  assert report.counts == {
    "not handwritten": 1,
    "illegible": 1,
    "vertical": 1,
    "empty text": 1,
    "malformed polygon": 1,
    "polygon outside the picture": 1,
    "picture missing": 1,
    "malformed page": 1,
    "image given twice": 1,
  }


def test_lines_print_and_the_unpacked_file(hiertext: pathlib.Path):
  packed = hiertext / "gt" / "validation.jsonl.gz"
  packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
  packed.unlink()
  options = {"split": "validation"}
  lines = [r.text for r in read_hiertext(hiertext, level="line", **options)]
  assert lines == ["buy milk", "no words"]
  words = read_hiertext(hiertext, handwritten_only=False, **options)
  assert "SHOP" in [r.text for r in words]


def test_a_picture_of_another_size_is_scaled(hiertext: pathlib.Path, draw):
  path = hiertext / "validation" / f"{ID}.png"
  draw(path, 100, 50)
  path.rename(path.with_suffix(".jpg"))
  record = next(read_hiertext(hiertext, split="validation"))
  assert record.image is not None and record.image.shape == (10, 20, 3)


def test_mistakes_and_hostile_files(hiertext: pathlib.Path, limits):
  with pytest.raises(ValueError, match=r"no gt/train\.jsonl\.gz"):
    list(read_hiertext(hiertext, split="train"))
  with pytest.raises(ValueError, match="Level 'page'"):
    list(read_hiertext(hiertext, level="page"))
  packed = hiertext / "gt" / "validation.jsonl.gz"
  whole = packed.read_bytes()
  vertices = b'{"annotations": [{"vertices": [' + b"[1,2]," * 10**6
  for content in (whole[:60], b"\x1f\x8bxx", gzip.compress(vertices, 1)):
    packed.write_bytes(content)
    with limits(), pytest.raises(ValueError, match=r"validation\.jsonl\.gz: "):
      list(read_hiertext(hiertext, split="validation"))
