"""A font without ink, for text that is to be found and copied, not seen.

Every character is the same empty glyph of a TrueType font that is written here
byte by byte (format: Apple's TrueType Reference Manual). PDF readers take the
text from the font's ToUnicode map, so that any script works and no font file
is needed; the PDF library of an OCR program does the same for the same reason.
"""

from __future__ import annotations

import struct

UNITS_PER_EM = 1000
ADVANCE = 500
ASCENT, DESCENT = 800, -200


def glyphless_font() -> bytes:
  """A TrueType font with the two empty glyphs 0 and 1, `ADVANCE` wide.

  It has the tables that a PDF needs, no `cmap`, `name` or `post`.
  """
  tables = {
    b"glyf": bytes(4),
    b"head": _head(),
    b"hhea": struct.pack(
      ">L3hH3h3h4h2H",
      *(0x00010000, ASCENT, DESCENT, 0, ADVANCE, 0, 0, 0, 1, 0, 0),
      *(0, 0, 0, 0, 0, 2),
    ),
    b"hmtx": struct.pack(">HhHh", ADVANCE, 0, ADVANCE, 0),
    b"loca": struct.pack(">3H", 0, 0, 0),
    b"maxp": struct.pack(
      ">LH13H", 0x00010000, 2, *([0] * 2), 0, 0, 1, *[0] * 8
    ),
  }
  return _assemble(tables)


def _head(adjustment: int = 0) -> bytes:
  return struct.pack(
    ">2L2L2H2Q4h2H3h",
    *(0x00010000, 0x00010000, adjustment, 0x5F0F3CF5, 0, UNITS_PER_EM, 0, 0),
    *(0, DESCENT, ADVANCE, ASCENT, 0, 8, 2, 0, 0),
  )


def _checksum(data: bytes) -> int:
  padded = data + bytes(-len(data) % 4)
  return sum(struct.unpack(f">{len(padded) // 4}L", padded)) & 0xFFFFFFFF


def _assemble(tables: dict[bytes, bytes]) -> bytes:
  """Puts the directory before the tables and the checksum into `head`."""

  def laid_out() -> bytes:
    count = len(tables)
    power = 1 << (count.bit_length() - 1)
    search = 16 * power, power.bit_length() - 1, 16 * (count - power)
    directory = struct.pack(">L4H", 0x00010000, count, *search)
    body, offset = b"", 12 + 16 * count
    for tag, data in sorted(tables.items()):
      directory += tag
      directory += struct.pack(">3L", _checksum(data), offset, len(data))
      padded = data + bytes(-len(data) % 4)
      body += padded
      offset += len(padded)
    return directory + body

  plain = laid_out()
  adjusted = _head((0xB1B0AFBA - _checksum(plain)) & 0xFFFFFFFF)
  return plain.replace(tables[b"head"], adjusted)
