"""Tests of the batches that trainers read."""

import itertools

import numpy as np
import pytest

from inksight_jax.pipeline import packing
from inksight_jax.pipeline.batches import RecordBatches, ShardBatches
from inksight_jax.pipeline.examples import to_model_features
from inksight_jax.pipeline.shard_writer import write_shards
from inksight_jax.pipeline.shards import ShardReader
from inksight_jax.rendering.augment import AugmentConfig


@pytest.fixture
def cache(make_spec, records, tmp_path):
  """(spec, folder) of a small cache."""
  spec = make_spec(augment=AugmentConfig.light())
  write_shards(tmp_path, spec, ("train", "test"), repeats=2, workers=0)
  return spec, tmp_path


def take(source, count: int, start: int = 0) -> list[dict]:
  return list(itertools.islice(source.batches(start), count))


def assert_same(first: list[dict], second: list[dict]) -> None:
  assert len(first) == len(second)
  for one, other in zip(first, second, strict=True):
    assert one.keys() == other.keys()
    for key in one:
      np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def sources(cache) -> list:
  spec, folder = cache
  return [
    ShardBatches(folder, batch_size=6, seed=7, tasks=spec),
    RecordBatches(spec, batch_size=6, seed=7),
  ]


@pytest.mark.parametrize("kind", [0, 1])
def test_starting_late_gives_the_same_batches(cache, kind):
  source = sources(cache)[kind]
  walked = take(source, 12)
  assert_same(walked[9:], take(source, 3, start=9))
  assert_same(walked[9:], take(sources(cache)[kind], 3, start=9))


@pytest.mark.parametrize("hosts", [2, 3])
def test_hosts_share_each_batch_out(cache, hosts):
  _spec, folder = cache
  whole = take(ShardBatches(folder, batch_size=6, seed=7), 4)
  for batch in range(4):
    parts = [
      take(
        ShardBatches(folder, batch_size=6, seed=7, host=host, num_hosts=hosts),
        1,
        start=batch,
      )[0]
      for host in range(hosts)
    ]
    joined = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    assert_same([whole[batch]], [joined])


def test_an_epoch_holds_every_stored_example_once(cache):
  _spec, folder = cache
  source = ShardBatches(folder, batch_size=5, rates={"derender": 1.0})
  reader = ShardReader(folder, "derender", "train")
  assert len(source) == len(reader)
  seen = [source.example(i)[1].image.tobytes() for i in range(len(reader))]
  stored = [reader[i].image.tobytes() for i in range(len(reader))]
  assert sorted(seen) == sorted(stored)
  assert seen != stored


def test_rows_are_the_padded_examples(cache):
  spec, folder = cache
  source = ShardBatches(folder, batch_size=4)
  batch = take(source, 1, start=2)[0]
  for row in range(4):
    features = to_model_features(source.example(8 + row)[1], spec)
    for key, value in features.items():
      np.testing.assert_array_equal(batch[key][row], value)


def test_records_give_the_examples_of_the_first_repeats(cache):
  spec, folder = cache
  source = RecordBatches(spec, batch_size=1, seed=0)
  reader = ShardReader(folder, "derender", "train")
  stored = {reader[i].image.tobytes() for i in range(len(reader))}
  # Two epochs of the source are the two repeats of the cache.
  sizes = source.records.sizes
  seen = set()
  for position in itertools.count():
    task, _, epoch = source.schedule[position]
    if task == "derender" and epoch == 2:
      break
    if task == "derender":
      seen.add(source.example(position)[2].image.tobytes())
  assert seen == stored
  assert sizes["derender"] == 21 and sizes["recognize_ink"] == 17


def test_evaluation_records_do_not_change_between_epochs(cache):
  spec, _ = cache
  source = RecordBatches(spec, "test", batch_size=1)
  images: dict[tuple[str, str], set[bytes]] = {}
  for position in range(80):
    task, record, example = source.example(position)
    images.setdefault((task, record.id), set()).add(example.image.tobytes())
  assert {len(found) for found in images.values()} == {1}


