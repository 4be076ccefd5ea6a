"""UNIPEN train_r01_v07: characters, words and texts as records.

Layout: `data/<category>/<donor>/...dat` index files that `.INCLUDE`
`include/<donor>/...`. International Unipen Foundation, CC BY 4.0 (Zenodo
1195803); I. Guyon et al., ICPR 1994.
"""

from __future__ import annotations

import pathlib
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.archive import read_files
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.ink.types import Ink, Stroke
from inksight_jax.ink.unipen import (
  Component,
  Segment,
  UnipenFile,
  parse_unipen,
  select_components,
)

SOURCE = "unipen"
CATEGORIES = {
  "1a": "digits",
  "1b": "capitals",
  "1c": "lower-case letters",
  "1d": "symbols",
  "2": "mixed characters",
  "3": "characters within words",
  "6": "cursive words",
  "7": "words of any style",
  "8": "texts of several words",
}
PIXELS_PER_MM = 10.0  # ours: an x-height of 3 mm is 30 pixels

_LABELS = {
  "1a": re.compile(r"[0-9]"),
  "1b": re.compile(r"[A-Z]"),
  "1c": re.compile(r"[a-z]"),
}
# KAIST marks ligatures and delayed strokes inside labels (kai1.doc).
_LIGATURE = "@"
_LIGATURE_DONORS = frozenset({"kai"})

_PLACEHOLDER_LABEL = "Word!"  # Apple's forms of several words

# Points per second that a pen tablet can have. KAIST gives the baud rate
# (9600), ART a tenth of its rate (letters would take 2.6 s).
_RATES = (20.0, 1000.0)
# Longer pauses are broken clocks (`.DT 1935897193`) or a break of the writer.
_MAX_DELAY = 10_000.0

# Points per mm where the header is wrong or silent. Apple's apb copies the
# 145 dpi of apa, which makes letters 21 mm high; its sister sets apc to ape
# have 680. Philips has none: PenWindows counts thousandths of an inch.
_POINTS_PER_MM = {"apb": 680 / 25.4, "phi": 1000 / 25.4}

# Width over height and letter of a word written along a line is 0.15 or more
# (measured); below this the label belongs to other ink.
_MIN_LETTER_ASPECT = 0.125
_WORD_CATEGORIES = ("6", "7")


def writer_of(donor: str, writer_id: str) -> str:
  """Names the writer by the donor's site and `.WRITER_ID`.

  One person has several ids: by session, task or style. They are joined where
  the names show it, rather too often than too rarely, because a writer on
  both sides of a split makes the test too easy.

  Args:
    donor: folder of the donor, for example "apb".
    writer_id: as in the file, for example "Chuck_Chaffee_2".
  """
  name = writer_id.strip()
  site = donor
  if donor in ("apa", "apb", "apc", "apd", "ape"):
    # Apple's five sets share writers: Arlo_Reeves, ArloReeves, .._1, text..
    site = "ap"
    name = re.sub(r"^text|Split$|_\d+$", "", name)
  elif donor == "ibm":
    # r02-07 is writer 07 in trial 02 (ibm0.doc: 12 writers, three sessions
    # each); bam12 is the second form of bam.
    name = re.sub(r"^r\d+-(?=\d+$)|(?<=[a-z])\d+$", "", name)
  elif donor == "lex":
    name = re.sub(r".\d+$", "", name)  # robie1, robip1: last letter and form
  elif donor == "syn":
    name = re.sub(r"-dig\d+$", "", name)
  elif donor == "phi":
    name = re.sub(r"^phil?-writer-", "", name)
  name = re.sub(r"[^a-z0-9]", "", name.casefold())
  return f"{site}/{name}"


