"""SCUT-COUCH2009: Chinese characters, words and text lines.

L. Jin, Y. Gao, G. Liu, Y. Li, K. Ding, SCUT-COUCH2009, IJDAR 2011; academic
agreement. Pairs of .idx and .dat files, little-endian, labels in GBK. What
`state` and the two index fields mean, and the unit of the times, is unknown.
"""

from __future__ import annotations

import pathlib
import re
import struct
from collections.abc import Iterator, Sequence

import numpy as np

from inksight_jax.datasets.archive import read_files
from inksight_jax.datasets.inkml_files import visible
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import (
  DEFAULT_FRACTIONS,
  check_split,
  in_split,
)
from inksight_jax.ink.types import Ink, Stroke

SOURCE = "scut_couch"
ENTRY = struct.Struct("<BIII")  # state, osw index, idx index, offset in .dat


def parse_index(data: bytes, name: str) -> list[int]:
  """Offsets of the samples in the .dat file.

  Raises:
    ValueError: the file is shorter or longer than the samples it declares.
  """
  count = int.from_bytes(data[:4], "little")
  if len(data) < 4 or len(data) - 4 != count * ENTRY.size:
    raise ValueError(
      f"{name}: {len(data)} bytes for {count} declared samples; wanted "
      f"{4 + count * ENTRY.size}. Is the file cut off?"
    )
  return [entry[3] for entry in ENTRY.iter_unpack(data[4:])]


class _Cursor:
  """Takes little-endian numbers off a buffer, never beyond its end."""

  def __init__(self, data: bytes, offset: int, where: str) -> None:
    self.data, self.offset, self.where = data, offset, where

  def take(self, size: int) -> bytes:
    start, self.offset = self.offset, self.offset + size
    if self.offset > len(self.data):
      raise ValueError(
        f"{self.where}: needs {size} bytes at {start}; the file has "
        f"{len(self.data)}."
      )
    return self.data[start : self.offset]

  def u16(self, count: int) -> Sequence[int]:
    return np.frombuffer(self.take(2 * count), "<u2").tolist()


def parse_sample(
  data: bytes, offset: int, where: str, encoding: str = "gbk"
) -> tuple[str, Ink]:
  """Reads one sample of a .dat file.

  Args:
    data: the file.
    offset: where the sample begins.
    where: file and number of the sample for messages.
    encoding: of the label.

  Returns:
    Label and ink, device pixels, y down, without times.

  Raises:
    ValueError: it runs beyond the file, the label is no text, or the strokes
      do not have as many points as declared.
  """
  cursor = _Cursor(data, offset, where)
  raw = cursor.take(cursor.take(1)[0])
  try:
    label = raw.rstrip(b"\0").decode(encoding)
  except UnicodeDecodeError:
    raise ValueError(
      f"{where}: label {raw.hex(' ')} is not {encoding}."
    ) from None
  num_points, num_strokes, num_timed = cursor.u16(3)
  cursor.take(num_timed * (2 + 4))  # their point numbers and times
  strokes, total = [], 0
  for _ in range(num_strokes):
    (length,) = cursor.u16(1)
    total += length
    if length:
      pairs = np.array(cursor.u16(2 * length), np.float64).reshape(-1, 2)
      strokes.append(Stroke(pairs))
  if total != num_points:
    raise ValueError(
      f"{where}: {total} points in strokes, {num_points} declared."
    )
  return label, Ink(tuple(strokes))


def read_scut_couch(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = "",
  encoding: str = "gbk",
  fractions: Sequence[float] = DEFAULT_FRACTIONS,
  split_seed: int = 0,
) -> Iterator[Record]:
  """Reads the samples of all .idx files with the .dat files beside them.

  The set has no official split. A writer is the number at the end of a file's
  name, over all twelve parts: should the numbers of two parts mean different
  people, the splits stay disjoint all the same.

  Args:
    path: folder or tar archive.
    report: counts what was left out and why.
    split: "train", "validation", "test"; "" reads everything.
    encoding: of the labels; the Big5 part may want "big5" (not verified).
    fractions: expected shares of the writers in the splits.
    split_seed: another seed deals the writers anew.

  Yields:
    Records with ids `<file>:<number>`.

  Raises:
    ValueError: unknown split, or no .idx files there.
  """
  check_split(split)
  report = report or SkipReport()
  files = read_files(
    path,
    lambda name: visible(name) and name.casefold().endswith((".idx", ".dat")),
  )
  data_files = {
    name.casefold(): name for name in files if name.casefold().endswith(".dat")
  }
  indexes = sorted(n for n in files if n.casefold().endswith(".idx"))
  if not indexes:
    raise ValueError(f"{path}: no .idx files inside; is this SCUT-COUCH?")
  for name in indexes:
    identity = name[: -len(".idx")]
    number = re.search(r"(\d+)$", identity)
    writer = number[1].lstrip("0") or "0" if number else identity
    if not in_split(writer, split, fractions, split_seed):
      continue
    partner = data_files.get(f"{identity}.dat".casefold())
    if partner is None:
      report.skip("index without its .dat file", name)
      continue
    try:
      offsets = parse_index(files[name], name)
      data = files[partner]
    except ValueError as error:
      report.skip("unreadable file", str(error))
      continue
    for index, offset in enumerate(offsets):
      where = f"{partner}:{index}"
      try:
        text, ink = parse_sample(data, offset, where, encoding)
      except ValueError as error:
        report.skip("unreadable sample", str(error))
        continue
      if not text.strip() or not ink:
        report.skip("no strokes" if text.strip() else "no label", where)
        continue
      yield Record(f"{identity}:{index}", SOURCE, text, writer, ink=ink)
