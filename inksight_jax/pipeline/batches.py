"""Batches of model features from array shards, records or SeqIO.

All are deterministic, start at any batch, and hand each host its own rows of
one global order. Only `MixtureBatches` needs TensorFlow, when iterated.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inksight_jax.datasets.record import Record
from inksight_jax.pipeline import buckets, packing
from inksight_jax.pipeline.examples import (
  TRAIN,
  Batch,
  Example,
  Skip,
  clear_row,
  empty_batch,
  stack,
  to_batch,
  write_row,
)
from inksight_jax.pipeline.families import differences, load_tasks
from inksight_jax.pipeline.mixture import component_rates
from inksight_jax.pipeline.records import MixtureRecords
from inksight_jax.pipeline.schedule import Schedule, rows_of_host
from inksight_jax.pipeline.shards import ShardReader
from inksight_jax.pipeline.task_set import Shape, TaskSet
from inksight_jax.pipeline.vocabulary_report import (
  report_table,
  vocabulary_report,
)
from inksight_jax.pipeline.workers import (
  Builder,
  Job,
  Pieces,
  WorkerPool,
  cores,
)

# Batches that workers have begun before the one that is handed out.
AHEAD = 2
# Targets of each component that are measured before training: a second or two.
SUMMARY_SAMPLES = 200


class ShardBatches:
  """Endless batches from a cache written by `write_shards`.

  Args:
    directory: root of the cache.
    split: a split name.
    batch_size: rows over all hosts.
    seed: seed of the order.
    rates: share per task; None for those stored in the cache.
    tasks: when given, the cache must be of exactly these tasks and sources;
      their rates and caps hold.
    shuffle: False keeps the stored order within each component.
    host, num_hosts: which rows of each batch to read.
    slots: most examples in a packed row; 0 for one example in each row.
      Starting late then takes about 10 s per million examples, to find out how
      they were packed.

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
    tasks: TaskSet | None = None,
    shuffle: bool = True,
    host: int = 0,
    num_hosts: int = 1,
    slots: int = 0,
  ) -> None:
    stored = load_tasks(directory)
    if tasks is not None and tasks.name != stored.name:
      raise ValueError(
        f"{directory} holds {stored.name}, the configuration asks for "
        f"{tasks.name}: {differences(stored, tasks)}. Write the cache anew "
        "or use its settings."
      )
    self.spec = tasks or stored
    if rates is not None:
      self.spec = dataclasses.replace(self.spec, rates=rates)
    readers = {
      component.name: ShardReader(directory, component.name, split)
      for component in self.spec.components
    }
    sizes = {name: len(reader) for name, reader in readers.items()}
    self.rates = component_rates(self.spec.components, self.spec.rates, sizes)
    self.readers = {name: readers[name] for name in self.rates}
    self.schedule = Schedule(
      {name: sizes[name] for name in self.rates}, self.rates, seed, shuffle
    )
    self.seed = seed
    self.batch_size = batch_size
    self.slots = slots
    self._rows = rows_of_host(batch_size, host, num_hosts)

  def __len__(self) -> int:
    """Examples of all components together."""
    return sum(len(reader) for reader in self.readers.values())

  def example(self, position: int) -> tuple[str, Example]:
    """(component, example) at a position of the global order."""
    name, index, _ = self.schedule[position]
    return name, self.readers[name][index]

  def batches(self, start: int = 0) -> Iterator[Batch]:
    """Batches from batch number `start` on, without end."""
    if self.slots:
      yield from self._packed_batches(start)
    for batch in itertools.count(start):
      first = batch * self.batch_size
      yield to_batch(
        [self.example(first + row)[1] for row in self._rows], self.spec
      )

  def _packed_batches(self, start: int) -> Iterator[Batch]:
    lengths = self.spec.lengths
    rows = packing.windows(
      itertools.count(),
      self._target_length,
      lengths["targets"],
      self.slots,
      self.seed,
    )
    rows = itertools.islice(rows, start * self.batch_size, None)
    while True:
      batch = list(itertools.islice(rows, self.batch_size))
      yield stack(
        [
          packing.to_packed_features(
            [self.example(position)[1] for position in batch[row]],
            lengths,
            self.slots,
          )
          for row in self._rows
        ]
      )

  def _target_length(self, position: int) -> int:
    name, index, _ = self.schedule[position]
    return self.readers[name].target_length(index)

  def summary(self) -> str:
    """Examples and shares of the components, one line each."""
    total = sum(self.rates.values())
    width = max(map(len, self.readers), default=0)
    return "\n".join(
      f"{name:<{width}}{len(reader):>12,}"
      f"{self.rates.get(name, 0.0) / total:>8.1%}"
      for name, reader in self.readers.items()
    )


