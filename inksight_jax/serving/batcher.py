"""Requests of many threads, decoded together."""

from __future__ import annotations

import concurrent.futures
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
# An item, until when it is waited for (monotonic seconds), who waits.
Entry = tuple[Item, float, concurrent.futures.Future[Answer]]


class QueueFull(Exception):
  """More requests wait than there is room for."""


class Batcher(Generic[Item, Answer]):
  """One thread that answers whatever has come in, a batch at a time.

  While it works the next batch gathers, so batches grow with the load and a
  lone request hardly waits.
  """

  def __init__(
    self,
    answer: Callable[[Sequence[Item]], Sequence[Answer]],
    batch_size: int,
    queue_size: int,
    max_wait: float = 0.005,
  ) -> None:
    """Starts the thread.

    Args:
      answer: one answer for each item; called by one thread only.
      batch_size: largest number of items in a call.
      queue_size: items that may wait.
      max_wait: seconds that the first item of a batch waits for others.
    """
    self._answer = answer
    self._batch_size = batch_size
    self._max_wait = max_wait
    self._queue: queue.Queue[Entry[Item, Answer] | None] = queue.Queue(
      queue_size
    )
    self._thread = threading.Thread(target=self._run, name="batcher")
    self._thread.start()

  def submit(
    self, item: Item, timeout: float
  ) -> concurrent.futures.Future[Answer]:
    """Puts an item into the queue.

    Args:
      item: what is asked.
      timeout: seconds after which nobody waits for it any more; it is then
        left out.

    Raises:
      QueueFull: no room.
    """
    future: concurrent.futures.Future[Answer] = concurrent.futures.Future()
    try:
      self._queue.put_nowait((item, time.monotonic() + timeout, future))
    except queue.Full:
      raise QueueFull from None
    return future

  @property
  def alive(self) -> bool:
    """Whether items are still answered."""
    return self._thread.is_alive()

  def close(self) -> None:
    """Answers what is waiting, then ends the thread."""
    self._queue.put(None)
    self._thread.join()

  def _run(self) -> None:
    open_ = True
    while open_:
      batch, open_ = self._gather()
      now = time.monotonic()
      waiting = [entry for entry in batch if entry[1] > now]
      for _, until, future in batch:
        if until <= now:
          future.set_exception(TimeoutError())
      if waiting:
        self._answer_batch(waiting)

  def _gather(self) -> tuple[list[Entry[Item, Answer]], bool]:
    """The next batch, and whether more may follow."""
    batch: list[Entry[Item, Answer]] = []
    entry = self._queue.get()
    until = time.monotonic() + self._max_wait
    while entry is not None:
      batch.append(entry)
      if len(batch) == self._batch_size:
        return batch, True
      try:
        entry = self._queue.get(timeout=max(0.0, until - time.monotonic()))
      except queue.Empty:
        return batch, True
    return batch, False

  def _answer_batch(self, batch: list[Entry[Item, Answer]]) -> None:
    try:
      answers = self._answer([item for item, _, _ in batch])
    except Exception as error:
      # The thread must outlive a batch that failed; each waiter is told.
      for _, _, future in batch:
        future.set_exception(error)
      return
    for (_, _, future), answer in zip(batch, answers, strict=True):
      future.set_result(answer)
