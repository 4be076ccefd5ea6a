"""Tests of writing and reading array shards."""

import dataclasses
import filecmp
import json
import os
import pathlib

import numpy as np
import pytest

from inksight_jax.datasets.registry import DATASETS
from inksight_jax.datasets.splits import ALL, in_split
from inksight_jax.pipeline import shard_writer
from inksight_jax.pipeline.examples import (
  build_example,
  example_rng,
)
from inksight_jax.pipeline.records import SourceRecords, open_source
from inksight_jax.pipeline.shard_writer import write_shards
from inksight_jax.pipeline.shards import ShardReader, read_report
from inksight_jax.rendering.augment import AugmentConfig

SPLITS = ("train", "test")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch):
  monkeypatch.setattr(shard_writer, "MAX_SHARD_EXAMPLES", 10)


def contents(directory: pathlib.Path) -> dict[str, bytes]:
  return {
    str(path.relative_to(directory)): path.read_bytes()
    for path in sorted(directory.rglob("*"))
    if path.is_file()
  }


def test_shards_hold_what_build_example_makes(make_spec, records, tmp_path):
  spec = make_spec(augment=AugmentConfig.full())
  write_shards(tmp_path, spec, SPLITS, seed=5, repeats=2, workers=0)
  for task in spec.tasks:
    reader = ShardReader(tmp_path, task, "train")
    found = {}
    for index in range(len(reader)):
      example = reader[index]
      key = (reader.record_id(index), example.image.tobytes())
      found[key] = example
    assert len(found) == len(reader)
    pool = open_source(spec.all_sources[0]).pool("train", spec.neighbours)
    expected = 0
    for record in records["train"]:
      if not record.ink or (not record.text and task != "derender"):
        continue
      for repeat in range(2):
        rng = example_rng(5, "train", task, record.id, repeat)
        truth = build_example(record, task, spec, rng, True, pool)
        example = found[record.id, truth.image.tobytes()]
        assert example.inputs.tolist() == truth.inputs.tolist()
        assert example.targets.tolist() == truth.targets.tolist()
        expected += 1
    assert expected == len(reader)


def test_report_accounts_for_every_record(make_spec, records, tmp_path):
  spec = make_spec()
  reports = write_shards(tmp_path, spec, SPLITS, repeats=3, workers=0)
  train = records["train"]
  report = reports["recognize_ink/train"]
  assert report == read_report(tmp_path, "recognize_ink", "train")
  assert report["records"] == len(train)
  skipped = {k: v["count"] for k, v in report["skipped"].items()}
  # By hand: 10 and 21 have no ink; 4, 9, 14, 19 have ink and no text.
  assert skipped == {"no ink": 3 * 2, "no text": 3 * 4}
  assert report["skipped"]["no ink"]["first"][0] == "record-10"
  assert report["examples"] == 3 * (23 - 6) == sum(report["shards"])
  reader = ShardReader(tmp_path, "recognize_ink", "train")
  lengths = [len(reader[i].targets) for i in range(len(reader))]
  assert report["target_tokens"] == sum(lengths)
  assert report["longest_target"] == max(lengths)


def test_splits_other_than_train_get_one_pass(make_spec, records, tmp_path):
  reports = write_shards(
    tmp_path, make_spec(rates={"derender": 1}), SPLITS, repeats=4, workers=0
  )
  assert reports["derender/test"]["examples"] == len(
    [r for r in records["test"] if r.ink]
  )


class Killed(BaseException):
  """Stands for a signal."""


@pytest.mark.parametrize("after", [0, 1, 5, 9])
def test_interrupted_and_resumed_is_byte_identical(
  make_spec, records, tmp_path, after
):
  spec = make_spec(augment=AugmentConfig.light())
  whole, parts = tmp_path / "whole", tmp_path / "parts"
  write_shards(whole, spec, SPLITS, repeats=2, workers=0)
  count = 0

  def kill(name: str, examples: int) -> None:
    nonlocal count
    if count == after:
      raise Killed
    count += 1

  with pytest.raises(Killed):
    write_shards(parts, spec, SPLITS, repeats=2, workers=0, progress=kill)
  # A kill in the middle of a file leaves parts of it behind.
  folder = parts / "derender" / "train"
  (folder / "shard-00001.image.npy.partial").write_bytes(b"torn")
  for name in ("shard-00002.image.npy", "shard-00002.tokens.npy"):
    if not (folder / "shard-00002.json").exists():
      (folder / name).write_bytes(b"torn")
  if (folder / "shard-00001.json").exists():
    (folder / "shard-00001.json").unlink()
  write_shards(parts, spec, SPLITS, repeats=2, workers=0)
  assert contents(parts) == contents(whole)


