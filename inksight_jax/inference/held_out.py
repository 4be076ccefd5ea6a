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
)
from inksight_jax.pipeline.families import load_tasks
from inksight_jax.pipeline.mixture import Source
from inksight_jax.pipeline.records import MixtureRecords
from inksight_jax.pipeline.shards import ShardReader
from inksight_jax.pipeline.task_set import TaskSet


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
    writer: who wrote it; empty where unknown, and of array shards.
  """

  id: str
  task: str
  example: Example
  text: str
  ink: Ink
  writer: str = ""


def held_out_samples(
  tasks: TaskSet,
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
        f"The split {split!r} of {_names(tasks)} holds no sample of {task!r}; "
        "choose another split or leave the task out with a rate of 0."
      )
  return samples


def to_sample(
  record_id: str,
  task: str,
  example: Example,
  tasks: TaskSet,
  writer: str = "",
) -> Sample:
  """Reads the truth back from an example's targets."""
  # One shape, one program; of pages padding changes nothing.
  image = tasks.on_largest(example.image)
  example = dataclasses.replace(example, image=image)
  truth = tasks.vocabulary.decode(example.targets)
  return Sample(record_id, task, example, truth.text, truth.ink, writer)


def _chosen(size: int, count: int, seed: int) -> NDArray[np.int64]:
  """Indices of a random subset, in random order."""
  return np.random.default_rng(seed).permutation(size)[:count]


def _from_shards(
  tasks: TaskSet,
  cache: str,
  task: str,
  split: str,
  count: int,
  seed: int,
) -> Iterable[Sample]:
  stored = load_tasks(cache)
  if stored.name != tasks.name:
    raise ValueError(
      f"{cache} holds {stored.name}, the model was trained for {tasks.name}; "
      "leave --cache out to build the samples from the records."
    )
  parts = [
    (component.source, ShardReader(cache, component.name, split))
    for component in tasks.components
    if component.task == task
  ]
  ends = np.cumsum([0, *(len(reader) for _, reader in parts)])
  for place in _chosen(int(ends[-1]), count, seed).tolist():
    number = int(np.searchsorted(ends, place, side="right")) - 1
    source, reader = parts[number]
    index = place - int(ends[number])
    name = _sample_id(tasks, source, reader.record_id(index))
    yield to_sample(name, task, reader[index], tasks)


def _from_records(
  tasks: TaskSet, split: str, count: int, seed: int
) -> dict[str, list[Sample]]:
  # Over all records: a reader goes writer by writer, and the first few writers
  # are no fair sample.
  mixture = MixtureRecords(tasks, split)
  pools = mixture.pools()
  sources = tasks.all_sources
  ends = np.cumsum([len(mixture.table(s).split(split)) for s in sources])
  order = _chosen(int(ends[-1]), int(ends[-1]), seed).tolist()
  samples: dict[str, list[Sample]] = {task: [] for task in tasks.tasks}
  usable = {
    (component.task, component.source.key): set(
      mixture.indices[component.name].tolist()
    )
    for component in tasks.components
  }
  for task, found in samples.items():
    for place in order:
      if len(found) == count:
        break
      number = int(np.searchsorted(ends, place, side="right"))
      source = sources[number]
      records = mixture.table(source).split(split)
      index = place - int(ends[number]) + len(records)
      if index not in usable.get((task, source.key), ()):
        continue
      record = records[index]
      rng = example_rng(seed, split, task, record.id, 0)
      example = build_example(
        record, task, tasks, rng, False, pools[source.key], source
      )
      if not isinstance(example, Skip):
        name = _sample_id(tasks, source, record.id)
        found.append(to_sample(name, task, example, tasks, record.writer))
  return samples


def _names(tasks: TaskSet) -> str:
  return ", ".join(repr(source.key) for source in tasks.all_sources)


def _sample_id(tasks: TaskSet, source: Source, record_id: str) -> str:
  """Unique also where several data sets use the same ids."""
  return f"{source.key}/{record_id}" if tasks.sources else record_id
