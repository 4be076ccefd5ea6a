"""Records side by side: each once an epoch, held-out rows fixed."""

import collections

import numpy as np
import pytest

from inksight_jax.datasets.record import Record
from inksight_jax.datasets.store import Traits
from inksight_jax.pipeline.joined import Join, JoinedSplit, join_records


def digits(count: int) -> list[Record]:
  rng = np.random.default_rng(0)
  return [
    Record(
      id=f"d{i}",
      source="unit",
      text=str(i % 10),
      image=rng.integers(0, 256, (4, 3, 3), np.uint8),
    )
    for i in range(count)
  ]


def members(split: JoinedSplit, epoch: int) -> list[list[str]]:
  return [split.at(i, epoch).id.split("+") for i in range(len(split))]


def test_a_joined_record_holds_its_parts_side_by_side():
  parts = digits(3)
  record = join_records(parts)
  assert record.image is not None
  assert record.text == "012" and record.parts == tuple(parts)
  for i, part in enumerate(parts):
    np.testing.assert_array_equal(
      record.image[:, 3 * i : 3 * i + 3], part.image
    )


@pytest.mark.parametrize("join", [Join(5, 5), Join(3, 8), Join(1, 1)])
def test_training_uses_each_record_once_an_epoch_in_a_new_order(join: Join):
  split = JoinedSplit(digits(103), join, "train")
  seen = []
  for epoch in range(3):
    rows = members(split, epoch)
    used = [name for row in rows for name in row]
    assert len(set(used)) == len(used) > 103 - join.least
    assert all(join.least <= len(row) <= join.most for row in rows)
    assert members(split, epoch) == rows
    seen.append(rows)
  assert seen[0] != seen[1] != seen[2]


def test_held_out_rows_are_fixed_and_begin_in_the_readers_order():
  split = JoinedSplit(digits(100), Join(5, 5, deals=3), "test")
  rows = members(split, 0)
  assert rows == members(split, 7) and len(rows) == 60
  assert rows[:20] == [[f"d{5 * i + j}" for j in range(5)] for i in range(20)]
  counts = collections.Counter(name for row in rows for name in row)
  assert set(counts.values()) == {3}
  assert rows[20:40] != rows[:20] and rows[20:40] != rows[40:]


def test_all_numbers_of_records_come_about_equally_often():
  split = JoinedSplit(digits(6000), Join(3, 8), "train")
  counts = collections.Counter(len(row) for row in members(split, 0))
  # 1,091 rows, 182 of each; five standard deviations.
  assert set(counts) == set(range(3, 9))
  assert all(120 < count < 245 for count in counts.values())


def test_traits_are_those_of_the_joined_records():
  split = JoinedSplit(digits(40), Join(2, 5, deals=2), "validation")
  found, expected = (
    split.traits,
    Traits.of([split[i] for i in range(len(split))]),
  )
  for name in ("strokes", "height", "width", "has_text"):
    np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
  assert list(split.texts()) == [split[i].text for i in range(len(split))]
  assert len(JoinedSplit([], Join(2, 5), "test").traits.height) == 0


def test_what_cannot_be_joined_is_refused():
  with pytest.raises(ValueError, match="least <= most"):
    Join(3, 2)
  odd = Record(id="odd", source="unit", image=np.zeros((9, 9, 3), np.uint8))
  with pytest.raises(ValueError, match=r"heights \[4, 9\]"):
    join_records([*digits(1), odd])
  with pytest.raises(ValueError, match="1 of 2 have pictures"):
    join_records([*digits(1), Record(id="blind", source="unit")])
  with pytest.raises(IndexError):
    JoinedSplit(digits(5), Join(5, 5), "test")[1]