def test_a_set_dealt_by_writer_is_read_once(
  make_spec, records, tmp_path, monkeypatch
):
  """One pass for neighbours, one for shards; the same bytes as split by split.

  In the reports, skips that nobody can assign to a split count for each.
  """
  everything = [record for split in records.values() for record in split]
  passes = []

  def read(
    path, split, report=None, *, fractions=(0.5, 0.25, 0.25), split_seed=0
  ):
    passes.append(split)
    for number, record in enumerate(everything):
      record = dataclasses.replace(record, writer=f"writer {number % 12}")
      if not in_split(record.writer, split, fractions, split_seed):
        continue
      if number % 9 == 4 and report is not None:
        report.skip("smudged", record.id)
      else:
        yield record

  info = dataclasses.replace(DATASETS["unit"], reader=read, by_writer=True)
  monkeypatch.setitem(DATASETS, "unit", info)
  spec = make_spec(rates={"derender": 1, "recognize_ink": 1})
  names = ("train", "validation", "test")
  once, thrice = tmp_path / "once", tmp_path / "thrice"
  write_shards(once, spec, names, workers=0)
  assert passes == [ALL, ALL]
  monkeypatch.setattr(SourceRecords, "_one_pass", False)
  write_shards(thrice, spec, names, workers=0)
  assert passes[2:] == [*names, *names]
  found, expected = contents(once), contents(thrice)
  assert found.keys() == expected.keys()
  shared, single = 0, 0
  for name, data in expected.items():
    if not name.endswith("report.json"):
      assert found[name] == data, name
      continue
    report, known = json.loads(found[name]), json.loads(data)
    assert report["examples"]
    shared = report.pop("unread")["smudged"]["count"]
    single += known.pop("unread").get("smudged", {"count": 0})["count"]
    assert report == known
  # Three splits, two tasks.
  assert shared == single / 2 == sum(1 for i in range(36) if i % 9 == 4)


def test_finished_shards_are_not_written_again(make_spec, records, tmp_path):
  spec = make_spec(rates={"derender": 1})
  write_shards(tmp_path, spec, SPLITS, workers=0)
  written = []
  write_shards(
    tmp_path, spec, SPLITS, workers=0, progress=lambda *a: written.append(a)
  )
  assert not written


def test_worker_processes_write_the_same_bytes(make_spec, tmp_path):
  spec = make_spec(
    source="generated_words",
    source_options={"count": 12, "max_length": 4},
    target_length=256,
    rates={"derender": 1, "recognize_ink": 1},
    augment=AugmentConfig.full(),
  )
  one, two = tmp_path / "one", tmp_path / "two"
  write_shards(one, spec, SPLITS, workers=0)
  reports = write_shards(two, spec, SPLITS, workers=2)
  assert contents(one) == contents(two)
  assert reports["derender/train"]["examples"] == 12
  assert not filecmp.dircmp(one, two).diff_files


def test_a_folder_of_another_cache_is_refused(make_spec, records, tmp_path):
  write_shards(tmp_path, make_spec(), SPLITS, workers=0)
  with pytest.raises(ValueError, match="another folder"):
    write_shards(tmp_path, make_spec(margin=3.0), SPLITS, workers=0)
  with pytest.raises(ValueError, match="another folder"):
    write_shards(tmp_path, make_spec(), SPLITS, seed=1, workers=0)
  with pytest.raises(ValueError, match="repeats"):
    write_shards(tmp_path, make_spec(), SPLITS, repeats=0, workers=0)


def test_an_unfinished_cache_is_refused(make_spec, records, tmp_path):
  spec = make_spec()
  write_shards(tmp_path, spec, ("test",), workers=0)
  with pytest.raises(ValueError, match="data cache"):
    ShardReader(tmp_path, "derender", "train")
  os.remove(tmp_path / "derender" / "test" / "report.json")
  with pytest.raises(ValueError, match="data cache"):
    ShardReader(tmp_path, "derender", "test")


def test_reading_maps_instead_of_loading(make_spec, records, tmp_path):
  write_shards(tmp_path, make_spec(), ("test",), workers=0)
  reader = ShardReader(tmp_path, "derender", "test")
  image = reader[0].image
  assert isinstance(image.base, np.memmap) and not image.flags.writeable
  with pytest.raises(IndexError, match="6"):
    reader[len(records["test"])]


def test_a_split_without_records_is_an_empty_cache(
  make_spec, records, tmp_path
):
  records["test"] = []
  reports = write_shards(tmp_path, make_spec(), ("test",), workers=0)
  assert reports["derender/test"]["examples"] == 0
  assert len(ShardReader(tmp_path, "derender", "test")) == 0
