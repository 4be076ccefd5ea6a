"""UJI pen characters: two sites, two units, punctuation as labels."""

import numpy as np
import pytest

from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.uji import read_uji

HEAD = "// UJI Pen Characters (version 2)\n//\n"
SAMPLES = """WORD é trn_UPV_W21-01
 NUMSTROKES 2
 POINTS 3 # 310 640 310 640 305 655
 POINTS 2 # 330 600 342 585
WORD / tst_UJI_W03-02
  NUMSTROKES 1
  POINTS 2 # -100 0 200 300
WORD a trn_UJI_W04-01
  NUMSTROKES 1
  POINTS 1 # 5 5
"""
BROKEN = {
  "WORD ab c trn_UJI_W04-01\n NUMSTROKES 0\n": "malformed WORD",
  "WORD a W04\n NUMSTROKES 0\n": "malformed WORD",
  "WORD a trn_UJI_W04-01\n POINTS 1 # 5 5\n": "malformed strokes",
  "WORD a trn_UJI_W04-01\n NUMSTROKES 2\n POINTS 1 # 5 5\n": (
    "malformed strokes"
  ),
  "WORD a trn_UJI_W04-01\n NUMSTROKES 1\n POINTS 999999999 # 5 5\n": (
    "malformed strokes"
  ),
  "WORD a trn_UJI_W04-01\n NUMSTROKES 1\n POINTS 1 # 5 x\n": (
    "malformed strokes"
  ),
  "WORD a trn_UJI_W04-01\n NUMSTROKES 0\n": "no strokes",
}


def read(path, **options):
  report = SkipReport()
  return list(read_uji(path, report, **options)), report


def test_units_and_labels(write_files):
  path = write_files({"ujipenchars2.txt": HEAD + SAMPLES})
  records, report = read(path)
  assert [(r.id, r.text, r.writer) for r in records] == [
    ("trn_UPV_W21-01:3", "é", "UPV_W21"),
    ("tst_UJI_W03-02:7", "/", "UJI_W03"),
    ("trn_UJI_W04-01:10", "a", "UJI_W04"),
  ]
  # 10 pixels a millimetre: 152 units of UPV, 100 of UJI.
  np.testing.assert_allclose(
    records[0].ink.strokes[1].points, np.array([[330, 600], [342, 585]]) / 15.2
  )
  assert records[1].ink.points.tolist() == [[-10, 0], [20, 30]]
  assert len(records[0].ink.strokes[0]) == 3  # a repeated point is kept
  assert report.total == 0
  assert len(read(path / "ujipenchars2.txt")[0]) == 3


def test_the_test_is_official_and_validation_taken_from_training(write_files):
  words = "".join(
    f"WORD a {part}_UJI_W{i:02}-01\n NUMSTROKES 1\n POINTS 1 # 1 1\n"
    for part, first in (("trn", 0), ("tst", 40))
    for i in range(first, first + 40)
  )
  path = write_files({"ujipenchars2.txt": words})
  train, validation, test = (
    {r.writer for r in read(path, split=s, validation_share=0.25)[0]}
    for s in ("train", "validation", "test")
  )
  assert test == {f"UJI_W{i}" for i in range(40, 80)}
  assert len(train | validation) == 40 and not train & validation
  assert validation


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_characters_are_counted(write_files, broken):
  path = write_files({"ujipenchars2.txt": HEAD + broken + SAMPLES})
  records, report = read(path)
  assert len(records) == 3
  assert report.counts == {BROKEN[broken]: 1}
  assert "ujipenchars2.txt:3" in report.table()


@pytest.mark.parametrize(
  ("content", "message"),
  [
    (b"", "no WORD inside"),
    (b"hello\nWORD", r"txt:1: 'hello' before any WORD"),
    ("WORD é".encode("latin-1"), r"txt:1: byte 6 is not utf-8"),
    (bytes(10), "zero bytes"),
    (b"WORD" + b"x" * 2**21, "a line of more than"),
    (b"WORD a trn_UJI_W04-01\n" + b"POINTS 0 #\n" * 10**6, "more than 1000"),
  ],
)
def test_hostile_files_are_refused(write_files, limits, content, message):
  path = write_files({"ujipenchars2.txt": content})
  with limits(), pytest.raises(ValueError, match=message):
    read(path)
