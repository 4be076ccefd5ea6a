"""One's own pictures: every accepted way to write down the texts."""

import pathlib

import pytest

from inksight_jax.datasets.icdar2015 import read_icdar2015
from inksight_jax.datasets.image_folder import read_image_folder
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport


@pytest.fixture
def folder(tmp_path: pathlib.Path, draw) -> pathlib.Path:
  root = tmp_path / "own [1]"
  draw(root / "a.png", 20, 10)
  draw(root / "b c.png", 20, 10)
  return root


def texts(records) -> dict[str, str]:
  return {record.id: record.text for record in records}


@pytest.mark.parametrize(
  ("name", "content"),
  [
    ("labels.csv", b"image,text\na.png,007\nb c.png,NA\n"),
    ("labels.csv", b'text;file_name;age\n"007";a.png;3\nNA;b c.png;4\n'),
    (
      "labels.csv",
      b"\xef\xbb\xbfimg_path,text\r\na.png,007\r\n./b c.png,NA\r\n",
    ),
    ("metadata.tsv", b"file\ttranscription\na.png\t007\nb c.png\tNA\n"),
    ("labels.csv", b"a.png,007\n\nb c.png,NA\n"),
    ("gt.txt", b"a.png 007\nb c.png NA\n"),
    ("gt.txt", b"a.png\t007\nb c.png\tNA\n"),
  ],
)
def test_tables(folder: pathlib.Path, name: str, content: bytes):
  (folder / name).write_bytes(content)
  for path in (folder, folder / name):
    found = texts(read_image_folder(path))
    assert {k.removeprefix("./"): v for k, v in found.items()} == {
      "a.png": "007",
      "b c.png": "NA",
    }


def test_a_quoted_field_may_hold_lines(folder: pathlib.Path):
  (folder / "labels.csv").write_text('image,text\na.png,"one, ""1""\ntwo"\n')
  assert texts(read_image_folder(folder)) == {"a.png": 'one, "1"\ntwo'}


def test_texts_beside_the_pictures(folder: pathlib.Path, draw):
  report = SkipReport()
  (folder / "a.txt").write_text("Zeile 1\nZeile 2 ß\n", "utf-8")
  (folder / "b c.gt.txt").write_bytes("é".encode("latin-1"))
  draw(folder / "sub" / "d.jpg", 9, 9)
  assert texts(read_image_folder(folder, report)) == {
    "a.png": "Zeile 1\nZeile 2 ß"
  }
  assert report.counts == {"unreadable text": 1, "picture without a text": 1}
  assert "b c.gt.txt:1: byte 1" in report.examples["unreadable text"][0]
  found = texts(read_image_folder(folder, encoding="latin-1"))
  assert found["b c.png"] == "é"


def test_texts_as_names(folder: pathlib.Path, draw):
  draw(folder / "word 12.png", 9, 9)
  found = texts(read_image_folder(folder, labels="names"))
  assert found == {"a.png": "a", "b c.png": "b c", "word 12.png": "word"}


def test_splits_by_column_folder_or_writer(folder: pathlib.Path, draw):
  draw(folder / "val" / "d.png", 9, 9)
  rows = ["image,text,writer,subset", "a.png,a,w1,test", "val/d.png,d,w1,"]
  for number in range(40):
    draw(folder / f"{number}.png", 4, 4)
    rows.append(f"{number}.png,x,w{number // 2},")
  (folder / "labels.csv").write_text("\n".join(rows))

  def read(split: str) -> list[Record]:
    return list(read_image_folder(folder, split=split))

  train, validation, test = map(read, ("train", "validation", "test"))
  assert "a.png" in texts(test) and "val/d.png" in texts(validation)
  assert len(train) + len(validation) + len(test) == 42
  assert not {r.writer for r in train} & {r.writer for r in test[1:]}


