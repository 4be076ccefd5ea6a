"""One set of `benchmarks/hostile_files.py`, and readers that it must notice."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
# In a process of its own: the benchmark forks, which JAX's threads forbid.
PROGRAM = """
import itertools, sys
sys.path.insert(0, "benchmarks")
import hostile_files as benchmark

def swallows(name, path, report, **options):
  return read(name, path, type(report)(), **options)

def stumbles(name, path, report, **options):
  try:
    yield from read(name, path, report, **options)
  except ValueError as error:
    raise KeyError(0) from error

def hoards(name, path, report, **options):
  kept = bytearray(b"x" * 210_000_000)
  yield from read(name, path, report, **options)
  del kept

def hides(name, path, report, **options):
  try:
    yield from read(name, path, report, **options)
  except ValueError:
    raise ValueError("it did not work") from None

read, cases = benchmark.load_splits, benchmark.cases
benchmark.load_splits = globals()[sys.argv.pop(1)]
count = int(sys.argv.pop(1))
benchmark.cases = lambda *words: itertools.islice(cases(*words), count)
benchmark.main()
"""


def run(reader: str, count: int) -> tuple[int, str]:
  """Exit code and output of the first `count` damages of one set."""
  words = [sys.executable, "-c", PROGRAM, reader, str(count), "--sets=uji"]
  done = subprocess.run(
    words,
    cwd=ROOT,
    env=os.environ | {"PYTHONPATH": str(ROOT)},
    capture_output=True,
    text=True,
    check=False,
  )
  return done.returncode, done.stdout + done.stderr


def test_a_sound_reader_passes():
  code, shown = run("read", 40)
  assert code == 0, shown
  assert "0 complaints" in shown and "uji " in shown


@pytest.mark.parametrize(
  ("reader", "complaint"),
  [
    ("swallows", "left out without a word"),
    ("stumbles", "raw KeyError"),
    ("hoards", "too much memory"),
    ("hides", "error without the file's name"),
  ],
)
def test_an_unsound_reader_is_noticed(reader: str, complaint: str):
  code, shown = run(reader, 40 if reader == "swallows" else 2)
  assert code == 1 and complaint in shown, shown
