"""UJI Pen Characters, version 2: letters, digits, accents and punctuation.

D. Llorens et al., The UJIpenchars database, LREC 2008; UCI data set 177,
CC BY 4.0. One text file of 60 writers, 97 characters, twice each.
"""

from __future__ import annotations

import pathlib
import re
import unicodedata
from collections.abc import Iterator

import numpy as np

from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import check_split, in_split
from inksight_jax.datasets.text_files import read_lines
from inksight_jax.ink.types import Ink, Stroke

SOURCE = "uji"
FILE = "ujipenchars2.txt"
PIXELS_PER_MM = 10.0  # as for UNIPEN
MAX_STROKES = 1000  # of a character; the real ones have 1 to 5
UNITS_PER_MM = {"UJI": 100.0, "UPV": 152.0}
_SESSION = re.compile(r"(trn|tst)_(UJI|UPV)_W(\d+)-(\d+)")
_POINTS = re.compile(r"POINTS (\d+) #((?: +-?\d+)*)")


def _samples(
  path: pathlib.Path,
) -> Iterator[tuple[int, str, list[tuple[int, str]]]]:
  """Yields (line, header, lines below it) of each WORD."""
  start, header, body = 0, "", []
  for number, line in read_lines(path):
    # The labelled character may itself be a slash: look at whole lines only.
    if not line.strip() or line.startswith("//"):
      continue
    if line.startswith("WORD"):
      if header:
        yield start, header, body
      start, header, body = number, line, []
    elif header and len(body) <= MAX_STROKES:
      body.append((number, line.strip()))
    elif header:
      raise ValueError(
        f"{path}:{start}: a character of more than {MAX_STROKES} strokes."
      )
    else:
      raise ValueError(f"{path}:{number}: {line[:40]!r} before any WORD.")
  if header:
    yield start, header, body


def _strokes(body: list[tuple[int, str]], scale: float, name: str) -> Ink:
  if not body or not re.fullmatch(r"NUMSTROKES \d+", body[0][1]):
    raise ValueError(f"{name}: no NUMSTROKES after WORD.")
  strokes = []
  for number, line in body[1:]:
    match = _POINTS.fullmatch(line)
    if match is None:
      raise ValueError(f"{name}, line {number}: {line[:40]!r} is no POINTS.")
    values = match[2].split()
    if len(values) != 2 * int(match[1]):
      raise ValueError(
        f"{name}, line {number}: {len(values)} numbers for {match[1]} points."
      )
    if values:
      points = np.array(list(map(float, values))).reshape(-1, 2) * scale
      strokes.append(Stroke(points))
  declared = int(body[0][1].split()[1])
  if declared != len(body) - 1:
    raise ValueError(f"{name}: {len(body) - 1} strokes, {declared} declared.")
  return Ink(tuple(strokes))


def read_uji(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = "",
  validation_share: float = 0.1,
  split_seed: int = 0,
) -> Iterator[Record]:
  """Reads the characters, 10 pixels per millimetre, y down.

  Test is official (20 of the 60 writers). Validation is a share of the
  official training writers.

  Args:
    path: ujipenchars2.txt or the folder with it.
    report: counts what was left out and why.
    split: "train", "validation", "test"; "" reads everything.
    validation_share: of the 40 training writers.
    split_seed: another seed takes other writers.

  Yields:
    Records in the file's order with ids `<session>:<line>`.

  Raises:
    ValueError: unknown split, no such file, or no UTF-8 text.
  """
  check_split(split)
  report = report or SkipReport()
  path = pathlib.Path(path).expanduser()
  path = path / FILE if path.is_dir() else path
  fractions = (1 - validation_share, validation_share, 0.0)
  seen = False
  for line, header, body in _samples(path):
    seen = True
    where = f"{path.name}:{line}"
    # Single blanks: the character may be any sign.
    fields = header.split(" ")
    session = _SESSION.fullmatch(fields[-1])
    if len(fields) != 3 or session is None:
      report.skip("malformed WORD", where)
      continue
    part, site, number, _ = session.groups()
    writer = f"{site}_W{number}"
    if part == "tst":
      wanted = split in ("", "test")
    else:
      wanted = in_split(writer, split, fractions, split_seed)
    if not wanted:
      continue
    try:
      ink = _strokes(body, PIXELS_PER_MM / UNITS_PER_MM[site], where)
    except ValueError as error:
      report.skip("malformed strokes", str(error))
      continue
    if not ink:
      report.skip("no strokes", where)
      continue
    text = unicodedata.normalize("NFC", fields[1])
    yield Record(f"{session[0]}:{line}", SOURCE, text, writer, ink=ink)
  if not seen:
    raise ValueError(f"{path}: no WORD inside; is this {FILE}?")
