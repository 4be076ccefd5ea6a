"""Records of a data set as a SeqIO data source."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import seqio
import tensorflow as tf

from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.mixture import Source
from inksight_jax.pipeline.records import (
  SourceRecords,
  SplitRecords,
  open_source,
)
from inksight_jax.pipeline.task_set import TaskSet

SPLITS = ("train", "validation", "test")


class RecordTable:
  """Records of a source by split, read once and shared by the tasks.

  Args:
    spec: the tasks.
    source: one of its data sets; the first one by default.
  """

  def __init__(self, spec: TaskSet, source: Source | None = None) -> None:
    self.spec = spec
    self.source = source or spec.all_sources[0]
    self._records: SourceRecords | None = None
    self._pools: dict[str, list[Ink]] = {}
    # tf.data calls from several threads.
    self._lock = threading.Lock()

  def split(self, split: str) -> tuple[SplitRecords, list[Ink]]:
    """(records, pool of neighbours' inks) of a split."""
    with self._lock:
      if self._records is None:
        self._records = open_source(self.source)
      records = self._records.split(split)
      if split not in self._pools:
        self._pools[split] = self._records.pool(split, self.spec.pool_size)
      return records, self._pools[split]


class RecordDataSource(seqio.DataSource):
  """Yields {"index", "split"}; the preprocessor looks the record up.

  Indices shuffle perfectly and shard to any number of hosts; inks as tensors
  would do neither cheaply.

  Args:
    table: the records.
  """

  def __init__(self, table: RecordTable) -> None:
    # No counts: SeqIO would cache small sources after the shuffle and so freeze
    # the order of all epochs.
    super().__init__(splits=SPLITS, caching_permitted=False)
    self.table = table

  def __repr__(self) -> str:
    return f"RecordDataSource({self.table.source.key!r})"

  @property
  def supports_arbitrary_sharding(self) -> bool:
    """True: any index can be taken alone."""
    return True

  @property
  def performs_internal_shuffling(self) -> bool:
    """True: tasks need no shuffle buffer."""
    return True

  def list_shards(self, split: str) -> Sequence[str]:
    """One shard: sharding is by index."""
    return [split]

  def get_dataset(
    self,
    split: str = "train",
    shuffle: bool = True,
    seed: int | None = None,
    shard_info: seqio.ShardInfo | None = None,
    *,
    sequence_length: Mapping[str, int] | None = None,
    use_cached: bool = False,
    num_epochs: int | None = 1,
  ) -> tf.data.Dataset:
    """Indices of a split; SeqIO itself repeats them.

    Args:
      split: a split name.
      shuffle: a new permutation of all records in each epoch.
      seed: seed of the permutations.
      shard_info: which of how many parts.
      sequence_length: not used.
      use_cached: not used.
      num_epochs: not used.
    """
    records, _ = self.table.split(split)
    ds = tf.data.Dataset.range(len(records))
    if shuffle:
      ds = ds.shuffle(max(1, len(records)), seed=seed)
    if shard_info and shard_info.num_shards > 1:
      ds = ds.shard(shard_info.num_shards, shard_info.index)
    return ds.map(lambda index: {"index": index, "split": tf.constant(split)})
