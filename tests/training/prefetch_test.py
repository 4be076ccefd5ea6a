import threading
import time

import jax
import numpy as np
import pytest

from inksight_jax.training import mesh, prefetch


def numbers(count, closed=None):
  try:
    for index in range(count):
      yield {"x": np.full((8, 2), index, np.int32)}
  finally:
    if closed is not None:
      closed.set()


def sharding():
  return mesh.batch_sharding(mesh.make_mesh(data=4, fsdp=2))


def test_pairs_come_in_order_and_on_their_devices():
  feed = prefetch.Prefetcher(numbers(5), sharding())
  pairs = list(feed)
  assert [int(host["x"][0, 0]) for host, _ in pairs] == list(range(5))
  for host, device in pairs:
    np.testing.assert_array_equal(host["x"], device["x"])
    assert len(device["x"].sharding.device_set) == 8
    assert device["x"].addressable_shards[0].data.shape == (1, 2)
  with pytest.raises(StopIteration):
    next(feed)
  feed.close()


def test_reads_ahead_but_not_far():
  made = []

  def counting():
    for batch in numbers(100):
      made.append(1)
      yield batch

  feed = prefetch.Prefetcher(counting(), sharding(), ahead=2)
  next(feed)
  deadline = time.monotonic() + 5
  while len(made) < 4 and time.monotonic() < deadline:
    time.sleep(0.01)
  time.sleep(0.05)
  # One taken, two waiting, one in hand.
  assert len(made) == 4
  feed.close()


def test_close_stops_the_thread_and_the_source():
  closed = threading.Event()
  feed = prefetch.Prefetcher(numbers(10**9, closed), sharding())
  next(feed)
  feed.close()
  assert closed.wait(5)
  assert not any(t.name == "prefetch" for t in threading.enumerate())


def test_errors_of_the_source_reach_the_loop():
  def broken():
    yield from numbers(1)
    raise OSError("shard 3 is truncated")

  feed = prefetch.Prefetcher(broken(), sharding())
  next(feed)
  for _ in range(2):
    with pytest.raises(OSError, match="shard 3 is truncated"):
      next(feed)
  feed.close()


def test_batches_of_changing_shape_are_named():
  def changing():
    yield {"x": np.zeros((8, 2))}
    yield {"x": np.zeros((8, 3))}

  feed = prefetch.Prefetcher(changing(), sharding())
  next(feed)
  with pytest.raises(ValueError, match=r"\(8, 3\).*\(8, 2\).*pad all"):
    next(feed)
  feed.close()


def test_rows_that_cannot_be_shared_are_refused():
  with pytest.raises(ValueError, match="12 examples cannot be shared by 8"):
    prefetch.place({"x": np.zeros((12, 1))}, sharding())
  assert isinstance(
    prefetch.place({"x": np.zeros((16, 1))}, sharding())["x"], jax.Array
  )
