"""Quick, Draw!: both ndjson forms and the binary one."""

import json
import struct

import numpy as np
import pytest

from inksight_jax.datasets.quickdraw import MAX_POINTS, read_quickdraw
from inksight_jax.datasets.skipped import SkipReport

# One drawing, from the format's description.
BINARY = bytes.fromhex(
  "0700000000000000 4348 01 802eb758 0100 0300 000a14 050509"
)


def row(key: str = "5000000000000001", **changes) -> str:
  fields = {
    "key_id": key,
    "word": "cat",
    "countrycode": "CH",
    "timestamp": "2017-03-02 10:00:00.12345 UTC",
    "recognized": True,
    "drawing": [[[0, 10, 255], [5, 5, 9]], [[3], [4]]],
  }
  return json.dumps(fields | changes) + "\n"


def read(path, **options):
  report = SkipReport()
  return list(read_quickdraw(path, report, **options)), report


def test_simplified_drawings(write_files):
  path = write_files({"the cat.ndjson": row(), "dog.txt": "x"})
  (record,), report = read(path)
  assert (record.id, record.text) == ("cat/5000000000000001", "")
  assert [s.points.tolist() for s in record.ink.strokes] == [
    [[0, 5], [10, 5], [255, 9]],
    [[3, 4]],
  ]
  assert not record.ink.has_times and not report.total
  assert read(path, word_as_text=True)[0][0].text == "cat"


def test_raw_drawings_have_times(write_files):
  drawing = [[[1.5, 2.5], [3, 4], [100, 116]], [[7], [8], [190]]]
  path = write_files({"cat.ndjson": row(drawing=drawing)})
  (record,), _ = read(path)
  assert [s.times.tolist() for s in record.ink.strokes] == [[0, 16], [90]]


def test_binary_drawings(write_files):
  path = write_files({"cat.bin": BINARY + BINARY})
  records, _ = read(path)
  assert [r.id for r in records] == ["cat/7", "cat/7"]
  assert records[0].ink.points.tolist() == [[0, 5], [10, 5], [20, 9]]


def test_what_the_game_did_not_recognise(write_files):
  path = write_files({"cat.ndjson": row(recognized=False) + row("2")})
  records, report = read(path)
  assert [r.id for r in records] == ["cat/2"]
  assert report.counts == {"not recognised by the game": 1}
  assert len(read(path, recognized_only=False)[0]) == 2


def test_words_and_splits(write_files):
  rows = "".join(row(str(i)) for i in range(200))
  path = write_files({"cat.ndjson": rows, "dog.ndjson": row(word="dog")})
  assert [r.id for r in read(path, words=("dog",))[0]] == [
    "dog/5000000000000001"
  ]
  found = [
    [r.id for r in read(path, split=s, words=("cat",))[0]]
    for s in ("train", "validation", "test")
  ]
  assert sum(map(len, found)) == 200 == len({i for s in found for i in s})
  np.testing.assert_allclose([len(f) for f in found], [160, 20, 20], atol=25)
  with pytest.raises(ValueError, match=r"no \.ndjson or \.bin file of cow"):
    read(path, words=("cow",))


@pytest.mark.parametrize(
  "line",
  [
    row()[:60],
    "[]",
    "7",
    "[" * 100_000,
    row(drawing=[[[1, 2], [3]]]),
    row(drawing=[[[1, 2]]]),
    row(drawing=[["a", "b"]]),
    row(drawing=[[[1e999], [3]]]),
    row(drawing={"a": 1}),
    '{"key_id": "1"}',
  ],
)
def test_bad_rows_are_counted_with_their_line(write_files, limits, line):
  path = write_files({"cat.ndjson": row() + line.strip() + "\n" + row("2")})
  with limits():
    records, report = read(path)
  assert len(records) == 2
  assert report.counts == {"malformed row": 1}
  assert report.examples["malformed row"][0].startswith("cat.ndjson:2: ")


def test_hostile_binaries_are_counted(write_files, limits):
  head = struct.pack("<Q2sbIH", 7, b"CH", 1, 0, 65535)
  for data, message in (
    (BINARY + BINARY[:-1], "drawing 1: the file ends inside"),
    (BINARY + b"\x01", "drawing 1: the file ends inside"),
    # Declares 65,535 strokes of 65,535 points.
    (head + b"\xff" * 2 + bytes(2 * 65535) + b"\xff\xff", str(MAX_POINTS)),
  ):
    path = write_files({"cat.bin": data})
    with limits():
      records, report = read(path)
    assert len(records) == data.startswith(BINARY)
    assert message in report.table()


def test_a_line_without_end_and_wrong_encoding(write_files, limits):
  for data, message in (
    (b'{"a": "' + b"x" * 2**21, "a line of more than"),
    (row().encode("utf-16"), "is not utf-8"),
  ):
    path = write_files({"cat.ndjson": data})
    with limits(), pytest.raises(ValueError, match=rf"ndjson:1: .*{message}"):
      read(path)
