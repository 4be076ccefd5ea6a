"""PAGE-XML and ALTO as Transkribus and others export them."""

import os
import pathlib
from collections.abc import Callable

import numpy as np
import pytest

from inksight_jax.datasets.alto import read_alto
from inksight_jax.datasets.marked_pages import parse_points
from inksight_jax.datasets.page_xml import read_page_xml
from inksight_jax.datasets.prepare import prepare
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import SPLITS
from inksight_jax.datasets.store import StoreSplit

YEARS = ("2010-03-19", "2013-07-15", "2019-07-15")
PAGE = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/YEAR">
<Metadata><Creator>x</Creator><TranskribusMetadata docId="1"/></Metadata>
<Page imageFilename="IMAGE" imageWidth="200" imageHeight="100">
<ReadingOrder><OrderedGroup id="ro"><RegionRefIndexed index="1" regionRef="r1"/>
<RegionRefIndexed index="0" regionRef="r2"/>
<RegionRefIndexed index="2" regionRef="gone"/></OrderedGroup></ReadingOrder>
<TextRegion id="r1" custom="readingOrder {index:1;}">
 <Coords points="0,0 200,0 200,100 0,100"/>
 <TextLine id="l2" custom="readingOrder {index:1;} structure {type:x;}">
  <Coords points="10,40 60,40 60,52 10,52"/><Baseline points="10,50 60,50"/>
  <TextEquiv><PlainText>second</PlainText><Unicode/></TextEquiv></TextLine>
 <TextLine id="l1" custom="readingOrder {index:0;}">
  <Coords><Point x="-9" y="20"/><Point x="60" y="20"/><Point x="60" y="32"/>
   <Point x="-9" y="32"/></Coords>
  <TextEquiv index="1"><Unicode>worse</Unicode></TextEquiv>
  <TextEquiv index="0"><Unicode>first &amp; best</Unicode></TextEquiv>
 </TextLine><TextLine id="l3" custom="readingOrder {index:2;}">
  <Baseline points="10,70 60,70"/>
  <Word id="w"><TextEquiv><Unicode>only</Unicode></TextEquiv></Word>
  <Word id="w"><TextEquiv><Unicode>words</Unicode></TextEquiv></Word></TextLine>
 <TextLine id="l4" custom="readingOrder {index:3;}">
  <Coords points="0,80 9,80 9,90"/><TextEquiv><Unicode> </Unicode></TextEquiv>
 </TextLine>
 <TextLine id="l5" custom="readingOrder {index:4;}"><Coords points="1,x"/>
  <TextEquiv><Unicode>lost</Unicode></TextEquiv></TextLine>
 <TextLine id="l6" custom="readingOrder {index:5;}">
  <Coords points="500,500 600,500 600,600"/>
  <TextEquiv><Unicode>outside</Unicode></TextEquiv></TextLine>
</TextRegion>
<TextRegion id="r2"><TextLine id="t"><Coords points="10,2 90,2 90,14 10,14"/>
 <TextEquiv><Unicode>title</Unicode></TextEquiv></TextLine></TextRegion>
<TextRegion id="r3"><TextLine id="f"><Coords points="10,88 90,88 90,99"/>
 <TextEquiv><Unicode>forgotten</Unicode></TextEquiv></TextLine></TextRegion>
