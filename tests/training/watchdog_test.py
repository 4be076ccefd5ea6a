import threading
import time

from inksight_jax.training import checkpoints, watchdog


def wait_for(condition, seconds=30.0):
  deadline = time.monotonic() + seconds
  while not condition() and time.monotonic() < deadline:
    time.sleep(0.01)
  assert condition()


def stand_still(gate):
  gate.wait(30)


def test_reports_what_hangs_since_when_and_where():
  reports, gate = [], threading.Event()
  dog = watchdog.Watchdog(0.05, reports.append)

  def work():
    with dog.watch("writing the diary"):
      stand_still(gate)

  thread = threading.Thread(target=work, name="diarist")
  thread.start()
  wait_for(lambda: reports)
  gate.set()
  thread.join()
  dog.close()
  assert "writing the diary has taken" in reports[0]
  assert "since " in reports[0]
  assert "diarist is at" in reports[0]
  assert "wait" in reports[0]


def test_reports_again_when_the_wait_has_doubled():
  reports = []
  dog = watchdog.Watchdog(0.05, reports.append)
  with dog.watch("sleeping"):
    wait_for(lambda: len(reports) >= 3)
  dog.close()
  seconds = [operation.count("sleeping") for operation in reports]
  assert seconds[:3] == [1, 1, 1]
  # 0.05, 0.1, 0.2 s and so on: never a flood.
  assert len(reports) < 12


def test_is_silent_about_what_ends_in_time_and_when_turned_off():
  reports = []
  dog = watchdog.Watchdog(0.2, reports.append)
  with dog.watch("quick"):
    pass
  done = threading.Event()
  dog.watch_background("soon over", done.is_set)
  done.set()
  time.sleep(0.4)
  dog.close()
  off = watchdog.Watchdog(0, reports.append)
  with off.watch("nobody looks"):
    time.sleep(0.1)
  off.close()
  assert reports == []


def test_a_background_operation_that_hangs_is_reported():
  reports, done = [], threading.Event()
  dog = watchdog.Watchdog(0.05, reports.append)
  dog.watch_background("copying", done.is_set)
  wait_for(lambda: reports)
  done.set()
  dog.close()
  assert "copying has taken" in reports[0]
  assert "no thread of this process" in reports[0]


def test_a_checkpoint_that_hangs_names_step_folder_and_stage(
  tmp_path, monkeypatch, caplog
):
  checkpointer = checkpoints.Checkpointer(str(tmp_path), save_timeout=0.05)
  gate = threading.Event()
  monkeypatch.setattr(
    checkpointer._manager, "wait_until_finished", lambda: stand_still(gate)
  )
  thread = threading.Thread(target=checkpointer.wait, name="trainer")
  thread.start()
  wait_for(lambda: caplog.records)
  gate.set()
  thread.join()
  monkeypatch.undo()
  checkpointer.close()
  text = caplog.records[0].getMessage()
  assert f"waiting for the saves to {tmp_path}" in text
  assert "trainer is at" in text and "checkpoints.py" in text
