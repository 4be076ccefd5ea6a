"""SCUT-COUCH: bytes as the format's description gives them, labels in GBK."""

import re
import struct

import pytest

from inksight_jax.datasets.scut_couch import ENTRY, read_scut_couch
from inksight_jax.datasets.skipped import SkipReport

# Label U+6728 (tree), strokes (10,20) (30,20) and (20,5) (20,40) (21,60).
DATA = bytes.fromhex(
  "02 c4be 0500 0200 0200 0000 0400 00000000 5e010000 "
  "0200 0a00 1400 1e00 1400 0300 1400 0500 1400 2800 1500 3c00"
)
INDEX = bytes.fromhex("01000000 00 00000000 00000000 00000000")


def index(*offsets: int) -> bytes:
  return struct.pack("<I", len(offsets)) + b"".join(
    ENTRY.pack(0, 0, 0, offset) for offset in offsets
  )


def read(path, **options):
  report = SkipReport()
  return list(read_scut_couch(path, report, **options)), report


def test_the_documented_sample(write_files):
  assert (len(DATA), len(INDEX)) == (45, 17)
  path = write_files(
    {"Couch_GB1_188/GB1_001.idx": INDEX, "Couch_GB1_188/GB1_001.dat": DATA}
  )
  (record,), report = read(path)
  assert (record.id, record.text) == ("Couch_GB1_188/GB1_001:0", "木")
  assert record.writer == "1"
  assert [s.points.tolist() for s in record.ink.strokes] == [
    [[10, 20], [30, 20]],
    [[20, 5], [20, 40], [21, 60]],
  ]
  assert report.total == 0


def test_samples_lie_where_the_index_says(write_files):
  """In any order, with gaps; a stroke of one point stays."""
  dot = bytes.fromhex("01 41 0100 0100 0000 0100 0700 0800")
  word = DATA[:3].replace(b"\x02\xc4\xbe", b"\x04\xc4\xbe\xb2\xdd") + DATA[3:]
  data = dot + b"gap" + word
  path = write_files(
    {"a_2.idx": index(len(dot) + 3, 0), "a_2.DAT": data, "b_3.idx": index(0)}
  )
  records, report = read(path)
  assert [(r.text, r.ink.num_points) for r in records] == [
    ("木草", 5),
    ("A", 1),
  ]
  assert report.counts == {"index without its .dat file": 1}


def test_another_encoding(write_files):
  data = bytes([2]) + "木".encode("big5") + DATA[3:]
  path = write_files({"a.idx": INDEX, "a.dat": data})
  assert read(path, encoding="big5")[0][0].text == "木"


def test_a_number_is_one_writer_over_all_parts(write_files):
  files = {}
  for part in ("GB1", "GB2"):
    for i in range(30):
      files[f"{part}/{part}_{i:03}.idx"] = INDEX
      files[f"{part}/{part}_{i:03}.dat"] = DATA
  path = write_files(files)
  found = [
    [r.writer for r in read(path, split=s)[0]]
    for s in ("train", "validation", "test")
  ]
  assert sum(map(len, found)) == 60
  assert (
    len(set.union(*map(set, found))) == 30 == sum(len(set(f)) for f in found)
  )


@pytest.mark.parametrize(
  ("data", "message"),
  [
    (DATA[:-1], "needs 12 bytes at 33; the file has 44"),
    (b"", "needs 1 bytes at 0"),
    (DATA.replace(b"\xc4\xbe", b"\xff\xff"), "label ff ff is not gbk"),
    (DATA[:3] + b"\xff\xff" + DATA[5:], "5 points in strokes, 65535 declared"),
    (DATA[:5] + b"\xff\xff" + DATA[7:], r"needs .* bytes at"),
    (DATA[:7] + b"\xff\xff" + DATA[9:], "needs 393210 bytes at 9"),
  ],
)
def test_damaged_samples_are_counted(write_files, limits, data, message):
  path = write_files({"a.idx": INDEX, "a.dat": data})
  with limits():
    records, report = read(path)
  assert not records
  assert report.counts == {"unreadable sample": 1}
  assert "a.dat:0: " in report.table()
  assert re.search(message, report.table())


def test_hostile_indexes(write_files, limits):
  """10^9 declared samples, an offset far outside, and none at all."""
  billion = struct.pack("<I", 10**9) + INDEX[4:]
  path = write_files(
    {
      "a.idx": billion,
      "a.dat": DATA,
      "b.idx": index(2**32 - 1),
      "b.dat": DATA,
      "c.idx": b"\x01",
      "c.dat": DATA,
    }
  )
  with limits():
    records, report = read(path)
  assert not records
  assert report.counts == {"unreadable file": 2, "unreadable sample": 1}
  assert "17 bytes for 1000000000 declared samples" in report.table()
  with pytest.raises(ValueError, match=r"no \.idx files inside"):
    read(write_files({"a.dat": DATA}, "other"))
