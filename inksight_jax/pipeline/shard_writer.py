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
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.atomic import (
  remove_partials,
  save_array,
  write_text,
)
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import (
  TRAIN,
  Example,
  Skip,
  build_example,
  example_rng,
)
from inksight_jax.pipeline.joined import record_at
from inksight_jax.pipeline.mixture import Component, Source
from inksight_jax.pipeline.records import open_source
from inksight_jax.pipeline.shards import (
  ARRAYS,
  read_description,
  read_report,
  shard_path,
  split_directory,
)
from inksight_jax.pipeline.task_set import TaskSet
from inksight_jax.pipeline.workers import cores, result_of, start_processes

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
    pools: neighbours' inks of each source and split.
  """

  directory: str
  spec: TaskSet
  seed: int
  repeats: int
  pools: dict[tuple[str, str], list[Ink]]

  def split_repeats(self, split: str) -> int:
    """Passes over the records of a split."""
    return self.repeats if split == TRAIN else 1


def records_per_shard(spec: TaskSet, repeats: int) -> int:
  """Records in a full shard; a function of the spec, so resuming agrees."""
  height, width = spec.image_shape
  examples = SHARD_BYTES // (3 * height * width)
  return max(1, min(MAX_SHARD_EXAMPLES, examples) // repeats)


def build_shard(
  job: CacheJob, component: Component, split: str, records: Sequence[Record]
) -> tuple[dict[str, NDArray], dict[str, Any]]:
  """Builds the arrays and the description of one shard.

  Returns:
    (arrays by the names in `ARRAYS`, JSON-able description).
  """
  examples: list[Example] = []
  ids: list[str] = []
  skips: dict[str, list[str]] = collections.defaultdict(list)
  task, source = component.task, component.source
  pool = job.pools[source.key, split]
  for repeat in range(job.split_repeats(split)):
    for index in range(len(records)):
      record = record_at(records, index, repeat)
      rng = example_rng(job.seed, split, task, record.id, repeat)
      example = build_example(
        record, task, job.spec, rng, split == TRAIN, pool, source
      )
      if isinstance(example, Skip):
        skips[example.reason].append(record.id)
      else:
        examples.append(example)
        ids.append(record.id)
  pieces = [part for e in examples for part in (e.inputs, e.targets)]
  arrays = {
    "image": np.stack([e.image for e in examples])
    if examples
    else np.zeros((0, *job.spec.image_shape, 3), np.uint8),
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
  job: CacheJob,
  component: Component,
  split: str,
  index: int,
  records: Sequence[Record],
) -> int:
  """Writes one shard; its .json comes last and says that it is whole.

  Returns:
    The number of examples.
  """
  arrays, description = build_shard(job, component, split, records)
  path = shard_path(
    split_directory(job.directory, component.name, split), index
  )
  for name in ARRAYS:
    save_array(f"{path}.{name}.npy", arrays[name])
  write_text(f"{path}.json", json.dumps(description, ensure_ascii=True) + "\n")
  return description["examples"]


# Set once per worker process: the neighbours' inks need not travel with every
# shard.
_worker_job: CacheJob | None = None


def _remember(job: CacheJob) -> None:
  """Remembers the job of a worker process."""
  global _worker_job
  _worker_job = job


def _write_in_worker(
  component: Component, split: str, index: int, records: Sequence[Record]
) -> int:
  """Calls `write_shard` with the worker's job."""
  assert _worker_job is not None
  return write_shard(_worker_job, component, split, index, records)


def _prepare(directory: str, spec: TaskSet, seed: int, repeats: int) -> None:
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
  os.makedirs(directory, exist_ok=True)
  remove_partials(directory)
  spec.save(directory)
  # Last, so that a folder with cache.json also has its spec and vocabulary.
  write_text(path, json.dumps(settings, sort_keys=True) + "\n")


def write_shards(
  directory: str,
  spec: TaskSet,
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
    progress: called with "<component>/<split>" and the examples of each shard.

  Returns:
    The reports by "<component>/<split>", a component being "<task>" or
    "<task>/<source>", see `TaskSet.components`.

  Raises:
    ValueError: `repeats` < 1, the folder holds another cache, or the source
      cannot be read.
  """
  if repeats < 1:
    raise ValueError(f"`repeats` must be at least 1; got {repeats}.")
  spec.check_one_shape("Array shards")
  _prepare(directory, spec, seed, repeats)
  pools = {
    (source.key, split): pool
    for source in spec.all_sources
    for split, pool in open_source(source).pools(splits, spec.pool_size).items()
  }
  job = CacheJob(directory, spec, seed, repeats, pools)
  names = [component.name for component in spec.components]
  for name, split in itertools.product(names, splits):
    os.makedirs(split_directory(directory, name, split), exist_ok=True)
  if workers is None:
    workers = cores()
  _run(job, splits, workers, progress or (lambda *_: None))
  return {
    f"{name}/{split}": read_report(directory, name, split)
    for name, split in itertools.product(names, splits)
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
    pool = start_processes(workers, _remember, job)
    write = _write_in_worker
  try:
    for source in job.spec.all_sources:
      _run_source(job, source, splits, pool, write, 2 * workers, progress)
  finally:
    pool.shutdown(cancel_futures=True)


def _run_source(
  job: CacheJob,
  source: Source,
  splits: Sequence[str],
  pool: concurrent.futures.Executor,
  write: Callable[..., int],
  ahead: int,
  progress: Callable[[str, int], None],
) -> None:
  """Writes the missing shards of one source, read once, and its reports.

  Args:
    ahead: blocks that may wait for a worker, because reading must not run
      ahead of rendering into memory.
  """
  pending: collections.deque = collections.deque()
  components = [c for c in job.spec.components if c.source == source]
  sizes = {
    split: records_per_shard(job.spec, job.split_repeats(split))
    for split in splits
  }
  unread = {split: SkipReport() for split in splits}
  blocks = dict.fromkeys(splits, 0)
  for split, block in open_source(source).all_blocks(sizes, unread):
    for component in _unwritten(job, components, split, blocks[split]):
      future = pool.submit(write, component, split, blocks[split], block)
      pending.append((f"{component.name}/{split}", future))
    blocks[split] += 1
    while len(pending) > ahead:
      name, future = pending.popleft()
      progress(name, result_of(future))
  for name, future in pending:
    progress(name, result_of(future))
  for component, split in itertools.product(components, splits):
    _write_report(job, component, split, blocks[split], unread[split])


def _unwritten(
  job: CacheJob, components: Sequence[Component], split: str, index: int
) -> list[Component]:
  """Components whose shard `index` is not there yet."""
  return [
    component
    for component in components
    if not os.path.exists(
      shard_path(split_directory(job.directory, component.name, split), index)
      + ".json"
    )
  ]


def _write_report(
  job: CacheJob,
  component: Component,
  split: str,
  blocks: int,
  unread: SkipReport,
) -> None:
  """Sums the descriptions of the shards of a split into its report."""
  directory = split_directory(job.directory, component.name, split)
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