def _times(parts: Sequence[tuple[Component, slice]]) -> list[float] | None:
  """Start time in ms of each part, counted from the first one.

  Pen-up samples and `.DT` give the pauses; where a device recorded neither,
  one sampling period stands for the pause.

  Returns:
    None where the device has no usable rate.
  """
  rate = parts[0][0].device.rate
  if rate is None or not _RATES[0] <= rate <= _RATES[1]:
    return None
  period = 1000.0 / rate
  starts, clock = [], 0.0
  for index, (component, kept) in enumerate(parts):
    delay = component.delay
    if index and delay is not None and delay <= _MAX_DELAY:
      clock += delay
    starts.append(clock)
    width = len(component.device.columns)
    words = component.text.split()
    clock += period * len(range(len(words) // width)[kept])
  return starts


def _ink(
  parts: Sequence[tuple[Component, slice]],
  points_per_mm: float | None,
  y_down: bool,
) -> Ink:
  """Joins the pen-down parts: millimetres to pixels, y down, top left 0.

  Args:
    parts: components and the points kept of each.
    points_per_mm: overrules what the file says.
    y_down: whether the device counts y downwards.

  Raises:
    ValueError: a component cannot be read or lacks X or Y.
  """
  starts = _times(parts)
  period = 1000.0 / (parts[0][0].device.rate or 1.0)
  strokes: list[tuple[NDArray[np.float64], NDArray[np.float64] | None]] = []
  for index, (component, kept) in enumerate(parts):
    if not component.pen_down:
      continue
    device = component.device
    values = component.values()[kept]
    if not len(values):
      continue
    columns = device.columns
    if "X" not in columns or "Y" not in columns:
      raise ValueError(
        f"{component.where}: .COORD {' '.join(columns)} lacks X or Y."
      )
    x = values[:, columns.index("X")]
    y = values[:, columns.index("Y")] * (1 if y_down else -1)
    x_per_mm = points_per_mm or device.x_per_mm
    y_per_mm = points_per_mm or device.y_per_mm
    if x_per_mm and y_per_mm:
      x = x * (PIXELS_PER_MM / x_per_mm)
      y = y * (PIXELS_PER_MM / y_per_mm)
    times: NDArray[np.float64] | None = None
    if "T" in columns:
      times = values[:, columns.index("T")]
    elif starts is not None:
      times = starts[index] + period * np.arange(len(values), dtype=np.float64)
    strokes.append((np.stack([x, y], 1), times))
  if not strokes:
    return Ink()
  corner = np.min([points.min(0) for points, _ in strokes], 0)
  first = strokes[0][1]
  start = 0.0 if first is None else first[0]
  return Ink(
    tuple(
      Stroke(points - corner, None if times is None else times - start)
      for points, times in strokes
    )
  )


def _is_withheld(component: Component) -> bool:
  """Whether the ink was blanked out: this part of the set is kept secret."""
  return component.text.split() == ["0", "0"]


def _is_prototype(parts: Sequence[tuple[Component, slice]]) -> bool:
  """Whether a segment of ibm0 is a normalised prototype.

  The files of ibm0 end in scaled prototypes of characters, then of single
  strokes, each labelled as if it were the whole character. They begin at
  exactly (0, 0), which no written character there does.
  """
  low = np.min([component.values().min(0) for component, _ in parts], 0)
  return not low.any()


def _misfit(label: str, ink: Ink, category: str) -> str:
  """Says why ink and label cannot belong together; empty if they may."""
  left, top, right, bottom = ink.bounds
  width, height = right - left, bottom - top
  if max(width, height) == 0 and label[0].isalnum():
    return "a letter or digit without extent"
  if (
    category in _WORD_CATEGORIES
    and len(label) >= 4
    and width < _MIN_LETTER_ASPECT * height * len(label)
  ):
    return "ink too narrow for its label"
  return ""


class _Unipen:
  """The files of the set and the samples in them."""

  def __init__(
    self,
    path: pathlib.Path,
    categories: Sequence[str],
    report: SkipReport,
    y_down_donors: Sequence[str],
    keep: Callable[[str], bool],
  ) -> None:
    self.report = report
    self.keep = keep
    self.y_down_donors = frozenset(y_down_donors)
    self.includes: dict[str, str] = {}
    self.indexes: dict[str, list[tuple[str, str]]] = {c: [] for c in categories}
    self.seen: set[tuple[str, str, str]] = set()
    self.files: Mapping[str, bytes] = read_files(path, self._wanted)
    for name in sorted(self.files):
      kind, rest = self._place(name)
      if kind == "include":
        self.includes[rest] = name
      else:
        self.indexes[kind].append((rest, name))
    if not any(self.indexes.values()):
      raise ValueError(
        f"{path}: no index files data/<category>/<donor>/*.dat for the "
        f"categories {', '.join(categories)}; is this UNIPEN train_r01_v07?"
      )

  def _place(self, name: str) -> tuple[str, str]:
    """Splits a path into (category or "include", rest); ("", "") if other."""
    parts = name.split("/")
    for index, part in enumerate(parts[:-1]):
      if part == "include":
        return part, "/".join(parts[index + 1 :])
      if part == "data" and parts[index + 1] in self.indexes:
        return parts[index + 1], "/".join(parts[index + 2 :])
    return "", ""

  def _wanted(self, name: str) -> bool:
    kind, rest = self._place(name)
    return kind == "include" or (name.endswith(".dat") and "/" in rest)

  def include(self, target: str) -> str:
    """Finds the text of an `.INCLUDE`, only ever within the set."""
    clean = posixpath.normpath(target)
    if clean.startswith(("/", "..")) or "\\" in target or ":" in target:
      raise PermissionError(target)
    if clean not in self.includes:
      raise FileNotFoundError(target)
    return self.files[self.includes[clean]].decode("latin-1")

  def records(self, category: str) -> Iterator[Record]:
    """Yields the samples of a category, in order of file and segment."""
    for relative, name in self.indexes[category]:
      donor = relative.split("/")[0]
      text = self.files[name].decode("latin-1")
      try:
        parsed = parse_unipen(text, self.include, name)
      except ValueError as error:
        self.report.skip("unreadable file", str(error))
        continue
      stem = relative.removesuffix(".dat")
      writer = writer_of(
        donor, parsed.fields.get("WRITER_ID", "") or stem.split("/")[-1]
      )
      if not self.keep(writer):
        continue
      for reason, where in parsed.problems:
        self.report.skip(reason, where)
      if not parsed.segments:
        self.report.skip("index file without segments", name)
      for number, segment in enumerate(parsed.segments):
        key = (relative, segment.delineation, segment.label or "")
        if key in self.seen:
          self._skip("already read in an earlier category", segment)
          continue
        self.seen.add(key)
        label = self._label(segment, category, donor)
        ink = self._ink(parsed, segment, donor) if label else None
        if not label or not ink:
          continue
        if reason := _misfit(label, ink, category):
          self._skip(reason, segment)
          continue
        yield Record(
          id=f"{category}/{stem}:{number}",
          source=SOURCE,
          text=label,
          writer=writer,
          ink=ink,
        )

  def _label(self, segment: Segment, category: str, donor: str) -> str:
    label = segment.label or ""
    if donor in _LIGATURE_DONORS:
      label = label.replace(_LIGATURE, "")
    label = " ".join(label.split())
    if not label:
      return self._skip("empty label", segment)
    if category in _LABELS and not _LABELS[category].fullmatch(label):
      return self._skip(f"label outside category {category}", segment)
    if label == _PLACEHOLDER_LABEL:
      return self._skip("placeholder label", segment)
    if segment.quality == "BAD":
      return self._skip("quality BAD", segment)
    return label

  def _ink(self, parsed: UnipenFile, segment: Segment, donor: str) -> Ink:
    if not parsed.components:
      self._skip("file without ink", segment)
      return Ink()
    try:
      parts = select_components(
        parsed.components, segment.ranges(), segment.where
      )
    except ValueError as error:
      self._skip("wrong delineation", segment, str(error))
      return Ink()
    if all(_is_withheld(component) for component, _ in parts):
      self._skip("ink withheld by the foundation", segment)
      return Ink()
    try:
      if "ibm0" in parts[0][0].file.split("/") and _is_prototype(parts):
        self._skip("normalised prototype of ibm0", segment)
        return Ink()
      ink = _ink(parts, _POINTS_PER_MM.get(donor), donor in self.y_down_donors)
    except ValueError as error:
      self._skip("unreadable points", segment, str(error))
      return Ink()
    if not ink:
      self._skip("segment without pen-down points", segment)
    return ink

  def _skip(self, reason: str, segment: Segment, where: str = "") -> str:
    self.report.skip(reason, where or segment.where)
    return ""


def read_unipen(
  path: str | pathlib.Path,
  categories: Sequence[str] = ("1a", "1c"),
  report: SkipReport | None = None,
  y_down_donors: Sequence[str] = (),
  keep: Callable[[str], bool] = lambda writer: True,
) -> Iterator[Record]:
  """Reads labelled pen samples.

  Points are scaled to 10 pixels per millimetre where the donor gave the
  resolution (else one pixel per device unit), with y down and the top left
  corner at 0. Times are milliseconds from the first point; absent where the
  device has no plausible sampling rate. Categories overlap: 6 is the cursive
  part of 7, and 8 holds the lines that 7 cuts into words.

  Args:
    path: the `.tar.xz`, `.tar.gz` or `.tgz` archive, or the unpacked folder.
    categories: keys of `CATEGORIES`, read in this order.
    report: counts what was left out and why.
    y_down_donors: donor folders that count y downwards. The format has y up,
      and so have the donors abm, aga, apa to ape, art, dar, ibm, imp, int,
      kai, kar, lav, lex, lou, not, pap, par, phi, pri, syn, tos, ugi, val
      (looked at one by one); name others here if their letters stand upside
      down.
    keep: says by writer whose samples to read.

  Yields:
    Records in a fixed order with ids `<category>/<file>:<segment>`.

  Raises:
    ValueError: unknown category; no, broken or truncated archive.
  """
  unknown = [c for c in categories if c not in CATEGORIES]
  if unknown or not categories:
    raise ValueError(
      f"UNIPEN categories {list(categories)}; choose from "
      + ", ".join(f"{key} ({what})" for key, what in CATEGORIES.items())
      + "."
    )
  unipen = _Unipen(
    pathlib.Path(path), categories, report or SkipReport(), y_down_donors, keep
  )
  for category in categories:
    yield from unipen.records(category)
