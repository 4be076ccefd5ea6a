"""The Omniglot reader on a hand-made zip and on the real one."""

import pathlib
import zipfile

import numpy as np
import pytest

from inksight_jax.datasets.omniglot import parse_strokes, read_omniglot
from inksight_jax.datasets.skipped import SkipReport

DRAWING = """START
30.5,-40.25,0
31.0,-42.75,40
BREAK
1,-2,90
BREAK
"""


def write_zip(path: pathlib.Path, files: dict[str, str]) -> pathlib.Path:
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
    for name, text in files.items():
      archive.writestr(name, text)
  return path


def test_y_turns_down_and_dots_stay():
  ink = parse_strokes(DRAWING, "a.txt")
  line, dot = ink.strokes
  np.testing.assert_array_equal(line.points, [[30.5, 40.25], [31.0, 42.75]])
  np.testing.assert_array_equal(line.times, [0, 40])
  np.testing.assert_array_equal(dot.points, [[1, 2]])


@pytest.mark.parametrize("line", ["1,2", "1,2,x", "1,2,nan", "STOP"])
def test_bad_lines_are_located(line: str):
  with pytest.raises(ValueError, match=r"a\.txt:2"):
    parse_strokes(f"START\n{line}\nBREAK\n", "a.txt")


def test_cut_off_drawing_is_an_error():
  with pytest.raises(ValueError, match="ends inside a stroke"):
    parse_strokes(DRAWING.removesuffix("BREAK\n"), "a.txt")


def test_filters_sorts_and_counts(tmp_path: pathlib.Path):
  root = "strokes_small/Greek"
  path = write_zip(
    tmp_path / "s.zip",
    {
      f"{root}/character02/0002_01.txt": DRAWING,
      f"{root}/character01/0001_02.txt": DRAWING,
      f"{root}/character01/0001_01.txt": "START\nBREAK\n",
      f"{root}/character01/0001_03.txt": "oops",
      f"{root}/.DS_Store": "x",
      f"__MACOSX/{root}/character01/0001_04.txt": "x",
    },
  )
  report = SkipReport()
  records = list(read_omniglot(path, report=report))
  assert [(r.id, r.writer) for r in records] == [
    ("Greek/character01/0001_02", "drawer02"),
    ("Greek/character02/0002_01", "drawer01"),
  ]
  assert report.counts == {
    "drawing without points": 1,
    "unreadable drawing": 1,
  }
  assert "0001_03.txt:1" in report.examples["unreadable drawing"][0]


def test_wrong_or_damaged_zip(tmp_path: pathlib.Path):
  with pytest.raises(ValueError, match="no such file"):
    list(read_omniglot(tmp_path / "none.zip"))
  path = write_zip(tmp_path / "other.zip", {"a/b.txt": "x"})
  with pytest.raises(ValueError, match="is this the strokes zip"):
    list(read_omniglot(path))
  path.write_bytes(path.read_bytes()[:20])
  with pytest.raises(ValueError, match="not a complete zip"):
    list(read_omniglot(path))


def test_real_drawings_lie_on_their_pictures(shared_data: pathlib.Path):
  """2,720 drawings; the pen's points fall on the ink of the pictures."""
  folder = shared_data / "omniglot"
  records = list(
    read_omniglot(
      folder / "strokes_background_small1.zip",
      folder / "images_background_small1.zip",
      keep=lambda writer: writer == "drawer07",
    )
  )
  assert len(records) == 2_720 // 20
  hits = []
  for record in records:
    assert record.image.shape == (105, 105, 3) and not record.text
    columns, rows = np.clip(np.rint(record.ink.points).astype(int), 1, 103).T
    # Within a pixel: the picture's pen is about three pixels wide.
    near = np.min(
      [
        record.image[rows + dy, columns + dx, 0]
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
      ],
      axis=0,
    )
    hits.append((near == 0).mean())
  assert np.mean(hits) > 0.9
