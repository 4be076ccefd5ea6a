"""Tokenised data sets: what is written is read, damage is named."""

import json
import pathlib

import numpy as np
import pytest

from inksight_jax.datasets.picture_tokens import (
  read_description,
  write_picture_tokens,
)
from inksight_jax.datasets.prepare import prepare
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.registry import load_records


def _records(split: str, count: int) -> list[Record]:
  rng = np.random.default_rng(count)
  return [
    Record(
      id=f"{split}/{number}",
      source="unit",
      text=f"단어{number}",
      writer="w",
      codes=rng.integers(0, 9, (number % 3 + 1, 4), np.int32),
    )
    for number in range(count)
  ]


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
  splits = {"train": _records("train", 5), "test": _records("test", 2)}
  write_picture_tokens(tmp_path, splits, num_codes=9, length=16, patch=8)
  return tmp_path


def test_records_come_back(folder: pathlib.Path):
  for split, count in (("train", 5), ("validation", 0), ("test", 2)):
    found = list(load_records("picture_tokens", folder, split))
    assert len(found) == count
    for record, written in zip(found, _records(split, count), strict=True):
      assert (record.id, record.text, record.writer, record.image) == (
        written.id, written.text, "w", None
      )  # fmt: skip
      np.testing.assert_array_equal(record.codes, written.codes)
  first = list(load_records("picture_tokens", folder, "train", count=3))
  assert [r.id for r in first] == ["train/0", "train/1", "train/2"]
  description = read_description(folder)
  assert description["records"] == {"train": 5, "test": 2}
  assert (description["num_codes"], description["patch"]) == (9, 8)


def test_nothing_is_left_to_prepare(folder: pathlib.Path, tmp_path):
  # A store has no place for codes.
  with pytest.raises(ValueError, match=r"data tokenize.*DATA_PATH"):
    prepare("picture_tokens", str(folder), str(tmp_path / "store"))
  assert not (tmp_path / "store").exists()


def test_codes_outside_the_book_are_not_written(tmp_path: pathlib.Path):
  with pytest.raises(ValueError, match=r"train/0: codes .* book has 3"):
    write_picture_tokens(
      tmp_path, {"train": _records("train", 1)}, num_codes=3, length=16
    )
  with pytest.raises(ValueError, match="one: a record without a grid"):
    write_picture_tokens(
      tmp_path, {"train": [Record("one", "unit")]}, num_codes=3, length=16
    )


def test_damage_is_named(folder: pathlib.Path, tmp_path: pathlib.Path):
  def read():
    return list(load_records("picture_tokens", folder, "train"))

  lists = folder / "train.json"
  texts = json.loads(lists.read_text(encoding="utf-8"))
  lists.write_text(json.dumps(texts | {"ids": ["one"]}), encoding="utf-8")
  with pytest.raises(ValueError, match=r"'train' do not fit together"):
    read()
  lists.write_text("[]", encoding="utf-8")
  with pytest.raises(ValueError, match=r"train\.json lacks"):
    read()
  lists.write_text("{", encoding="utf-8")
  with pytest.raises(ValueError, match=r"train\.json cannot be read"):
    read()
  (folder / "tokens.json").write_text("3", encoding="utf-8")
  with pytest.raises(ValueError, match="does not describe pictures"):
    read()
  with pytest.raises(ValueError, match="give the folder of a tokenised"):
    list(load_records("picture_tokens", tmp_path / "absent", "train"))
