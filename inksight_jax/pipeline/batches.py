"""Batches of model features from array shards, records or SeqIO.

All are deterministic, start at any batch, and hand each host its own rows of
one global order. Only `MixtureBatches` needs TensorFlow, when iterated.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.record import Record
from inksight_jax.pipeline.examples import (
  TRAIN,
  Example,
  Skip,
  build_example,
  example_rng,
  missing,
  neighbour_pool,
  split_records,
  stack,
  to_model_features,
)
from inksight_jax.pipeline.shards import ShardReader
from inksight_jax.pipeline.spec import InkSightTasks

Batch = dict[str, NDArray]
# Examples over which the mixture keeps its rates exactly.
PERIOD = 1000


class Schedule:
  """Which task, and which example of it, stands at a position of the order.

  Every `PERIOD` examples hold each task in proportion to its rate, in a random
  arrangement; each task goes through its own examples in a new permutation per
  epoch. Any position costs the same to reach.

  Args:
    sizes: examples per task.
    rates: share per task, any positive scale.
    seed: seed of the order.
    shuffle: False keeps the stored order within each task.

  Raises:
    ValueError: a task has no example, or a rate too small for the period.
  """

  def __init__(
    self,
    sizes: Mapping[str, int],
    rates: Mapping[str, float],
    seed: int,
    shuffle: bool = True,
  ) -> None:
    self.tasks = tuple(sizes)
    empty = [task for task in self.tasks if not sizes[task]]
    if empty:
      raise ValueError(
        f"No example of {', '.join(empty)}; see report.json for what was "
        "skipped, or set the rate to 0."
      )
    self._sizes = [sizes[task] for task in self.tasks]
    self._quotas = _quotas({task: rates[task] for task in self.tasks})
    self._seed = seed
    self._shuffle = shuffle
    self._orders: dict[int, tuple[int, NDArray]] = {}
    self._pattern: tuple[int, NDArray, NDArray] | None = None

  def __getitem__(self, position: int) -> tuple[str, int, int]:
    """(task, example, epoch of the task) at a position >= 0."""
    block, place = divmod(position, PERIOD)
    if self._pattern is None or self._pattern[0] != block:
      self._pattern = (block, *self._arrange(block))
    _, pattern, ranks = self._pattern
    task = int(pattern[place])
    count = block * self._quotas[task] + int(ranks[place])
    epoch, index = divmod(count, self._sizes[task])
    return self.tasks[task], int(self._order(task, epoch)[index]), epoch

  def _arrange(self, block: int) -> tuple[NDArray, NDArray]:
    """Task at each place of a block, and its rank among its own kind."""
    pattern = np.repeat(np.arange(len(self._quotas)), self._quotas)
    rng = np.random.default_rng((self._seed, 0, block))
    pattern = rng.permutation(pattern)
    ranks = np.zeros(PERIOD, np.int64)
    for task, quota in enumerate(self._quotas):
      ranks[pattern == task] = np.arange(quota)
    return pattern, ranks

  def _order(self, task: int, epoch: int) -> NDArray:
    """Permutation of a task's examples in an epoch; the last one is kept."""
    kept = self._orders.get(task)
    if kept is None or kept[0] != epoch:
      size = self._sizes[task]
      order = np.arange(size)
      if self._shuffle:
        rng = np.random.default_rng((self._seed, 1, task, epoch))
        order = rng.permutation(size)
      kept = self._orders[task] = (epoch, order)
    return kept[1]


def _quotas(rates: Mapping[str, float]) -> list[int]:
  """Shares `PERIOD` out by largest remainder."""
  total = sum(rates.values())
  shares = np.asarray([PERIOD * rate / total for rate in rates.values()])
  quotas = np.floor(shares).astype(int)
  rest = PERIOD - quotas.sum()
  quotas[np.argsort(quotas - shares, kind="stable")[:rest]] += 1
  if not quotas.all():
    raise ValueError(
      f"A rate is below 1/{PERIOD} of the mixture: {dict(rates)}; raise it or "
      "set it to 0."
    )
  return quotas.tolist()


def _rows(batch_size: int, host: int, num_hosts: int) -> range:
  """Rows of each global batch that belong to a host."""
  if batch_size < 1 or batch_size % num_hosts:
    raise ValueError(
      f"The batch size {batch_size} must be a positive multiple of the number "
      f"of hosts, {num_hosts}."
    )
  if not 0 <= host < num_hosts:
    raise ValueError(f"Host {host} is not one of {num_hosts}.")
  local = batch_size // num_hosts
  return range(host * local, (host + 1) * local)


class ShardBatches:
  """Endless batches from a cache written by `write_shards`.

  Args:
    directory: root of the cache.
    split: a split name.
    batch_size: rows over all hosts.
    seed: seed of the order.
    rates: share per task; None for those stored in the cache.
    tasks: when given, the cache must be of exactly these tasks.
    shuffle: False keeps the stored order within each task.
    host, num_hosts: which rows of each batch to read.

  Raises:
    ValueError: the cache is missing, unfinished, empty or of other tasks.
  """

  def __init__(
    self,
    directory: str,
    split: str = TRAIN,
    batch_size: int = 32,
    seed: int = 0,
    rates: Mapping[str, float] | None = None,
    tasks: InkSightTasks | None = None,
    shuffle: bool = True,
    host: int = 0,
    num_hosts: int = 1,
  ) -> None:
    self.spec = InkSightTasks.load(directory)
    if tasks is not None and tasks.name != self.spec.name:
      raise ValueError(
        f"{directory} holds {self.spec.name}, the configuration asks for "
        f"{tasks.name}: {_differences(self.spec, tasks)}. Write the cache anew "
        "or use its settings."
      )
    rates = {
      task: rate
      for task, rate in (rates or (tasks or self.spec).rates).items()
      if rate
    }
    self.readers = {task: ShardReader(directory, task, split) for task in rates}
    sizes = {task: len(reader) for task, reader in self.readers.items()}
    self.schedule = Schedule(sizes, rates, seed, shuffle)
    self.batch_size = batch_size
    self._rows = _rows(batch_size, host, num_hosts)

  def __len__(self) -> int:
    """Examples of all tasks together."""
    return sum(len(reader) for reader in self.readers.values())

  def example(self, position: int) -> tuple[str, Example]:
    """(task, example) at a position of the global order."""
    task, index, _ = self.schedule[position]
    return task, self.readers[task][index]

  def batches(self, start: int = 0) -> Iterator[Batch]:
    """Batches from batch number `start` on, without end."""
    return _batches(
      lambda position: self.example(position)[1],
      self.spec,
      self._rows,
      self.batch_size,
      start,
    )


