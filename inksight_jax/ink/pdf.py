"""PDF: the ink as vectors, the photo below, and text to search and copy.

Written here, object by object (ISO 32000-1), because text of any script without
a font to show it in is what PDF libraries do not offer.
"""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Iterable, Iterator

from inksight_jax.ink import glyphless_font
from inksight_jax.ink.page import Box, Page, Word

_INK_COLOR = "0.10 0.10 0.43"
_PHOTO_OPACITY = 0.5
_CHARACTERS_PER_BLOCK = 100
_CID_MAP_HEAD = """\
/CIDInit /ProcSet findresource begin 12 dict begin begincmap
/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def
/CMapName /Adobe-Identity-UCS def /CMapType 2 def
1 begincodespacerange <0000> <FFFF> endcodespacerange
"""
_CID_MAP_TAIL = "endcmap CMapName currentdict /CMap defineresource pop end end"


def write_pdf(page: Page, title: str = "") -> bytes:
  """Writes a page: photo, vector ink, invisible text at the words' boxes.

  Args:
    page: pixels become points of 1/72 inch by `page.points_per_pixel`. Its
      picture, if any, lies faded below the ink.
    title: of the document.

  Returns:
    The file, the same bytes for the same page.

  Raises:
    ValueError: the picture is no JPEG.
  """
  if page.picture is not None:
    page.picture.require("image/jpeg", "PDF")
  codes: dict[str, int] = {}
  text = "\n".join(_text_layer(page, codes))
  ink = "\n".join(_ink_layer(page))
  scale = page.points_per_pixel
  width, height = page.width * scale, page.height * scale
  content = [f"{text}\n"]
  if page.picture is not None:
    content.append(
      f"q /Fade gs {width:.3f} 0 0 {height:.3f} 0 0 cm /Photo Do Q"
    )
  content.append(ink)
  objects = [
    b"<< /Type /Catalog /Pages 2 0 R >>",
    b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    _ascii(
      f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width:.3f} {height:.3f}] "
      "/Contents 4 0 R /Resources << /Font << /Text 6 0 R >> "
      f"/ExtGState << /Fade << /ca {_PHOTO_OPACITY} >> >>"
      f"{' /XObject << /Photo 12 0 R >>' if page.picture else ''} >> >>"
    ),
    _stream(_ascii("\n".join(content))),
    _ascii(
      f"<< /Producer (inksight-jax) /Title <{_utf16(title, mark=True)}> >>"
    ),
    *_font(codes),
  ]
  if page.picture is not None:
    picture = page.picture
    objects.append(
      _stream(
        picture.data,
        f"/Type /XObject /Subtype /Image /Width {picture.width} "
        f"/Height {picture.height} /ColorSpace /DeviceRGB /BitsPerComponent 8 "
        "/Filter /DCTDecode",
      )
    )
  return _file(objects)


def _ink_layer(page: Page) -> Iterator[str]:
  """Path operators; y runs upwards in PDF."""
  scale = page.points_per_pixel
  yield f"{_INK_COLOR} RG 1 J 1 j {page.line_width * scale:.3f} w"
  for stroke in page.ink.strokes:
    # (0, 0) is the centre of the first pixel; paper is measured from its edge.
    points = [
      f"{(x + 0.5) * scale:.3f} {(page.height - 0.5 - y) * scale:.3f}"
      for x, y in stroke.points.tolist()
    ]
    # A line of no length is a dot, because the caps are round.
    rest = points[1:] or points
    yield f"{points[0]} m " + " ".join(f"{point} l" for point in rest) + " S"


def _text_layer(page: Page, codes: dict[str, int]) -> Iterator[str]:
  """Text operators; fills `codes`, the code of each character."""
  yield "BT 3 Tr"
  for line in page.lines:
    words = [word for word in line if word.text.strip()]
    for index, word in enumerate(words):
      yield _shown(page, word.box, visual_order(word.text.strip()), codes)
      if index + 1 < len(words):
        yield _shown(page, _gap(word, words[index + 1]), " ", codes)
  yield "ET"


def _gap(word: Word, following: Word) -> Box:
  """Where the blank behind a word stands; as good as nothing if they touch."""
  left, top, right, bottom = word.box
  if following.box[0] < left:  # written from right to left
    return min(left, following.box[2]), top, left, bottom
  return right, top, max(right, following.box[0]), bottom


