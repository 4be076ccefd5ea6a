"""VNOnDB: Vietnamese words, lines and paragraphs, ICFHR 2018.

H. T. Nguyen, C. T. Nguyen, P. T. Bao, M. Nakagawa, Pattern Recognition 2018;
research only. InkML without a namespace; each trace group has its text.
"""

from __future__ import annotations

import pathlib
import unicodedata
from collections.abc import Iterator, Mapping

import numpy as np

from inksight_jax.datasets.inkml_files import (
  inkml_files,
  read_documents,
  stem,
)
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import check_split, in_split
from inksight_jax.ink.types import Ink, Stroke

SOURCE = "vnondb"
LEVELS = ("word", "line", "paragraph")
LISTS = {
  "train": "train_set.txt",
  "validation": "validation_set.txt",
  "test": "test_set.txt",
}
RATE = 120.0  # samples per second of the Fujitsu tablet; no times are stored


def timed(ink: Ink, rate: float) -> Ink:
  """Gives evenly sampled strokes their times; pauses are unknown.

  Args:
    ink: strokes without times.
    rate: points per second; one period stands for the way between strokes.
  """
  period, clock, strokes = 1000.0 / rate, 0.0, []
  for stroke in ink.strokes:
    times = clock + period * np.arange(len(stroke), dtype=np.float64)
    strokes.append(Stroke(stroke.points, times))
    clock += period * len(stroke)
  return Ink(tuple(strokes))


def _official(files: Mapping[str, bytes]) -> dict[str, str]:
  """Split by file stem, from the lists that are there."""
  splits: dict[str, str] = {}
  for split, listed in LISTS.items():
    for name in files:
      if name.split("/")[-1] != listed:
        continue
      try:
        text = files[name].decode("utf-8-sig")
      except UnicodeDecodeError as error:
        raise ValueError(f"{name}: not UTF-8 ({error.reason}).") from None
      for line in filter(None, map(str.strip, text.splitlines())):
        splits[stem(line.replace("\\", "/").split("/")[-1])] = split
  return splits


def read_vnondb(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = "",
  level: str = "line",
  split_seed: int = 0,
) -> Iterator[Record]:
  """Reads words, lines or paragraphs.

  The official lists in VNOnDB_ICFHR2018_dataSplit decide the split; without
  them it is a hash of the file, which one person wrote.

  Args:
    path: folder or tar archive with InkData_word, InkData_line and
      InkData_paragraph (the level asked for) and the lists.
    report: counts what was left out and why.
    split: "train", "validation", "test"; "" reads everything.
    level: "word", "line" or "paragraph".
    split_seed: of the hash.

  Yields:
    Records with ids `<file>_<group>`; text in NFC; y down, device pixels.

  Raises:
    ValueError: unknown level or split, or no InkML of the level there.
  """
  check_split(split)
  if level not in LEVELS:
    raise ValueError(f"Level {level!r} of VNOnDB; one of {', '.join(LEVELS)}.")
  report = report or SkipReport()
  files = inkml_files(
    path, "VNOnDB", lambda name: name.split("/")[-1] in LISTS.values()
  )
  folder = f"InkData_{level}"
  names = sorted(
    name
    for name in files
    if name.endswith(".inkml") and folder in name.split("/")
  )
  if not names:
    raise ValueError(f"{path}: no {folder}/*.inkml inside.")
  official = _official(files)
  wanted = []
  for name in names:
    key = stem(name.split("/")[-1])
    if split and official and key not in official:
      report.skip("in none of the official lists", name)
    elif (
      official.get(key) == split
      if official and split
      else in_split(key, split, seed=split_seed)
    ):
      wanted.append(name)
  for name, document in read_documents(files, wanted, report, groups=True):
    key = stem(name.split("/")[-1])
    for number, group in enumerate(document.groups):
      if "Tg_Truth" not in group.annotations:
        continue  # only holds groups
      identity = f"{key}_{group.id or number}"
      text = unicodedata.normalize("NFC", group.annotations["Tg_Truth"]).strip()
      if not text:
        report.skip("no text", identity)
      elif not group.ink:
        report.skip("no strokes", identity)
      else:
        ink = group.ink if group.ink.has_times else timed(group.ink, RATE)
        yield Record(identity, SOURCE, text, key, ink=ink)
