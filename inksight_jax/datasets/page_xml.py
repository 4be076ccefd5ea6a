"""PAGE-XML exports, of Transkribus, eScriptorium, Bentham, READ and others.

S. Pletschacher, A. Antonacopoulos, The PAGE format framework, ICPR 2010.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator, Sequence

from inksight_jax.datasets.marked_pages import (
  MarkedLine,
  MarkedPage,
  parse_points,
  read_marked_pages,
)
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import ALL, DEFAULT_FRACTIONS
from inksight_jax.ink.safe_xml import Element, parse_xml

SOURCE = "page_xml"
# Transkribus notes the order in an attribute of regions and lines.
_CUSTOM_ORDER = re.compile(r"readingOrder\s*\{\s*index\s*:\s*(\d{1,9})\s*;?")


def read_page_xml(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = ALL,
  level: str = "line",
  mask: bool = False,
  fractions: Sequence[float] = DEFAULT_FRACTIONS,
  split_seed: int = 0,
) -> Iterator[Record]:
  """Reads lines or pages.

  Namespaces of all years, outlines as attribute or as points, lines with only
  a baseline, outlines that leave the page, and reading order in groups or in
  Transkribus' `custom` are understood. A line without a text of its own takes
  that of its words. Pictures are looked for beside the XML, one folder up, and
  in `images`, by the name in the file or by that of the XML.

  Args:
    path: the folder of an export, or one XML file.
    report: counts what was left out and why.
    split: "train", "validation", "test" or "all"; by a folder called so, else
      by a hash of the page's path.
    level: "line" or "page"; pages keep the whole picture and have `lines`.
    mask: paints neighbours of a line, outside its outline, as paper.
    fractions: shares of the three splits.
    split_seed: another seed deals anew.

  Yields:
    Records with ids <file>#<line id>, or <file> for pages.

  Raises:
    ValueError: no XML there.
  """
  yield from read_marked_pages(
    path,
    parse_page_xml,
    SOURCE,
    report or SkipReport(),
    split,
    level,
    mask,
    fractions,
    split_seed,
  )


def parse_page_xml(path: pathlib.Path, report: SkipReport) -> MarkedPage:
  """Reads one file.

  Args:
    path: the file.
    report: counts outlines and baselines that cannot be read.

  Raises:
    ValueError: it is no PAGE-XML.
  """
  root = parse_xml(path, ("PcGts",), "PAGE-XML")
  page = next(root.iter("{*}Page"), None)
  if page is None:
    raise ValueError(f"{path}: no <Page> in it.")
  return MarkedPage(
    page.get("imageFilename", ""),
    _number(page.get("imageWidth")),
    _number(page.get("imageHeight")),
    tuple(
      _line(line, str(path), report)
      for region in _ordered_regions(page)
      for line in _by_custom_order(list(region.iterchildren("{*}TextLine")))
    ),
  )


def _number(text: str | None) -> float:
  return float(text) if text and re.fullmatch(r"\d{1,6}", text) else 0.0


def _ordered_regions(page: Element) -> list[Element]:
  regions = _by_custom_order(list(page.iter("{*}TextRegion")))
  by_id = {region.get("id", ""): region for region in regions}
  order = next(page.iterchildren("{*}ReadingOrder"), None)
  listed: list[str] = []
  if order is not None:
    _flatten(order, listed)
  first = [by_id[i] for i in dict.fromkeys(listed) if i in by_id]
  chosen = {region.get("id", "") for region in first}
  # Regions that the order forgets come last, none is dropped.
  return first + [r for r in regions if r.get("id", "") not in chosen]


def _flatten(group: Element, listed: list[str]) -> None:
  """Region ids of a group; those of ordered groups by index."""
  children = list(group)
  if all((child.get("index") or "").isdecimal() for child in children):
    children.sort(key=lambda child: int(child.get("index", "0")[:9]))
  for child in children:
    if reference := child.get("regionRef"):
      listed.append(reference)
    _flatten(child, listed)


def _by_custom_order(elements: list[Element]) -> list[Element]:
  """Sorts by Transkribus' numbers if all elements have one."""
  found = [_CUSTOM_ORDER.search(e.get("custom", "")) for e in elements]
  numbers = [int(match[1]) for match in found if match]
  if len(numbers) < len(elements):
    return elements
  order = sorted(range(len(elements)), key=lambda i: numbers[i])
  return [elements[i] for i in order]


def _line(line: Element, path: str, report: SkipReport) -> MarkedLine:
  where = f"{path}:{line.sourceline}"
  text = _text(line)
  if not text:
    words = (_text(word) for word in line.iterchildren("{*}Word"))
    text = " ".join(word for word in words if word)
  return MarkedLine(
    line.get("id", ""),
    " ".join(text.split()),
    _points(line, "Coords", where, report),
    _points(line, "Baseline", where, report),
    where,
  )


def _text(element: Element) -> str:
  """The first of the readings that has a text."""
  readings = list(element.iterchildren("{*}TextEquiv"))
  readings.sort(key=lambda reading: _number(reading.get("index")))
  for reading in readings:
    for tag in ("Unicode", "PlainText"):
      child = next(reading.iterchildren(f"{{*}}{tag}"), None)
      if child is not None and child.text and child.text.strip():
        return child.text
  return ""


def _points(
  line: Element, tag: str, where: str, report: SkipReport
) -> list[tuple[float, float]]:
  child = next(line.iterchildren(f"{{*}}{tag}"), None)
  if child is None:
    return []
  text = child.get("points") or " ".join(
    f"{point.get('x')},{point.get('y')}"
    for point in child.iterchildren("{*}Point")
  )
  try:
    return parse_points(text)
  except ValueError as error:
    report.skip(f"{tag} that cannot be read", f"{where}: {error}")
    return []