def test_a_record_that_gives_no_example_is_replaced(make_spec, records):
  # Only the shortest texts fit, whatever record the order asks for.
  spec = make_spec(target_length=6, rates={"recognize_ink": 1.0})
  source = RecordBatches(spec, batch_size=4)
  ids = {source.example(i)[1].id for i in range(40)}
  assert ids and all(int(i.split("-")[1]) < 10 for i in ids)
  hopeless = RecordBatches(
    make_spec(target_length=2, rates={"recognize_ink": 1.0}), batch_size=4
  )
  with pytest.raises(ValueError, match="text too long"):
    next(hopeless.batches())


def test_a_cache_of_other_tasks_is_refused(cache, make_spec):
  spec, folder = cache
  with pytest.raises(ValueError, match=r"margin 2\.0 against 5\.0"):
    ShardBatches(
      folder, tasks=make_spec(augment=spec.augment, margin=5.0), batch_size=2
    )
  # Rates and place may differ.
  other = make_spec(augment=spec.augment, path="x", rates={"derender": 1})
  assert {
    ShardBatches(folder, tasks=other).example(i)[0] for i in range(20)
  } == {"derender"}


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"batch_size": 5, "num_hosts": 2}, "multiple"),
    ({"batch_size": 0}, "positive"),
    ({"batch_size": 4, "host": 2, "num_hosts": 2}, "Host 2"),
    ({"split": "validation"}, "data cache"),
    ({"rates": {"recognize_image": 1.0}}, "data cache"),
  ],
)
def test_wrong_settings_are_refused(cache, settings, message):
  with pytest.raises(ValueError, match=message):
    ShardBatches(cache[1], **settings)


def _examples_of(batches) -> list[tuple]:
  """(image, prompt, targets) of everything in packed batches."""
  found = []
  for batch in batches:
    for row in range(len(batch["decoder_segment_ids"])):
      segments = batch["decoder_segment_ids"][row]
      for slot in range(segments.max()):
        prompt = batch["encoder_input_tokens"][row, slot]
        found.append(
          (
            batch["encoder_input_image"][row, slot].tobytes(),
            prompt[prompt > 0].tobytes(),
            batch["decoder_target_tokens"][row][segments == slot + 1].tobytes(),
          )
        )
  return found


def test_packed_batches_hold_the_same_examples(cache, monkeypatch):
  monkeypatch.setattr(packing, "WINDOW", 40)
  spec, folder = cache
  source = ShardBatches(folder, batch_size=4, seed=7, tasks=spec, slots=3)
  found = _examples_of(take(source, 8))
  # Whole windows of the unpacked order, one after the other.
  alone = [source.example(position)[1] for position in range(80)]
  expected = [
    (e.image.tobytes(), e.inputs.tobytes(), e.targets.tobytes()) for e in alone
  ]
  assert len(found) >= 80
  assert sorted(found[:40]) == sorted(expected[:40])
  assert sorted(found[40:80]) == sorted(expected[40:])


def test_packed_batches_start_late_and_are_shared_out(cache, monkeypatch):
  monkeypatch.setattr(packing, "WINDOW", 40)
  spec, folder = cache
  settings = {"batch_size": 4, "seed": 7, "tasks": spec, "slots": 3}
  walked = take(ShardBatches(folder, **settings), 12)
  assert_same(walked[9:], take(ShardBatches(folder, **settings), 3, start=9))
  parts = [
    take(ShardBatches(folder, **settings, host=host, num_hosts=2), 12)
    for host in range(2)
  ]
  for whole, first, second in zip(walked, *parts, strict=True):
    for key, rows in whole.items():
      np.testing.assert_array_equal(
        rows, np.concatenate([first[key], second[key]])
      )
