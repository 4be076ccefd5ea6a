"""CROHME on files of two editions, as their folders lie."""

import pytest

from inksight_jax.datasets.crohme import latex, part_of, read_crohme
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.ink.inkml import NAMESPACE


def expression(
  ui: str = "u1", truth: str = "$a+b$", writer: str = "w9", x: int = 10
) -> str:
  return (
    f'<ink xmlns="{NAMESPACE}"><traceFormat><channel name="X" type="decimal"/>'
    '<channel name="Y" type="decimal"/></traceFormat>'
    f'<annotation type="UI">{ui}</annotation>'
    f'<annotation type="writer">{writer}</annotation>'
    f'<annotation type="truth">{truth}</annotation>'
    '<annotationXML type="truth" encoding="Content-MathML">'
    '<math xmlns="http://www.w3.org/1998/Math/MathML"><mi xml:id="a_1">a</mi>'
    f'</math></annotationXML><trace id="0">{x} 20, 11 22</trace>'
    '<trace id="1">30 20, 40 20</trace><trace id="2">35 15, 35 25</trace>'
    '<traceGroup xml:id="9"><annotation type="truth">Segmentation</annotation>'
    '<traceGroup xml:id="10"><annotation type="truth">a</annotation>'
    '<traceView traceDataRef="0"/><annotationXML href="a_1"/></traceGroup>'
    '<traceGroup xml:id="11"><annotation type="truth">+</annotation>'
    '<traceView traceDataRef="2"/><traceView traceDataRef="1"/></traceGroup>'
    "</traceGroup></ink>"
  )


def read(path, **options):
  report = SkipReport()
  return list(read_crohme(path, report, **options)), report


def test_expressions_and_their_symbols(write_files):
  path = write_files({"CROHME_training/f1.inkml": expression()})
  (record,), report = read(path)
  assert (record.id, record.text) == ("CROHME_training/f1", "a+b")
  assert (record.source, record.writer) == ("crohme", "w9")
  assert [s.points.tolist() for s in record.ink.strokes] == [
    [[10, 20], [11, 22]],
    [[30, 20], [40, 20]],
    [[35, 15], [35, 25]],
  ]
  symbols, _ = read(path, level="symbol")
  assert [(s.id, s.text, len(s.ink)) for s in symbols] == [
    ("CROHME_training/f1:0", "a", 1),
    ("CROHME_training/f1:1", "+", 2),
  ]
  # The order of the views, not of the traces.
  assert symbols[1].ink.strokes[0].points[0].tolist() == [35, 15]
  assert report.total == 0


def test_a_test_of_one_edition_is_never_training_of_another(write_files):
  """The 2013 test is in later training folders, under another name."""
  path = write_files(
    {
      "CROHME2014_data/TrainINKML/old_test.inkml": expression("u1", x=1),
      "CROHME2014_data/TrainINKML/new.inkml": expression("u2", x=2),
      "CROHME2013_data/testGT/t.inkml": expression("u1", x=1),
    }
  )
  found = {s: read(path, split=s) for s in ("train", "validation", "test")}
  ids = {s: [r.id.split("/")[-1] for r in found[s][0]] for s in found}
  assert ids["test"] == ["t"]
  assert sorted(ids["train"] + ids["validation"]) == ["new"]
  _, report = read(path)
  assert report.counts == {"already read in another edition": 1}


def test_validation_is_some_of_the_training_writers(write_files):
  path = write_files(
    {
      f"trainData/{i}.inkml": expression(f"u{i}", writer=f"w{i}")
      for i in range(40)
    }
  )
  train, validation, test = (
    {r.writer for r in read(path, split=s, validation_share=0.25)[0]}
    for s in ("train", "validation", "test")
  )
  assert len(train) + len(validation) == 40 and not train & validation
  assert 3 <= len(validation) <= 20 and not test
  path = write_files({"valid/a.inkml": expression("v")})
  assert len(read(path, split="train", validation_share=0.25)[0]) == 40
  assert [r.id for r in read(path, split="validation")[0]] == ["valid/a"]


@pytest.mark.parametrize(
  ("name", "part"),
  [
    ("CROHME2013_data/TestINKMLGT/a.inkml", "test"),
    ("CROHME2012_data/testDataGT/a.inkml", "test"),
    ("CROHME2011_data/CROHME_training/a.inkml", "train"),
    ("WebData_CROHME23/INKML/val/train_a.inkml", ""),
    ("test.inkml", ""),
  ],
)
def test_parts_by_folder(name, part):
  assert part_of(name) == part


@pytest.mark.parametrize("truth", ["$a$", "a", " $ a $ ", "$$a$$"])
def test_dollars_are_taken_off(truth):
  assert latex(truth) == "a"


def test_what_lacks_something_is_counted(write_files):
  path = write_files(
    {
      "testData/no_truth.inkml": expression("t1", truth=""),
      "testData/empty.inkml": "<ink><annotation type='truth'>x</annotation>"
      "</ink>",
      "testData/view.inkml": expression("t2").replace(
        'traceDataRef="2"', 'traceDataRef="7"'
      ),
    }
  )
  records, report = read(path)
  assert not records
  assert report.counts == {
    "no truth": 1,
    "no strokes": 1,
    "unreadable InkML": 1,
  }
  assert "view.inkml:1: traceDataRef '7'" in report.table()


def test_hostile_files_are_counted(write_files, hostile_xml, limits):
  damaged = hostile_xml(expression())
  path = write_files({f"{k}.inkml": v for k, v in damaged.items()})
  with limits():
    records, report = read(path)
  assert not records
  assert report.counts == {"unreadable InkML": len(damaged)}


def test_wrong_questions(write_files):
  path = write_files({"a.txt": ""})
  with pytest.raises(ValueError, match=r"no \.inkml files inside"):
    read(path)
  with pytest.raises(ValueError, match="one of expression, symbol"):
    read(path, level="word")
  with pytest.raises(ValueError, match="one of train"):
    read(path, split="dev")
