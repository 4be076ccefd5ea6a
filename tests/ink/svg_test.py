"""SVG: what is drawn is read back from the document."""

import itertools
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from inksight_jax.ink.colors import stroke_color
from inksight_jax.ink.svg import write_svg
from inksight_jax.ink.types import Ink

SVG = "{http://www.w3.org/2000/svg}"
INK = Ink.from_arrays([[[1, 2], [30.25, 4], [5, 60]], [[7, 8]]])


def lines(document: str) -> list[tuple[str | None, list[list[float]]]]:
  root = ElementTree.fromstring(document)
  return [
    (
      line.get("stroke"),
      [[float(v) for v in p.split(",")] for p in line.get("points").split()],
    )
    for line in root.iter(f"{SVG}polyline")
  ]


def test_one_line_per_stroke_and_a_dot_is_a_line_of_no_length():
  drawn = lines(write_svg(INK, 64.0, 64.0))
  assert [points for _, points in drawn] == [
    [[1, 2], [30.25, 4], [5, 60]],
    [[7, 8], [7, 8]],
  ]


def test_pixel_centres_are_whole_numbers():
  root = ElementTree.fromstring(write_svg(INK, 64.0, 32.0, 3.0))
  assert root.get("viewBox") == "-0.5 -0.5 64 32"
  (group,) = root
  assert group.get("stroke-width") == "3"
  assert group.get("stroke-linecap") == "round"


def test_colors_follow_the_order_and_cover_every_segment_once():
  points = np.stack([np.arange(200.0), np.zeros(200)], axis=1)
  drawn = lines(
    write_svg(Ink.from_arrays([points.tolist()]), 200.0, 10.0, 1.0, True)
  )
  segments = [
    (a[0], b[0]) for _, line in drawn for a, b in itertools.pairwise(line)
  ]
  assert segments == [(i, i + 1) for i in range(199)]
  colors = [color for color, _ in drawn]
  assert len(set(colors)) == len(colors) == 32
  assert colors[0] == "#{:02x}{:02x}{:02x}".format(*stroke_color(0.0))
  assert colors[-1] == "#{:02x}{:02x}{:02x}".format(*stroke_color(1.0))


def test_later_strokes_go_on_where_the_colors_stopped():
  drawn = lines(write_svg(INK, 64.0, 64.0, 2.0, True))
  assert [points for _, points in drawn] == [
    [[1, 2], [30.25, 4]],
    [[30.25, 4], [5, 60]],
    [[7, 8], [7, 8]],
  ]
  assert drawn[-1][0] == "#{:02x}{:02x}{:02x}".format(*stroke_color(1.0))


@pytest.mark.parametrize("color", [False, True])
def test_empty_ink_and_one_point_are_valid_documents(color):
  assert lines(write_svg(Ink(), 10.0, 10.0, 1.0, color)) == []
  dot = Ink.from_arrays([[[1, 1]]])
  assert len(lines(write_svg(dot, 10.0, 10.0, 1.0, color))) == 1


def test_a_picture_without_size_is_refused():
  with pytest.raises(ValueError, match="positive pixels; got 0"):
    write_svg(INK, 0.0, 10.0)
