"""Batches of one shape each, out of an order of many shapes."""

import itertools

import numpy as np
import pytest

from inksight_jax.pipeline.batches import RecordBatches
from inksight_jax.pipeline.buckets import batches_by_shape
from inksight_jax.pipeline.joined import Join
from inksight_jax.pipeline.picture_coding import PictureTasks
from inksight_jax.pipeline.shard_writer import write_shards

SHAPES = [(8, 8), (8, 16), (16, 8)]


@pytest.fixture(scope="module")
def shape_of():
  """Shapes of 500 positions, one of them rare; then again."""
  chances = [0.6, 0.37, 0.03]
  drawn = np.random.default_rng(0).choice(3, 500, p=chances).tolist()
  return lambda position: SHAPES[drawn[position % 500]]


def take(source, count: int, start: int = 0) -> list:
  return list(itertools.islice(source, start, start + count))


def test_every_example_comes_once_and_with_its_like(shape_of):
  batches = take(batches_by_shape(shape_of, 4), 400)
  seen = [p for _, positions in batches for p in positions]
  assert len(seen) == len(set(seen)) == 1600
  for shape, positions in batches:
    assert {shape_of(p) for p in positions} == {shape}
    assert list(positions) == sorted(positions)
  # A batch comes as soon as its last example does ...
  lasts = [positions[-1] for _, positions in batches]
  assert lasts == sorted(lasts)
  # ... and nothing but less than a batch of each shape waits.
  waiting = set(range(lasts[-1] + 1)) - set(seen)
  for shape in SHAPES:
    assert sum(shape_of(p) == shape for p in waiting) < 4


def test_a_pass_ends_with_what_is_left(shape_of):
  found = []
  for shape, positions in batches_by_shape(shape_of, 4, length=500):
    found.append((shape, list(positions)))
    if sum(len(p) for _, p in found) == 1000:
      break
  first = [p for _, positions in found for p in positions][:500]
  assert sorted(first) == list(range(500))
  short = [len(p) for _, p in found if len(p) < 4]
  counts = [sum(shape_of(p) == s for p in range(500)) % 4 for s in SHAPES]
  assert short == [c for c in counts if c] * 2


@pytest.fixture(scope="module")
def tasks():
  pytest.importorskip("sklearn")
  return PictureTasks(
    source="sklearn_digits",
    source_options={"size": 8, "margin": 0},
    budget=12,
    patch=4,
    padding="black",
    join=Join(1, 3),
    vertical=0.5,
  )


def test_batches_of_records_have_one_shape_and_start_anywhere(tasks):
  source = RecordBatches(tasks, batch_size=4, seed=3)
  walked = take(source.batches(), 40)
  shapes = {batch["encoder_input_image"].shape for batch in walked}
  assert 1 < len(shapes) <= source.most_shapes
  late = take(RecordBatches(tasks, batch_size=4, seed=3).batches(37), 3)
  for one, other in zip(walked[37:], late, strict=True):
    for name in one:
      np.testing.assert_array_equal(one[name], other[name])


def test_hosts_share_each_batch_out(tasks):
  whole = take(RecordBatches(tasks, batch_size=4).batches(), 6)
  parts = [
    take(RecordBatches(tasks, batch_size=4, host=h, num_hosts=2).batches(), 6)
    for h in range(2)
  ]
  for number, batch in enumerate(whole):
    for name, values in batch.items():
      pieces = [part[number][name] for part in parts]
      np.testing.assert_array_equal(values, np.concatenate(pieces))


def test_a_pass_over_held_out_records_is_complete(tasks):
  source = RecordBatches(tasks, "validation", batch_size=8, shuffle=False)
  count = sum(source.records.sizes.values())
  seen = empty = 0
  for batch in source.batches():
    there = batch["encoder_input_tokens"].all(axis=1)
    weights = batch["decoder_loss_weights"].any(axis=1)
    np.testing.assert_array_equal(there, weights)
    assert not batch["encoder_input_image"][~there].any()
    seen += int(there.sum())
    empty += int((~there).sum())
    if seen >= count:
      break
  assert seen == count
  assert empty > 0


def test_workers_make_the_same_batches(tasks):
  alone = RecordBatches(tasks, "validation", batch_size=8, shuffle=False)
  shared = RecordBatches(
    tasks, "validation", batch_size=8, shuffle=False, workers=1
  )
  try:
    pairs = zip(alone.batches(), shared.batches(), strict=False)
    for one, other in itertools.islice(pairs, 12):
      for name in one:
        np.testing.assert_array_equal(one[name], other[name])
  finally:
    shared.close()


def test_shards_and_seqio_take_one_shape_only(tasks, tmp_path):
  with pytest.raises(ValueError, match="these tasks have 6"):
    write_shards(str(tmp_path), tasks, workers=0)
  assert not any(tmp_path.iterdir())
