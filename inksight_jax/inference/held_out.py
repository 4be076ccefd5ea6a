"""Held-out samples with their truth, from array shards or from records."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import (
  Example,
  Skip,
  build_example,
  example_rng,
  missing,
  neighbour_pool,
  split_records,
)
from inksight_jax.pipeline.shards import ShardReader
from inksight_jax.pipeline.spec import InkSightTasks


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
  """One held-out example.

  The truth is read back from the target tokens: exactly what the model was
  asked for, at most half a canvas cell beside the pen's path after
  simplification.

  Attributes:
    id: of the record.
    task: task name.
    example: image and ids.
    text: true text; empty for tasks that write none.
    ink: true ink on the canvas; empty for tasks that write none.
  """

  id: str
  task: str
  example: Example
  text: str
  ink: Ink


def held_out_samples(
  tasks: InkSightTasks,
  split: str,
  count: int,
  seed: int = 0,
  cache: str | None = None,
) -> dict[str, list[Sample]]:
  """Draws samples of every task.

  Args:
    tasks: the tasks.
    split: "test", "validation" or "train".
    count: samples per task; fewer where the split holds fewer.
    seed: which samples, and their augmentation if there is any.
    cache: folder written by `inksight-jax data cache`; None builds the
      examples from the records.

  Returns:
    Samples by task, in the order of the task table.

  Raises:
    ValueError: `count` is not positive, or a task has no sample in the split.
  """
  if count < 1:
    raise ValueError(f"At least 1 sample is needed; got {count}.")
  if cache is None:
    samples = _from_records(tasks, split, count, seed)
  else:
    samples = {
      task: list(_from_shards(tasks, cache, task, split, count, seed))
      for task in tasks.tasks
    }
  for task, found in samples.items():
    if not found:
      raise ValueError(
        f"The split {split!r} of {tasks.source!r} holds no sample of {task!r}; "
        "choose another split or leave the task out with a rate of 0."
      )
  return samples


def to_sample(
  record_id: str, task: str, example: Example, tasks: InkSightTasks
) -> Sample:
  """Reads the truth back from an example's targets."""
  truth = tasks.vocabulary.decode(example.targets)
  return Sample(record_id, task, example, truth.text, truth.ink)


def _chosen(size: int, count: int, seed: int) -> NDArray[np.int64]:
  """Indices of a random subset, in random order."""
  return np.random.default_rng(seed).permutation(size)[:count]


def _from_shards(
  tasks: InkSightTasks,
  cache: str,
  task: str,
  split: str,
  count: int,
  seed: int,
) -> Iterable[Sample]:
  stored = InkSightTasks.load(cache)
  if stored.name != tasks.name:
    raise ValueError(
      f"{cache} holds {stored.name}, the model was trained for {tasks.name}; "
      "leave --cache out to build the samples from the records."
    )
  reader = ShardReader(cache, task, split)
  for index in _chosen(len(reader), count, seed).tolist():
    yield to_sample(reader.record_id(index), task, reader[index], tasks)


def _from_records(
  tasks: InkSightTasks, split: str, count: int, seed: int
) -> dict[str, list[Sample]]:
  # All records are read first: a reader goes writer by writer, and the first
  # few writers are no fair sample.
  records = list(split_records(tasks, split))
  pool = neighbour_pool(tasks, split)
  order = _chosen(len(records), len(records), seed).tolist()
  samples: dict[str, list[Sample]] = {task: [] for task in tasks.tasks}
  for task, found in samples.items():
    for index in order:
      if len(found) == count:
        break
      record = records[index]
      if missing(record, task) is not None:
        continue
      rng = example_rng(seed, split, task, record.id, 0)
      example = build_example(record, task, tasks, rng, False, pool)
      if not isinstance(example, Skip):
        found.append(to_sample(record.id, task, example, tasks))
  return samples
