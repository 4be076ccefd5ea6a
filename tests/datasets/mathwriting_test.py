"""MathWriting: folders, annotations and times of its files."""

import pytest

from inksight_jax.datasets.mathwriting import read_mathwriting
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.ink.inkml import NAMESPACE


def expression(label: str = "a \\times b", normalized: str = "a\\times b"):
  notes = {"label": label, "normalizedLabel": normalized} | {
    "splitTagOriginal": "train",
    "sampleId": "00",
    "inkCreationMethod": "human",
  }
  return (
    f'<ink xmlns="{NAMESPACE}">'
    + "".join(
      f'<annotation type="{k}">{v}</annotation>' for k, v in notes.items() if v
    )
    + '<traceFormat><channel name="X" type="decimal"/><channel name="Y" '
    'type="decimal"/><channel name="T" type="decimal"/></traceFormat>'
    '<trace id="0">1.5 2 0,3 4 8</trace><trace id="1">5 6 90.5</trace></ink>'
  )


FILES = {
  "mathwriting-2024/train/0123456789abcdef.inkml": expression(),
  "mathwriting-2024/valid/0123456789abcde0.inkml": expression(),
  "mathwriting-2024/test/0123456789abcde1.inkml": expression(),
  "mathwriting-2024/synthetic/0123456789abcde2.inkml": expression(),
  "mathwriting-2024/symbols/0123456789abcde3.inkml": expression("x", ""),
  "mathwriting-2024/symbols/0123456789abcde4.inkml": expression("", ""),
  "mathwriting-2024/synthetic-bboxes.jsonl": "{}",
}


def read(path, **options):
  report = SkipReport()
  return list(read_mathwriting(path, report, **options)), report


def test_official_parts_labels_and_times(write_files):
  path = write_files(FILES)
  (record,), _ = read(path, split="train")
  assert (record.id, record.text) == ("train/0123456789abcdef", "a\\times b")
  assert [s.times.tolist() for s in record.ink.strokes] == [[0, 8], [90.5]]
  assert record.ink.strokes[0].points.tolist() == [[1.5, 2], [3, 4]]
  for split, part in (("validation", "valid"), ("test", "test")):
    (record,), _ = read(path, split=split)
    assert record.id.startswith(f"{part}/")
  (record,), _ = read(path, split="test", label="label")
  assert record.text == "a \\times b"


def test_symbols_and_synthetic_inks_when_asked_for(write_files):
  path = write_files(FILES)
  records, report = read(
    path, split="train", train_parts=("train", "synthetic", "symbols")
  )
  assert [r.id.split("/")[0] for r in records] == [
    "train",
    "synthetic",
    "symbols",
  ]
  assert records[-1].text == "x"
  assert report.counts == {"no label": 1}
  assert len(read(path)[0]) == 5
  with pytest.raises(ValueError, match="no part all; it has train"):
    read(path, split="train", train_parts=("all",))


def test_an_archive_reads_like_its_folder(pack, write_files):
  archive = pack(FILES, "mathwriting-2024-excerpt.tgz")
  assert [r.id for r in read(archive)[0]] == [
    r.id for r in read(write_files(FILES))[0]
  ]


def test_hostile_files_are_counted(write_files, hostile_xml, limits):
  damaged = hostile_xml(expression())
  path = write_files({f"train/{k}.inkml": v for k, v in damaged.items()})
  with limits():
    records, report = read(path)
  assert not records
  assert report.counts == {"unreadable InkML": len(damaged)}