def _shown(page: Page, box: Box, text: str, codes: dict[str, int]) -> str:
  """Text stretched over a box: the font's ascent to its descent fill it."""
  left, top, right, bottom = (page.points_per_pixel * value for value in box)
  em = glyphless_font.UNITS_PER_EM
  # 0.1 point is the least that readers take for text.
  size = max(0.1, bottom - top)
  natural = len(text) * glyphless_font.ADVANCE / em * size
  stretch = max(0.1, right - left) / natural * 100
  foot = page.height * page.points_per_pixel - bottom
  base = foot - glyphless_font.DESCENT / em * size
  shown = "".join(f"{codes.setdefault(c, len(codes) + 1):04X}" for c in text)
  return (
    f"/Text {size:.3f} Tf {stretch:.3f} Tz 1 0 0 1 {left:.3f} {base:.3f} Tm "
    f"<{shown}> Tj"
  )


def visual_order(text: str) -> str:
  """Characters from left to right as they stand on paper.

  PDF readers expect it and turn the text round again. Words from right to left
  are reversed, numbers and Latin in them not; marks stay behind their letters.
  """
  kinds = [unicodedata.bidirectional(c) for c in text]
  if not {"R", "AL"} & set(kinds):
    return text
  runs: list[str] = []
  before = ""
  for character, kind in zip(text, kinds, strict=True):
    forward = kind in ("L", "EN", "AN")
    if runs and (kind == "NSM" or (forward and before == "forward")):
      runs[-1] += character
    else:
      runs.append(character)
    before = "forward" if forward else "backward"
  return "".join(reversed(runs))


def _font(codes: dict[str, int]) -> list[bytes]:
  """Objects 6 to 11: a composite font in which every glyph is empty."""
  data = glyphless_font.glyphless_font()
  em = glyphless_font.UNITS_PER_EM
  ascent, descent = (
    value * 1000 // em
    for value in (glyphless_font.ASCENT, glyphless_font.DESCENT)
  )
  advance = glyphless_font.ADVANCE * 1000 // em
  # Code 0 is "not defined"; all others are glyph 1.
  glyphs = bytes(2) + b"\x00\x01" * len(codes)
  return [
    b"<< /Type /Font /Subtype /Type0 /BaseFont /Glyphless "
    b"/Encoding /Identity-H /DescendantFonts [7 0 R] /ToUnicode 11 0 R >>",
    _ascii(
      "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Glyphless "
      "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) "
      f"/Supplement 0 >> /FontDescriptor 8 0 R /DW {advance} "
      "/CIDToGIDMap 10 0 R >>"
    ),
    _ascii(
      "<< /Type /FontDescriptor /FontName /Glyphless /Flags 5 "
      f"/FontBBox [0 {descent} {advance} {ascent}] /ItalicAngle 0 "
      f"/Ascent {ascent} /Descent {descent} /CapHeight {ascent} /StemV 80 "
      "/FontFile2 9 0 R >>"
    ),
    _stream(data, f"/Length1 {len(data)}"),
    _stream(glyphs),
    _stream(_ascii(_unicode_map(codes))),
  ]


def _unicode_map(codes: dict[str, int]) -> str:
  rows = [f"<{code:04X}> <{_utf16(c)}>" for c, code in codes.items()]
  blocks = [
    rows[first : first + _CHARACTERS_PER_BLOCK]
    for first in range(0, len(rows), _CHARACTERS_PER_BLOCK)
  ]
  body = "".join(
    f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar\n"
    for block in blocks
  )
  return _CID_MAP_HEAD + body + _CID_MAP_TAIL


def _utf16(text: str, mark: bool = False) -> str:
  """UTF-16 in hexadecimal; control characters read as blanks."""
  clean = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)
  data = clean.encode("utf-16-be", "replace").hex().upper()
  return f"FEFF{data}" if mark else data


def _ascii(text: str) -> bytes:
  return text.encode("ascii")


def _stream(data: bytes, entries: str = "") -> bytes:
  """A stream object, compressed unless its entries name a filter."""
  if "/Filter" not in entries:
    data = zlib.compress(data)
    entries += " /Filter /FlateDecode"
  head = _ascii(f"<< {entries.strip()} /Length {len(data)} >>\nstream\n")
  return head + data + b"\nendstream"


def _file(objects: Iterable[bytes]) -> bytes:
  """Numbers the objects from 1 and adds the table of their places.

  Object 1 is the catalog, object 5 the information about the document.
  """
  out = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
  places = []
  for number, body in enumerate(objects, 1):
    places.append(len(out))
    out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
  table = len(out)
  out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
  out += b"".join(b"%010d 00000 n \n" % place for place in places)
  out += b"trailer << /Size %d /Root 1 0 R /Info 5 0 R >>\n" % (len(places) + 1)
  out += b"startxref\n%d\n%%%%EOF\n" % table
  return bytes(out)
