"""Folders of Xournal++ notes."""

import gzip

import pytest

from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.xournal import read_xournal


def notes(*strokes: str) -> str:
  """One page per stroke."""
  pages = (
    '<page width="612" height="792"><layer><stroke tool="pen" color="black" '
    f'width="1.4">{stroke}</stroke></layer></page>'
    for stroke in strokes
  )
  return f'<xournal fileversion="4">{"".join(pages)}</xournal>'


def read(path, **options):
  report = SkipReport()
  return list(read_xournal(path, report, **options)), report


def test_pages_get_their_texts(write_files):
  packed = gzip.compress(notes("1 2 3 4", "5 6 7 8", "", "9 9 9 9").encode())
  path = write_files(
    {
      "me/a.xopp": packed,
      "me/a.txt": "page one\nline two\n\f\x20page two\n",
      "old.xoj": notes("1 1 2 2"),
      "old.txt": "caf\xe9".encode("latin-1"),
    }
  )
  records, report = read(path)
  assert [(r.id, r.text, r.writer) for r in records] == [
    ("me/a.xopp:1", "page one\nline two", "me"),
    ("me/a.xopp:2", "page two", "me"),
  ]
  assert records[1].ink.points.tolist() == [[5, 6], [7, 8]]
  assert report.counts == {
    "no pen strokes": 1,
    "no text": 1,
    "unreadable notes": 1,
  }
  kept, _ = read(path, keep_without_text=True)
  assert [r.id for r in kept][-1] == "me/a.xopp:4"


def test_hostile_files_are_counted(write_files, hostile_xml, limits):
  damaged = hostile_xml(notes("1 2 3 4"))
  files = {f"{k}.xopp": v for k, v in damaged.items()}
  files |= {f"{k}-gz.xopp": gzip.compress(v, 1) for k, v in damaged.items()}
  files["bomb-gz.xopp"] = gzip.compress(bytes(2**25), 1)
  files["cut.xopp"] = gzip.compress(notes("1 2 3 4").encode())[:-20]
  path = write_files(files)
  with limits():
    records, report = read(path)
  assert not records
  assert report.counts == {"unreadable notes": len(files)}
  with pytest.raises(ValueError, match=r"no \.xopp or \.xoj"):
    read(write_files({"a.txt": ""}, "other"))
