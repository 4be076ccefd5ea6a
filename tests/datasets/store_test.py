"""Stores hold what the reader gave, to the bit, killed or not."""

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

from inksight_jax.datasets import prepare as prepare_module
from inksight_jax.datasets import registry
from inksight_jax.datasets.info import DatasetInfo
from inksight_jax.datasets.prepare import compact, prepare
from inksight_jax.datasets.record import PageLine, Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.store import StoreSplit, Traits
from inksight_jax.ink.types import Ink, Stroke

COUNTS = {"train": 23, "validation": 5, "test": 0}


def record_of(number: int) -> Record:
  """Records of every shape: no ink, empty ink, times or not, grey, colour."""
  rng = np.random.default_rng(number)
  strokes = []
  for length in rng.integers(1, 9, 3).tolist():
    points = rng.normal(0, 1e3, (length, 2))
    strokes.append(
      Stroke(
        np.rint(points) if number % 2 else points,
        np.cumsum(rng.random(length)) if number % 3 else None,
        rng.random(length) if number % 5 == 0 else None,
      )
    )
  ink = None if number % 7 == 6 else Ink(tuple(strokes[: number % 4]))
  image = None
  if number % 4 < 2:
    image = rng.integers(0, 256, (3 + number, 7, 3), np.uint8)
    image = np.repeat(image[:, :, :1], 3, 2) if number % 4 else image
  return Record(
    id=f"a/{number}",
    source="unit",
    text="" if number % 5 == 4 else f"Wört {number} 漢",
    writer=f"w{number % 3}",
    image=image,
    ink=ink,
    lines=tuple(
      PageLine(f'Zeile "{line}"\n漢', tuple(rng.normal(size=4).tolist()))
      for line in range(number % 3 if image is not None else 0)
    ),
  )


def read(
  path: str, split: str = "", report: SkipReport | None = None, *, tag: str = ""
) -> Iterator[Record]:
  first = list(COUNTS).index(split) * 1000
  for number in range(first, first + COUNTS[split]):
    yield record_of(number)
  (report or SkipReport()).skip("odd\tone", f"{split}\n3")
  (report or SkipReport()).skip("every split says so", "line 1")


