"""Worker processes that render, augment and tokenise.

Workers are spawned, not forked (a forked child inherits locks of OpenCV's
threads), end with the process that started them, even when that is killed, and
leave signals to it.
"""

from __future__ import annotations

import concurrent.futures
import concurrent.futures.process
import dataclasses
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
  example_rng,
  stack,
  to_model_features,
)
from inksight_jax.pipeline.joined import record_at
from inksight_jax.pipeline.mixture import Component
from inksight_jax.pipeline.records import SplitRecords
from inksight_jax.pipeline.task_set import TaskSet

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


# Set once per worker process: the neighbours' inks and the tasks need not
# travel with every job.
_builder: Builder | None = None


def _remember(builder: Builder) -> None:
  global _builder
  _builder = builder


def _build(jobs: Sequence[Job]) -> tuple[Batch | None, list[int]]:
  """Features of the jobs that give an example, and the rows that do not."""
  assert _builder is not None
  features: list[Batch | None] = []
  for job in jobs:
    _, example = _builder(job)
    skipped = isinstance(example, Skip)
    features.append(
      None if skipped else to_model_features(example, _builder.spec)
    )
  rows = [row for row, feature in enumerate(features) if feature is None]
  filler = next((f for f in features if f is not None), None)
  if filler is None:
    return None, rows
  return stack([filler if f is None else f for f in features]), rows


class Pieces:
  """A batch in the making: runs of rows, one per worker."""

  def __init__(
    self, spec: TaskSet, runs: list[tuple[int, Any]], rows: int
  ) -> None:
    self._spec = spec
    self._runs = runs
    self._rows = rows

  def result(self) -> tuple[Batch, list[int]]:
    """(features of all rows, rows without an example, to be filled)."""
    batch: Batch = {}
    skipped: list[int] = []
    for first, future in self._runs:
      features, rows = result_of(future)
      skipped += [first + row for row in rows]
      for key, values in (features or {}).items():
        if key not in batch:
          shape = (self._rows, *values.shape[1:])
          batch[key] = np.empty(shape, values.dtype)
        batch[key][first : first + len(values)] = values
    return batch or self._empty(), skipped

  def _empty(self) -> Batch:
    """Rows to be filled, where not one gave an example."""
    nothing = Example(
      np.zeros((*self._spec.image_shape, 3), np.uint8),
      np.zeros(0, np.int32),
      np.zeros(0, np.int32),
    )
    return stack([to_model_features(nothing, self._spec)] * self._rows)

  def cancel(self) -> None:
    """Gives up what has not begun."""
    for _, future in self._runs:
      future.cancel()


class WorkerPool:
  """Processes that build the rows of batches.

  Args:
    workers: number of processes.
    builder: what builds an example.
  """

  def __init__(self, workers: int, builder: Builder) -> None:
    self._workers = workers
    self._spec = builder.spec
    self._pool = start_processes(workers, _remember, builder)

  def submit(self, jobs: Sequence[Job]) -> Pieces:
    """Shares the rows of a batch out among the workers."""
    size = max(_MIN_ROWS, -(-len(jobs) // self._workers))
    runs = []
    for first in range(0, len(jobs), size):
      packed = [job.packed() for job in jobs[first : first + size]]
      runs.append((first, self._pool.submit(_build, packed)))
    return Pieces(self._spec, runs, len(jobs))

  def close(self) -> None:
    """Ends the processes."""
    self._pool.shutdown(cancel_futures=True)
