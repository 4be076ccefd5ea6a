"""Worker processes that render, augment and tokenise.

Workers are spawned, not forked (a forked child inherits locks of OpenCV's
threads), end with the process that started them, even when that is killed, and
leave signals to it.
"""

from __future__ import annotations

import concurrent.futures
import concurrent.futures.process
import dataclasses
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from inksight_jax.datasets.record import Record
from inksight_jax.datasets.store import StoreSplit
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import (
  TRAIN,
  Batch,
  Example,
  Skip,
  build_example,
  empty_batch,
  example_rng,
  feature_shapes,
  write_row,
)
from inksight_jax.pipeline.joined import record_at
from inksight_jax.pipeline.mixture import Component
from inksight_jax.pipeline.records import SplitRecords
from inksight_jax.pipeline.task_set import Shape, TaskSet

# Rows of a batch that are worth a trip to a worker.
_MIN_ROWS = 4


def cores() -> int:
  """Cores that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


@dataclasses.dataclass(frozen=True)
class Job:
  """One example to build.

  Attributes:
    component: task and source.
    records: of the source's split.
    index: of the record.
    epoch: pass over the component; each is augmented afresh.
  """

  component: Component
  records: SplitRecords | Record
  index: int
  epoch: int

  def record(self) -> Record:
    """Reads the record."""
    if isinstance(self.records, Record):
      return self.records
    return record_at(self.records, self.index, self.epoch)

  def packed(self) -> Job:
    """The job as it travels: a store as its path, else the one record."""
    if isinstance(self.records, StoreSplit):
      return self
    return dataclasses.replace(self, records=self.record())


@dataclasses.dataclass(frozen=True)
class Builder:
  """Builds the example of a job, the same in whichever process.

  Attributes:
    spec: the tasks.
    split: a split name.
    seed: seed of placement and augmentation.
    pools: neighbours' inks by key of the source.
  """

  spec: TaskSet
  split: str
  seed: int
  pools: dict[str, list[Ink]]

  def __call__(self, job: Job) -> tuple[Record, Example | Skip]:
    """(record, example or why there is none)."""
    record = job.record()
    task, source = job.component.task, job.component.source
    rng = example_rng(self.seed, self.split, task, record.id, job.epoch)
    training = self.split == TRAIN
    pool = self.pools[source.key]
    return record, build_example(
      record, task, self.spec, rng, training, pool, source
    )


def start_processes(
  workers: int, initializer: Callable[..., None], *arguments: Any
) -> concurrent.futures.ProcessPoolExecutor:
  """Starts a pool whose processes keep to one core each.

  Args:
    workers: number of processes.
    initializer: called in each process with `arguments`.
    *arguments: picklable.
  """
  return concurrent.futures.ProcessPoolExecutor(
    workers,
    mp_context=multiprocessing.get_context("spawn"),
    initializer=_start,
    initargs=(initializer, *arguments),
  )


def _start(initializer: Callable[..., None], *arguments: Any) -> None:
  """Readies a worker process."""
  import cv2

  cv2.setNumThreads(1)
  # Ctrl-C and a scheduler's SIGTERM reach the whole process group; the process
  # that started the workers decides what they mean.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  signal.signal(signal.SIGTERM, signal.SIG_IGN)
  threading.Thread(target=_end_with_parent, daemon=True).start()
  initializer(*arguments)


def _end_with_parent() -> None:
  parent = multiprocessing.parent_process()
  if parent is not None:
    parent.join()
    os._exit(1)


def result_of(future: concurrent.futures.Future[Any]) -> Any:
  """The result of a worker.

  Raises:
    ChildProcessError: the worker died.
    Exception: whatever the worker raised.
  """
  try:
    return future.result()
  except concurrent.futures.process.BrokenProcessPool:
    raise ChildProcessError(
      "A worker process died; most often the machine ran out of memory. Run "
      "it again with fewer workers."
    ) from None


class Slots:
  """Memory shared with the workers, with room for a few batches.

  It has no name in the file system that a killed run could leave behind. A
  batch through pipes would be copied five times, by the process that trains.

  Args:
    spec: the tasks.
    rows: of a batch.
    count: number of batches.
  """

  def __init__(self, spec: TaskSet, rows: int, count: int) -> None:
    self._places: list[dict[str, int]] = []
    self._spec = spec
    self._rows = rows
    # A slot holds a batch of any shape.
    largest = max(spec.image_shapes, key=math.prod)
    end = 0
    for _ in range(count):
      place = {}
      for name, (shape, dtype) in self._features(largest).items():
        place[name] = end
        size = math.prod(shape) * np.dtype(dtype).itemsize
        # Aligned, as NumPy's own arrays are.
        end += -(-size // 64) * 64
      self._places.append(place)
    self._memory = multiprocessing.get_context("spawn").RawArray("B", end)
    self._free = list(range(count))

  def __getstate__(self) -> dict[str, Any]:
    return {**self.__dict__, "_free": []}

  def take(self) -> int | None:
    """A slot that nobody uses, if there is one."""
    return self._free.pop() if self._free else None

  def give_back(self, slot: int) -> None:
    """Ends the use of a slot."""
    self._free.append(slot)

  def _features(self, image_shape: Shape) -> dict[str, Any]:
    """Shape and type of the features of a batch."""
    return {
      name: ((self._rows, *shape), dtype)
      for name, (shape, dtype) in feature_shapes(
        self._spec, image_shape
      ).items()
    }

  def batch(self, slot: int, image_shape: Shape) -> Batch:
    """The features of all rows in a slot; not a copy."""
    return {
      name: np.frombuffer(
        self._memory, dtype, math.prod(shape), self._places[slot][name]
      ).reshape(shape)
      for name, (shape, dtype) in self._features(image_shape).items()
    }


# Set once per worker process: the neighbours' inks, the tasks and the shared
# memory need not travel with every job.
_builder: Builder | None = None
_slots: Slots | None = None


def _remember(builder: Builder, slots: Slots) -> None:
  global _builder, _slots
  _builder, _slots = builder, slots


def _build(
  jobs: Sequence[Job], slot: int | None, first: int, image_shape: Shape
) -> tuple[Batch | None, list[int]]:
  """Builds the rows of a run of jobs.

  Args:
    jobs: one per row.
    slot: where to write; None to return the features instead.
    first: row of the batch that the run begins with.
    image_shape: of the batch.

  Returns:
    The features, unless written to a slot, and the rows of the batch that are
    not written, since their job gives no example.
  """
  assert _builder is not None and _slots is not None
  spec = _builder.spec
  if slot is None:
    batch, start = empty_batch(spec, len(jobs), image_shape), 0
  else:
    batch, start = _slots.batch(slot, image_shape), first
  skipped = []
  for row, job in enumerate(jobs):
    _, example = _builder(job)
    if isinstance(example, Skip):
      skipped.append(first + row)
    else:
      write_row(batch, start + row, example, spec)
  return (batch if slot is None else None), skipped


class Pieces:
  """A batch in the making: runs of rows, one per worker.

  Args:
    slots: the shared memory.
    slot: where the batch is written; None where the workers send it.
    image_shape: of the batch.
    runs: results of `_build`, in the order of the rows.
  """

  def __init__(
    self,
    slots: Slots,
    slot: int | None,
    image_shape: Shape,
    runs: list[concurrent.futures.Future[Any]],
  ) -> None:
    self._slots = slots
    self._slot = slot
    self._image_shape = image_shape
    self._runs = runs

  def result(self) -> tuple[Batch, list[int]]:
    """(features of all rows, rows without an example, to be written)."""
    try:
      pieces, skips = zip(*map(result_of, self._runs), strict=True)
    except BaseException:
      self.cancel()
      raise
    if self._slot is None:
      batch = {
        name: np.concatenate([piece[name] for piece in pieces])
        for name in pieces[0]
      }
    else:
      shared = self._slots.batch(self._slot, self._image_shape)
      batch = {name: values.copy() for name, values in shared.items()}
    self._end()
    return batch, [row for rows in skips for row in rows]

  def cancel(self) -> None:
    """Gives up what has not begun, and waits for what has."""
    running = [future for future in self._runs if not future.cancel()]
    # Nobody may write to the slot when the next batch gets it.
    concurrent.futures.wait(running)
    self._end()

  def _end(self) -> None:
    if self._slot is not None:
      self._slots.give_back(self._slot)
      self._slot = None


class WorkerPool:
  """Processes that build the rows of batches.

  Args:
    workers: number of processes.
    builder: what builds an example.
    rows: of a batch.
    slots: batches in the making at a time; more go through pipes.
  """

  def __init__(
    self, workers: int, builder: Builder, rows: int, slots: int
  ) -> None:
    self._workers = workers
    self._slots = Slots(builder.spec, rows, slots)
    self._pool = start_processes(workers, _remember, builder, self._slots)

  def submit(self, jobs: Sequence[Job], image_shape: Shape) -> Pieces:
    """Shares the rows of a batch, of one shape, out among the workers."""
    size = max(_MIN_ROWS, -(-len(jobs) // self._workers))
    slot = self._slots.take()
    runs = []
    for first in range(0, len(jobs), size):
      packed = [job.packed() for job in jobs[first : first + size]]
      runs.append(self._pool.submit(_build, packed, slot, first, image_shape))
    return Pieces(self._slots, slot, image_shape, runs)

  def close(self) -> None:
    """Ends the processes."""
    self._pool.shutdown(cancel_futures=True)
