"""Xournal++ (.xopp) and Xournal (.xoj) notes: gzipped XML of pages.

Format: github.com/xournalpp/xournalpp, as its loader reads it. A stroke holds
`x y x y ...` in points of 1/72 inch, y down; `width` is the pen's width, then
one width per segment where the pen feels pressure; MrWriter puts these into
`pressures`.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import io
import os
import zlib

import lxml.etree as etree
import numpy as np

from inksight_jax.ink.page import Page, Word
from inksight_jax.ink.safe_xml import (
  MAX_BYTES,
  Element,
  legal_text,
  parse_xml,
  read_limited,
)
from inksight_jax.ink.types import Ink, Stroke

# The text stands above its word in letters this high, points.
_TEXT_SIZES = (4.0, 14.0)
_INK_COLOR = "#1a1a6eff"
_TEXT_COLOR = "#0a7f52ff"


@dataclasses.dataclass(frozen=True, eq=False)
class XoppPage:
  """One page of notes.

  Attributes:
    width: in points of 1/72 inch.
    height: in points.
    ink: strokes of the pen, layer by layer, in points, y down.
    typed: texts that were typed into the page.
  """

  width: float
  height: float
  ink: Ink
  typed: tuple[str, ...]


def read_xopp(
  source: str | os.PathLike[str] | bytes,
  max_bytes: int = MAX_BYTES,
  name: str = "",
) -> tuple[XoppPage, ...]:
  """Reads the pages of a file.

  Args:
    source: a path, or the content as bytes; plain XML is taken as well.
    max_bytes: limit for the file and for the XML that it unpacks to.
    name: of the file in messages, where bytes come from an archive.

  Raises:
    ValueError: too large, no gzip or XML, or a stroke that cannot be read.
  """
  data, name = read_limited(source, max_bytes, "notes", name)
  if data.startswith(b"\x1f\x8b"):
    try:
      with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        data = file.read(max_bytes + 1)
    except (EOFError, OSError, zlib.error) as error:
      raise ValueError(f"{name}: damaged gzip ({error}).") from None
    if len(data) > max_bytes:
      raise ValueError(
        f"{name} unpacks to more than the limit of {max_bytes} bytes; raise "
        "`max_bytes` if it can be trusted."
      )
  root = parse_xml(data, ("xournal",), "Xournal++", max_bytes, name)
  return tuple(_page(page, name) for page in root.iterchildren("{*}page"))


def _page(page: Element, name: str) -> XoppPage:
  strokes = []
  for element in page.iterfind("{*}layer/{*}stroke"):
    # Highlighter and eraser are no handwriting.
    if element.get("tool", "pen") == "pen":
      stroke = _stroke(element, f"{name}:{element.sourceline}")
      if stroke is not None:
        strokes.append(stroke)
  typed = tuple(
    element.text.strip()
    for element in page.iterfind("{*}layer/{*}text")
    if element.text and element.text.strip()
  )
  try:
    size = [float(page.get(key, "")) for key in ("width", "height")]
  except ValueError:
    raise ValueError(
      f"{name}:{page.sourceline}: page without width and height."
    ) from None
  return XoppPage(size[0], size[1], Ink(tuple(strokes)), typed)


def _numbers(text: str, where: str) -> list[float]:
  try:
    return [float(word) for word in text.split()]
  except ValueError as error:
    raise ValueError(f"{where}: {error}.") from None


def _stroke(element: Element, where: str) -> Stroke | None:
  values = _numbers(element.text or "", where)
  if not values:
    return None
  if len(values) % 2:
    raise ValueError(f"{where}: {len(values)} numbers do not make points.")
  points = np.array(values).reshape(-1, 2)
  widths = _numbers(element.get("width", ""), where)[1:]
  if element.get("pressures") is not None:
    widths = _numbers(element.get("pressures", ""), where)
  pressures = None
  # One per segment; the last point ends the last one. Fewer are an accident
  # that Xournal++ ignores too.
  if len(points) > 1 and len(widths) >= len(points) - 1:
    ends = widths[: len(points) - 1]
    pressures = np.array([*ends, ends[-1]])
  try:
    return Stroke(points, None, pressures)
  except ValueError as error:
    raise ValueError(f"{where}: {error}") from None


def write_xopp(page: Page) -> bytes:
  """Writes one page of notes: photo, ink and text, a layer each.

  Args:
    page: pixels become points of 1/72 inch by `page.points_per_pixel`. Its
      picture, if any, is stored in the file; a PNG, as Xournal++ before
      version 1.2 opens nothing else.

  Returns:
    The gzipped document, the same bytes for the same page.

  Raises:
    ValueError: the picture is no PNG.
  """
  if page.picture is not None:
    page.picture.require("image/png", "Xournal++")
  scale = page.points_per_pixel
  root = etree.Element("xournal", creator="inksight-jax", fileversion="4")
  etree.SubElement(root, "title").text = "inksight-jax"
  sheet = etree.SubElement(
    root,
    "page",
    width=f"{page.width * scale:.3f}",
    height=f"{page.height * scale:.3f}",
  )
  background = {"type": "solid", "color": "#ffffffff", "style": "plain"}
  etree.SubElement(sheet, "background", background)
  if page.picture is not None:
    layer = etree.SubElement(sheet, "layer", name="photo")
    image = etree.SubElement(layer, "image", left="0", top="0")
    image.set("right", f"{page.width * scale:.3f}")
    image.set("bottom", f"{page.height * scale:.3f}")
    image.text = base64.b64encode(page.picture.data).decode("ascii")
  layer = etree.SubElement(sheet, "layer", name="ink")
  for stroke in page.ink.strokes:
    _add_stroke(layer, stroke, page.line_width * scale, scale)
  layer = etree.SubElement(sheet, "layer", name="text")
  for word in page.words:
    if word.text.strip():
      _add_text(layer, word, scale)
  document = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
  return gzip.compress(document, mtime=0)


def _add_stroke(
  layer: Element, stroke: Stroke, width: float, scale: float
) -> None:
  # (0, 0) is the centre of the first pixel; paper is measured from its edge.
  points = (stroke.points + 0.5) * scale
  if len(points) == 1:
    points = np.repeat(points, 2, axis=0)
  element = etree.SubElement(layer, "stroke", tool="pen", color=_INK_COLOR)
  element.set("width", f"{width:.3f}")
  element.text = " ".join(f"{value:.3f}" for value in points.ravel().tolist())


def _add_text(layer: Element, word: Word, scale: float) -> None:
  left, top, _, bottom = (scale * value for value in word.box)
  low, high = _TEXT_SIZES
  size = min(high, max(low, (bottom - top) / 3))
  element = etree.SubElement(
    layer, "text", font="Sans", size=f"{size:.2f}", color=_TEXT_COLOR
  )
  # The corner of the text's own box, which is a quarter higher than letters.
  element.set("x", f"{max(0.0, left):.3f}")
  element.set("y", f"{max(0.0, top - 1.25 * size):.3f}")
  element.text = legal_text(word.text)
