"""InkML: W3C writer, and a reader for the dialects found in data sets.

Source: www.w3.org/TR/InkML (2011). InkSight's released inks carry the
annotations `application`, `sourceDataset`, `inferenceMode`, `exampleId` and
`textField`, and write points as `x,y x,y`, against the standard's `x y, x y`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from types import MappingProxyType

import lxml.etree as etree
import numpy as np

from inksight_jax.ink.safe_xml import MAX_BYTES, parse_xml
from inksight_jax.ink.types import FloatArray, Ink, Stroke

NAMESPACE = "http://www.w3.org/2003/InkML"

_NO_ANNOTATIONS: Mapping[str, str] = MappingProxyType({})
# Characters that no XML 1.0 document may hold, not even escaped.
_ILLEGAL = re.compile(
  "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_MS_PER_UNIT = {"ms": 1.0, "s": 1000.0}


def write_inkml(
  ink: Ink, annotations: Mapping[str, str] = _NO_ANNOTATIONS
) -> str:
  """Writes ink as InkML, one trace per stroke, points as `x y` or `x y t`.

  Args:
    ink: points in pixels, y down; times in ms are written where every stroke
      has them. Rounded to 0.001; pressures are not written.
    annotations: type to text, written in order. Characters that XML cannot
      hold become U+FFFD.

  Returns:
    The document without an encoding declaration: save it as UTF-8.
  """
  root = etree.Element(f"{{{NAMESPACE}}}ink", nsmap={None: NAMESPACE})
  trace_format = etree.SubElement(root, f"{{{NAMESPACE}}}traceFormat")
  for name in ("X", "Y", "T") if ink.has_times else ("X", "Y"):
    channel = etree.SubElement(trace_format, f"{{{NAMESPACE}}}channel")
    channel.set("name", name)
    channel.set("type", "decimal")
    if name == "T":
      channel.set("units", "ms")
  for kind, text in annotations.items():
    annotation = etree.SubElement(root, f"{{{NAMESPACE}}}annotation")
    annotation.set("type", _ILLEGAL.sub("\ufffd", kind))
    annotation.text = _ILLEGAL.sub("\ufffd", text)
  for index, stroke in enumerate(ink.strokes):
    columns = [stroke.points]
    if ink.has_times and stroke.times is not None:
      columns.append(stroke.times[:, np.newaxis])
    trace = etree.SubElement(root, f"{{{NAMESPACE}}}trace")
    trace.set("id", str(index))
    trace.text = ", ".join(
      " ".join(map(_number, row)) for row in np.hstack(columns).tolist()
    )
  etree.indent(root)
  return etree.tostring(root, encoding="unicode") + "\n"


def _number(value: float) -> str:
  text = f"{value:.3f}".rstrip("0").rstrip(".")
  return "0" if text == "-0" else text


def read_inkml(
  source: str | os.PathLike[str] | bytes, max_bytes: int = MAX_BYTES
) -> tuple[Ink, dict[str, str]]:
  """Reads InkML of any dialect: with or without namespace, either comma style.

  Channels are taken by name (X, Y and T; others are skipped), X and Y in this
  order where the document names none. Pen-up traces and empty traces are
  skipped. Nothing outside the document is read and entities are refused.

  Args:
    source: a path, or the document itself as bytes.
    max_bytes: larger documents are refused before they are parsed.

  Returns:
    The ink, in the document's own units, and the annotations of the document
    (not those of its trace groups) by type; times in ms.

  Raises:
    ValueError: the document is too large, no XML, no InkML, declares
      entities, or holds a trace that is not plain numbers.
  """
  name = "The InkML document" if isinstance(source, bytes) else str(source)
  root = parse_xml(source, ("ink",), "InkML", max_bytes)
  channels, milliseconds = _channels(root, name)
  strokes = []
  for index, trace in enumerate(_elements(root, "trace")):
    rows = _points(trace.text or "")
    if not rows or trace.get("type") == "penUp":
      continue
    try:
      strokes.append(_stroke(rows, channels, milliseconds))
    except ValueError as error:
      raise ValueError(
        f"{name}, trace {index} (line {trace.sourceline}): {error}"
      ) from error
  annotations: dict[str, str] = {}
  for child in root.iterchildren("{*}annotation"):
    annotations.setdefault(child.get("type", ""), child.text or "")
  return Ink(tuple(strokes)), annotations


def _elements(root: etree._Element, name: str) -> list[etree._Element]:
  return list(root.iter(f"{{*}}{name}"))


def _channels(root: etree._Element, name: str) -> tuple[list[str], float]:
  """Channel names in point order, and milliseconds per unit of T."""
  formats = _elements(root, "traceFormat")
  channels = list(formats[0].iterchildren("{*}channel")) if formats else []
  names = [channel.get("name", "") for channel in channels] or ["X", "Y"]
  if "X" not in names or "Y" not in names:
    raise ValueError(
      f"{name} describes points by {names}; channels X and Y are needed."
    )
  if "T" not in names:
    return names, 1.0
  units = channels[names.index("T")].get("units", "ms")
  if units not in _MS_PER_UNIT:
    raise ValueError(f"{name} gives times in {units!r}; known are ms and s.")
  return names, _MS_PER_UNIT[units]


def _points(text: str) -> list[list[str]]:
  """Rows of number strings, whichever side of the points the commas are on."""
  groups = [group.split() for group in text.split(",")]
  # In `x y, x y` the text before the first comma is a whole point; in
  # `x,y x,y` it is one number.
  if len(groups[0]) != 1:
    return [group for group in groups if group]
  return [
    [number for number in token.split(",") if number]
    for token in text.split()
    if token.strip(",")
  ]


def _stroke(
  rows: list[list[str]], channels: list[str], milliseconds: float
) -> Stroke:
  columns = [channels.index(name) for name in ("X", "Y")]
  # Time is used where every point has it; some files declare T and omit it.
  has_times = "T" in channels and all(
    len(row) > channels.index("T") for row in rows
  )
  if has_times:
    columns.append(channels.index("T"))
  for row in rows:
    if len(row) <= max(columns):
      raise ValueError(
        f"the point {' '.join(row)!r} has {len(row)} values; the channels are "
        f"{' '.join(channels)}."
      )
  values: FloatArray = np.array(
    [[float(row[column]) for column in columns] for row in rows], np.float64
  )
  times = values[:, 2] * milliseconds if has_times else None
  return Stroke(values[:, :2], times)
