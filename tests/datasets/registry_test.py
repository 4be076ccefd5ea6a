"""Data sets by name, and their splits."""

import itertools
import pathlib
from collections.abc import Callable

import pytest

from inksight_jax.datasets import ink_sets
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.registry import DATASETS, load_records, load_splits
from inksight_jax.datasets.skipped import SkipReport

SPLITS = ("train", "validation", "test")


def test_every_entry_says_what_the_table_shows():
  for name, info in DATASETS.items():
    assert name == info.name
    assert all((info.kind, info.licence, info.citation, info.access))
    assert info.options


def test_unipen_splits_are_writer_disjoint_and_complete(
  pack: Callable[..., pathlib.Path],
):
  """Forty writers, two samples each: every sample in exactly one split."""
  files = {}
  for number in range(40):
    files[f"include/aa/data/w{number}.dat"] = (
      f".WRITER_ID w{number}\n.PEN_DOWN\n1 1\n5 9\n.PEN_DOWN\n2 2\n3 3\n"
    )
    files[f"data/1a/aa/w{number}.dat"] = (
      f".INCLUDE aa/data/w{number}.dat\n"
      '.SEGMENT CHARACTER 0 ? "1"\n.SEGMENT CHARACTER 1 ? "1"\n'
    )
  path = pack(files)
  found = {
    split: list(
      load_records(
        "unipen",
        path,
        split,
        categories=("1a",),
        fractions=(0.5, 0.25, 0.25),
      )
    )
    for split in SPLITS
  }
  assert sum(len(records) for records in found.values()) == 80
  assert all(found.values())
  for one, other in itertools.combinations(SPLITS, 2):
    assert not {r.writer for r in found[one]} & {r.writer for r in found[other]}


def test_generated_words_read_other_counts_for_held_out_splits():
  counts = [
    len(list(load_records("generated_words", "", s, count=5, held_out_count=2)))
    for s in SPLITS
  ]
  assert counts == [5, 2, 2]


def test_report_reaches_the_reader(pack: Callable[..., pathlib.Path]):
  path = pack({"data/1a/aa/w.dat": '.SEGMENT CHARACTER 0 ? ""\n'})
  report = SkipReport()
  for split in SPLITS:
    assert not list(load_records("unipen", path, split, report))
  assert report.counts == {"empty label": 1}


@pytest.mark.parametrize(
  ("name", "path", "split", "options", "message"),
  [
    ("icdar", "x", "train", {}, "Unknown data set 'icdar'; one of .*unipen"),
    ("unipen", "x", "dev", {}, "one of train, validation, test"),
    ("unipen", "", "train", {}, "needs a path. Access: Zenodo"),
    ("unipen", "x", "train", {"category": "1a"}, "takes categories"),
  ],
)
def test_mistakes_name_the_way_out(
  name: str, path: str, split: str, options: dict, message: str
):
  with pytest.raises(ValueError, match=message):
    load_records(name, path, split, **options)


def test_omniglot_splits_cover_the_real_drawings(shared_data: pathlib.Path):
  ids = [
    {r.id for r in load_records("omniglot", shared_data / "omniglot", split)}
    for split in SPLITS
  ]
  assert len(set.union(*ids)) == sum(map(len, ids)) == 2_720


def test_copies_of_rare_categories_are_for_training_only(monkeypatch):
  records = [
    Record(id="1a/x/1:0", source="unipen", text="1", writer="x"),
    Record(id="1c/x/1:0", source="unipen", text="a", writer="x"),
  ]
  monkeypatch.setattr(ink_sets, "read_unipen", lambda *_: iter(records))
  options = {"train_copies": {"1a": 3}}
  train = list(load_records("unipen", "there", "train", **options))
  assert [r.text for r in train] == ["1", "1", "1", "a"]
  assert len({r.id for r in train}) == 4
  assert list(load_records("unipen", "there", "test", **options)) == (records)


def test_one_pass_gives_the_records_of_every_split(
  pack: Callable[..., pathlib.Path], shared_data: pathlib.Path
):
  files = {}
  for number in range(12):
    files[f"include/aa/data/w{number}.dat"] = (
      f".WRITER_ID w{number}\n.PEN_DOWN\n1 1\n5 9\n.PEN_DOWN\n2 2\n3 3\n"
    )
    files[f"data/1a/aa/w{number}.dat"] = (
      f".INCLUDE aa/data/w{number}.dat\n"
      '.SEGMENT CHARACTER 0 ? "1"\n.SEGMENT CHARACTER 1 ? ""\n'
    )
  unipen = {
    "categories": ("1a",),
    "fractions": (0.5, 0.25, 0.25),
    "train_copies": {"1a": 2},
  }
  for name, path, options in (
    ("unipen", pack(files), unipen),
    ("omniglot", shared_data / "omniglot", {"split_seed": 3}),
    ("generated_words", "", {"count": 4, "held_out_count": 2, "seed": 5}),
  ):
    report, whole = SkipReport(), SkipReport()
    found = {split: [] for split in SPLITS}
    for split, record in load_splits(name, path, whole, **options):
      found[split].append((record.id, record.text, record.writer))
    for split in SPLITS:
      records = load_records(name, path, split, report, **options)
      assert found[split] == [(r.id, r.text, r.writer) for r in records]
      assert found[split]
    assert whole.counts == report.counts
