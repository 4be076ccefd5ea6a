"""The UNIPEN 1.0 text format: keywords, components and segments.

Grammar (Guyon et al., ICPR 1994, and the foundation's `unipen.def`): a keyword
is a dot in column one and a name in capitals; its arguments run to the next
keyword. Pen-down and pen-up stretches are *components*, numbered from 0 in
file order, empty ones not counted; a `.SEGMENT` names its components by ranges
such as `0-1,3` or, with point offsets, `2:10-3:5`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_KEYWORD = re.compile(r"[A-Z][A-Z_0-9]*")
_SEGMENT = re.compile(r'\s*(\S+)\s+(\S+)(?:\s+([^\s"]+))?(?:\s+(".*"))?', re.S)
_RANGE = re.compile(r"(\d+)(?::(\d+))?(?:-(\d+)(?::(\d+))?)?")
_ESCAPE = re.compile(r"\\(.)", re.S)
_ESCAPED = {"n": "\n", "t": "\t"}
_MAX_INCLUDE_DEPTH = 8


@dataclasses.dataclass(frozen=True)
class Device:
  """What the file said about the pen device when a component was written.

  Attributes:
    columns: names of the numbers of one point, for example ("X", "Y", "T").
    x_per_mm: device units per millimetre, None where not given.
    y_per_mm: the same along y.
    rate: points per second, None where not given.
  """

  columns: tuple[str, ...] = ("X", "Y")
  x_per_mm: float | None = None
  y_per_mm: float | None = None
  rate: float | None = None


class Component(NamedTuple):
  """One pen-down or pen-up stretch; numbers are parsed on demand.

  The set has a million of these, so they are the cheapest of objects.

  Attributes:
    pen_down: whether the pen touched the paper.
    text: the points as written in the file.
    file: name of the file.
    line: line of the keyword, from 1.
    device: what the coordinates mean.
    delay: milliseconds of `.DT` between the previous component and this one,
      None where not given.
  """

  pen_down: bool
  text: str
  file: str
  line: int
  device: Device
  delay: float | None = None

  @property
  def where(self) -> str:
    """ "file:line" of the keyword."""
    return f"{self.file}:{self.line}"

  def values(self) -> NDArray[np.float64]:
    """Reads the points.

    Returns:
      float64[points, columns] in the order of `device.columns`.

    Raises:
      ValueError: something is not a number, or a point is incomplete.
    """
    width = len(self.device.columns)
    try:
      flat = np.array([float(word) for word in self.text.split()])
    except ValueError as error:
      raise ValueError(f"{self.where}: not a coordinate: {error}.") from None
    if flat.size % width:
      raise ValueError(
        f"{self.where}: {flat.size} numbers do not make whole points of "
        f"{width} columns ({' '.join(self.device.columns)})."
      )
    if not np.isfinite(flat).all():
      raise ValueError(f"{self.where}: a coordinate is not finite.")
    return flat.reshape(-1, width)


@dataclasses.dataclass(frozen=True)
class ComponentRange:
  """Components `first` to `last` (inclusive), perhaps only part of the ends.

  Attributes:
    first: number of the first component, from 0.
    last: number of the last component.
    start: first point within `first`, or None for all.
    stop: last point within `last`, or None for all.
  """

  first: int
  last: int
  start: int | None = None
  stop: int | None = None


@dataclasses.dataclass(frozen=True)
class Segment:
  """A labelled part of the file.

  Attributes:
    kind: "CHARACTER", "WORD", "TEXT", ...
    delineation: the component ranges as written, "?" when unknown.
    quality: "GOOD", "OK", "BAD" or "?".
    label: unescaped text; None where the file gives none.
    where: "file:line".
  """

  kind: str
  delineation: str
  quality: str
  label: str | None
  where: str

  def ranges(self) -> tuple[ComponentRange, ...]:
    """Parses the delineation.

    Raises:
      ValueError: it is unknown ("?"), malformed, or runs backwards.
    """
    return parse_delineation(self.delineation, self.where)


@dataclasses.dataclass(frozen=True)
class UnipenFile:
  """A UNIPEN file with its includes resolved.

  Attributes:
    segments: in file order.
    components: pen-down and pen-up stretches; segments count in these.
    fields: last value of each other keyword, for example "WRITER_ID".
    problems: (reason, where) for what could not be read, such as includes.
  """

  segments: tuple[Segment, ...]
  components: tuple[Component, ...]
  fields: dict[str, str]
  problems: tuple[tuple[str, str], ...]


def parse_delineation(text: str, where: str) -> tuple[ComponentRange, ...]:
  """Parses component ranges such as `0-1,3` or `2:10-3:5`.

  Args:
    text: the ranges, no spaces.
    where: "file:line" for the message.

  Raises:
    ValueError: unknown ("?"), malformed or backwards.
  """
  if text == "?":
    raise ValueError(f"{where}: the segment names no components (`?`).")
  ranges = []
  for part in text.split(","):
    match = _RANGE.fullmatch(part)
    if match is None:
      raise ValueError(
        f"{where}: component range {part!r} in {text!r}; wanted `A`, `A-B` or "
        "`A:M-B:N`."
      )
    first, start, last, stop = (
      None if group is None else int(group) for group in match.groups()
    )
    assert first is not None
    last = first if last is None else last
    if last < first:
      raise ValueError(f"{where}: component range {part!r} runs backwards.")
    ranges.append(ComponentRange(first, last, start, stop))
  return tuple(ranges)


def unescape(label: str) -> str:
  r"""Resolves `\"`, `\\`, `\n`, `\t`; an unknown escape keeps its letter."""
  return _ESCAPE.sub(
    lambda match: _ESCAPED.get(match.group(1), match.group(1)), label
  )


def _label(quoted: str | None) -> str | None:
  if quoted is None:
    return None
  match = re.match(r'"((?:[^"\\]|\\.)*)"', quoted, re.S)
  # A label with an unescaped quote inside still ends at the last quote.
  return unescape(match.group(1) if match else quoted[1:-1])


def _keywords(text: str) -> Iterator[tuple[str, str, int]]:
  """Yields (keyword, arguments, line) for every dot in column one."""
  line = 0
  key, body, start = "", "", 0
  for chunk in ("\n" + text).split("\n."):
    match = _KEYWORD.match(chunk)
    # Before the first dot, or a number such as `.5` in column one.
    if not line or match is None:
      body += chunk if not line else "\n." + chunk
    else:
      if key:
        yield key, body, start
      key, body, start = match.group(), chunk[match.end() :], line
    line += chunk.count("\n") + 1
  if key:
    yield key, body, start


class _Parser:
  """Accumulates one file and its includes."""

  def __init__(self, include: Callable[[str], str]) -> None:
    self.include = include
    self.segments: list[Segment] = []
    self.components: list[Component] = []
    self.fields: dict[str, str] = {}
    self.problems: list[tuple[str, str]] = []
    self.device = Device()
    self.delay: float | None = None

  def read(self, text: str, name: str, stack: tuple[str, ...] = ()) -> None:
    if name in stack or len(stack) >= _MAX_INCLUDE_DEPTH:
      raise ValueError(
        f"{stack[-1]}: .INCLUDE of {name} goes round or deeper than "
        f"{_MAX_INCLUDE_DEPTH} files: {' > '.join((*stack, name))}."
      )
    stack = (*stack, name)
    for key, body, line in _keywords(text):
      if key in ("PEN_DOWN", "PEN_UP"):
        if body and not body.isspace():
          self.components.append(
            Component(
              key == "PEN_DOWN", body, name, line, self.device, self.delay
            )
          )
          self.delay = None
      else:
        self.keyword(key, body, f"{name}:{line}", stack)

  def keyword(
    self, key: str, body: str, where: str, stack: tuple[str, ...]
  ) -> None:
    if key == "SEGMENT":
      self.segment(body, where)
    elif key == "DT":
      self.delay = self.number(body, key, where)
    elif key == "INCLUDE":
      self.included(body, where, stack)
    elif key == "COORD":
      self.device = dataclasses.replace(
        self.device, columns=tuple(body.upper().split())
      )
    elif key == "POINTS_PER_SECOND":
      self.device = dataclasses.replace(
        self.device, rate=self.number(body, key, where)
      )
    elif key in _RESOLUTIONS:
      attribute, per_mm = _RESOLUTIONS[key]
      value = self.number(body, key, where)
      self.device = dataclasses.replace(
        self.device, **{attribute: None if value is None else value * per_mm}
      )
    else:
      self.fields[key] = body.strip()

  def number(self, body: str, key: str, where: str) -> float | None:
    words = body.split()
    try:
      value = float(words[0])
    except (IndexError, ValueError):
      self.problems.append((f".{key} without a number", where))
      return None
    return value if value >= 0 and np.isfinite(value) else None

  def segment(self, body: str, where: str) -> None:
    match = _SEGMENT.match(body)
    if match is None:
      self.problems.append(("malformed .SEGMENT", where))
      return
    kind, delineation, quality, quoted = match.groups()
    self.segments.append(
      Segment(kind, delineation, quality or "?", _label(quoted), where)
    )

  def included(self, body: str, where: str, stack: tuple[str, ...]) -> None:
    target = body.split()[0] if body.split() else ""
    named = f"{where}, {target}" if target else where
    try:
      text = self.include(target)
    except FileNotFoundError:
      self.problems.append((".INCLUDE of a missing file", named))
      return
    except PermissionError:
      self.problems.append((".INCLUDE refused", named))
      return
    self.read(text, target, stack)


_RESOLUTIONS = {
  "X_POINTS_PER_INCH": ("x_per_mm", 1 / 25.4),
  "Y_POINTS_PER_INCH": ("y_per_mm", 1 / 25.4),
  "X_POINTS_PER_MM": ("x_per_mm", 1.0),
  "Y_POINTS_PER_MM": ("y_per_mm", 1.0),
}


def parse_unipen(
  text: str, include: Callable[[str], str], name: str
) -> UnipenFile:
  """Parses a UNIPEN file, following its includes.

  Args:
    text: the file (decode it as Latin-1).
    include: gives the text of an `.INCLUDE` path as written in the file;
      raises FileNotFoundError where it is missing and PermissionError where it
      points outside the archive. Both are recorded as problems.
    name: file name for messages.

  Returns:
    Segments, components and fields, with a list of what could not be read.

  Raises:
    ValueError: includes go round in circles or too deep.
  """
  parser = _Parser(include)
  parser.read(text, name)
  return UnipenFile(
    tuple(parser.segments),
    tuple(parser.components),
    parser.fields,
    tuple(parser.problems),
  )


def select_components(
  components: Sequence[Component], ranges: Sequence[ComponentRange], where: str
) -> list[tuple[Component, slice]]:
  """Finds the components of a segment and the points kept of each.

  Raises:
    ValueError: a range names a component that the file does not have.
  """
  selected = []
  for part in ranges:
    if part.last >= len(components):
      raise ValueError(
        f"{where}: component {part.last} is out of range; the file has "
        f"{len(components)}."
      )
    for number in range(part.first, part.last + 1):
      start = part.start if number == part.first else None
      stop = part.stop if number == part.last else None
      selected.append(
        (
          components[number],
          slice(start, None if stop is None else stop + 1),
        )
      )
  return selected
