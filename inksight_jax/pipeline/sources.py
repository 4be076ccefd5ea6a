"""Records of a data set as a SeqIO data source."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import seqio
import tensorflow as tf

from inksight_jax.datasets.record import Record
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import neighbour_pool, split_records
from inksight_jax.pipeline.spec import InkSightTasks

SPLITS = ("train", "validation", "test")


class RecordTable:
  """Records of every split, read once and shared by the tasks.

  Args:
    spec: names the data set.
  """

  def __init__(self, spec: InkSightTasks) -> None:
    self.spec = spec
    self._splits: dict[str, tuple[list[Record], list[Ink]]] = {}
    # tf.data calls from several threads.
    self._lock = threading.Lock()

  def split(self, split: str) -> tuple[list[Record], list[Ink]]:
    """(records, pool of neighbours' inks) of a split."""
    with self._lock:
      if split not in self._splits:
        self._splits[split] = (
          list(split_records(self.spec, split)),
          neighbour_pool(self.spec, split),
        )
      return self._splits[split]


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
    return f"RecordDataSource({self.table.spec.source!r})"

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
