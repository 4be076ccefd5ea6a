"""The UNIPEN grammar on small files written by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inksight_jax.ink.unipen import (
  ComponentRange,
  parse_delineation,
  parse_unipen,
  select_components,
  unescape,
)

FILES = {
  "zz/zz.doc": """.VERSION 1.0
.HIERARCHY CHARACTER
.COMMENT text with a .SEGMENT that is not at the start of the line
   .SEGMENT CHARACTER 0 ? "no"
.COORD X Y T
.X_POINTS_PER_INCH 254
.Y_POINTS_PER_MM 20
.POINTS_PER_SECOND 100
""",
  "zz/data/zz0.dat": """.WRITER_ID zz
.PEN_DOWN
1 2 0
3 4 10
.PEN_UP
.PEN_DOWN
5 6 20
.DT 35
.PEN_UP
7 8 30
.PEN_DOWN
9 10 40 11 12
50
""",
}
INDEX = """.VERSION 1.0
.INCLUDE zz/zz.doc
.INCLUDE zz/data/zz0.dat
.SEGMENT CHARACTER 0-1,3 ? "k"
.SEGMENT WORD 2
   OK "a \\"b\\" \\\\"
.SEGMENT TEXT ? GOOD
"""


def include(name: str) -> str:
  if name.startswith(".."):
    raise PermissionError(name)
  if name not in FILES:
    raise FileNotFoundError(name)
  return FILES[name]


def test_counts_components_with_points_only():
  """Pen-down and pen-up both count, the empty pen-up does not."""
  parsed = parse_unipen(INDEX, include, "index.dat")
  assert [c.pen_down for c in parsed.components] == [True, True, False, True]
  assert parsed.fields["WRITER_ID"] == "zz"
  assert not parsed.problems


def test_components_know_points_device_place_and_delay():
  parsed = parse_unipen(INDEX, include, "index.dat")
  last = parsed.components[3]
  np.testing.assert_array_equal(last.values(), [[9, 10, 40], [11, 12, 50]])
  assert last.where == "zz/data/zz0.dat:11"
  assert [c.delay for c in parsed.components] == [None, None, 35, None]
  device = last.device
  assert device.columns == ("X", "Y", "T")
  assert device.x_per_mm == pytest.approx(10)
  assert (device.y_per_mm, device.rate) == (20, 100)


def test_segments_wrap_lines_and_unescape():
  parsed = parse_unipen(INDEX, include, "index.dat")
  assert [(s.kind, s.quality, s.label) for s in parsed.segments] == [
    ("CHARACTER", "?", "k"),
    ("WORD", "OK", 'a "b" \\'),
    ("TEXT", "GOOD", None),
  ]
  assert [s.where for s in parsed.segments] == [
    "index.dat:4",
    "index.dat:5",
    "index.dat:7",
  ]


@pytest.mark.parametrize(
  ("text", "expected"),
  [
    ("7", [ComponentRange(7, 7)]),
    ("3-3", [ComponentRange(3, 3)]),
    ("0-1,4", [ComponentRange(0, 1), ComponentRange(4, 4)]),
    ("2:10-3:5", [ComponentRange(2, 3, 10, 5)]),
    ("2:10-3", [ComponentRange(2, 3, 10, None)]),
  ],
)
def test_delineations(text: str, expected: list[ComponentRange]):
  assert list(parse_delineation(text, "f:1")) == expected


@pytest.mark.parametrize("text", ["?", "", "a", "1-", "-1", "1,,2", "3-1"])
def test_wrong_delineations_name_the_line(text: str):
  with pytest.raises(ValueError, match=r"f\.dat:9"):
    parse_delineation(text, "f.dat:9")


@given(st.lists(st.integers(0, 30), min_size=1, max_size=5))
def test_delineation_selects_what_it_lists(numbers: list[int]):
  """Against plain indexing: single numbers joined by commas."""
  body = "".join(f".PEN_DOWN\n{i} {i}\n.PEN_UP\n" for i in range(31))
  parsed = parse_unipen(body, include, "f")
  ranges = parse_delineation(",".join(map(str, numbers)), "f:1")
  chosen = select_components(parsed.components, ranges, "f:1")
  assert [int(c.values()[0, 0]) for c, _ in chosen] == numbers


def test_point_offsets_cut_only_the_ends():
  body = ".PEN_DOWN\n0 0 1 1 2 2\n.PEN_DOWN\n3 3 4 4\n.PEN_DOWN\n5 5 6 6 7 7\n"
  parsed = parse_unipen(body, include, "f")
  chosen = select_components(
    parsed.components, parse_delineation("0:1-2:1", "f:1"), "f:1"
  )
  kept = np.concatenate([c.values()[part] for c, part in chosen])
  np.testing.assert_array_equal(kept[:, 0], [1, 2, 3, 4, 5, 6])


def test_component_out_of_range():
  parsed = parse_unipen(".PEN_DOWN\n0 0\n", include, "f")
  with pytest.raises(ValueError, match=r"f:8: component 1 .* has 1"):
    select_components(parsed.components, [ComponentRange(0, 1)], "f:8")


def test_broken_includes_are_recorded_not_raised():
  parsed = parse_unipen(
    ".INCLUDE zz/gone.lex\n.INCLUDE ../../etc/passwd\n.INCLUDE\n",
    include,
    "index.dat",
  )
  assert [where for _, where in parsed.problems] == [
    "index.dat:1, zz/gone.lex",
    "index.dat:2, ../../etc/passwd",
    "index.dat:3",
  ]
  assert "missing" in parsed.problems[0][0]
  assert "refused" in parsed.problems[1][0]


def test_circular_includes_raise():
  files = {"a": ".INCLUDE b\n", "b": ".INCLUDE a\n"}
  with pytest.raises(ValueError, match="a > b > a"):
    parse_unipen(files["a"], files.__getitem__, "a")


@pytest.mark.parametrize(
  ("body", "message"),
  [
    (".PEN_DOWN\n1 2\n3 x\n", "not a coordinate"),
    (".PEN_DOWN\n1 2 3\n", "3 numbers"),
    (".PEN_DOWN\n1 nan\n", "not finite"),
  ],
)
def test_bad_points_name_file_and_line(body: str, message: str):
  (component,) = parse_unipen("\n" + body, include, "f.dat").components
  with pytest.raises(ValueError, match=r"f\.dat:2: .*" + message):
    component.values()


def test_a_number_may_begin_with_a_dot_in_column_one():
  parsed = parse_unipen("x\n.PEN_DOWN\n1 2\n.5 .25\n.PEN_UP\n1 1", include, "f")
  np.testing.assert_array_equal(
    parsed.components[0].values(), [[1, 2], [0.5, 0.25]]
  )
  assert [c.line for c in parsed.components] == [2, 5]


def test_odd_numbers_are_problems_or_ignored():
  parsed = parse_unipen(
    ".POINTS_PER_SECOND ?\n.X_POINTS_PER_MM -3\n.DT\n.SEGMENT\n"
    ".PEN_DOWN\n0 0\n",
    include,
    "f",
  )
  device = parsed.components[0].device
  assert (device.rate, device.x_per_mm) == (None, None)
  assert [where for _, where in parsed.problems] == ["f:1", "f:3", "f:4"]


@given(st.text(st.sampled_from('ab\\"\n\t '), max_size=12))
def test_labels_round_trip(label: str):
  quoted = (
    label.replace("\\", "\\\\")
    .replace('"', '\\"')
    .replace("\n", "\\n")
    .replace("\t", "\\t")
  )
  assert unescape(quoted) == label
  parsed = parse_unipen(f'.SEGMENT WORD 0 ? "{quoted}"\n', include, "f")
  assert parsed.segments[0].label == label


@given(st.text(st.sampled_from('.SEGMNTPDOW_U 0-9?"\\\n'), max_size=80))
def test_never_fails_on_garbage(text: str):
  """Whatever the file holds, parsing itself gives problems, not a crash."""
  parsed = parse_unipen(text, include, "f")
  for component in parsed.components:
    assert component.where.startswith("f:")
