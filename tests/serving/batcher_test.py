"""Items of many threads are answered together, each once."""

import threading
import time

import pytest

from inksight_jax.serving.batcher import Batcher, QueueFull


def test_batches_grow_while_the_model_works():
  sizes = []
  begin = threading.Event()

  def answer(items):
    begin.wait(10)
    sizes.append(len(items))
    return [item * item for item in items]

  batcher = Batcher(answer, batch_size=8, queue_size=100, max_wait=0.0)
  futures = [batcher.submit(i, 30) for i in range(40)]
  begin.set()
  batcher.close()
  assert [f.result(0) for f in futures] == [i * i for i in range(40)]
  # What came before the first call began, then full batches.
  assert sum(sizes) == 40
  assert max(sizes) == 8
  assert len(sizes) <= 6


def test_a_failed_batch_harms_no_other():
  def answer(items):
    if "bad" in items:
      raise RuntimeError("no")
    return items

  batcher = Batcher(answer, batch_size=1, queue_size=4)
  futures = [batcher.submit(item, 30) for item in ("a", "bad", "b")]
  assert futures[0].result(10) == "a"
  with pytest.raises(RuntimeError, match="no"):
    futures[1].result(10)
  assert futures[2].result(10) == "b"
  assert batcher.alive
  batcher.close()
  assert not batcher.alive


def test_what_nobody_waits_for_is_left_out_and_a_full_queue_refuses():
  begin = threading.Event()
  seen = []

  def answer(items):
    seen.extend(items)
    begin.wait(10)
    return items

  batcher = Batcher(answer, batch_size=1, queue_size=2, max_wait=0.0)
  first = batcher.submit("first", 30)
  while not seen:
    time.sleep(0.001)
  late = batcher.submit("late", 0.0)
  batcher.submit("kept", 30)
  with pytest.raises(QueueFull):
    batcher.submit("too many", 30)
  begin.set()
  batcher.close()
  assert first.result(0) == "first"
  with pytest.raises(TimeoutError):
    late.result(0)
  assert seen == ["first", "kept"]