</Page></PcGts>
"""
ALTO = """<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Description>
<MeasurementUnit>UNIT</MeasurementUnit><sourceImageInformation>
<fileName>IMAGE</fileName></sourceImageInformation></Description><Layout>
<Page WIDTH="400" HEIGHT="200" ID="p"><PrintSpace><TextBlock ID="b">
<TextLine ID="l1" HPOS="20" VPOS="40" WIDTH="100" HEIGHT="24" BASELINE="60">
<String CONTENT="two" HPOS="20"/><SP/><String CONTENT="wor"/><HYP CONTENT="-"/>
</TextLine>
<TextLine ID="l2" BASELINE="20 120 120 120"><Shape>
<Polygon POINTS="20 100 120 100 120 124 20 124"/></Shape>
<String CONTENT="ds on a line"/></TextLine>
<TextLine ID="l3" HPOS="a" VPOS="1" WIDTH="1" HEIGHT="1"><String CONTENT="x"/>
</TextLine>
<TextLine ID="l4"/></TextBlock></PrintSpace></Page></Layout></alto>
"""


def page(year: str = YEARS[1], image: str = "scan 1.png") -> str:
  return PAGE.replace("YEAR", year).replace("IMAGE", image)


def alto(unit: str = "pixel", image: str = "scan.png") -> str:
  return ALTO.replace("UNIT", unit).replace("IMAGE", image)


def write_export(root: pathlib.Path, draw) -> pathlib.Path:
  """As Transkribus writes it: pictures above the folder `page`."""
  draw(root / "doc" / "scan 1.png", 200, 100)
  (root / "doc" / "page").mkdir()
  (root / "doc" / "page" / "scan 1.xml").write_text(page(), "utf-8")
  (root / "doc" / "mets.xml").write_text("<mets/>")
  return root


@pytest.fixture
def export(tmp_path: pathlib.Path, draw) -> pathlib.Path:
  return write_export(tmp_path, draw)


@pytest.mark.parametrize("year", YEARS)
def test_lines_in_reading_order(export: pathlib.Path, year: str):
  (export / "doc/page/scan 1.xml").write_text(page(year), "utf-8")
  report = SkipReport()
  records = list(read_page_xml(export, report))
  assert [r.text for r in records] == [
    "title",
    "first & best",
    "second",
    "only words",
    "forgotten",
  ]
  assert records[1].id == "doc/page/scan 1#l1"
  first = records[1].image
  assert first is not None and first.shape == (12, 60, 3)
  np.testing.assert_array_equal(first[0, 0], [0, 20, 100])
  assert report.counts == {
    "unreadable XML": 1,  # the METS file
    "line without text": 1,
    "Coords that cannot be read": 1,
    "line without outline or baseline": 1,
    "line outside the picture": 1,
  }
  assert "scan 1.xml:" in report.examples["line without text"][0]


def test_a_baseline_alone_gives_a_band(export: pathlib.Path):
  """Baselines at 50 and 70: 20 apart, 15 of it above the line."""
  records = {r.text: r for r in read_page_xml(export)}
  image = records["only words"].image
  assert image is not None and image.shape == (20, 50, 3)
  np.testing.assert_array_equal(image[0, 0], [10, 55, 100])


def test_a_sloping_baseline_is_levelled(export: pathlib.Path):
  text = page().replace("10,50 60,50", "10,50 60,40")
  (export / "doc/page/scan 1.xml").write_text(text, "utf-8")
  records = {r.text: r for r in read_page_xml(export)}
  image = records["second"].image
  assert image is not None
  # Along a row of the crop one climbs the page.
  row = image[image.shape[0] // 2, 2:-2, 1].astype(int)
  assert row[0] - row[-1] == pytest.approx(0.2 * 50, abs=2)


def test_pages_have_lines(export: pathlib.Path):
  (record,) = read_page_xml(export, level="page")
  assert record.id == "doc/page/scan 1"
  assert record.image is not None and record.image.shape == (100, 200, 3)
  assert record.text.split("\n") == [line.text for line in record.lines]
  assert record.lines[1].box == (0, 20, 60, 32)
  assert record.lines[-2].text == "outside"
  assert record.lines[-2].box == (200, 100, 200, 100)


def test_pages_of_a_store_have_their_lines(export: pathlib.Path):
  store = os.fspath(export / "store")
  (record,) = read_page_xml(export / "doc", level="page")
  prepare("page_xml", os.fspath(export / "doc"), store, {"level": "page"})
  (stored,) = (r for split in SPLITS for r in StoreSplit(store, split))
  assert stored.lines == record.lines and len(stored.lines) > 2
  assert stored.text == record.text
  np.testing.assert_array_equal(stored.image, record.image)


@pytest.mark.parametrize(
  ("image", "place"),
  [
    ("scan 1.png", "doc/page/scan 1.png"),
    ("other/folder/scan 1.png", "doc/scan 1.png"),
    ("C:\\\\scans\\\\scan 1.png", "doc/images/scan 1.png"),
    ("../up.png", "doc/up.png"),
    ("", "doc/scan 1.jpg"),
    ("../../../secret.png", ""),
    ("/etc/passwd", ""),
  ],
)
def test_where_the_picture_may_be(
  export: pathlib.Path, draw, image: str, place: str
):
  (export / "doc" / "scan 1.png").unlink()
  draw(export.parent / "secret.png", 200, 100)
  if place:
    draw(export / place, 200, 100)
  (export / "doc/page/scan 1.xml").write_text(page(image=image), "utf-8")
  report = SkipReport()
  assert bool(list(read_page_xml(export, report))) == bool(place)
  refused = report.counts["picture missing"]
  refused += report.counts["reference points out of the folder"]
  assert refused == (not place)


def test_one_file_a_smaller_picture_and_a_mask(export: pathlib.Path, draw):
  draw(export / "doc" / "scan 1.png", 100, 50)
  file = export / "doc/page/scan 1.xml"
  records = {r.text: r for r in read_page_xml(file, mask=True)}
  image = records["title"].image
  assert image is not None and image.shape == (6, 40, 3)
  triangle = records["forgotten"].image
  assert triangle is not None
  assert triangle[-1, 0].tolist() == triangle[-1, 1].tolist()  # paper


def test_splits_by_folder(export: pathlib.Path, draw):
  draw(export / "Validation/page/b.png", 200, 100)
  path = export / "Validation/page/b.xml"
  path.write_text(page(image="b.png"), "utf-8")
  ids = {
    split: {r.id.split("/")[0] for r in read_page_xml(export, split=split)}
    for split in ("train", "validation", "test")
  }
  assert "Validation" in ids["validation"]
  assert sum(map(len, ids.values())) == 2


@pytest.mark.parametrize("unit", ["pixel", "mm10", "inch1200"])
def test_alto_is_scaled_to_the_picture(tmp_path: pathlib.Path, draw, unit: str):
  draw(tmp_path / "scan.png", 200, 100)  # declared as 400 x 200
  (tmp_path / "scan.xml").write_text(alto(unit), "utf-8")
  report = SkipReport()
  first, second = read_alto(tmp_path, report)
  assert (first.text, second.text) == ("two wor-", "ds on a line")
  assert first.image is not None and second.image is not None
  assert first.image.shape == second.image.shape == (12, 50, 3)
  np.testing.assert_array_equal(second.image[0, 0], [10, 50, 100])
  assert report.counts == {
    "outline or baseline that cannot be read": 1,
    "line without outline or baseline": 1,
    "line without text": 1,
  }
  (record,) = read_alto(tmp_path, level="page")
  assert record.text == "two wor-\nds on a line\nx"


def test_alto_without_a_scale_is_refused(tmp_path: pathlib.Path, draw):
  draw(tmp_path / "scan.png", 200, 100)
  text = alto("mm10").replace('WIDTH="400" HEIGHT="200" ', "")
  (tmp_path / "scan.xml").write_text(text, "utf-8")
  report = SkipReport()
  assert not list(read_alto(tmp_path, report))
  assert "gives no size of the page" in report.examples["unreadable XML"][0]


BOMB = (
  b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
  + b"".join(
    b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(20)
  )
  + b"]><PcGts>&u;</PcGts>"
)


@pytest.mark.parametrize(
  "content",
  [
    page()[:900].encode(),
    page().replace("title", "t\xeftle").encode("latin-1"),
    BOMB,
    b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><PcGts>&x;</PcGts>',
    b"<PcGts/>",
    b"<PcGts>" + b"<TextRegion>" * 10_000,
    page().encode() + b" " * 2**24,
  ],
  ids=range(7),
)
@pytest.mark.parametrize("read", [read_page_xml, read_alto])
def test_hostile_files_cost_themselves_only(
  export: pathlib.Path, limits, content: bytes, read: Callable
):
  path = export / "doc" / "bad.xml"
  path.write_bytes(
    content.replace(b"PcGts", b"alto") if read is read_alto else content
  )
  report = SkipReport()
  with limits():
    list(read(export / "doc" / "bad.xml", report))
  assert report.counts == {"unreadable XML": 1}
  assert "bad.xml" in report.examples["unreadable XML"][0]


def test_a_million_points(export: pathlib.Path, limits):
  many = " ".join(["1,2"] * 10**6)
  text = page().replace("10,2 90,2 90,14 10,14", many)
  (export / "doc/page/scan 1.xml").write_text(text, "utf-8")
  report = SkipReport()
  with limits():
    assert len(list(read_page_xml(export, report))) == 4
  assert report.counts["Coords that cannot be read"] == 2


def test_points_and_mistakes(tmp_path: pathlib.Path):
  assert parse_points("1,2 3.5,-4") == parse_points("1 2 3.5 -4")
  for bad in ("1", "1,nan", "1,1e99", "a,b"):
    with pytest.raises(ValueError, match=r"pairs|numbers|range"):
      parse_points(bad)
  with pytest.raises(ValueError, match=r"no \*\.xml below"):
    list(read_page_xml(tmp_path))
  with pytest.raises(ValueError, match="one of line, page"):
    list(read_alto(tmp_path, level="word"))
