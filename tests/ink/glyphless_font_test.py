"""The font without ink, read by a library for fonts."""

import io

import pytest

from inksight_jax.ink.glyphless_font import ADVANCE, ASCENT, glyphless_font


def test_a_font_library_reads_it():
  ttlib = pytest.importorskip("fontTools.ttLib")
  font = ttlib.TTFont(io.BytesIO(glyphless_font()), checkChecksums=2)
  assert font["maxp"].numGlyphs == 2
  assert set(font["hmtx"].metrics.values()) == {(ADVANCE, 0)}
  assert font["hhea"].ascent == ASCENT
  assert font["head"].magicNumber == 0x5F0F3CF5


def test_the_whole_file_has_the_checksum_that_the_format_asks_for():
  data = glyphless_font()
  data += bytes(-len(data) % 4)
  words = [
    int.from_bytes(data[i : i + 4], "big") for i in range(0, len(data), 4)
  ]
  assert sum(words) % 2**32 == 0xB1B0AFBA
