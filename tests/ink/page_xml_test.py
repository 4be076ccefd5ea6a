"""PAGE-XML and ALTO: valid, and read back by our readers of data sets.

The schemas are looked for in the folder INKSIGHT_SCHEMAS: `pagecontent.xsd`
(schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15) and `alto-4-4.xsd`
(www.loc.gov/standards/alto/v4).
"""

import dataclasses
import datetime
import os
import pathlib

import lxml.etree as etree
import pytest

from inksight_jax.datasets.alto import parse_alto
from inksight_jax.datasets.page_xml import parse_page_xml
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.ink import alto, page_xml
from inksight_jax.ink.page import Page, Word

# What the ALTO schema takes from the one of XLink, which lies elsewhere.
XLINK = b"""<schema xmlns="http://www.w3.org/2001/XMLSchema"
  targetNamespace="http://www.w3.org/1999/xlink">
<attributeGroup name="simpleLink"><anyAttribute namespace="##local"
  processContents="skip"/></attributeGroup></schema>"""


class Local(etree.Resolver):
  """Gives the parser the few lines above in place of a download."""

  def resolve(self, system_url, public_id, context):
    if system_url and system_url.endswith("xlink.xsd"):
      return self.resolve_string(XLINK, context)
    return None


def schema(name: str) -> etree.XMLSchema:
  folder = os.environ.get("INKSIGHT_SCHEMAS")
  if not folder or not (pathlib.Path(folder) / name).is_file():
    pytest.skip(f"no {name}: set INKSIGHT_SCHEMAS to a folder that holds it")
  parser = etree.XMLParser()
  parser.resolvers.add(Local())
  path = pathlib.Path(folder) / name
  return etree.XMLSchema(etree.parse(str(path), parser))


def odd_page(page: Page) -> Page:
  """Boxes off the page, control characters, polygons, empty lines of text."""
  outline = ((1.0, 1.0), (30.5, 2.0), (28.0, 20.0))
  words = (
    Word((-20.0, -5.5, 900.0, 900.0), 'a"\x00<&\u2028\n', page.words[0].ink),
    Word((50.0, 5.0, 40.0, 1.0), "", polygon=outline),
    Word((0.0, 0.0, 0.0, 0.0), "\U0001f600", characters=(1.0,)),
  )
  return dataclasses.replace(
    page, lines=(words, *page.lines), image_name="&\x01"
  )


WRITERS = {
  "pagecontent.xsd": page_xml.write_page_xml,
  "alto-4-4.xsd": alto.write_alto,
}


@pytest.mark.parametrize("name", WRITERS)
def test_documents_are_valid(name, page):
  checked = schema(name)
  for made in (
    page,
    odd_page(page),
    Page(1, 1, ()),
    Page(1, 1, ((Word((0.0, 0.0, 1.0, 1.0)),),)),
    dataclasses.replace(page, placed=False),
  ):
    document = WRITERS[name](made).encode()
    checked.assertValid(etree.fromstring(document))
  broken = WRITERS[name](page).replace("TextLine", "Textline").encode()
  assert not checked.validate(etree.fromstring(broken))


@pytest.mark.parametrize(
  ("write", "parse"),
  [(page_xml.write_page_xml, parse_page_xml), (alto.write_alto, parse_alto)],
)
def test_our_readers_find_lines_texts_and_places(write, parse, page, tmp_path):
  path = tmp_path / "a.xml"
  path.write_text(write(page), encoding="utf-8")
  report = SkipReport()
  read = parse(path, report)
  assert (read.image, read.width, read.height) == ("page.jpg", 600, 200)
  assert [line.text for line in read.lines] == page.text.split("\n")
  for line, words in zip(read.lines, page.lines, strict=True):
    xs, ys = zip(*line.polygon, strict=True)
    assert min(xs) == words[0].box[0] and min(ys) == words[0].box[1]
    assert max(xs) in (words[-1].box[2], words[-1].box[2] - 1)
    # Waves of 50 px: their feet stand on the baseline.
    top = words[0].box[1] + 15
    assert all(abs(y - (top + 50)) < 3 for _, y in line.baseline)
  assert not report.counts


def test_outlines_are_pixels_of_the_page(page):
  words = (Word((3.0, 4.0, 9.0, 8.0)), Word((-20.0, -5.5, 900.0, 900.0)))
  written = page_xml.write_page_xml(dataclasses.replace(page, lines=(words,)))
  # The last pixel is the one before the edge.
  assert 'points="3,4 8,4 8,7 3,7"' in written
  assert 'points="0,0 599,0 599,199 0,199"' in written


@pytest.mark.parametrize("write", WRITERS.values())
def test_documents_hold_any_text(write, page):
  root = etree.fromstring(write(odd_page(page)).encode())
  texts = [*root.itertext(), *(e.get("CONTENT", "") for e in root.iter())]
  assert any('a"\ufffd<&\u2028\n' in text for text in texts)
  assert any("\U0001f600" in text for text in texts)


def test_confidences_are_of_the_text():
  word = Word(
    (0.0, 0.0, 9.0, 9.0), "ab", confidence=0.9, characters=(0.5, 0.25)
  )
  told = dataclasses.replace(word, characters=())
  page = Page(9, 9, ((word,),))
  when = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)
  written = page_xml.write_page_xml(page, when)
  assert written.count('conf="0.1250"') == 2  # of the word and of the line
  assert "<Created>2026-01-02T03:04:00+00:00</Created>" in written
  assert 'WC="0.1250" CC="4 7"' in alto.write_alto(page)
  # Where the text was given, the model says nothing about it.
  given = Page(9, 9, ((told,),))
  assert "conf=" not in page_xml.write_page_xml(given)
  assert "WC=" not in alto.write_alto(given)


def test_baselines_never_run_back(page):
  overlapping = [
    Word((0.0, 0.0, 50.0, 10.0)),
    Word((40.0, 0.0, 90.0, 12.0)),
  ]
  points = page_xml.line_baseline(overlapping)
  xs = [x for x, _ in points]
  assert xs == sorted(xs) == [0, 50, 50, 90]
