"""`grid`: from a word list to a data set of one's own hand."""

import pathlib

import cv2
import numpy as np
from PIL import Image

from inksight_jax.cli import main
from inksight_jax.datasets.image_folder import read_image_folder
from inksight_jax.rendering.grid import Grid, draw_sheet


def write(grid: Grid, sheet: int, path: pathlib.Path, boxes: int) -> None:
  page = draw_sheet(grid, sheet, 6.0).copy()
  for place in range(boxes):
    left, top, wide, high = (round(v * 6.0) for v in grid.box(place))
    middle = left + wide // 2, top + high // 2
    cv2.circle(page, middle, high // 4, (20, 20, 20), 3)
  dark = (60, 60, 60)
  desk = cv2.copyMakeBorder(
    page, 60, 60, 60, 60, cv2.BORDER_CONSTANT, value=dark
  )
  Image.fromarray(np.asarray(desk)).rotate(5, fillcolor=dark).save(path)


def test_a_grid_becomes_a_data_set(tmp_path, capsys):
  words = tmp_path / "words.txt"
  words.write_text("one\ntwo\n\nthree\nfour\nfünf\n", encoding="utf-8")
  sheets = ["--columns=2", "--rows=2", f"--output={tmp_path / 'grid.pdf'}"]
  assert main.main(["grid", "print", f"--words={words}", *sheets]) == 0
  assert "5 boxes on 2 sheets" in capsys.readouterr().out
  assert (tmp_path / "grid.pdf").read_bytes().startswith(b"%PDF")
  description = (tmp_path / "grid.json").read_text(encoding="utf-8")
  grid = Grid.from_json(description)
  assert grid.words == ("one", "two", "three", "four", "fünf")
  photos = [tmp_path / f"{sheet}.png" for sheet in (1, 0)]
  write(grid, 1, photos[0], 1)
  write(grid, 0, photos[1], 3)
  cut = ["grid", "cut", f"--grid={tmp_path / 'grid.json'}", "--writer=me"]
  out = tmp_path / "mine"
  names = [str(photo) for photo in photos]
  assert main.main([*cut, *names, f"--output_dir={out}"]) == 0
  assert "4 words of 2 photos, 1 boxes empty" in capsys.readouterr().out
  records = list(read_image_folder(out))
  assert sorted(r.text for r in records) == ["fünf", "one", "three", "two"]
  assert {r.writer for r in records} == {"me"}
  # A ring as large as it was drawn, at 254 dpi: a quarter of the box's height.
  high = grid.box(0)[3]
  for record in records:
    dark = record.image.mean(axis=2) < 128
    across = np.flatnonzero(dark.any(axis=0))
    assert abs((across[-1] - across[0]) / 10 - (high / 2 + 0.5)) < 0.6
  # The same sheet again, and a photo of something else.
  for wrong in ([names[0]] * 2, [str(words)]):
    assert main.main([*cut, *wrong, f"--output_dir={out}"]) == 1