class RecordBatches:
  """Endless batches built on the fly from the records of a split.

  For data sets that are prepared or fit into memory, for evaluation and for
  trying things out. Every epoch of the training split is augmented afresh. The
  batches are the same whatever the number of workers. Pictures of several
  shapes come in batches of one shape each, see `buckets`.

  Args:
    tasks: the tasks and their sources.
    split: a split name.
    batch_size: rows over all hosts.
    seed: seed of order, placement and augmentation.
    shuffle: False keeps the reader's order within each component; where there
      are several shapes, each pass over the examples then ends with batches
      whose last rows are empty: zeros, loss weights too.
    pairs: whether two records of one writer stand side by side where `shuffle`
      holds, as far as there are pairs.
    host, num_hosts: which rows of each batch to build.
    workers: processes that build examples; 0 for the calling one, None for one
      per core.

  Raises:
    ValueError: a source cannot be read, or a task has no record in any.
  """

  def __init__(
    self,
    tasks: TaskSet,
    split: str = TRAIN,
    batch_size: int = 32,
    seed: int = 0,
    shuffle: bool = True,
    host: int = 0,
    num_hosts: int = 1,
    workers: int | None = 0,
    pairs: bool = False,
  ) -> None:
    self.spec = tasks
    self.batch_size = batch_size
    self._rows = rows_of_host(batch_size, host, num_hosts)
    self.records = MixtureRecords(tasks, split)
    sizes = self.records.sizes
    self.rates = component_rates(tasks.components, tasks.rates, sizes)
    sizes = {name: sizes[name] for name in self.rates}
    groups = self.records.writers(self.rates) if pairs and shuffle else None
    self.schedule = Schedule(sizes, self.rates, seed, shuffle, groups)
    self._shuffle = shuffle
    self._shapes = buckets.Shapes(tasks)
    self._builder = Builder(tasks, split, seed, self.records.pools())
    self._workers = cores() if workers is None else workers
    self._pool: WorkerPool | None = None

  def _job(self, position: int, offset: int = 0) -> Job:
    """What to build for a position; `offset` counts the replacements."""
    name, place, epoch = self.schedule[position]
    indices = self.records.indices[name]
    index = int(indices[(place + offset) % len(indices)])
    component = self.records.components[name]
    return Job(component, self.records.of(component), index, epoch)

  @property
  def most_shapes(self) -> int:
    """Shapes that batches may have; each is a program to compile."""
    return len(self.spec.image_shapes)

  def example(
    self, position: int, shape: Shape | None = None
  ) -> tuple[str, Record, Example]:
    """(component, record, example) at a position of the global order.

    A record that gives no example (too long, say) is replaced by the next one
    of its component, so that the position of every other example stays.

    Args:
      position: from 0.
      shape: the next one with such a picture; None for any.

    Raises:
      ValueError: no record of the component gives an example.
    """
    reason = ""
    name = self.schedule[position][0]
    for offset in range(count := len(self.records.indices[name])):
      job = self._job(position, offset)
      if shape is not None and self._shapes(job) != shape:
        continue
      record, example = self._builder(job)
      if not isinstance(example, Skip):
        return name, record, example
      reason = example.reason
    raise ValueError(
      f"None of {count} records gives an example of {name!r}: {reason}."
    )

  def batches(self, start: int = 0) -> Iterator[Batch]:
    """Batches from batch number `start` on, without end."""
    if self._workers:
      yield from self._batches_of_workers(start)
    for shape, positions in self._order(start):
      yield self._build(shape, positions)

  def _order(self, start: int) -> Iterator[tuple[Shape, Sequence[int]]]:
    """Shape and positions of each global batch, see `buckets`."""
    return buckets.order(
      self.spec.image_shapes,
      lambda position: self._shapes(self._job(position)),
      self.batch_size,
      start,
      None if self._shuffle else sum(self.records.sizes.values()),
    )

  def _build(self, shape: Shape, positions: Sequence[int]) -> Batch:
    """This host's rows of a batch; those past its positions are empty."""
    batch = empty_batch(self.spec, len(self._rows), shape)
    for row, place in enumerate(self._rows):
      if place < len(positions):
        example = self.example(positions[place], shape)[2]
        write_row(batch, row, example, self.spec)
      else:
        clear_row(batch, row)
    return batch

  def _batches_of_workers(self, start: int) -> Iterator[Batch]:
    """The same batches, a few ahead, each shared out among the workers."""
    if self._pool is None:
      self._pool = WorkerPool(
        self._workers, self._builder, len(self._rows), AHEAD + 1
      )
    waiting: collections.deque[Any] = collections.deque()
    try:
      for shape, positions in self._order(start):
        pieces = None
        # The few that are not full are built here.
        if len(positions) == self.batch_size:
          jobs = [self._job(positions[row]) for row in self._rows]
          pieces = self._pool.submit(jobs, shape)
        waiting.append((shape, positions, pieces))
        if len(waiting) > AHEAD:
          yield self._joined(*waiting.popleft())
    finally:
      for _, _, pieces in waiting:
        if pieces is not None:
          pieces.cancel()

  def _joined(
    self, shape: Shape, positions: Sequence[int], pieces: Pieces | None
  ) -> Batch:
    """Puts the workers' rows together and replaces what gave no example."""
    if pieces is None:
      return self._build(shape, positions)
    batch, skipped = pieces.result()
    for row in skipped:
      example = self.example(positions[self._rows[row]], shape)[2]
      write_row(batch, row, example, self.spec)
    return batch

  def close(self) -> None:
    """Ends the workers; the next batches start new ones."""
    if self._pool is not None:
      self._pool.close()
      self._pool = None

  def summary(self) -> str:
    """What to know before training: components, characters, target lengths.

    Of every text, and of SUMMARY_SAMPLES targets per component; `inksight-jax
    data vocabulary` looks at more.
    """
    records = self.records
    return report_table(
      vocabulary_report(records.tasks, records.split, SUMMARY_SAMPLES)
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
    tasks: TaskSet,
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
    self._local = len(rows_of_host(batch_size, host, num_hosts))

  def batches(self, start: int = 0) -> Iterator[Batch]:
    """Batches from batch number `start` on, without end."""
    import seqio

    from inksight_jax.pipeline import feature_converters as converters

    ds = seqio.get_mixture_or_task(self.mixture).get_dataset(
      sequence_length=self.spec.lengths,
      split=self.split,
      shuffle=self.split == TRAIN,
      num_epochs=None,
      shard_info=seqio.ShardInfo(self._host, self._num_hosts),
      use_cached=False,
      seed=self.seed,
    )
    converter = (
      converters.InkSightFeatureConverter()
      if self.spec.prompt_length
      else converters.ReadingFeatureConverter()
    )
    ds = converter(ds, self.spec.lengths)
    ds = ds.batch(self._local, drop_remainder=True).skip(start)
    yield from ds.as_numpy_iterator()
