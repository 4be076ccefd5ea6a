"""InkML of any origin, its text beside it or inside."""

import os
import pathlib

import pytest

from inksight_jax.datasets.inkml_folder import read_inkml_folder
from inksight_jax.datasets.registry import load_splits
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.ink.inkml import write_inkml
from inksight_jax.ink.types import Ink

INK = Ink.from_arrays([[[1, 2], [3, 4]]])


def read(path, **options):
  report = SkipReport()
  return list(read_inkml_folder(path, report, **options)), report


def test_text_comes_from_beside_or_inside(write_files):
  path = write_files(
    {
      "b/two.inkml": write_inkml(INK, {"textField": "inside", "writer": "w"}),
      "b/one.inkml": write_inkml(INK, {"truth": "not this"}),
      "b/one.txt": "\ufeffbeside\n",
      "a.inkml": write_inkml(INK, {"label": "top"}),
      "none.inkml": write_inkml(INK),
      "bad.inkml": write_inkml(INK),
      "bad.txt": "caf\xe9".encode("latin-1"),
      "empty.inkml": write_inkml(Ink(), {"truth": "x"}),
      ".hidden/c.inkml": write_inkml(INK, {"truth": "x"}),
      "__MACOSX/c.inkml": write_inkml(INK, {"truth": "x"}),
    }
  )
  records, report = read(path)
  assert [(r.id, r.text, r.writer) for r in records] == [
    ("a", "top", "a"),
    ("b/one", "beside", "b"),
    ("b/two", "inside", "w"),
  ]
  assert records[0].ink.points.tolist() == INK.points.tolist()
  assert report.counts == {
    "no text": 1,
    "unreadable text": 1,
    "no strokes": 1,
  }
  assert "bad.txt: byte 4 is not UTF-8" in report.table()
  assert len(read(path, keep_without_text=True)[0]) == 4
  assert [
    r.text for r in read(path, text_annotations=("truth", "label"))[0]
  ] == ["top", "beside"]


def test_writers_are_in_one_split_each(write_files):
  path = write_files(
    {
      f"w{i % 20}/{i}.inkml": write_inkml(INK, {"truth": "x"})
      for i in range(60)
    }
  )
  found = [
    {r.writer for r in read(path, split=s)[0]}
    for s in ("train", "validation", "test")
  ]
  assert sum(map(len, found)) == 20 == len(set.union(*found))


def test_a_link_out_of_the_folder_is_not_followed(
  write_files, tmp_path: pathlib.Path
):
  path = write_files({"a.inkml": write_inkml(INK, {"truth": "x"})})
  secret = tmp_path / "secret.txt"
  secret.write_text("secret")
  os.symlink(secret, path / "a.txt")
  assert [r.text for r in read(path)[0]] == ["x"]


def test_hostile_files_are_counted(write_files, hostile_xml, limits):
  damaged = hostile_xml(write_inkml(INK, {"truth": "x"}))
  damaged["points"] = b"<ink><trace>" + b"1 2," * 1_000_000 + b"</trace></ink>"
  path = write_files({f"{k}.inkml": v for k, v in damaged.items()})
  with (path / "sparse.inkml").open("wb") as file:
    file.truncate(2**40)
  with limits():
    records, report = read(path)
  assert not records
  assert report.counts == {"unreadable InkML": len(damaged) + 1}


def test_wrong_questions(tmp_path: pathlib.Path):
  with pytest.raises(ValueError, match="no such file or folder"):
    read(tmp_path / "nowhere")
  with pytest.raises(ValueError, match=r"no \.inkml files"):
    read(tmp_path)


def test_one_hand_is_dealt_by_sample(write_files):
  ink = write_inkml(INK, {"truth": "x", "writer": "me"})
  files = {f"{i}.inkml": ink for i in range(60)}
  files |= {"validation/a.inkml": ink, "more/test/b.inkml": ink}
  path = write_files(files)
  splits = ("train", "validation", "test")
  found = {
    s: {r.id for r in read(path, split=s, split_by="sample")[0]} for s in splits
  }
  assert "validation/a" in found["validation"]
  assert "more/test/b" in found["test"]
  assert sum(map(len, found.values())) == 62 == len(set.union(*found.values()))
  assert min(map(len, found.values())) > 1 and len(found["train"]) > 40
  # By writer they are all in one split.
  by_writer = [len(read(path, split=s)[0]) for s in splits]
  assert sorted(by_writer) == [0, 0, 62]
  # In one pass over all splits too, as training reads.
  loaded = {s: set() for s in splits}
  for split, record in load_splits("inkml_folder", path, split_by="sample"):
    loaded[split].add(record.id)
  assert loaded == found
  with pytest.raises(ValueError, match="`split_by` is 'hand'"):
    read(path, split_by="hand")
