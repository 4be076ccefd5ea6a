import json

import pytest

from inksight_jax.training import clock as clock_lib
from inksight_jax.training import goodput


@pytest.fixture
def now(monkeypatch):
  moment = [0.0]
  monkeypatch.setattr(clock_lib.time, "perf_counter", lambda: moment[0])
  return moment


def test_one_start_reports_the_shares_of_its_clock(now, tmp_path):
  clock = clock_lib.Clock()
  meter = goodput.Goodput(clock, str(tmp_path), 0)
  with clock.time("compile"):
    now[0] += 2.0
  now[0] += 6.0
  assert meter.report(10) == pytest.approx(
    {
      "time/step": 0.75,
      "time/compile": 0.25,
      "time/seconds": 8.0,
      "time/starts": 1.0,
    }
  )


def test_a_later_start_adds_up_and_counts_repeated_steps_as_lost(now, tmp_path):
  def start(first, last, compiling, stepping):
    clock = clock_lib.Clock()
    meter = goodput.Goodput(clock, str(tmp_path), first)
    with clock.time("compile"):
      now[0] += compiling
    now[0] += stepping
    return meter.report(last)

  start(0, 100, 10.0, 50.0)
  # Killed at 100, resumed from 60: 40 of 100 steps have to be done again.
  got = start(60, 110, 10.0, 30.0)
  assert got["time/seconds"] == pytest.approx(100.0)
  assert got["time/compile"] == pytest.approx(0.2)
  assert got["time/lost"] == pytest.approx(0.2)
  assert got["time/step"] == pytest.approx(0.6)
  assert got["time/starts"] == 2
  shares = {"time/step", "time/compile", "time/lost"}
  assert sum(got[name] for name in shares) == pytest.approx(1.0)
  # From the very beginning again: what was before no longer counts.
  assert start(0, 10, 1.0, 1.0)["time/starts"] == 1


def test_two_restarts_from_the_same_checkpoint_lose_both_attempts():
  starts = [
    {"first": 0, "last": 40, "seconds": {"step": 40.0}},
    {"first": 20, "last": 30, "seconds": {"step": 10.0}},
    {"first": 20, "last": 50, "seconds": {"step": 30.0, "save": 1.0}},
  ]
  assert goodput.add_up(starts) == pytest.approx(
    {"step": 50.0, "lost": 30.0, "save": 1.0}
  )


def test_a_torn_file_is_no_reason_to_stop(now, tmp_path):
  (tmp_path / goodput.FILE).write_text('{"starts": [{"fir')
  clock = clock_lib.Clock()
  now[0] += 1.0
  meter = goodput.Goodput(clock, str(tmp_path), 5)
  assert meter.report(6)["time/starts"] == 1
  assert len(json.loads((tmp_path / goodput.FILE).read_text())["starts"]) == 1
