"""Samples of UNIPEN as read, against the `.SEGMENT` lines of its files.

  python benchmarks/unipen_counts.py unipen_train_r01_v07_subset.tar.xz

The lines are counted by a plain regular expression over the archive, which
shares no code with the reader. Every line must come out as a record with the
same label or as a counted skip; the program fails where one does not.
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import re
import sys
import tarfile
import tempfile
import time

from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.unipen import CATEGORIES, read_unipen

INDEX = re.compile(r"(?:.*/)?data/([^/]+)/(.+)\.dat")
SEGMENT = re.compile(
  r'^\.SEGMENT[ \t]+(\S+)[^"\n]*(?:"(.*)"[ \t]*\r?)?$', re.MULTILINE
)
ESCAPE = re.compile(r"\\([^nt])")

Counts = dict[str, "collections.Counter[tuple[str, str]]"]


def count_lines(archive: pathlib.Path) -> tuple[Counts, Counts]:
  """Counts (file, label) and (file, type) of the `.SEGMENT` lines.

  Args:
    archive: tar archive of the set.

  Returns:
    Two counters by category.
  """
  labels: Counts = collections.defaultdict(collections.Counter)
  types: Counts = collections.defaultdict(collections.Counter)
  with tarfile.open(archive, "r|*") as tar:
    for member in tar:
      match = INDEX.fullmatch(member.name.removeprefix("./"))
      if not member.isfile() or not match or "/include/" in f"/{member.name}":
        continue
      file = tar.extractfile(member)
      assert file is not None
      category, name = match.groups()
      for kind, label in SEGMENT.findall(file.read().decode("latin-1")):
        text = " ".join(ESCAPE.sub(r"\1", label).split())
        labels[category][name, text] += 1
        types[category][kind, ""] += 1
  return labels, types


def normalise(name: str, label: str) -> str:
  """KAIST's labels carry ligature marks, which the reader takes out."""
  return label.replace("@", "") if name.startswith("kai/") else label


def compare(
  folder: pathlib.Path, category: str, lines: collections.Counter
) -> tuple[int, SkipReport, list[str]]:
  """Reads a category and checks it against its lines.

  Returns:
    Number of records, what was skipped, and what cannot be explained.
  """
  report = SkipReport()
  expected: collections.Counter[tuple[str, str]] = collections.Counter()
  for (name, label), count in lines.items():
    expected[name, normalise(name, label)] += count
  found: collections.Counter[tuple[str, str]] = collections.Counter()
  for record in read_unipen(folder, [category], report):
    name = record.id.split("/", 1)[1].rpartition(":")[0]
    found[name, record.text] += 1
  wrong = [
    f"{category}/{name}: {count} more records {label!r} than lines"
    for (name, label), count in (found - expected).items()
  ]
  # Reasons with a dot speak of files (.INCLUDE), the others of segments.
  skipped = sum(n for r, n in report.counts.items() if not r.startswith("."))
  left = (expected - found).total()
  if left != skipped:
    wrong.append(f"{category}: {left} lines gave no record, {skipped} skips")
  return found.total(), report, wrong


def main() -> int:
  """Prints the table; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("archive", type=pathlib.Path)
  args = parser.parse_args()
  start = time.perf_counter()
  labels, types = count_lines(args.archive)
  print(f"counted in {time.perf_counter() - start:.0f} s")
  wrong: list[str] = []
  with tempfile.TemporaryDirectory() as folder:
    with tarfile.open(args.archive, "r|*") as tar:
      tar.extractall(folder, filter="data")
    for category in (c for c in CATEGORIES if c in labels):
      start = time.perf_counter()
      lines = labels[category]
      count, report, odd = compare(pathlib.Path(folder), category, lines)
      kinds = ", ".join(f"{k} {n}" for (k, _), n in types[category].items())
      print(
        f"{category}: {lines.total()} lines ({kinds}), {count} records, "
        f"{lines.total() - count} without, "
        f"{time.perf_counter() - start:.0f} s\n{report.table()}"
      )
      wrong += odd
  print("\n".join(wrong) or "every line is a record or a counted skip")
  return bool(wrong)


if __name__ == "__main__":
  sys.exit(main())
