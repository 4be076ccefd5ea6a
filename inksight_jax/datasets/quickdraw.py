"""Quick, Draw!: sketches of 345 things, drawn in 20 seconds.

J. Jongejan et al., 2016; github.com/googlecreativelab/quickdraw-dataset,
CC BY 4.0. ndjson, raw (with times) or simplified, and the binary form.
"""

from __future__ import annotations

import json
import pathlib
import struct
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import (
  DEFAULT_FRACTIONS,
  check_split,
  in_split,
)
from inksight_jax.datasets.text_files import read_lines
from inksight_jax.ink.types import Ink, Stroke

SOURCE = "quickdraw"
SUFFIXES = (".ndjson", ".bin")
MAX_POINTS = 100_000  # of a drawing; a fast pen makes 5,000 in 20 seconds
# key_id, country, recognized, unix time, number of strokes; no padding.
_HEADER = struct.Struct("<Q2sbIH")


def parse_row(row: Any) -> tuple[str, str, bool, Ink]:
  """Reads a row of an ndjson file.

  Args:
    row: the decoded JSON; strokes are [x, y] or [x, y, t] lists.

  Returns:
    key_id, word, whether it was recognised, and the ink; times in ms from
    the first point.

  Raises:
    ValueError: a field is missing or of another type.
  """
  try:
    key, word = str(row["key_id"]), str(row["word"])
    drawing, recognized = row["drawing"], bool(row["recognized"])
    strokes, start = [], None
    for stroke in drawing:
      values = np.array(stroke, np.float64)
      if values.ndim != 2 or len(values) not in (2, 3):
        raise ValueError(f"a stroke has the shape {list(values.shape)}")
      if not values.shape[1]:
        continue
      times = None
      if len(values) == 3:
        start = values[2, 0] if start is None else start
        times = values[2] - start
      strokes.append(Stroke(values[:2].T, times))
  except (KeyError, TypeError, OverflowError) as error:
    raise ValueError(
      f"no row of Quick, Draw! ({type(error).__name__}: {error})"
    ) from None
  return key, word, recognized, Ink(tuple(strokes))


def parse_drawing(file: BinaryIO, where: str) -> tuple[str, bool, Ink] | None:
  """Reads the next drawing of a .bin file.

  Returns:
    key_id, whether it was recognised and the ink; None at the end.

  Raises:
    ValueError: the file ends within it, or it declares too many points.
  """

  def take(size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
      raise ValueError(f"{where}: the file ends inside this drawing.")
    return data

  head = file.read(_HEADER.size)
  if not head:
    return None
  key, _, recognized, _, count = _HEADER.unpack(
    head + take(_HEADER.size - len(head))
  )
  strokes, total = [], 0
  for _ in range(count):
    length = int.from_bytes(take(2), "little")
    total += length
    if total > MAX_POINTS:
      raise ValueError(f"{where}: declares more than {MAX_POINTS} points.")
    planes = np.frombuffer(take(2 * length), np.uint8).reshape(2, length)
    if length:
      strokes.append(Stroke(planes.T.astype(np.float64)))
  return str(key), bool(recognized), Ink(tuple(strokes))


def _rows(
  path: pathlib.Path, report: SkipReport
) -> Iterator[tuple[str, str, bool, Ink]]:
  for number, line in read_lines(path):
    if not line.strip():
      continue
    try:
      yield parse_row(json.loads(line))
    except (ValueError, RecursionError) as error:
      report.skip("malformed row", f"{path.name}:{number}: {error}")


def _drawings(
  path: pathlib.Path, report: SkipReport
) -> Iterator[tuple[str, str, bool, Ink]]:
  with path.open("rb") as file:
    number = 0
    while True:
      try:
        drawing = parse_drawing(file, f"{path.name}: drawing {number}")
      except ValueError as error:
        # Where the next one begins, nobody knows.
        report.skip("broken off, rest of the file left out", str(error))
        return
      if drawing is None:
        return
      key, recognized, ink = drawing
      yield key, path.stem, recognized, ink
      number += 1


def read_quickdraw(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = "",
  words: Sequence[str] = (),
  recognized_only: bool = True,
  word_as_text: bool = False,
  fractions: Sequence[float] = DEFAULT_FRACTIONS,
  split_seed: int = 0,
) -> Iterator[Record]:
  """Reads drawings file by file, one at a time.

  No drawer is named, so the split is a hash of the drawing.

  Args:
    path: folder of .ndjson or .bin files, or one of them.
    report: counts what was left out and why.
    split: "train", "validation", "test"; "" reads everything.
    words: names of the files to read, for example "cat"; all by default.
    recognized_only: whether drawings that the game did not recognise are left
      out.
    word_as_text: whether `text` is the word. A sketch of a cat does not say
      "cat", so it is empty by default; the id begins with the word.
    fractions: expected shares of the splits.
    split_seed: another seed deals the drawings anew.

  Yields:
    Records with ids `<word>/<key_id>`, in the order of the files. The raw
    form has times and screen pixels, the others 0 to 255.

  Raises:
    ValueError: unknown split, or no such files.
  """
  check_split(split)
  report = report or SkipReport()
  path = pathlib.Path(path).expanduser()
  paths = [path]
  if path.is_dir():
    paths = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES)
  paths = [p for p in paths if not words or p.stem in words]
  if not paths or not all(p.is_file() and p.suffix in SUFFIXES for p in paths):
    wanted = ", ".join(words) or "any word"
    raise ValueError(f"{path}: no .ndjson or .bin file of {wanted}.")
  for file in paths:
    if not file.stat().st_size:
      report.skip("empty file", file.name)
    read = _rows if file.suffix == ".ndjson" else _drawings
    for key, word, recognized, ink in read(file, report):
      identity = f"{word}/{key}"
      if not in_split(identity, split, fractions, split_seed):
        continue
      if recognized_only and not recognized:
        report.skip("not recognised by the game", identity)
      elif not ink:
        report.skip("no strokes", identity)
      else:
        text = word if word_as_text else ""
        yield Record(identity, SOURCE, text, ink=ink)
