"""Tests of the SeqIO data source, by collecting indices."""

import itertools

import pytest

seqio = pytest.importorskip("seqio")

from inksight_jax.pipeline.sources import (  # noqa: E402
  RecordDataSource,
  RecordTable,
)


def indices(source, **settings) -> list[int]:
  ds = source.get_dataset("train", **settings)
  return [int(e["index"]) for e in ds.as_numpy_iterator()]


def test_each_record_comes_once_in_an_order_of_the_seed(make_spec, records):
  source = RecordDataSource(RecordTable(make_spec()))
  plain = indices(source, shuffle=False)
  assert plain == list(range(len(records["train"])))
  first, again, other = (
    indices(source, shuffle=True, seed=seed) for seed in (1, 1, 2)
  )
  assert first == again != other
  assert sorted(first) == sorted(other) == plain != first


def test_each_epoch_has_its_own_order(make_spec, records):
  source = RecordDataSource(RecordTable(make_spec()))
  ds = source.get_dataset("train", shuffle=True, seed=1).repeat(2)
  seen = [int(e["index"]) for e in ds.as_numpy_iterator()]
  half = len(seen) // 2
  assert sorted(seen[:half]) == sorted(seen[half:])
  assert seen[:half] != seen[half:]


def test_hosts_read_disjoint_parts_of_one_order(make_spec, records):
  source = RecordDataSource(RecordTable(make_spec()))
  parts = [
    indices(source, seed=1, shard_info=seqio.ShardInfo(i, 4)) for i in range(4)
  ]
  every = sorted(itertools.chain.from_iterable(parts))
  assert every == list(range(len(records["train"])))
