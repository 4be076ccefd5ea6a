"""ALTO exports (Library of Congress, versions 2 to 4)."""

from __future__ import annotations

import pathlib
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

SOURCE = "alto"


def read_alto(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = ALL,
  level: str = "line",
  mask: bool = False,
  fractions: Sequence[float] = DEFAULT_FRACTIONS,
  split_seed: int = 0,
) -> Iterator[Record]:
  """Reads lines or pages; arguments and result as of `read_page_xml`.

  Outlines are polygons where given, else boxes; tenths of millimetres and
  inch / 1200 are scaled to the picture by the declared size of the page.
  """
  yield from read_marked_pages(
    path,
    parse_alto,
    SOURCE,
    report or SkipReport(),
    split,
    level,
    mask,
    fractions,
    split_seed,
  )


def parse_alto(path: pathlib.Path, report: SkipReport) -> MarkedPage:
  """Reads one file.

  Args:
    path: the file.
    report: counts outlines and baselines that cannot be read.

  Raises:
    ValueError: it is no ALTO, or has no page or several.
  """
  root = parse_xml(path, ("alto",), "ALTO")
  pages = list(root.iter("{*}Page"))
  if len(pages) != 1:
    raise ValueError(f"{path}: {len(pages)} pages; one per file is read.")
  name = next(root.iter("{*}fileName"), None)
  unit = next(root.iter("{*}MeasurementUnit"), None)
  units = ((unit.text if unit is not None else "") or "pixel").strip()
  width, height = (_number(pages[0].get(side)) for side in ("WIDTH", "HEIGHT"))
  if units.lower() != "pixel" and not (width and height):
    raise ValueError(
      f"{path}: measures in {units[:20]!r} and gives no size of the page, so "
      "nothing can be placed on the picture."
    )
  return MarkedPage(
    (name.text or "") if name is not None else "",
    width,
    height,
    tuple(
      _line(line, f"{path}:{line.sourceline}", report)
      for line in pages[0].iter("{*}TextLine")
    ),
  )


def _number(text: str | None) -> float:
  try:
    value = float(text or "")
  except ValueError:
    return 0.0
  return value if 0 < value < 1e6 else 0.0


def _line(line: Element, where: str, report: SkipReport) -> MarkedLine:
  polygon: list[tuple[float, float]] = []
  baseline: list[tuple[float, float]] = []
  shape = next(line.iterchildren("{*}Shape"), None)
  outline = next(shape.iter("{*}Polygon"), None) if shape is not None else None
  try:
    if outline is not None:
      polygon = parse_points(outline.get("POINTS", ""))
    if len(polygon) < 3:
      polygon = _box(line)
    # Version 2 has one number, the height of the baseline: no slope in it.
    numbers = line.get("BASELINE", "").replace(",", " ").split()
    baseline = parse_points(" ".join(numbers)) if len(numbers) > 2 else []
  except ValueError as error:
    report.skip("outline or baseline that cannot be read", f"{where}: {error}")
  return MarkedLine(line.get("ID", ""), _text(line), polygon, baseline, where)


def _box(line: Element) -> list[tuple[float, float]]:
  keys = ("HPOS", "VPOS", "WIDTH", "HEIGHT")
  if not all(line.get(key) for key in keys):
    return []
  (x, y), (width, height) = parse_points(
    " ".join(line.get(key, "") for key in keys)
  )
  return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def _text(line: Element) -> str:
  """Words joined by blanks; a hyphen at the end of the line is part of it."""
  words, hyphen = [], ""
  for child in line:
    tag = child.tag.rpartition("}")[2] if isinstance(child.tag, str) else ""
    if tag == "String":
      words.append(child.get("CONTENT", ""))
    elif tag == "HYP":
      hyphen = child.get("CONTENT", "-")
  return " ".join((" ".join(words) + hyphen).split())