class RecordBatches:
  """Endless batches built on the fly from the records of a split.

  Keeps the records in memory and renders in the calling process: for data
  sets that fit, for evaluation and for trying things out. Every epoch of the
  training split is augmented afresh.

  Args:
    tasks: the tasks.
    split: a split name.
    batch_size: rows over all hosts.
    seed: seed of order, placement and augmentation.
    shuffle: False keeps the reader's order within each task.
    host, num_hosts: which rows of each batch to build.
  """

  def __init__(
    self,
    tasks: InkSightTasks,
    split: str = TRAIN,
    batch_size: int = 32,
    seed: int = 0,
    shuffle: bool = True,
    host: int = 0,
    num_hosts: int = 1,
  ) -> None:
    self.spec = tasks
    self.split = split
    self.seed = seed
    self.batch_size = batch_size
    self._rows = _rows(batch_size, host, num_hosts)
    self._pool = neighbour_pool(tasks, split)
    records = list(split_records(tasks, split))
    self.records: dict[str, list[Record]] = {
      task: [r for r in records if missing(r, task) is None]
      for task in tasks.tasks
    }
    self.schedule = Schedule(
      {task: len(kept) for task, kept in self.records.items()},
      tasks.rates,
      seed,
      shuffle,
    )

  def example(self, position: int) -> tuple[str, Record, Example]:
    """(task, record, example) at a position of the global order.

    A record that gives no example (too long, say) is replaced by the next one
    of its task, so that the position of every other example stays.

    Raises:
      ValueError: no record of the task gives an example.
    """
    task, index, epoch = self.schedule[position]
    records = self.records[task]
    reason = ""
    for offset in range(len(records)):
      record = records[(index + offset) % len(records)]
      rng = example_rng(self.seed, self.split, task, record.id, epoch)
      example = build_example(
        record, task, self.spec, rng, self.split == TRAIN, self._pool
      )
      if not isinstance(example, Skip):
        return task, record, example
      reason = example.reason
    raise ValueError(
      f"None of {len(records)} records gives an example of {task!r}: {reason}."
    )

  def batches(self, start: int = 0) -> Iterator[Batch]:
    """Batches from batch number `start` on, without end."""
    return _batches(
      lambda position: self.example(position)[2],
      self.spec,
      self._rows,
      self.batch_size,
      start,
    )


def _batches(
  example: Callable[[int], Example],
  spec: InkSightTasks,
  rows: range,
  batch_size: int,
  start: int,
) -> Iterator[Batch]:
  """Stacks a host's rows of each global batch, without end."""
  for batch in itertools.count(start):
    first = batch * batch_size
    yield stack([to_model_features(example(first + row), spec) for row in rows])


def _differences(ours: InkSightTasks, theirs: InkSightTasks) -> str:
  """Names the fields in which two specs differ."""
  one, other = ours.to_dict(), theirs.to_dict()
  return ", ".join(
    f"{key} {one[key]!r} against {other[key]!r}"
    for key in one
    if key not in ("path", "rates") and one[key] != other[key]
  )


class MixtureBatches:
  """Endless batches from the SeqIO mixture; the one class with TensorFlow.

  The same examples as T5X would train on: random seeds come from SeqIO, and
  starting late means skipping, which costs time in proportion.

  Args:
    mixture: name in SeqIO's registry, see `tasks.inksight.register`.
    tasks: the tasks it was registered for.
    split: a split name.
    batch_size: rows over all hosts.
    seed: seed of order, placement and augmentation.
    host, num_hosts: which part of the records to read.
  """

  def __init__(
    self,
    mixture: str,
    tasks: InkSightTasks,
    split: str = TRAIN,
    batch_size: int = 32,
    seed: int = 0,
    host: int = 0,
    num_hosts: int = 1,
  ) -> None:
    self.mixture = mixture
    self.spec = tasks
    self.split = split
    self.seed = seed
    self.batch_size = batch_size
    self._host = host
    self._num_hosts = num_hosts
    self._local = len(_rows(batch_size, host, num_hosts))

  def batches(self, start: int = 0) -> Iterator[Batch]:
    """Batches from batch number `start` on, without end."""
    import seqio

    from inksight_jax.pipeline.feature_converters import (
      InkSightFeatureConverter,
    )

    ds = seqio.get_mixture_or_task(self.mixture).get_dataset(
      sequence_length=self.spec.lengths,
      split=self.split,
      shuffle=self.split == TRAIN,
      num_epochs=None,
      shard_info=seqio.ShardInfo(self._host, self._num_hosts),
      use_cached=False,
      seed=self.seed,
    )
    ds = InkSightFeatureConverter()(ds, self.spec.lengths)
    ds = ds.batch(self._local, drop_remainder=True).skip(start)
    yield from ds.as_numpy_iterator()
