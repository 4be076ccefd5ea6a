"""Writes array shards, in worker processes; see `shards` for the layout.

A shard holds every repeat of one run of records, so one pass over the source
writes all of them.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import functools
import itertools
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import (
  TRAIN,
  Example,
  Skip,
  build_example,
  example_rng,
  neighbour_pool,
  split_records,
)
from inksight_jax.pipeline.shards import (
  ARRAYS,
  read_description,
  read_report,
  shard_path,
  split_directory,
)
from inksight_jax.pipeline.spec import InkSightTasks, write_text

# Large enough for sequential disk reads, small enough that many workers share
# even a small data set.
SHARD_BYTES = 64 << 20
MAX_SHARD_EXAMPLES = 1024
# Reports name a few culprits per reason, not all of them.
NAMED_SKIPS = 5


@dataclasses.dataclass(frozen=True)
class CacheJob:
  """What a worker must know to write any shard of one cache.

  Attributes:
    directory: root of the cache.
    spec: the tasks.
    seed: seed of all random placement and augmentation.
    repeats: passes over each record, each with its own augmentation; splits
      other than "train" get one.
    pools: neighbours' inks of each split.
  """

  directory: str
  spec: InkSightTasks
  seed: int
  repeats: int
  pools: dict[str, list[Ink]]

  def split_repeats(self, split: str) -> int:
    """Passes over the records of a split."""
    return self.repeats if split == TRAIN else 1


def records_per_shard(spec: InkSightTasks, repeats: int) -> int:
  """Records in a full shard; a function of the spec, so resuming agrees."""
  examples = SHARD_BYTES // (3 * spec.image_size**2)
  return max(1, min(MAX_SHARD_EXAMPLES, examples) // repeats)


def build_shard(
  job: CacheJob, task: str, split: str, records: Sequence[Record]
) -> tuple[dict[str, NDArray], dict[str, Any]]:
  """Builds the arrays and the description of one shard.

  Returns:
    (arrays by the names in `ARRAYS`, JSON-able description).
  """
  examples: list[Example] = []
  ids: list[str] = []
  skips: dict[str, list[str]] = collections.defaultdict(list)
  for repeat in range(job.split_repeats(split)):
    for record in records:
      rng = example_rng(job.seed, split, task, record.id, repeat)
      example = build_example(
        record, task, job.spec, rng, split == TRAIN, job.pools[split]
      )
      if isinstance(example, Skip):
        skips[example.reason].append(record.id)
      else:
        examples.append(example)
        ids.append(record.id)
  pieces = [part for e in examples for part in (e.inputs, e.targets)]
  size = job.spec.image_size
  arrays = {
    "image": np.stack([e.image for e in examples])
    if examples
    else np.zeros((0, size, size, 3), np.uint8),
    "tokens": np.concatenate([*pieces, np.zeros(0, np.int32)]).astype(np.int32),
    "offsets": np.cumsum([0, *map(len, pieces)], dtype=np.int64),
  }
  description = {
    "records": len(records),
    "examples": len(examples),
    "ids": ids,
    "skipped": {
      reason: {"count": len(where), "first": where[:NAMED_SKIPS]}
      for reason, where in sorted(skips.items())
    },
    "coarsened": sum(e.coarsened > 0 for e in examples),
    "input_tokens": sum(len(e.inputs) for e in examples),
    "target_tokens": sum(len(e.targets) for e in examples),
    "longest_target": max((len(e.targets) for e in examples), default=0),
  }
  return arrays, description


def write_shard(
  job: CacheJob, task: str, split: str, index: int, records: Sequence[Record]
) -> int:
  """Writes one shard; its .json comes last and says that it is whole.

  Returns:
    The number of examples.
  """
  arrays, description = build_shard(job, task, split, records)
  path = shard_path(split_directory(job.directory, task, split), index)
  for name in ARRAYS:
    partial = f"{path}.{name}.npy.partial"
    with open(partial, "wb") as file:
      np.save(file, arrays[name])
    os.replace(partial, f"{path}.{name}.npy")
  write_text(f"{path}.json", json.dumps(description, ensure_ascii=True) + "\n")
  return description["examples"]


# Set once per worker process: the neighbours' inks need not travel with every
# shard.
_worker_job: CacheJob | None = None


def _start_worker(job: CacheJob) -> None:
  """Remembers the job and keeps OpenCV to the worker's own core."""
  import cv2

  global _worker_job
  cv2.setNumThreads(1)
  _worker_job = job


def _write_in_worker(
  task: str, split: str, index: int, records: Sequence[Record]
) -> int:
  """Calls `write_shard` with the worker's job."""
  assert _worker_job is not None
  return write_shard(_worker_job, task, split, index, records)


def _prepare(
  directory: str, spec: InkSightTasks, seed: int, repeats: int
) -> None:
  """Makes the folder, or checks that it holds the same cache.

  Raises:
    ValueError: the folder holds another cache.
  """
  settings = {"seed": seed, "repeats": repeats, "name": spec.name}
  path = os.path.join(directory, "cache.json")
  if os.path.exists(path):
    with open(path, encoding="utf-8") as file:
      found = json.load(file)
    if found != settings:
      raise ValueError(
        f"{directory} holds a cache of {found}; asked for {settings}. Choose "
        "another folder or remove that one."
      )
  spec.save(directory)
  # Last, so that a folder with cache.json also has its spec and vocabulary.
  write_text(path, json.dumps(settings, sort_keys=True) + "\n")


