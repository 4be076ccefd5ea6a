"""RIMES: negative boxes, doubtful words, empty lines, both releases."""

import pathlib

import numpy as np
import pytest

from inksight_jax.datasets import rimes
from inksight_jax.datasets.rimes import read_rimes
from inksight_jax.datasets.skipped import SkipReport

TRAIN = """<?xml version="1.0" encoding="UTF-8"?>
<DocumentList>
<SinglePage FileName="images/train2011-10.png" Index="1"><Paragraph
 Value="Été\\nx"><Line Bottom="30" Left="5" Right="60" Top="10" Value="Été"/>
</Paragraph></SinglePage>
<SinglePage FileName="images/train2011-7.png" Index="0">
<Paragraph Value="Bonjour ¤Madame¤,\\nmerci d&apos;avance.">
<Line Bottom="16" Left="-4" Right="86" Top="-4" Value="Bonjour ¤Madame¤,"/>
<Line Bottom="26" Left="3" Right="970" Top="15" Value="merci d&apos;avance."/>
<Line Bottom="x" Left="3" Right="970" Top="15" Value="no box"/>
<Line Bottom="999" Left="3" Right="970" Top="980" Value="below"/>
</Paragraph></SinglePage>
<SinglePage FileName="images/train2011-8.png" Index="2"><Paragraph Value="">
<Line Bottom="16" Left="4" Right="86" Top="4" Value=" "/>
<Line Bottom="26" Left="4" Right="86" Top="16" Value="shifted"/>
</Paragraph></SinglePage>
</DocumentList>
"""
TEST = """<DocumentList><SinglePage FileName="images/eval2011-0.png"><Paragraph
 Value="a"><Line Bottom="20" Left="0" Right="50" Top="1" Value="a"/></Paragraph>
</SinglePage></DocumentList>"""


def write_rimes(root: pathlib.Path, draw) -> pathlib.Path:
  (root / "training_2011.xml").write_text(TRAIN, "utf-8")
  (root / "eval_2011_annotated.xml").write_text(TEST, "utf-8")
  for page in ("train2011-10", "train2011-7", "train2011-8", "eval2011-0"):
    draw(root / f"images_gray/{page}.png", 100, 60)
  return root


@pytest.fixture
def data(
  tmp_path: pathlib.Path, draw, monkeypatch: pytest.MonkeyPatch
) -> pathlib.Path:
  monkeypatch.setattr(rimes, "VALIDATION_PAGES", 1)
  return write_rimes(tmp_path, draw)


def test_lines_are_clamped_and_clean(data: pathlib.Path):
  report = SkipReport()
  first, second = read_rimes(data, report, split="train")
  assert (first.id, first.text) == ("train2011-7-00", "Bonjour Madame,")
  assert (second.id, second.text) == ("train2011-7-01", "merci d'avance.")
  assert first.image is not None and second.image is not None
  assert first.image.shape == (16, 86, 3) and first.image[0, 0, 0] == 0
  assert second.image.shape == (11, 97, 3)
  np.testing.assert_array_equal(
    second.image[0, :3], [[3, 15, 100], [4, 15, 100], [5, 15, 100]]
  )
  assert report.counts == {
    "malformed box": 1,
    "box outside the picture": 1,
    "page with an empty line: texts may be one line off": 2,
  }


def test_pages_count_by_number_not_by_letter(data: pathlib.Path):
  """Page 10 comes after page 8, so validation gets it."""
  (page,) = read_rimes(data, split="validation", level="page")
  assert page.id == "train2011-10" and page.text == "Été"
  pages = list(read_rimes(data, split="train", level="page"))
  assert [p.id for p in pages] == ["train2011-7", "train2011-8"]
  assert pages[1].text == "shifted"
  assert pages[0].text == "Bonjour Madame,\nmerci d'avance.\nbelow"
  assert [line.text for line in pages[0].lines] == pages[0].text.split("\n")
  assert pages[0].lines[1].box == (3, 15, 100, 26)
  (page,) = read_rimes(data, split="test", level="page", crop_pages=False)
  assert page.image is not None and page.image.shape == (60, 100, 3)


def test_words(tmp_path: pathlib.Path, draw):
  folder = tmp_path / "word"
  draw(folder / "training_WR/lot_1/a_1.tiff", 30, 12)
  draw(folder / "lot_2/b.tiff", 30, 12)
  (folder / "groundtruth_training_icdar2011.txt").write_text(
    "lot_1/a_1.tiff d'été\r\n\r\nlot_2/b.tiff\nlot_2/b.tiff l¤u¤i\n"
    "../../x.tiff x\nlot_1/a_1.tiff again\n",
    "utf-8-sig",
  )
  report = SkipReport()
  options = {"level": "word", "split": "train"}
  records = list(read_rimes(tmp_path, report, **options))
  assert {r.id: r.text for r in records} == {
    "train/lot_1/a_1": "d'été",
    "train/lot_2/b": "lui",
  }
  assert report.counts == {
    "row without a text": 1,
    "picture missing": 1,
    "id given twice": 1,
  }
  (folder / "groundtruth_training_icdar2011.txt").write_bytes(
    "a é".encode("latin-1")
  )
  with pytest.raises(
    ValueError, match=r"icdar2011\.txt:1: byte 3 is not utf-8"
  ):
    list(read_rimes(tmp_path, **options))
  with pytest.raises(ValueError, match="grount_truth_test"):
    list(read_rimes(tmp_path, level="word", split="test"))


@pytest.mark.parametrize(
  ("content", "message"),
  [
    (TRAIN[:300].encode(), r"training_2011\.xml is not well-formed"),
    (TRAIN.encode("latin-1", "replace"), "not well-formed"),
    (b"<PcGts/>", "its root is <PcGts>, not <DocumentList>"),
    (
      b'<!DOCTYPE D [<!ENTITY a "b">]><DocumentList>&a;</DocumentList>',
      "entities",
    ),
  ],
)
def test_broken_labels(data: pathlib.Path, limits, content, message):
  (data / "training_2011.xml").write_bytes(content)
  with limits(), pytest.raises(ValueError, match=message):
    list(read_rimes(data, split="train"))


def test_references_and_boxes_of_a_hostile_page(data: pathlib.Path, limits):
  lines = '<Line Bottom="9" Left="0" Right="9" Top="1" Value="a"/>' * 1000
  huge = '<Line Bottom="1%s" Left="0" Right="9" Top="1" Value="a"/>' % (
    "0" * 999
  )
  (data / "eval_2011_annotated.xml").write_text(
    f'<DocumentList><SinglePage FileName="../../../etc/passwd">{lines}'
    f'</SinglePage><SinglePage FileName="eval2011-0.png">{huge}</SinglePage>'
    "</DocumentList>"
  )
  report = SkipReport()
  with limits():
    records = list(read_rimes(data, report, split="test"))
  assert not records
  assert report.counts == {
    "picture missing": 1000,
    "box outside the picture": 1,
  }
  with pytest.raises(ValueError, match="one of word, line, page"):
    list(read_rimes(data, level="text"))
