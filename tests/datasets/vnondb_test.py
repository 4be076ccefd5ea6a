"""VNOnDB: no namespace, trailing commas, decomposed accents, empty truths."""

import unicodedata

import numpy as np
import pytest

from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.vnondb import read_vnondb

LINE = """<?xml version="1.0" encoding="UTF-8"?>
<ink><annotationXML><Description>Cursive online handwriting</Description>
<language>vn</language></annotationXML>
 <traceGroup id="tg_0_0"><annotationXML><Tg_Truth>xin chào</Tg_Truth>
 </annotationXML>
  <trace id="tr_0_0">120 340, 121 343, 125 350</trace>
  <trace id="tr_0_1">140 338,
 141 341.5 , </trace></traceGroup>
 <traceGroup id="tg_0_1"><annotationXML><Tg_Truth/></annotationXML>
  <trace id="tr_1_0">1 2</trace></traceGroup>
 <traceGroup id="tg_0_2"><annotationXML><Tg_Truth>a</Tg_Truth></annotationXML>
 </traceGroup></ink>"""
LISTS = "VNOnDB_ICFHR2018_dataSplit/"


def read(path, **options):
  report = SkipReport()
  return list(read_vnondb(path, report, **options)), report


def test_a_group_is_a_sample(write_files):
  path = write_files(
    {
      "InkData_line/20140603_0003_BCCTC.inkml": unicodedata.normalize(
        "NFD", LINE
      ),
      "InkData_word/w.inkml": LINE,
    }
  )
  (record,), report = read(path)
  assert record.id == "20140603_0003_BCCTC_tg_0_0"
  assert record.text == "xin ch\xe0o"  # NFC
  first, second = record.ink.strokes
  assert first.points.tolist() == [[120, 340], [121, 343], [125, 350]]
  assert second.points.tolist() == [[140, 338], [141, 341.5]]
  # 120 points a second; the pen-up way takes one period.
  np.testing.assert_allclose(
    np.concatenate([first.times, second.times]), np.arange(5) / 0.12
  )
  assert report.counts == {"no text": 1, "no strokes": 1}
  assert read(path, level="word")[0][0].id == "w_tg_0_0"


def test_official_lists_decide(write_files):
  files = {f"InkData_line/f{i}.inkml": LINE for i in range(5)}
  files |= {
    LISTS + "train_set.txt": "f0.inkml\r\nf1.inkml\r\n",
    LISTS + "validation_set.txt": "f2.inkml\n",
    LISTS + "test_set.txt": "\ufefff3\n",
  }
  path = write_files(files)
  found = {s: read(path, split=s) for s in ("train", "validation", "test")}
  assert {s: [r.writer for r in found[s][0]] for s in found} == {
    "train": ["f0", "f1"],
    "validation": ["f2"],
    "test": ["f3"],
  }
  assert found["train"][1].counts["in none of the official lists"] == 1


def test_without_lists_every_file_is_in_one_split(write_files):
  path = write_files({f"InkData_line/f{i}.inkml": LINE for i in range(30)})
  ids = [
    r.id
    for s in ("train", "validation", "test")
    for r in read(path, split=s)[0]
  ]
  assert sorted(ids) == sorted(r.id for r in read(path)[0])
  assert len(ids) == 30


def test_wrong_questions(write_files):
  path = write_files({"InkData_word/a.inkml": LINE})
  with pytest.raises(ValueError, match=r"no InkData_line/\*\.inkml"):
    read(path)
  with pytest.raises(ValueError, match="one of word, line, paragraph"):
    read(path, level="page")
  path = write_files({LISTS + "train_set.txt": b"\xff\xfe"})
  with pytest.raises(ValueError, match=r"train_set\.txt: not UTF-8"):
    read(path, level="word", split="train")


def test_hostile_files_are_counted(write_files, hostile_xml, limits):
  damaged = hostile_xml(LINE[LINE.index("<ink>") :])
  path = write_files({f"InkData_line/{k}.inkml": v for k, v in damaged.items()})
  with limits():
    records, report = read(path)
  assert not records
  assert report.counts == {"unreadable InkML": len(damaged)}
