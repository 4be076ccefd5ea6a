"""SeqIO must build the very examples that the shards hold."""

import numpy as np
import pytest

seqio = pytest.importorskip("seqio")

from inksight_jax.pipeline import preprocessors  # noqa: E402
from inksight_jax.pipeline.examples import (  # noqa: E402
  build_example,
  example_rng,
)
from inksight_jax.pipeline.records import open_source  # noqa: E402
from inksight_jax.pipeline.shard_writer import write_shards  # noqa: E402
from inksight_jax.pipeline.shards import ShardReader  # noqa: E402
from inksight_jax.pipeline.sources import (  # noqa: E402
  RecordDataSource,
  RecordTable,
)
from inksight_jax.rendering.augment import AugmentConfig  # noqa: E402


def built(spec, task, split, seqio_seed=None, epochs=1, lengths=None):
  table = RecordTable(spec)
  ds = RecordDataSource(table).get_dataset(split, shuffle=False).repeat(epochs)
  with seqio.utils.map_seed_manager(seqio_seed):
    ds = preprocessors.examples(ds, lengths, table=table, task=task)
  return list(ds.as_numpy_iterator())


@pytest.mark.parametrize("task", ["derender", "recognize_and_derender"])
def test_held_out_examples_equal_those_of_the_shards(
  make_spec, records, tmp_path, task
):
  spec = make_spec(
    rates={task: 1}, evaluation_augment=AugmentConfig.light(), target_length=40
  )
  write_shards(tmp_path, spec, ("test",), seed=0, workers=0)
  reader = ShardReader(tmp_path, task, "test")
  examples = built(spec, task, "test", lengths=spec.lengths)
  assert len(examples) == len(reader) > 0
  for index, example in enumerate(examples):
    assert example["id"].decode() == reader.record_id(index)
    for name in ("image", "inputs", "targets"):
      np.testing.assert_array_equal(example[name], getattr(reader[index], name))


def test_training_examples_follow_the_seed_that_seqio_draws(make_spec, records):
  spec = make_spec(augment=AugmentConfig.full())
  pool = open_source(spec.all_sources[0]).pool("train", spec.neighbours)
  by_id = {r.id: r for r in records["train"]}
  examples = built(spec, "derender", "train", seqio_seed=3, epochs=2)
  for example in examples:
    record = by_id[example["id"].decode()]
    rng = example_rng(0, "train", "derender", record.id, example["repeat"])
    truth = build_example(record, "derender", spec, rng, True, pool)
    np.testing.assert_array_equal(example["image"], truth.image)
    np.testing.assert_array_equal(example["targets"], truth.targets)
  # Every epoch is augmented afresh, the same way for the same seed.
  assert len({e["image"].tobytes() for e in examples}) == len(examples)
  again = built(spec, "derender", "train", seqio_seed=3, epochs=2)
  assert [e["repeat"] for e in again] == [e["repeat"] for e in examples]
  other = built(spec, "derender", "train", seqio_seed=4, epochs=2)
  assert [e["repeat"] for e in other] != [e["repeat"] for e in examples]


def test_lengths_that_would_cut_are_refused(make_spec, records):
  spec = make_spec()
  lengths = spec.lengths | {"targets": spec.target_length - 1}
  with pytest.raises(ValueError, match="would cut"):
    built(spec, "derender", "test", lengths=lengths)
