"""IAM-OnDB: forms from line 00, line breaks in rows, forms that do not fit."""

import pytest

from inksight_jax.datasets.iam_ondb import read_iam_ondb, transcription
from inksight_jax.datasets.skipped import SkipReport

LINE = """<?xml version="1.0" encoding="ISO-8859-1"?>
<WhiteboardCaptureSession><WhiteboardDescription>
 <SensorLocation corner="top_left"/>
 <DiagonallyOppositeCoords x="6000" y="1400"/>
</WhiteboardDescription><StrokeSet>
<Stroke colour="black" start_time="12.05" end_time="12.09">
 <Point x="1010" y="1063" time="12.05"/><Point x="1012" y="1070" time="12.07"/>
</Stroke><Stroke><Point x="1020" y="1060" time="13.00"/></Stroke>
<Stroke></Stroke></StrokeSet></WhiteboardCaptureSession>"""


def ascii_file(*rows: str) -> str:
  return "OCR:\n\nPrinted prompt of\nthree lines\nCSR:\n\n" + "\n".join(rows)


def form(name: str, *rows: str, lines: range | None = None) -> dict[str, str]:
  folder = f"{name[:3]}/{name[:7]}"
  numbers = range(1, len(rows) + 1) if lines is None else lines
  files = {
    f"lineStrokes/{folder}/{name}-{i:02}.xml": LINE.replace('"1010"', f'"{i}"')
    for i in numbers
  }
  return files | {f"ascii/{folder}/{name}.txt": ascii_file(*rows)}


def read(path, **options):
  report = SkipReport()
  return list(read_iam_ondb(path, report, **options)), report


def test_lines_and_rows_in_order(write_files):
  files = form("a01-000u", "one row", "& \xa3 another") | form(
    "k02-018", "from zero", "and one", lines=range(2)
  )
  path = write_files(
    {k: v.encode("latin-1") for k, v in files.items()}
    | {"forms.txt": "# form writer\na01-000u 10001\nk02-018 10002\n"}
  )
  records, report = read(path)
  assert [(r.id, r.text, r.writer) for r in records] == [
    ("a01-000u-01", "one row", "10001"),
    ("a01-000u-02", "& \xa3 another", "10001"),
    ("k02-018-00", "from zero", "10002"),
    ("k02-018-01", "and one", "10002"),
  ]
  first, second = records[0].ink.strokes
  assert first.points.tolist() == [[1, 1063], [1012, 1070]]
  assert first.times.round(6).tolist() == [0, 20]  # ms, not s
  assert second.times.round(6).tolist() == [950]
  assert records[1].ink.points[0].tolist() == [2, 1063]
  assert report.total == 0


def test_a_row_may_break():
  text = ascii_file("one%%%%%%%%%%%two", "", " three ")
  assert transcription(text) == ["one", "two", "three"]
  assert transcription("OCR:\nprinted only\n") == []


def test_forms_that_do_not_fit_are_left_out_as_a_whole(write_files):
  files = form("a01-000u", "one", "two", lines=range(1, 4))
  files |= form("z01-000z", lines=range(1, 3))
  files |= form("b01-001", "no ink file here", lines=range(0))
  files |= form("c01-001", "text gone")
  del files["ascii/c01/c01-001/c01-001.txt"]
  files |= form("d01-001", "good")
  records, report = read(write_files(files))
  assert [r.id for r in records] == ["d01-001-01"]
  assert report.counts == {
    "form with other numbers of lines and of texts": 3,
    "no transcription": 3,
  }


def test_official_lists(write_files):
  files = {}
  for i in range(5):
    files |= form(f"a0{i}-000u", "text")
  lists = {"trainset": 0, "testset_v": 1, "testset_t": 2, "testset_f": 3}
  path = write_files(
    files | {f"task/{k}.txt": f"a0{i}-000u\n" for k, i in lists.items()}
  )
  found = {
    s: [r.id[:3] for r in read(path, split=s)[0]]
    for s in ("train", "validation", "test")
  }
  assert found == {
    "train": ["a00"],
    "validation": ["a01", "a02"],
    "test": ["a03"],
  }
  (path / "task/trainset.txt").write_text("a00-000u z99-000 no form")
  records, report = read(path, split="train")
  assert [r.id[:3] for r in records] == ["a00"]
  assert report.counts[
    "form of a task list without files in lineStrokes/"
  ] == len({"z99-000", "no", "form"})
  (path / "task/testset_t.txt").unlink()
  options = {"split": "validation", "validation_sets": ("testset_v",)}
  assert [r.id[:3] for r in read(path, **options)[0]] == ["a01"]
  with pytest.raises(ValueError, match=r"testset_t\.txt, wanted for the split"):
    read(path, split="validation")


@pytest.mark.parametrize(
  "point", ['x="1"', 'x="a" y="2"', 'x="1" y="2" time="noon"', 'x="nan" y="1"']
)
def test_bad_points_are_counted_with_their_line(write_files, point):
  files = form("a01-000u", "text")
  name = "lineStrokes/a01/a01-000/a01-000u-01.xml"
  files[name] = LINE.replace('x="1020" y="1060" time="13.00"', point)
  records, report = read(write_files(files))
  assert not records and report.counts == {"unreadable line": 1}


def test_hostile_files_are_counted(write_files, hostile_xml, limits):
  damaged = hostile_xml(LINE[LINE.index("<White") :])
  rows = [f"row {k}" for k in damaged]
  files = dict(form("a01-000u", *rows))
  for name, data in zip(list(files), damaged.values(), strict=False):
    files[name] = data
  path = write_files(files)
  with limits():
    records, report = read(path)
  assert not records
  assert report.counts == {"unreadable line": len(damaged)}
  with pytest.raises(ValueError, match="is this IAM-OnDB"):
    read(write_files({"a.xml": LINE}, "other"))
