"""InkML: W3C writer, and a reader for the dialects found in data sets.

Source: www.w3.org/TR/InkML (2011). InkSight's released inks carry the
annotations `application`, `sourceDataset`, `inferenceMode`, `exampleId` and
`textField`, and write points as `x,y x,y`, against the standard's `x y, x y`.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from types import MappingProxyType

import lxml.etree as etree
import numpy as np

from inksight_jax.ink.inkml_points import parse_points
from inksight_jax.ink.page import Page, join_lines
from inksight_jax.ink.safe_xml import MAX_BYTES, legal_text, parse_xml
from inksight_jax.ink.types import FloatArray, Ink, Stroke

NAMESPACE = "http://www.w3.org/2003/InkML"
# At least 60,000 points; a page of handwriting has 10,000. The shortest points,
# `1 2,`, take 90 MB as Python numbers.
MAX_TRACE_CHARACTERS = 2**20

_NO_ANNOTATIONS: Mapping[str, str] = MappingProxyType({})
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
  root = _document(ink.has_times, annotations)
  _add_traces(root, ink, ink.has_times, 0)
  return _text(root)


def write_inkml_page(
  page: Page, annotations: Mapping[str, str] = _NO_ANNOTATIONS
) -> str:
  """Writes a page as InkML: a trace group per line, in it one per word.

  The groups have the annotations `type` ("line" or "word") and `textField`,
  those of words also `confidence` and `box` ("left top right bottom", pixels)
  where they are known.

  Args:
    page: its ink in pixels, y down.
    annotations: of the document, type to text.

  Returns:
    The document without an encoding declaration: save it as UTF-8.
  """
  has_times = page.ink.has_times
  root = _document(has_times, annotations)
  index = 0
  for line in page.lines:
    group = etree.SubElement(root, f"{{{NAMESPACE}}}traceGroup")
    text = join_lines([[word.text for word in line]])
    _annotate(group, {"type": "line", "textField": text})
    for word in line:
      child = etree.SubElement(group, f"{{{NAMESPACE}}}traceGroup")
      fields = {"type": "word", "textField": word.text}
      if word.confidence is not None:
        fields["confidence"] = _number(word.confidence)
      fields["box"] = " ".join(map(_number, word.box))
      _annotate(child, fields)
      _add_traces(child, word.ink, has_times, index)
      index += len(word.ink)
  return _text(root)


def _document(
  has_times: bool, annotations: Mapping[str, str]
) -> etree._Element:
  root = etree.Element(f"{{{NAMESPACE}}}ink", nsmap={None: NAMESPACE})
  trace_format = etree.SubElement(root, f"{{{NAMESPACE}}}traceFormat")
  for name in ("X", "Y", "T") if has_times else ("X", "Y"):
    channel = etree.SubElement(trace_format, f"{{{NAMESPACE}}}channel")
    channel.set("name", name)
    channel.set("type", "decimal")
    if name == "T":
      channel.set("units", "ms")
  _annotate(root, annotations)
  return root


def _annotate(parent: etree._Element, annotations: Mapping[str, str]) -> None:
  for kind, text in annotations.items():
    annotation = etree.SubElement(parent, f"{{{NAMESPACE}}}annotation")
    annotation.set("type", legal_text(kind))
    annotation.text = legal_text(text)


def _add_traces(
  parent: etree._Element, ink: Ink, has_times: bool, first: int
) -> None:
  for index, stroke in enumerate(ink.strokes, first):
    columns = [stroke.points]
    if has_times and stroke.times is not None:
      columns.append(stroke.times[:, np.newaxis])
    trace = etree.SubElement(parent, f"{{{NAMESPACE}}}trace")
    trace.set("id", str(index))
    trace.text = ", ".join(
      " ".join(map(_number, row)) for row in np.hstack(columns).tolist()
    )


def _text(root: etree._Element) -> str:
  etree.indent(root)
  return etree.tostring(root, encoding="unicode") + "\n"


def _number(value: float) -> str:
  text = f"{value:.3f}".rstrip("0").rstrip(".")
  return "0" if text == "-0" else text


@dataclasses.dataclass(frozen=True, eq=False)
class TraceGroup:
  """Traces that a document names together: a symbol, a word, a line.

  Attributes:
    id: `id` or `xml:id`, empty where it has none.
    annotations: its own annotations by type; of an `annotationXML` the texts
      of its children by tag, and its `href`.
    ink: its strokes, those of groups inside it included.
    leaf: whether no other group lies inside.
  """

  id: str
  annotations: Mapping[str, str]
  ink: Ink
  leaf: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Document:
  """An InkML document.

  Attributes:
    ink: every pen-down trace, in the order of the document and its units.
    annotations: of the document itself, like `TraceGroup.annotations`.
    groups: trace groups in order of their start tags, outer before inner;
      empty unless asked for.
  """

  ink: Ink
  annotations: Mapping[str, str]
  groups: tuple[TraceGroup, ...] = ()


def read_inkml(
  source: str | os.PathLike[str] | bytes, max_bytes: int = MAX_BYTES
) -> tuple[Ink, dict[str, str]]:
  """Reads the ink and the annotations of InkML, see `read_document`.

  Args:
    source: a path, or the document itself as bytes.
    max_bytes: larger documents are refused before they are parsed.

  Returns:
    The ink, in the document's own units, and the annotations of the document
    (not those of its trace groups) by type; times in ms.

  Raises:
    ValueError: as `read_document`.
  """
  document = read_document(source, max_bytes)
  return document.ink, dict(document.annotations)


def read_document(
  source: str | os.PathLike[str] | bytes,
  max_bytes: int = MAX_BYTES,
  name: str = "",
  groups: bool = False,
) -> Document:
  """Reads InkML of any dialect: with or without namespace, either comma style.

  Channels are taken by name (X, Y and T; others are skipped), X and Y in this
  order where the document names none. Points may be written as differences
  (the standard's `'` and `"`). Pen-up traces and empty traces are skipped.
  Nothing outside the document is read and entities are refused.

  Args:
    source: a path, or the document itself as bytes.
    max_bytes: larger documents are refused before they are parsed.
    name: of the document in messages, where bytes come from an archive.
    groups: whether to resolve the trace groups and the views of traces.

  Raises:
    ValueError: the document is too large, no XML, no InkML, declares
      entities, holds a trace that cannot be read or a view of no trace.
  """
  root = parse_xml(source, ("ink",), "InkML", max_bytes, name)
  if not name:
    name = "The InkML document" if isinstance(source, bytes) else str(source)
  channels, milliseconds = _channels(root, name)
  strokes: dict[etree._Element, Stroke] = {}
  room = MAX_TRACE_CHARACTERS
  for index, trace in enumerate(_elements(root, "trace")):
    text = trace.text or ""
    room -= len(text)
    if room < 0:
      raise ValueError(
        f"{name} holds more than {MAX_TRACE_CHARACTERS} characters of points; "
        "split it."
      )
    if trace.get("type") == "penUp":
      continue
    try:
      stroke = _stroke(parse_points(text), channels, milliseconds)
    except ValueError as error:
      raise ValueError(
        f"{name}, trace {index} (line {trace.sourceline}): {error}"
      ) from error
    if stroke is not None:
      strokes[trace] = stroke
  return Document(
    Ink(tuple(strokes.values())),
    _annotations(root),
    _groups(root, strokes, name) if groups else (),
  )


def _elements(root: etree._Element, name: str) -> list[etree._Element]:
  return list(root.iter(f"{{*}}{name}"))


def _annotations(element: etree._Element) -> dict[str, str]:
  """The element's own annotations; the first of a type counts."""
  found: dict[str, str] = {}
  for child in element.iterchildren("{*}annotation"):
    found.setdefault(child.get("type", ""), child.text or "")
  for child in element.iterchildren("{*}annotationXML"):
    if child.get("href") is not None:
      found.setdefault("href", child.get("href", ""))
    for field in child.iterchildren("*"):
      # Content of another namespace (MathML) is no plain text.
      if etree.QName(field).namespace in (None, NAMESPACE):
        found.setdefault(etree.QName(field).localname, field.text or "")
  return found


class _Views:
  """Finds the strokes that an element contains or refers to."""

  def __init__(
    self, root: etree._Element, strokes: Mapping[etree._Element, Stroke]
  ) -> None:
    self.strokes = strokes
    self.targets: dict[str, etree._Element] = {}
    for kind in ("trace", "traceGroup", "traceView"):
      for element in _elements(root, kind):
        self.targets.setdefault(_identifier(element), element)
    # References among views can multiply; no honest document comes near this.
    self.room = 10_000 + 100 * len(strokes)

  def resolve(
    self, element: etree._Element, path: tuple[etree._Element, ...] = ()
  ) -> list[Stroke]:
    """Strokes of a trace, group or view in order.

    Raises:
      ValueError: a reference that leads nowhere or round in circles.
    """
    self.room -= 1
    if element in path or self.room < 0:
      raise ValueError("views of traces that go round in circles or multiply")
    path = (*path, element)
    if etree.QName(element).localname == "trace":
      return [self.strokes[element]] if element in self.strokes else []
    found: list[Stroke] = []
    reference = element.get("traceDataRef")
    if reference is not None:
      target = self.targets.get(reference.removeprefix("#"))
      if target is None:
        raise ValueError(f"traceDataRef {reference!r} names no trace")
      found += _part(self.resolve(target, path), element)
    for child in element.iterchildren(
      "{*}trace", "{*}traceGroup", "{*}traceView"
    ):
      found += self.resolve(child, path)
    return found


def _part(strokes: list[Stroke], view: etree._Element) -> list[Stroke]:
  """Cuts a referenced trace to the points `from` to `to`, counted from 1."""
  first, last = view.get("from"), view.get("to")
  if first is None and last is None:
    return strokes
  if len(strokes) != 1 or not all(
    v is None or v.isdecimal() for v in (first, last)
  ):
    raise ValueError(
      f"a view from {first!r} to {last!r}; known are points of one trace"
    )
  stroke = strokes[0]
  kept = slice(
    int(first) - 1 if first else 0, int(last) if last else len(stroke)
  )
  if kept.start < 0 or kept.stop > len(stroke) or kept.start >= kept.stop:
    raise ValueError(
      f"a view from {first} to {last} of a trace with {len(stroke)} points"
    )
  times = None if stroke.times is None else stroke.times[kept]
  return [Stroke(stroke.points[kept], times)]


def _groups(
  root: etree._Element, strokes: Mapping[etree._Element, Stroke], name: str
) -> tuple[TraceGroup, ...]:
  views = _Views(root, strokes)
  groups = []
  for element in root.iter("{*}traceGroup", "{*}traceView"):
    annotations = _annotations(element)
    # A view without annotations is a reference inside a group, no group.
    if etree.QName(element).localname == "traceView" and not annotations:
      continue
    try:
      ink = Ink(tuple(views.resolve(element)))
    except ValueError as error:
      raise ValueError(f"{name}:{element.sourceline}: {error}.") from None
    inner = (
      child
      for child in element.iterdescendants("{*}traceGroup", "{*}traceView")
      if etree.QName(child).localname == "traceGroup" or _annotations(child)
    )
    leaf = next(inner, None) is None
    groups.append(TraceGroup(_identifier(element), annotations, ink, leaf))
  return tuple(groups)


def _identifier(element: etree._Element) -> str:
  return (
    element.get("id")
    or element.get("{http://www.w3.org/XML/1998/namespace}id")
    or ""
  )


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


def _stroke(
  rows: list[list[float]], channels: list[str], milliseconds: float
) -> Stroke | None:
  if not rows:
    return None
  columns = [channels.index(name) for name in ("X", "Y")]
  # Time is used where every point has it; some files declare T and omit it.
  has_times = "T" in channels and all(
    len(row) > channels.index("T") and math.isfinite(row[channels.index("T")])
    for row in rows
  )
  if has_times:
    columns.append(channels.index("T"))
  for row in rows:
    if len(row) <= max(columns):
      point = " ".join(f"{value:g}" for value in row)
      raise ValueError(
        f"the point {point!r} has {len(row)} values; the channels are "
        f"{' '.join(channels)}."
      )
  values: FloatArray = np.array(
    [[row[column] for column in columns] for row in rows], np.float64
  )
  times = values[:, 2] * milliseconds if has_times else None
  return Stroke(values[:, :2], times)
