"""PAGE-XML (PRImA, version 2019-07-15): lines, words, texts, no ink.

Schema: schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence

import lxml.etree as etree

from inksight_jax.ink.page import Box, Page, Polygon, Word, bounding_box
from inksight_jax.ink.safe_xml import legal_text

NAMESPACE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
_SCHEMA_LOCATION = "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation"


def write_page_xml(page: Page, created: datetime.datetime | None = None) -> str:
  """Writes lines and words with outlines, baselines, texts and confidences.

  Args:
    page: one text region is made around all its lines; where these have no
      places, it is the page and holds the text alone.
    created: when; now by default.

  Returns:
    The document without an encoding declaration: save it as UTF-8.
    Coordinates are whole pixels inside the page.
  """
  root = etree.Element(
    _tag("PcGts"),
    nsmap={None: NAMESPACE, "xsi": _SCHEMA_LOCATION[1:].partition("}")[0]},
  )
  root.set(_SCHEMA_LOCATION, f"{NAMESPACE} {NAMESPACE}/pagecontent.xsd")
  moment = created or datetime.datetime.now(datetime.UTC)
  metadata = etree.SubElement(root, _tag("Metadata"))
  etree.SubElement(metadata, _tag("Creator")).text = "inksight-jax"
  for name in ("Created", "LastChange"):
    child = etree.SubElement(metadata, _tag(name))
    child.text = moment.isoformat(timespec="seconds")
  sheet = etree.SubElement(root, _tag("Page"))
  sheet.set("imageFilename", legal_text(page.image_name))
  sheet.set("imageWidth", str(page.width))
  sheet.set("imageHeight", str(page.height))
  if page.lines:
    _add_region(sheet, page)
  etree.indent(root)
  return etree.tostring(root, encoding="unicode") + "\n"


def _tag(name: str) -> str:
  return f"{{{NAMESPACE}}}{name}"


def _add_region(sheet: etree._Element, page: Page) -> None:
  order = etree.SubElement(sheet, _tag("ReadingOrder"))
  group = etree.SubElement(order, _tag("OrderedGroup"), id="order")
  etree.SubElement(
    group, _tag("RegionRefIndexed"), index="0", regionRef="region"
  )
  region = etree.SubElement(sheet, _tag("TextRegion"), id="region")
  if not page.placed:
    # A line must have an outline; a region may have text without lines.
    whole = (0.0, 0.0, float(page.width), float(page.height))
    _add_coords(region, page, _corners(whole))
    _add_text(region, page.text, _confidence(page.words))
    return
  _add_coords(region, page, _corners(bounding_box([w.box for w in page.words])))
  for number, line in enumerate(page.lines, 1):
    element = etree.SubElement(region, _tag("TextLine"), id=f"line_{number}")
    box = bounding_box([word.box for word in line])
    _add_coords(element, page, _corners(box))
    baseline = etree.SubElement(element, _tag("Baseline"))
    baseline.set("points", _points(page, line_baseline(line)))
    for index, word in enumerate(line, 1):
      _add_word(element, page, word, f"line_{number}_word_{index}")
    texts = [word.text for word in line if word.text]
    _add_text(element, " ".join(texts), _confidence(line))
  _add_text(region, page.text, None)


def _confidence(words: Sequence[Word]) -> float | None:
  """Probability of all texts, where that of each is known."""
  texts = [word.text for word in words if word.text]
  known = [w.text_confidence for w in words if w.text_confidence is not None]
  return math.prod(known) if len(known) == len(texts) > 0 else None


def _add_word(
  line: etree._Element, page: Page, word: Word, identity: str
) -> None:
  element = etree.SubElement(line, _tag("Word"), id=identity)
  _add_coords(element, page, word.polygon or _corners(word.box))
  _add_text(element, word.text, word.text_confidence)


def _add_coords(parent: etree._Element, page: Page, polygon: Polygon) -> None:
  coords = etree.SubElement(parent, _tag("Coords"))
  coords.set("points", _points(page, polygon))


def _add_text(
  parent: etree._Element, text: str, confidence: float | None
) -> None:
  equivalent = etree.SubElement(parent, _tag("TextEquiv"))
  if confidence is not None:
    equivalent.set("conf", f"{confidence:.4f}")
  etree.SubElement(equivalent, _tag("Unicode")).text = legal_text(text)


def _corners(box: Box) -> Polygon:
  left, top, right, bottom = box
  # The last pixel of a box is the one before its edge.
  right, bottom = max(left, right - 1), max(top, bottom - 1)
  return (left, top), (right, top), (right, bottom), (left, bottom)


def _points(page: Page, points: Sequence[tuple[float, float]]) -> str:
  """`x,y x,y` in whole pixels of the page."""
  return " ".join(
    f"{min(max(0, round(x)), page.width - 1)},"
    f"{min(max(0, round(y)), page.height - 1)}"
    for x, y in points
  )


def line_baseline(line: Sequence[Word]) -> Polygon:
  """Baseline of a line: the words' own, from left to right."""
  points = []
  for word in sorted(line, key=lambda word: word.box[0]):
    left, _, right, _ = word.box
    points += [(left, word.baseline), (right, word.baseline)]
  # Boxes of neighbours overlap; a baseline never runs back.
  xs = [x for x, _ in points]
  ahead = [max(xs[: i + 1]) for i in range(len(xs))]
  return tuple((x, y) for x, (_, y) in zip(ahead, points, strict=True))
