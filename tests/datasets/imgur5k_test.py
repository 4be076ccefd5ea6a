"""IMGUR5K: angle sign, `.` words, pages of two splits, placeholders."""

import hashlib
import json
import math
import pathlib

import cv2
import numpy as np
import pytest

from inksight_jax.datasets.imgur5k import parse_box, read_imgur5k
from inksight_jax.datasets.skipped import SkipReport


def annotations(
  pages: dict[str, str], words: dict[str, tuple[str, str]]
) -> str:
  return json.dumps(
    {
      "index_id": {
        page: {
          "image_url": f"https://i.imgur.com/{page}.jpg",
          "image_path": f"images/{page}.jpg",
          "image_hash": md5,
        }
        for page, md5 in pages.items()
      },
      "index_to_ann_map": {
        page: [w for w in words if w.startswith(page)] for page in pages
      },
      "ann_id": {
        key: {"word": word, "bounding_box": box}
        for key, (word, box) in words.items()
      },
    }
  )


def write_imgur(root: pathlib.Path) -> pathlib.Path:
  """One page with a word that rises at 30 degrees: a red bar, its start green.

  Drawn by OpenCV from end to end, not through our geometry.
  """
  (root / "images").mkdir()
  (root / "dataset_info").mkdir()
  page = np.full((300, 400, 3), 255, np.uint8)
  step = np.array([math.cos(math.pi / 6), -math.sin(math.pi / 6)])  # rising
  start, end = (
    np.array([200, 150]) - 60 * step,
    np.array([200, 150]) + 60 * step,
  )
  to_point = lambda p: tuple(np.rint(p).astype(int).tolist())  # noqa: E731
  cv2.line(page, to_point(start), to_point(end), (0, 0, 255), 9)
  cv2.circle(page, to_point(start), 8, (0, 255, 0), -1)
  for name in ("aaa", "bbb", "ccc"):
    cv2.imwrite(str(root / f"images/{name}.jpg"), page)
  md5 = hashlib.md5((root / "images/aaa.jpg").read_bytes()).hexdigest()
  box = "[200.0, 150.0, 136.0, 24.0, 30.0]"
  info = root / "dataset_info"
  (info / "imgur5k_annotations_train.json").write_text(
    annotations(
      {"aaa": md5, "bbb": "0" * 32, "ccc": md5, "ddd": md5},
      {
        "aaa_0": ("kiwi", box),
        "aaa_1": (".", box),
        "aaa_2": ("", box),
        "aaa_3": ("kåk", "[200.0, 150.0, 40.0, 20.0, 0.0"),
        "aaa_4": ("far", "[2000.0, 150.0, 40.0, 20.0, 5.0]"),
        "aaa_5": ("bad", "[1, 2, 3]"),
        "bbb_0": ("placeholder", box),
        "ccc_0": ("of_val_too", box),
        "ddd_0": ("gone", box),
      },
    )
  )
  (info / "imgur5k_annotations_val.json").write_text(
    annotations({"ccc": md5}, {"ccc_0": ("of_val_too", box)})
  )
  (info / "imgur5k_annotations_test.json").write_text(annotations({}, {}))
  for name, pages in (("train", "aaa\nbbb\nccc\nddd\naaa\n"), ("val", "ccc\n")):
    (info / f"{name}_index_ids.lst").write_text(pages)
  return root


@pytest.fixture
def imgur(tmp_path: pathlib.Path) -> pathlib.Path:
  return write_imgur(tmp_path)


def test_a_rising_word_is_set_upright(imgur: pathlib.Path):
  record = next(read_imgur5k(imgur, split="train"))
  assert (record.id, record.text) == ("aaa_0", "kiwi")
  image = record.image
  assert image is not None and image.shape == (24, 136, 3)
  # The bar runs along the middle row, its green start at the left.
  red = (image[:, :, 0] > 128) & (image[:, :, 1] < 128)
  rows, columns = np.nonzero(red)
  assert abs(rows.mean() - 11.5) < 1 and rows.std() < 4
  assert columns.max() - columns.min() > 100
  green = (image[:, :, 1] > 128) & (image[:, :, 0] < 128)
  assert np.nonzero(green)[1].mean() < 20


def test_everything_else_is_counted(imgur: pathlib.Path):
  report = SkipReport()
  records = list(read_imgur5k(imgur, report, split="train"))
  # The lost bracket of aaa_3 is harmless.
  assert [r.text for r in records] == ["kiwi", "kåk"]
  assert report.counts == {
    "word not annotated (.)": 1,
    "empty word": 1,
    "box outside the picture": 1,
    "malformed box": 1,
    "picture with another md5 (removed from imgur?)": 1,
    "picture missing": 1,
  }


def test_a_page_of_two_splits_is_never_trained_on(imgur: pathlib.Path):
  (record,) = read_imgur5k(imgur, split="validation")
  assert record.id == "ccc_0"
  assert [r.id for r in read_imgur5k(imgur)] == ["aaa_0", "aaa_3", "ccc_0"]
  assert not list(read_imgur5k(imgur, split="test"))


def test_the_joint_file_needs_the_lists(imgur: pathlib.Path):
  info = imgur / "dataset_info"
  (info / "imgur5k_annotations_val.json").unlink()
  (info / "imgur5k_annotations_train.json").rename(
    info / "imgur5k_annotations.json"
  )
  assert [r.id for r in read_imgur5k(imgur, split="validation")] == ["ccc_0"]
  (info / "val_index_ids.lst").unlink()
  with pytest.raises(ValueError, match=r"no val_index_ids\.lst"):
    list(read_imgur5k(imgur, split="validation"))


def test_hostile_annotations(imgur: pathlib.Path, limits, tmp_path):
  file = imgur / "dataset_info" / "imgur5k_annotations_train.json"
  whole = file.read_text()
  file.write_text(whole[: len(whole) // 2])
  with limits(), pytest.raises(ValueError, match=r"train\.json: .*character"):
    list(read_imgur5k(imgur, split="train"))
  report = SkipReport()
  file.write_text(
    whole.replace("images/aaa.jpg", "../../etc/passwd").replace(
      "[200.0, 150.0, 136.0, 24.0, 30.0]", "[1, 2, 1e12, 1e12, 3]" + "9" * 10**6
    )
  )
  with limits():
    assert not list(read_imgur5k(imgur, report, split="train"))
  assert report.counts["malformed box"] >= 2
  assert report.counts["picture missing"] >= 1
  with pytest.raises(ValueError, match="wanted dataset_info/ of IMGUR5K"):
    list(read_imgur5k(imgur / "images", split="train"))
  with pytest.raises(ValueError, match="without extent"):
    parse_box("[1, 2, 0, 4, 5]")
