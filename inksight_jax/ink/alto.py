"""ALTO 4.4 (Library of Congress): lines, words, texts, no ink.

Schema: www.loc.gov/standards/alto/v4/alto-4-4.xsd.
"""

from __future__ import annotations

import itertools

import lxml.etree as etree

from inksight_jax.ink.page import Box, Page, Word, bounding_box
from inksight_jax.ink.page_xml import line_baseline
from inksight_jax.ink.safe_xml import legal_text

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"
_SCHEMA = "http://www.loc.gov/standards/alto/v4/alto-4-4.xsd"
_SCHEMA_LOCATION = "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation"


def write_alto(page: Page) -> str:
  """Writes lines and words with boxes, baselines, texts and confidences.

  Args:
    page: one text block is made around all its lines.

  Returns:
    The document without an encoding declaration: save it as UTF-8. Measures
    are pixels; `WC` is the probability of a word's text, `CC` has a digit per
    character, 0 for sure and 9 for unsure.
  """
  root = etree.Element(
    _tag("alto"),
    nsmap={None: NAMESPACE, "xsi": _SCHEMA_LOCATION[1:].partition("}")[0]},
  )
  root.set(_SCHEMA_LOCATION, f"{NAMESPACE} {_SCHEMA}")
  root.set("SCHEMAVERSION", "4.4")
  _add_description(root, page)
  layout = etree.SubElement(root, _tag("Layout"))
  sheet = etree.SubElement(layout, _tag("Page"), ID="page", PHYSICAL_IMG_NR="1")
  sheet.set("WIDTH", str(page.width))
  sheet.set("HEIGHT", str(page.height))
  space = etree.SubElement(sheet, _tag("PrintSpace"))
  _place(space, (0, 0, page.width, page.height))
  if page.lines:
    block = etree.SubElement(space, _tag("TextBlock"), ID="block")
    _place(block, bounding_box([word.box for word in page.words]))
    for number, line in enumerate(page.lines, 1):
      _add_line(block, line, number, page.placed)
  etree.indent(root)
  return etree.tostring(root, encoding="unicode") + "\n"


def _tag(name: str) -> str:
  return f"{{{NAMESPACE}}}{name}"


def _add_description(root: etree._Element, page: Page) -> None:
  description = etree.SubElement(root, _tag("Description"))
  etree.SubElement(description, _tag("MeasurementUnit")).text = "pixel"
  if page.image_name:
    image = etree.SubElement(description, _tag("sourceImageInformation"))
    name = etree.SubElement(image, _tag("fileName"))
    name.text = legal_text(page.image_name)
  step = etree.SubElement(description, _tag("Processing"), ID="inksight")
  software = etree.SubElement(step, _tag("processingSoftware"))
  etree.SubElement(software, _tag("softwareName")).text = "inksight-jax"


def _place(element: etree._Element, box: Box) -> None:
  left, top, right, bottom = box
  values = {
    "HPOS": left,
    "VPOS": top,
    "WIDTH": max(0.0, right - left),
    "HEIGHT": max(0.0, bottom - top),
  }
  for name, value in values.items():
    element.set(name, f"{value:g}")


def _add_line(
  block: etree._Element, line: tuple[Word, ...], number: int, placed: bool
) -> None:
  element = etree.SubElement(block, _tag("TextLine"), ID=f"line_{number}")
  if placed:
    _place(element, bounding_box([word.box for word in line]))
    element.set(
      "BASELINE", " ".join(f"{x:g},{y:g}" for x, y in line_baseline(line))
    )
  for index, word in enumerate(line, 1):
    if index > 1 and placed:
      _add_space(element, line[index - 2], word)
    _add_word(element, word, f"line_{number}_word_{index}", placed)


def _add_space(element: etree._Element, before: Word, after: Word) -> None:
  """The blank between two words, which may overlap."""
  space = etree.SubElement(element, _tag("SP"))
  if after.box[0] < before.box[0]:  # written from right to left
    before, after = after, before
  left = before.box[2]
  right = max(left, after.box[0])
  _place(space, (left, before.box[1], right, before.box[3]))


def _add_word(
  element: etree._Element, word: Word, identity: str, placed: bool
) -> None:
  string = etree.SubElement(element, _tag("String"), ID=identity)
  if placed:
    _place(string, word.box)
  string.set("CONTENT", legal_text(word.text))
  if word.text_confidence is not None:
    string.set("WC", f"{word.text_confidence:.4f}")
    string.set("CC", " ".join(str(round(9 * (1 - p))) for p in word.characters))
  if word.polygon:
    shape = etree.SubElement(string, _tag("Shape"))
    points = itertools.chain.from_iterable(word.polygon)
    outline = etree.SubElement(shape, _tag("Polygon"))
    outline.set("POINTS", " ".join(f"{value:g}" for value in points))