def test_what_is_left_out_is_counted(folder: pathlib.Path, huge_png: bytes):
  (folder / "huge.png").write_bytes(huge_png)
  (folder / "labels.csv").write_text(
    "image,text\na.png,a\na.png,again\nb c.png,\n../x.png,x\n"
    f"{folder}/a.png,absolute\n,x\nhuge.png,huge\n"
  )
  report = SkipReport()
  assert "a.png" in texts(read_image_folder(folder, report))
  assert report.counts == {
    "id given twice": 1,
    "empty text": 1,
    "picture missing": 1,
    "no picture named": 1,
    "unreadable picture": 1,
  }


@pytest.mark.parametrize(
  ("content", "message"),
  [
    (b"x,y\n1,2\n", r"labels\.csv:1: the header 'x, y' names no image"),
    (b"image,text\na.png\n", r"labels\.csv:2: 1 fields where"),
    (b'image,text\n"a.png,b\n', r"labels\.csv:\d: unexpected end"),
    (b'image,text\n"' + b"x" * 10**6 + b"\n", r"labels\.csv:\d: field larger"),
    (b"image,text\na.png,\xff\n", r"labels\.csv:2: byte 7 is not utf-8"),
    ("image,text\n".encode("utf-16"), r"labels\.csv:1: byte 1 is not utf-8"),
    (b"", "no picture with a text. Wanted"),
    (b"," * 900_000, "900001 fields|names no image|no picture"),
    (b"x," * 400_000, "400001 fields"),
    (b"image,text\n" + b"a" * 2**21, r"labels\.csv:2: a line of more than"),
  ],
  ids=range(10),
)
def test_broken_tables(folder: pathlib.Path, limits, content, message):
  (folder / "labels.csv").write_bytes(content)
  with limits(), pytest.raises(ValueError, match=message):
    list(read_image_folder(folder))


def test_nothing_to_read(tmp_path: pathlib.Path, folder: pathlib.Path):
  with pytest.raises(ValueError, match="no such file or folder"):
    list(read_image_folder(tmp_path / "nowhere"))
  (tmp_path / "empty").mkdir()
  with pytest.raises(ValueError, match="a table such as"):
    list(read_image_folder(tmp_path / "empty"))
  (folder / "gt.txt").write_text("no picture here\n")
  with pytest.raises(ValueError, match=r"gt\.txt:1: .* begin with the name"):
    list(read_image_folder(folder))


def test_icdar2015_lines_are_cut_out(tmp_path: pathlib.Path, draw):
  draw(tmp_path / "images/p1.jpg", 100, 60)
  (tmp_path / "lines.csv").write_text(
    "image,x0,y0,x1,y1,text\nimages/p1.jpg,-5,10,40,25,born 1832\n"
    "images/p1.jpg,0,30,40,45,died 1901\nimages/p1.jpg,0,x,40,45,odd\n"
    "images/p1.jpg,500,30,540,45,outside\n"
  )
  report = SkipReport()
  records = list(read_icdar2015(tmp_path, report))
  assert [r.text for r in records] == ["born 1832", "died 1901"]
  assert records[0].image is not None and records[0].image.shape == (15, 40, 3)
  assert records[0].source == "icdar2015_historical"
  assert report.counts == {"malformed box": 1, "box outside the picture": 1}
  # A page is in one split, with all its lines.
  counts = [
    len(list(read_icdar2015(tmp_path, split=split)))
    for split in ("train", "validation", "test")
  ]
  assert sorted(counts) == [0, 0, 2]
  with pytest.raises(ValueError, match="the columns image,x0,y0,x1,y1,text"):
    list(read_icdar2015(tmp_path, labels="x.csv"))


def test_pictures_of_one_writer_are_dealt_by_sample(
  tmp_path: pathlib.Path, draw
):
  rows = ["image,text,writer"]
  for i in range(40):
    draw(tmp_path / f"{i}.png", 4, 4)
    rows.append(f"{i}.png,x,me")
  (tmp_path / "labels.csv").write_text("\n".join(rows))

  def sizes(**options):
    return [
      len(list(read_image_folder(tmp_path, split=split, **options)))
      for split in ("train", "validation", "test")
    ]

  assert sorted(sizes()) == [0, 0, 40]
  dealt = sizes(split_by="sample")
  assert sum(dealt) == 40 and min(dealt) > 0 and dealt[0] > 20
