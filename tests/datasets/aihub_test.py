"""AI-Hub: bracketed folders, decomposed names, both JSON forms, the CSV."""

import json
import pathlib
import unicodedata

import pytest

from inksight_jax.datasets.aihub import read_aihub
from inksight_jax.datasets.skipped import SkipReport


def page(name: str, words: list[dict], orientation: str = "가로") -> str:
  return json.dumps(
    {
      "images": [{"id": 1, "file_name": name, "width": 100, "height": 60}],
      "metadata": [{"wordorientation": orientation}],
      "annotations": [
        {"id": i, "image_id": 1, **word} for i, word in enumerate(words)
      ],
    },
    ensure_ascii=False,
  )


def write_aihub(root: pathlib.Path, draw) -> pathlib.Path:
  nfd = unicodedata.normalize("NFD", "간판_1.png")
  draw(root / "[원천]Training/1.간판" / nfd, 100, 60)
  labels = root / "[라벨]Training/1.간판"
  labels.mkdir(parents=True)
  words = [
    {"text": "약국", "bbox": [10, 20, 30, 12]},
    {"text": "xxx", "bbox": [5, 5, 9, 9]},
    {"text": "널", "bbox": [5, None, 9, 9]},
    {"text": "밖", "bbox": [500, 5, 9, 9]},
    {"text": "", "bbox": [5, 5, 9, 9]},
    {"text": "딴", "bbox": [5, 5, 9, 9], "image_id": None},
  ]
  (labels / "간판_1.json").write_text(page("간판_1.png", words), "utf-8")
  (labels / "b.json").write_text(page("../../../b.png", words[:1]), "utf-8")
  draw(root / "[원천]Validation/2.책표지/s.png", 100, 60)
  labels = root / "[라벨]Validation/2.책표지"
  labels.mkdir(parents=True)
  (labels / "s.json").write_text(page("s.png", words[:1], "세로"), "utf-8")
  return root


@pytest.fixture
def aihub(tmp_path: pathlib.Path, draw) -> pathlib.Path:
  return write_aihub(tmp_path, draw)


def test_boxes_are_cut_out(aihub: pathlib.Path):
  report = SkipReport()
  sign, book = read_aihub(aihub, report)
  assert sign.id == "[라벨]Training/1.간판/간판_1.json#0"
  assert sign.text == "약국" and sign.image is not None
  assert sign.image.shape == (12, 30, 3)
  assert sign.image[0, 0].tolist() == [10, 20, 100]
  assert book.id.startswith("[라벨]Validation")
  assert report.counts == {
    "illegible (xxx)": 1,
    "malformed box": 1,
    "box outside the picture": 1,
    "empty text": 1,
    "annotation of no picture": 1,
    "picture missing": 1,
  }
  report = SkipReport()
  assert len(list(read_aihub(aihub, report, horizontal_only=True))) == 1
  assert report.counts["vertical"] == 1


def test_their_validation_is_our_test(aihub: pathlib.Path):
  assert [r.id[:14] for r in read_aihub(aihub, split="test")] == [
    "[라벨]Validation"[:14]
  ]
  options = {"split": "validation", "validation_share": 1.0}
  assert [r.text for r in read_aihub(aihub, **options)] == ["약국"]
  assert not list(read_aihub(aihub, split="train", validation_share=1.0))


def test_the_large_json_of_the_handwriting_set(tmp_path: pathlib.Path, draw):
  for name in ("00000017.png", "00000018.png"):
    draw(tmp_path / "1_syllable" / name, 20, 20)
  document = {
    "info": {"name": "Text in the wild"},
    "images": [
      {"id": f"0000001{n}", "file_name": f"0000001{n}.png"} for n in (7, 8, 9)
    ]
    + [{"id": "x"}],
    "annotations": [
      {"id": "1", "image_id": "00000017", "text": "각", "attributes": {}},
      {"id": "2", "image_id": "00000017", "text": "두번"},
      {"id": "3", "image_id": "00000019", "text": "없음"},
      {"id": "4", "image_id": [], "text": "a"},
    ],
    "licenses": [],
  }
  path = tmp_path / "handwriting_data_info1.json"
  path.write_text(json.dumps(document), "utf-8")
  report = SkipReport()
  (record,) = read_aihub(tmp_path, report)
  assert (record.id, record.text) == (f"{path.name}#00000017", "각")
  assert report.counts == {
    "picture with several texts": 1,
    "annotation of no picture": 1,
    "picture without a text": 1,
    "picture missing": 1,
    "malformed picture entry": 1,
  }
  path.write_text(json.dumps(document)[:200])
  with pytest.raises(ValueError, match=r"data_info1\.json: "):
    list(read_aihub(tmp_path))


def test_the_csv_of_crops(tmp_path: pathlib.Path, draw):
  draw(tmp_path / "external/0123456789abcdef.jpg", 20, 20)
  draw(tmp_path / "external/1123456789abcdef.jpg", 20, 20)
  (tmp_path / "external.csv").write_text(
    "img_path,text,visual_tokens\n"
    './external/0123456789abcdef.jpg,NA,"12 7\t4 4"\n'
    "./external/1123456789abcdef.jpg,007,\n",
    "utf-8",
  )
  records = list(read_aihub(tmp_path / "external.csv"))
  assert [r.text for r in records] == ["NA", "007"]
  assert {r.source for r in records} == {"aihub"}


def test_hostile_labels_cost_themselves_only(
  aihub: pathlib.Path, limits, tmp_path: pathlib.Path
):
  path = aihub / "[라벨]Training/1.간판/b.json"
  hostile = [
    b"[" * 10**5,
    b"{}",
    b"\xff",
    b" " * 10**7,
    b'{"images": [{"id": 1, "file_name": 7}], "annotations": []}',
    b'{"images": {"0": 1}}',
    ("[" + "1" * 10**5 + "]").encode(),
  ]
  for content in hostile:
    path.write_bytes(content)
    report = SkipReport()
    with limits():
      assert len(list(read_aihub(aihub, report))) == 2
    assert report.counts["unreadable labels"] == 1, content[:20]
  with pytest.raises(ValueError, match="neither a folder nor a CSV"):
    list(read_aihub(aihub / "nothing"))
  with pytest.raises(ValueError, match="no JSON below it"):
    list(read_aihub(aihub / "[원천]Training"))