def write_shards(
  directory: str,
  spec: InkSightTasks,
  splits: Sequence[str] = ("train", "validation", "test"),
  *,
  seed: int = 0,
  repeats: int = 1,
  workers: int | None = None,
  progress: Callable[[str, int], None] | None = None,
) -> dict[str, dict[str, Any]]:
  """Writes every task and split as array shards, in worker processes.

  Shards that are there already are kept, so an interrupted run goes on where
  it stopped and ends byte for byte as one run.

  Args:
    directory: root of the cache; made if needed.
    spec: the tasks.
    splits: names of splits.
    seed: seed of placement and augmentation.
    repeats: passes over the training split, each with fresh augmentation.
    workers: processes; None for one per core, 0 to work in this process.
    progress: called with "<task>/<split>" and the examples of each shard.

  Returns:
    The reports by "<task>/<split>".

  Raises:
    ValueError: `repeats` < 1, the folder holds another cache, or the source
      cannot be read.
  """
  if repeats < 1:
    raise ValueError(f"`repeats` must be at least 1; got {repeats}.")
  _prepare(directory, spec, seed, repeats)
  pools = {split: neighbour_pool(spec, split) for split in splits}
  job = CacheJob(directory, spec, seed, repeats, pools)
  for task, split in itertools.product(spec.tasks, splits):
    os.makedirs(split_directory(directory, task, split), exist_ok=True)
  if workers is None:
    workers = os.cpu_count() or 1
  _run(job, splits, workers, progress or (lambda *_: None))
  return {
    f"{task}/{split}": read_report(directory, task, split)
    for task, split in itertools.product(spec.tasks, splits)
  }


class _InProcess(concurrent.futures.Executor):
  """Executor without processes: works while `submit` is called."""

  def submit(
    self, fn: Callable[..., int], /, *args: Any, **kwargs: Any
  ) -> concurrent.futures.Future[int]:
    """Calls `fn` and returns its result as a finished future."""
    future: concurrent.futures.Future[int] = concurrent.futures.Future()
    future.set_result(fn(*args, **kwargs))
    return future


def _run(
  job: CacheJob,
  splits: Sequence[str],
  workers: int,
  progress: Callable[[str, int], None],
) -> None:
  """Shares the missing shards out among the workers, then writes reports."""
  write: Callable[..., int]
  if workers == 0:
    pool: concurrent.futures.Executor = _InProcess()
    write = functools.partial(write_shard, job)
  else:
    # Spawned, not forked: a forked child inherits locks of OpenCV's threads.
    pool = concurrent.futures.ProcessPoolExecutor(
      workers,
      mp_context=multiprocessing.get_context("spawn"),
      initializer=_start_worker,
      initargs=(job,),
    )
    write = _write_in_worker
  try:
    for split in splits:
      pending: collections.deque = collections.deque()
      blocks = 0
      unread = SkipReport()
      for index, block in _split_blocks(job, split, unread):
        blocks = index + 1
        for task in _unwritten(job, split, index):
          future = pool.submit(write, task, split, index, block)
          pending.append((f"{task}/{split}", future))
        # Bounded: reading may not run ahead of rendering into memory.
        while len(pending) > 2 * workers:
          name, future = pending.popleft()
          progress(name, future.result())
      for name, future in pending:
        progress(name, future.result())
      _write_reports(job, split, blocks, unread)
  finally:
    pool.shutdown(cancel_futures=True)


def _split_blocks(
  job: CacheJob, split: str, unread: SkipReport
) -> Iterator[tuple[int, list[Record]]]:
  """Numbered runs of records, one per shard."""
  size = records_per_shard(job.spec, job.split_repeats(split))
  records = iter(split_records(job.spec, split, unread))
  for index in itertools.count():
    block = list(itertools.islice(records, size))
    if not block:
      return
    yield index, block


def _unwritten(job: CacheJob, split: str, index: int) -> list[str]:
  """Tasks whose shard `index` is not there yet."""
  return [
    task
    for task in job.spec.tasks
    if not os.path.exists(
      shard_path(split_directory(job.directory, task, split), index) + ".json"
    )
  ]


def _write_reports(
  job: CacheJob, split: str, blocks: int, unread: SkipReport
) -> None:
  """Sums the descriptions of the shards of a split into its reports."""
  for task in job.spec.tasks:
    directory = split_directory(job.directory, task, split)
    shards = [read_description(directory, index) for index in range(blocks)]
    skipped: dict[str, dict[str, Any]] = {}
    for shard in shards:
      for reason, entry in shard["skipped"].items():
        total = skipped.setdefault(reason, {"count": 0, "first": []})
        total["count"] += entry["count"]
        total["first"] = (total["first"] + entry["first"])[:NAMED_SKIPS]
    totals = {
      key: sum(shard[key] for shard in shards)
      for key in (
        "records",
        "examples",
        "coarsened",
        "input_tokens",
        "target_tokens",
      )
    }
    report = {
      **totals,
      "repeats": job.split_repeats(split),
      "longest_target": max((s["longest_target"] for s in shards), default=0),
      "shards": [shard["examples"] for shard in shards],
      "skipped": dict(sorted(skipped.items())),
      "unread": {
        reason: {"count": count, "first": unread.examples[reason]}
        for reason, count in sorted(unread.counts.items())
      },
    }
    path = os.path.join(directory, "report.json")
    write_text(path, json.dumps(report, indent=2) + "\n")
