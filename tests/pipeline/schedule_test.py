"""Tests of the mixture's order, by walking through it."""

import collections

import numpy as np
import pytest

from inksight_jax.pipeline.schedule import PERIOD, Schedule


def test_each_period_holds_the_rates_and_each_epoch_every_example():
  sizes = {"a": 700, "b": 130, "c": 3}
  schedule = Schedule(sizes, {"a": 5.0, "b": 4.0, "c": 1.0}, seed=1)
  seen = [schedule[i] for i in range(3 * PERIOD)]
  for start in range(0, len(seen), PERIOD):
    tasks = collections.Counter(t for t, _, _ in seen[start : start + PERIOD])
    assert tasks == {"a": 500, "b": 400, "c": 100}
  for task, size in sizes.items():
    indices = [i for t, i, _ in seen if t == task]
    orders = set()
    for epoch in range(len(indices) // size):
      order = indices[epoch * size : (epoch + 1) * size]
      assert sorted(order) == list(range(size))
      orders.add(tuple(order))
    assert len(orders) > 1
    epochs = [e for t, _, e in seen if t == task]
    assert epochs == [n // size for n in range(len(epochs))]


def test_any_position_is_reached_alone():
  def schedule() -> Schedule:
    return Schedule({"a": 17, "b": 5}, {"a": 2, "b": 1}, seed=3)

  walked = schedule()
  expected = [walked[i] for i in range(2500)]
  for position in (0, 1, 999, 1000, 2499):
    assert schedule()[position] == expected[position]
  # Going back and forth changes nothing.
  assert [walked[i] for i in (2400, 3, 1700, 4)] == [
    expected[i] for i in (2400, 3, 1700, 4)
  ]


def test_seeds_differ_and_repeat():
  def order(seed: int) -> list:
    schedule = Schedule({"a": 50, "b": 50}, {"a": 1, "b": 1}, seed)
    return [schedule[i] for i in range(100)]

  assert order(0) == order(0)
  assert order(0) != order(1)


def test_without_shuffling_examples_come_as_stored():
  schedule = Schedule({"a": 4, "b": 4}, {"a": 1, "b": 1}, 0, shuffle=False)
  indices = [i for t, i, _ in map(schedule.__getitem__, range(40)) if t == "a"]
  assert indices == [n % 4 for n in range(len(indices))]


@pytest.mark.parametrize("sizes", [(6, 3, 4, 1), (5, 1, 1, 2)])
def test_two_of_a_group_stand_side_by_side(sizes):
  groups = np.random.default_rng(0).permutation(np.repeat(range(4), sizes))
  many = len(groups)

  def order(epoch: int, seed: int = 0) -> list[int]:
    schedule = Schedule({"a": many}, {"a": 1}, seed, groups={"a": groups})
    return [schedule[epoch * many + i][1] for i in range(many)]

  for epoch in range(4):
    assert sorted(order(epoch)) == list(range(many))
    twos = groups[order(epoch)[: many - many % 2]].reshape(-1, 2)
    equal = int(np.sum(twos[:, 0] == twos[:, 1]))
    assert equal == sum(size // 2 for size in sizes)
  assert order(0) == order(0)
  assert order(0) != order(1) and order(0) != order(0, seed=1)


def test_odd_rates_fill_the_period():
  rates = {"a": 1.0, "b": 1.0, "c": 1.0}
  schedule = Schedule(dict.fromkeys(rates, 10), rates, 0)
  counts = collections.Counter(schedule[i][0] for i in range(PERIOD))
  assert sorted(counts.values()) == [333, 333, 334]


def test_a_rate_that_never_comes_is_refused():
  with pytest.raises(ValueError, match="1/100000"):
    Schedule({"a": 1, "b": 1}, {"a": 1e6, "b": 1.0}, 0)


def test_a_task_without_examples_is_refused():
  with pytest.raises(ValueError, match="No example of b"):
    Schedule({"a": 1, "b": 0}, {"a": 1, "b": 1}, 0)
