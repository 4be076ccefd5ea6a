"""The count of `benchmarks/unipen_counts.py`, on the small set with defects."""

import collections
import importlib.util
import pathlib
import tarfile
from collections.abc import Callable
from types import ModuleType

import pytest

PATH = (
  pathlib.Path(__file__).resolve().parents[2] / "benchmarks/unipen_counts.py"
)


@pytest.fixture(scope="module")
def counts() -> ModuleType:
  spec = importlib.util.spec_from_file_location("unipen_counts", PATH)
  assert spec is not None and spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.fixture
def small(
  counts: ModuleType,
  pack: Callable[..., pathlib.Path],
  unipen_files: dict[str, str],
  tmp_path: pathlib.Path,
):
  """Labels by category, counted from the archive, and the unpacked folder."""
  # Escaped quotes, KAIST's marks.
  unipen_files["data/1a/kai/k.dat"] = (
    '.INCLUDE aa/data/w1.dat\n.SEGMENT WORD 0 OK "\\@1"\n'
  )
  path = pack(unipen_files)
  with tarfile.open(path) as archive:
    archive.extractall(tmp_path / "folder", filter="data")
  return *counts.count_lines(path), tmp_path / "folder"


def test_lines_are_counted_by_hand(small):
  labels, types, _ = small
  assert {c: n.total() for c, n in labels.items()} == {"1a": 12, "6": 1, "7": 3}
  assert types["1a"] == {("CHARACTER", ""): 11, ("WORD", ""): 1}
  assert labels["1a"]["aa/w1", "7"] == 1
  assert labels["7"] == collections.Counter(
    {("aa/w1", "to"): 1, ("aa/w1", "million"): 1, ("aa/w1", "at"): 1}
  )


@pytest.mark.parametrize("category", ["1a", "6", "7"])
def test_every_line_is_a_record_or_a_counted_skip(counts, small, category):
  labels, _, folder = small
  count, report, wrong = counts.compare(folder, category, labels[category])
  assert wrong == []
  assert count == {"1a": 4, "6": 1, "7": 2}[category]
  assert report.total >= labels[category].total() - count


def test_a_lost_or_invented_sample_is_noticed(counts, small):
  labels, _, folder = small
  more = labels["7"] + collections.Counter({("aa/w1", "lost"): 1})
  assert counts.compare(folder, "7", more)[2] == [
    "7: 2 lines gave no record, 1 skips"
  ]
  fewer = labels["7"] - collections.Counter({("aa/w1", "at"): 1})
  assert (
    "1 more records 'at' than lines" in counts.compare(folder, "7", fewer)[2][0]
  )
