"""Packing loses nothing, overfills nothing and wastes little."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inksight_jax.pipeline.packing import (
  WINDOW,
  pack,
  to_packed_features,
  windows,
)


@given(
  st.lists(st.integers(0, 50), max_size=40),
  st.integers(50, 90),
  st.integers(1, 9),
)
def test_every_example_once_and_no_row_too_full(lengths, capacity, slots):
  rows = pack(lengths, capacity, slots)
  assert sorted(itertools.chain(*rows)) == list(range(len(lengths)))
  for row in rows:
    assert len(row) <= slots
    assert sum(lengths[i] for i in row) <= capacity


def _fewest_rows(lengths, capacity, slots):
  """Brute force: tries every assignment, row by row."""
  best = len(lengths)

  def place(rest, rows):
    nonlocal best
    if len(rows) >= best:
      return
    if not rest:
      best = len(rows)
      return
    for index in range(len(rows)):
      if sum(rows[index]) + rest[0] <= capacity and len(rows[index]) < slots:
        place(
          rest[1:], [*rows[:index], [*rows[index], rest[0]], *rows[index + 1 :]]
        )
    place(rest[1:], [*rows, [rest[0]]])

  place(lengths, [])
  return best


@pytest.mark.parametrize("seed", range(8))
def test_at_most_one_row_more_than_the_fewest_possible(seed):
  rng = np.random.default_rng(seed)
  lengths = rng.integers(1, 60, 8).tolist()
  capacity, slots = 64, int(rng.integers(2, 5))
  assert len(pack(lengths, capacity, slots)) <= (
    _fewest_rows(lengths, capacity, slots) + 1
  )


def test_short_examples_are_spread_so_that_few_slots_suffice():
  # A third are texts of 7 tokens, the others inks of 50 to 150, as when words
  # are derendered and read.
  rng = np.random.default_rng(0)
  lengths = [7] * 333 + rng.integers(50, 151, 667).tolist()
  rows = pack(lengths, 1024, 18)
  assert sum(lengths) / (1024 * len(rows)) > 0.95


def test_windows_repeat_and_keep_the_order_of_windows():
  rng = np.random.default_rng(0)
  lengths = rng.integers(1, 100, 2 * WINDOW + 7).tolist()

  def rows(seed):
    return list(windows(range(len(lengths)), lengths.__getitem__, 256, 9, seed))

  assert rows(3) == rows(3) != rows(4)
  flat = list(itertools.chain(*rows(3)))
  for start in (0, WINDOW, 2 * WINDOW):
    part = flat[start : start + WINDOW]
    assert sorted(part) == list(range(start, start + len(part)))


def test_what_does_not_fit_is_an_error():
  with pytest.raises(ValueError, match="65 tokens does not fit a row of 64"):
    pack([3, 65], 64, 4)
  with pytest.raises(ValueError, match="0 examples"):
    pack([3], 64, 0)
  example = {
    "image": np.zeros((4, 4, 3), np.uint8),
    "inputs": np.ones(2, np.int32),
    "targets": np.ones(5, np.int32),
  }
  lengths = {"image": 4, "inputs": 2, "targets": 8}
  with pytest.raises(ValueError, match="targets up to 10"):
    to_packed_features([example] * 2, lengths, 3)
  with pytest.raises(ValueError, match="4 examples for a row of 3"):
    to_packed_features([example] * 4, lengths, 3)
