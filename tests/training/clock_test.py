import pytest

from inksight_jax.training import clock as clock_lib


def test_shares_sum_to_one_and_follow_the_time_spent(monkeypatch):
  now = [100.0]
  monkeypatch.setattr(clock_lib.time, "perf_counter", lambda: now[0])
  clock = clock_lib.Clock()
  for name, seconds in (("data", 1.0), ("save", 2.0), ("data", 3.0)):
    with clock.time(name):
      now[0] += seconds
  now[0] += 4.0  # Nobody claims it, so it is stepping.
  assert clock.seconds() == pytest.approx(10.0)
  assert clock.seconds(without=("save", "absent")) == pytest.approx(8.0)
  assert clock.shares() == pytest.approx(
    {"step": 0.4, "data": 0.4, "save": 0.2}
  )


def test_time_of_a_failing_block_counts(monkeypatch):
  now = [0.0]
  monkeypatch.setattr(clock_lib.time, "perf_counter", lambda: now[0])
  clock = clock_lib.Clock()
  with pytest.raises(KeyError), clock.time("hooks"):
    now[0] += 5.0
    raise KeyError
  assert clock.shares()["hooks"] == pytest.approx(1.0)