@pytest.fixture(autouse=True)
def unit(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> str:
  """A data set called unit; returns the path of its input."""
  info = DatasetInfo(
    "unit", "-", "-", "-", "-", {"a": 30}, read, ("ink", "image"),
    checksums={"data.bin": f"md5:{hashlib.md5(b'data').hexdigest()}"},
  )  # fmt: skip
  monkeypatch.setitem(registry.DATASETS, "unit", info)
  monkeypatch.setattr(prepare_module, "PART_RECORDS", 4)
  source = tmp_path / "in"
  source.mkdir()
  (source / "data.bin").write_bytes(b"data")
  return os.fspath(source)


def contents(directory: pathlib.Path) -> dict[str, bytes]:
  return {
    os.fspath(path.relative_to(directory)): path.read_bytes()
    for path in sorted(directory.rglob("*"))
    if path.is_file()
  }


def assert_same(one: Record, other: Record) -> None:
  assert (one.id, one.source, one.text, one.writer) == (
    other.id, other.source, other.text, other.writer
  )  # fmt: skip
  assert one.lines == other.lines
  assert (one.image is None) == (other.image is None)
  if one.image is not None:
    np.testing.assert_array_equal(one.image, other.image)
    assert one.image.dtype == other.image.dtype
  assert (one.ink is None) == (other.ink is None)
  for first, second in zip(
    one.ink.strokes if one.ink else (),
    other.ink.strokes if other.ink else (),
    strict=True,
  ):
    for name in ("points", "times", "pressures"):
      a, b = getattr(first, name), getattr(second, name)
      assert (a is None) == (b is None)
      if a is not None:
        assert a.dtype == b.dtype == np.float64
        assert a.tobytes() == b.tobytes()


def test_records_come_back_to_the_bit(unit: str, tmp_path: pathlib.Path):
  folder = tmp_path / "store"
  found = prepare("unit", unit, os.fspath(folder))
  for split, count in COUNTS.items():
    records = StoreSplit(os.fspath(folder), split)
    truth = list(read(unit, split))
    assert len(records) == len(truth) == count == sum(found["splits"][split])
    for one, other in zip(records, truth, strict=True):
      assert_same(one, other)
    assert split == "test" or any(record.lines for record in records)
    assert list(records.texts()) == [r.text for r in truth]
    assert list(records.writers()) == [r.writer for r in truth]
    traits, wanted = records.traits, Traits.of(truth)
    for name in ("strokes", "height", "width", "has_text"):
      np.testing.assert_array_equal(
        getattr(traits, name), getattr(wanted, name)
      )
  with pytest.raises(IndexError, match="Record 23"):
    StoreSplit(os.fspath(folder), "train")[23]
  assert found["seen"] == {"a": 28}
  # Said by three splits, but one sample.
  assert found["skipped"] == {"odd\tone": 3, "every split says so": 1}
  lines = (folder / "skipped.tsv").read_text().splitlines()
  assert lines[0] == "odd one\ttrain 3" and len(lines) == 4


@pytest.mark.parametrize(
  ("values", "dtype"),
  [
    ([1.0, -7.0, 300.0], np.int16),
    ([1.0, 70_000.0], np.int32),
    ([0.5, 2.0**100], np.float32),
    ([0.1, 2.0], np.float64),
    ([-0.0, 1.0], np.float32),
    ([np.inf, 1.0], np.float32),
    ([], np.int16),
  ],
)
def test_numbers_shrink_without_loss(values, dtype):
  values = np.array(values, np.float64)
  small = compact(values)
  assert small.dtype == dtype
  assert small.astype(np.float64).tobytes() == values.tobytes()


@pytest.mark.parametrize("after", [1, 4, 5, 11, 24, 27])
def test_stopped_anywhere_and_run_again_gives_the_same_bytes(
  unit: str, tmp_path: pathlib.Path, after: int
):
  whole, parts = tmp_path / "whole", tmp_path / "parts"
  prepare("unit", unit, os.fspath(whole))

  def stop(count: int) -> None:
    if count == after:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    prepare("unit", unit, os.fspath(parts), progress=stop)
  with pytest.raises(ValueError, match="not finished"):
    StoreSplit(os.fspath(parts), "train")
  (parts / "train" / "part-00003.image.npy.partial").write_bytes(b"torn")
  if not (parts / "train" / "part-00002.json").exists():
    (parts / "train" / "part-00002.image.npy").write_bytes(b"torn")
  prepare("unit", unit, os.fspath(parts))
  assert contents(parts) == contents(whole)
  # Finished: nothing is read any more.
  prepare("unit", unit, os.fspath(parts), progress=lambda count: 1 / 0)


def test_killed_at_random_and_run_again_gives_the_same_bytes(
  tmp_path: pathlib.Path,
):
  """A real process, really killed."""
  code = (
    "import sys, time\n"
    "from inksight_jax.datasets import prepare as p\n"
    "p.PART_RECORDS = 8\n"
    "p.prepare('generated_words', '', sys.argv[1],\n"
    "  {'count': 120, 'held_out_count': 20},\n"
    "  lambda n: (print(n, flush=True), time.sleep(0.002)))\n"
  )

  def run(folder: pathlib.Path, kill_at: int = 0) -> int:
    words = [sys.executable, "-c", code, os.fspath(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
      assert process.stdout is not None
      for line in process.stdout:
        if int(line) == kill_at:
          time.sleep(rng.uniform(0, 0.01))
          process.send_signal(signal.SIGKILL)
    return process.returncode

  whole, parts = tmp_path / "whole", tmp_path / "parts"
  rng = np.random.default_rng()
  assert run(whole) == 0
  for kill_at in (30, 90, 140):
    assert run(parts, kill_at) == -signal.SIGKILL
    assert not (parts / "store.json").exists()
  assert run(parts) == 0
  assert contents(parts) == contents(whole)


def test_other_input_and_other_options_are_refused(
  unit: str, tmp_path: pathlib.Path
):
  folder = os.fspath(tmp_path / "store")
  prepare("unit", unit, folder)
  with pytest.raises(ValueError, match="another folder"):
    prepare("unit", unit, folder, {"tag": "x"})
  (pathlib.Path(unit) / "more").write_bytes(b"1")
  with pytest.raises(ValueError, match="another folder"):
    prepare("unit", unit, folder)
  with pytest.raises(ValueError, match="no such file"):
    prepare("unit", "nowhere", os.fspath(tmp_path / "other"))


def test_a_damaged_download_is_named(unit: str, tmp_path: pathlib.Path):
  (pathlib.Path(unit) / "data.bin").write_bytes(b"dat?")
  with pytest.raises(ValueError, match=r"data\.bin: its md5 is .*published"):
    prepare("unit", unit, os.fspath(tmp_path / "store"))


def test_a_store_of_another_format_is_refused(
  unit: str, tmp_path: pathlib.Path
):
  folder = tmp_path / "store"
  found = prepare("unit", unit, os.fspath(folder))
  (folder / "store.json").write_text(json.dumps(found | {"format": 99}))
  with pytest.raises(ValueError, match="format 99"):
    StoreSplit(os.fspath(folder), "train")
  with pytest.raises(ValueError, match="no prepared data set"):
    StoreSplit(os.fspath(tmp_path / "none"), "train")


def test_ids_that_come_twice_are_left_out_and_reported(
  unit: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  monkeypatch.setitem(COUNTS, "test", 1)
  monkeypatch.setitem(globals(), "record_of", lambda n: Record(f"{n % 20}", ""))
  found = prepare("unit", unit, os.fspath(tmp_path / "store"))
  assert {s: sum(n) for s, n in found["splits"].items()} == {
    "train": 20, "validation": 0, "test": 0,
  }  # fmt: skip
  assert found["skipped"]["id that another sample has"] > 0
