"""GNHK: both published forms of the labels."""

import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from inksight_jax.datasets.gnhk import read_gnhk
from inksight_jax.datasets.skipped import SkipReport


def corners(x: int, y: int, width: int, height: int) -> list[dict]:
  points = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
  return [{"x": px, "y": py} for px, py in points]


def write_gnhk(root: pathlib.Path, draw) -> pathlib.Path:
  folder = root / "test_data" / "test"
  draw(folder / "a_001.png", 120, 80)
  row = {
    "source-ref": "s3://bucket/a_001.png",
    "annotations": {
      "texts": [
        {"text": "tea", "polygon": corners(10, 20, 30, 10)},
        {"text": "%NA%", "polygon": corners(10, 20, 30, 10)},
        {"text": "far", "polygon": corners(500, 20, 30, 10)},
        {"text": "bad", "polygon": [{"x": 1}]},
      ]
    },
  }
  (folder / "test.manifest").write_text(json.dumps(row) + "\n\n{\n", "utf-8")
  folder = root / "train_data"
  draw(folder / "b_002.png", 120, 80)
  four = dict(
    zip(
      ("x0", "y0", "x1", "y1", "x2", "y2", "x3", "y3"),
      (5, 6, 25, 6, 25, 18, 5, 18),
      strict=True,
    )
  )
  labels = [
    {"text": "milk", "polygon": four, "line_idx": 0, "type": "H"},
    {"text": "SHOP", "polygon": four, "line_idx": 0, "type": "P"},
    {"text": "%math%", "polygon": four, "line_idx": 1, "type": "H"},
  ]
  (folder / "b_002.json").write_text(json.dumps(labels))
  return root


@pytest.fixture
def gnhk(tmp_path: pathlib.Path, draw) -> pathlib.Path:
  return write_gnhk(tmp_path, draw)


def test_manifest_and_json_beside_the_picture(gnhk: pathlib.Path):
  report = SkipReport()
  tea, milk = read_gnhk(gnhk, report)
  assert (tea.id, tea.text) == ("a_001_0", "tea")
  assert (milk.id, milk.text) == ("b_002_0", "milk")
  assert tea.image is not None and milk.image is not None
  np.testing.assert_array_equal(tea.image[:, 0, 1], np.arange(20, 30))
  assert milk.image.shape == (12, 20, 3)
  assert report.counts == {
    "no transcription": 2,
    "printed": 1,
    "polygon outside the picture": 1,
    "malformed polygon": 1,
    "malformed row": 1,
  }
  assert "test.manifest:3" in report.examples["malformed row"][0]


def test_splits(gnhk: pathlib.Path):
  assert [r.text for r in read_gnhk(gnhk, split="test")] == ["tea"]
  assert [
    r.text for r in read_gnhk(gnhk, split="train", validation_share=0)
  ] == ["milk"]
  options = {"split": "validation", "validation_share": 1.0}
  assert [r.text for r in read_gnhk(gnhk, **options)] == ["milk"]


def test_the_camera_orientation_comes_first(gnhk: pathlib.Path):
  """The polygon is in the upright picture; the file lies on its side."""
  path = gnhk / "test_data" / "test" / "a_001.png"
  upright = Image.open(path).convert("RGB")
  exif = Image.Exif()
  exif[0x0112] = 6  # turn by 90 degrees clockwise to view
  upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
  (tea,) = read_gnhk(gnhk, split="test")
  assert tea.image is not None
  np.testing.assert_array_equal(tea.image[:, 0, 1], np.arange(20, 30))


def test_hostile_labels(gnhk: pathlib.Path, limits, tmp_path: pathlib.Path):
  report = SkipReport()
  labels = gnhk / "train_data" / "b_002.json"
  many = {"text": "x", "polygon": [{"x": 1, "y": 2}] * 5000}
  for content in (b"[", b"\xff\xfe[", b"[" * 10**5, b" " * 10**7, b"{}"):
    labels.write_bytes(content)
    with limits():
      assert len(list(read_gnhk(gnhk, report))) == 1
  assert report.counts["unreadable labels"] == 5
  labels.write_text(json.dumps([many, 7, {"text": "y", "polygon": None}]))
  assert len(list(read_gnhk(gnhk, report))) == 1
  manifest = gnhk / "test_data" / "test" / "test.manifest"
  text = manifest.read_text()
  manifest.write_text(text.replace("s3://bucket/", "../../../"))
  assert len(list(read_gnhk(gnhk, split="test"))) == 1  # the name only
  manifest.write_bytes(b"\xff\n")
  with pytest.raises(ValueError, match=r"manifest:1: byte 1 is not utf-8"):
    list(read_gnhk(gnhk))
  with pytest.raises(ValueError, match="is this GNHK"):
    list(read_gnhk(tmp_path / "nothing"))
