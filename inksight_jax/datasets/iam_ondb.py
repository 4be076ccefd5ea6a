"""IAM-OnDB: English lines written on a whiteboard.

M. Liwicki, H. Bunke, IAM-OnDB, ICDAR 2005; registration, non-commercial
research. Ink in lineStrokes/, transcriptions in ascii/, both by form.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from inksight_jax.datasets.archive import read_files
from inksight_jax.datasets.inkml_files import visible
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import check_split
from inksight_jax.ink.safe_xml import MAX_BYTES, Element, parse_xml
from inksight_jax.ink.types import Ink, Stroke

SOURCE = "iam_ondb"
# The task IAM-OnDB-t1 has two validation sets.
VALIDATION_SETS = ("testset_v", "testset_t")
LISTS = {"train": ("trainset",), "test": ("testset_f",)}
_LINE = re.compile(
  r"(?:.*/)?lineStrokes/(?:.*/)?([a-z]\d\d-\d{3}[a-z]?)-(\d\d)\.xml"
)
_ASCII = re.compile(r"(?:.*/)?ascii/(?:.*/)?([a-z]\d\d-\d{3}[a-z]?)\.txt")
_TEXT = frozenset(
  f"{name}.txt" for name in ("trainset", "testset_f", *VALIDATION_SETS, "forms")
)
# Within a row of the transcription this means that the line ends here.
_LINE_BREAK = re.compile(r"%{11}")


class _Forms:
  """The files of the set by form."""

  def __init__(self, path: str | pathlib.Path) -> None:
    self.files = read_files(path, self._wanted, MAX_BYTES)
    self.lines: dict[str, list[str]] = {}
    self.texts: dict[str, str] = {}
    self.others: dict[str, str] = {}
    # By name: some forms begin at line 00, most at 01.
    for name in sorted(self.files):
      if match := _LINE.fullmatch(name):
        self.lines.setdefault(match[1], []).append(name)
      elif match := _ASCII.fullmatch(name):
        self.texts[match[1]] = name
      else:
        self.others[name.split("/")[-1].removesuffix(".txt")] = name
    if not self.lines:
      raise ValueError(
        f"{path}: no lineStrokes/**/<form>-NN.xml inside; is this IAM-OnDB?"
      )

  @staticmethod
  def _wanted(name: str) -> bool:
    return visible(name) and bool(
      _LINE.fullmatch(name)
      or _ASCII.fullmatch(name)
      or name.split("/")[-1] in _TEXT
    )

  def text(self, name: str) -> str:
    return self.files[name].decode("latin-1")

  def writers(self) -> Mapping[str, str]:
    """Writer by form, from forms.txt; empty where that is absent."""
    if "forms" not in self.others:
      return {}
    rows = map(str.split, self.text(self.others["forms"]).splitlines())
    return {
      row[0]: row[1]
      for row in rows
      if len(row) >= 2 and not row[0].startswith("#")
    }

  def listed(self, split: str, names: Sequence[str]) -> frozenset[str]:
    """Forms of an official split, from its lists."""
    forms: set[str] = set()
    for name in names:
      if name not in self.others:
        raise ValueError(
          f"IAM-OnDB: {name}.txt, wanted for the split {split!r}, is not "
          "among the files; put the task lists of IAM-OnDB-t1 beside "
          "lineStrokes/."
        )
      forms.update(self.text(self.others[name]).split())
    return frozenset(forms)


def transcription(text: str) -> list[str]:
  """The written lines of an ascii file: the rows after `CSR:`."""
  _, found, after = text.partition("CSR:")
  if not found:
    return []
  rows = _LINE_BREAK.sub("\n", after).splitlines()
  return [row.strip() for row in rows if row.strip()]


def parse_line(root: Element, name: str) -> Ink:
  """Reads the strokes of a line.

  Args:
    root: element WhiteboardCaptureSession.
    name: of the file for messages.

  Returns:
    Ink in sensor units, y down; times in ms from the first point, absent
    where a point has none.

  Raises:
    ValueError: a point without numbers.
  """
  strokes: list[Stroke] = []
  start: float | None = None
  for element in root.iterfind(".//{*}Stroke"):
    points = list(element.iterfind("{*}Point"))
    if not points:
      continue
    rows = []
    for point in points:
      try:
        rows.append(
          (float(point.get("x", "")), float(point.get("y", "")))
          + ((float(point.get("time", "")),) if point.get("time") else ())
        )
      except ValueError:
        raise ValueError(
          f"{name}:{point.sourceline}: Point x={point.get('x')!r} "
          f"y={point.get('y')!r} time={point.get('time')!r}; wanted numbers."
        ) from None
    times = None
    if all(len(row) == 3 for row in rows):
      start = rows[0][2] if start is None else start
      times = (np.array([row[2] for row in rows]) - start) * 1000.0
    strokes.append(Stroke(np.array([row[:2] for row in rows]), times))
  return Ink(tuple(strokes))


def read_iam_ondb(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = "",
  validation_sets: Sequence[str] = VALIDATION_SETS,
) -> Iterator[Record]:
  """Reads lines with their transcriptions.

  The files of a form, sorted by number, belong to the rows of its
  transcription in order. A form whose counts differ is left out as a whole,
  because nothing says which row is which.

  Args:
    path: folder or tar archive with lineStrokes/, ascii/, the task lists
      (trainset.txt, testset_v.txt, testset_t.txt, testset_f.txt, needed where
      a split is asked for) and forms.txt for the writers.
    report: counts what was left out and why.
    split: "train", "validation", "test"; "" for all.
    validation_sets: the official lists that make the validation split.

  Yields:
    Records sorted by form with ids such as `a01-000u-01`.

  Raises:
    ValueError: unknown split, absent lists, or no IAM-OnDB.
  """
  check_split(split)
  report = report or SkipReport()
  forms = _Forms(path)
  writers = forms.writers()
  wanted = None
  if split:
    wanted = forms.listed(split, LISTS.get(split, validation_sets))
  for form in sorted(wanted or ()):
    if form not in forms.lines:
      report.skip("form of a task list without files in lineStrokes/", form)
  for form, names in sorted(forms.lines.items()):
    if wanted is not None and form not in wanted:
      continue
    if form not in forms.texts:
      _skip_all(report, "no transcription", names)
      continue
    try:
      rows = transcription(forms.text(forms.texts[form]))
    except ValueError as error:
      report.skip("unreadable transcription", str(error))
      continue
    if len(rows) != len(names):
      reason = "form with other numbers of lines and of texts"
      _skip_all(report, reason if rows else "no transcription", names)
      continue
    for name, row in zip(names, rows, strict=True):
      try:
        root = parse_xml(
          forms.files[name],
          ("WhiteboardCaptureSession",),
          "IAM-OnDB",
          name=name,
        )
        ink = parse_line(root, name)
      except ValueError as error:
        report.skip("unreadable line", str(error))
        continue
      if not ink:
        report.skip("no strokes", name)
        continue
      identity = name.split("/")[-1].removesuffix(".xml")
      yield Record(identity, SOURCE, row, writers.get(form, ""), ink=ink)


def _skip_all(report: SkipReport, reason: str, names: list[str]) -> None:
  for name in names:
    report.skip(reason, name)
