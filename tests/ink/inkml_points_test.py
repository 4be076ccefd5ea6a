"""Points of InkML traces, against the standard's own example and cumsum."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inksight_jax.ink.inkml_points import parse_points


def test_the_example_of_the_standard():
  """InkML (W3C, 2011), section 3.2.1: the trace and its table of values."""
  rows = parse_points(
    "1125 18432,'23'43,\"7\"-8,3-5,7 -3,6 2,6 8,3 6 T,2 4*T,3 6,3-6 F F"
  )
  assert [row[:2] for row in rows] == [
    [1125, 18432],
    [1148, 18475],
    [1178, 18510],
    [1211, 18540],
    [1251, 18567],
    [1297, 18596],
    [1349, 18633],
    [1404, 18676],
    [1461, 18723],
    [1521, 18776],
    [1584, 18823],
  ]
  assert rows[7][2:] == [1]
  assert rows[10][2:] == [0, 0]


@given(
  st.lists(st.tuples(*[st.integers(-1000, 1000)] * 2), min_size=3, max_size=9),
  st.sampled_from("'\""),
)
def test_differences_are_undone_by_cumulative_sums(points, mark):
  values = np.array(points)
  explicit = 1 if mark == "'" else 2
  differences = np.diff(values, n=explicit, axis=0)
  rows = [f"{x} {y}" for x, y in points[:explicit]]
  rows += [f"{mark}{x}{mark}{y}" for x, y in differences[:1].tolist()]
  # Without prefix, and without blanks before a minus.
  rows += [f"{x} {y}".replace(" -", "-") for x, y in differences[1:].tolist()]
  assert parse_points(",".join(rows)) == values.tolist()


@pytest.mark.parametrize(
  ("text", "rows"),
  [
    ("10 20,'1'2,!30!40", [[10, 20], [11, 22], [30, 40]]),
    ("10 20,'1 25", [[10, 20], [11, 25]]),  # y stays explicit
    ("#A #1f", [[10, 31]]),
    ("-1-2", [[-1, -2]]),
    ("1e-5 .5", [[1e-5, 0.5]]),
    ("1 2 T,3 *F", [[1, 2, 1], [3, 2, 0]]),
    ("1 2,!3 4,,", [[1, 2], [3, 4]]),
    ("", []),
    (" , ", []),
  ],
)
def test_notations(text, rows):
  assert parse_points(text) == rows


def test_an_unknown_value_is_not_a_number():
  assert math.isnan(parse_points("1 2 ?")[0][2])


@pytest.mark.parametrize("text", ["'1'2", "1 2,'x", "1 2,!", "1 2;'3'4"])
def test_nonsense_is_refused(text):
  with pytest.raises(ValueError):
    parse_points(text)
