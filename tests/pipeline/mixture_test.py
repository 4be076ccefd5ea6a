"""Mixtures of several data sets: shares, filters, order, workers."""

import collections
import dataclasses
import itertools
import os
import pathlib
import re

import numpy as np
import pytest

from inksight_jax.datasets import prepare as prepare_module
from inksight_jax.datasets.prepare import prepare
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.store import Traits
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline import records as pipeline_records
from inksight_jax.pipeline import shard_writer
from inksight_jax.pipeline.batches import RecordBatches, ShardBatches
from inksight_jax.pipeline.filters import lack, usable
from inksight_jax.pipeline.mixture import Component, Source, component_rates
from inksight_jax.pipeline.records import MixtureRecords, open_source
from inksight_jax.pipeline.shard_writer import write_shards
from inksight_jax.pipeline.spec import TASK_PROMPTS, InkSightTasks, task_info
from inksight_jax.rendering.augment import AugmentConfig

GENERATED = {"count": 9, "held_out_count": 4, "max_length": 3}
RATES = {"derender": 2.0, "recognize_ink": 1.0, "recognize_image": 1.0}


@pytest.fixture
def mixed(make_spec, records) -> InkSightTasks:
  """Three sources: one with all, one twice the size with ink, one capped."""
  return make_spec(
    source="",
    path="",
    sources=(
      Source("unit", __file__, rate=2.0),
      Source("generated_words", options=GENERATED),
      Source(
        "generated_words", options=GENERATED | {"seed": 1}, key="more", cap=3,
        rate={"derender": 1.0},
      ),
    ),
    target_length=160,
    rates=RATES,
    augment=AugmentConfig.light(),
  )  # fmt: skip


def examples_of(source, count: int) -> list[tuple]:
  """(component, bytes of the picture and targets) along the order."""
  found = []
  for position in range(count):
    name, *_, example = source.example(position)
    found.append((name, example.image.tobytes(), example.targets.tobytes()))
  return found


def test_shares_follow_rates_sizes_and_caps():
  big, small = Source("big", rate=0.5, cap=30), Source("small")
  only = Source("only", rate={"a": 3.0})
  components = [
    Component(task, source, f"{task}/{source.key}")
    for task in ("a", "b")
    for source in (big, small, only)
  ]
  sizes = {"a/big": 100, "a/small": 5, "a/only": 10}
  sizes |= {"b/big": 100, "b/small": 0, "b/only": 10}
  shares = component_rates(components, {"a": 4.0, "b": 1.0}, sizes)
  # By hand: 0.5 * 30, 1 * 5, 3 * 10 of 50; b only has big.
  assert shares == pytest.approx(
    {"a/big": 4 * 0.3, "a/small": 4 * 0.1, "a/only": 4 * 0.6, "b/big": 1.0}
  )
  with pytest.raises(ValueError, match="No example of b"):
    component_rates(components, {"a": 1, "b": 1}, sizes | {"b/big": 0})


def test_a_task_takes_from_a_source_what_it_has(mixed):
  batches = RecordBatches(mixed, batch_size=4)
  # By hand: of 23 records, 10 and 21 lack ink, 4, 9, 14, 19 lack text.
  assert batches.records.sizes == {
    "derender/unit": 21,
    "derender/generated_words": 9,
    "derender/more": 9,
    "recognize_ink/unit": 17,
    "recognize_ink/generated_words": 9,
    "recognize_image/unit": 19,
  }
  assert batches.records.skipped["recognize_ink/unit"] == {
    "no ink": 2, "no text": 4,
  }  # fmt: skip
  assert batches.rates["derender/more"] == 2.0 * 3 / (42 + 9 + 3)
  seen = collections.Counter(batches.schedule[i][0] for i in range(1000))
  assert seen["recognize_image/unit"] == 250
  assert seen["derender/unit"] == round(500 * 42 / 54)
  # What is printed before training: each component, and the characters.
  summary = batches.summary()
  for name in seen:
    assert re.search(rf"^{name} +{batches.records.sizes[name]} ", summary, re.M)
  assert "outside the vocabulary: " in summary


def test_one_seed_gives_one_order_and_another_another(mixed):
  first, again = (RecordBatches(mixed, seed=3) for _ in range(2))
  other = RecordBatches(mixed, seed=4)
  assert examples_of(first, 30) == examples_of(again, 30)
  assert examples_of(first, 30) != examples_of(other, 30)


def test_one_and_four_data_shards_see_the_same_examples_in_one_order(mixed):
  """The rows of 4 hosts, put together, are the batches of 1 host."""
  whole = RecordBatches(mixed, batch_size=8, seed=5)
  hosts = [
    RecordBatches(mixed, batch_size=8, seed=5, host=h, num_hosts=4)
    for h in range(4)
  ]
  streams = [host.batches() for host in hosts]
  for batch in itertools.islice(whole.batches(), 6):
    parts = [next(stream) for stream in streams]
    for key, values in batch.items():
      joined = np.concatenate([part[key] for part in parts])
      np.testing.assert_array_equal(joined, values)


def test_resuming_within_an_epoch_repeats_and_loses_nothing(mixed):
  """Each epoch of a component holds every record once, across the break."""
  source = RecordBatches(mixed, batch_size=5, seed=2)
  walked = [b["decoder_target_tokens"] for b in take(source, 20)]
  resumed = RecordBatches(mixed, batch_size=5, seed=2)
  again = [b["decoder_target_tokens"] for b in take(resumed, 12, start=8)]
  np.testing.assert_array_equal(walked[8:], again)
  seen = collections.defaultdict(list)
  for part, begin, end in ((source, 0, 40), (resumed, 40, 100)):
    for position in range(begin, end):
      name, index, epoch = part.schedule[position]
      seen[name, epoch].append(index)
  full = 0
  for (name, _), indices in seen.items():
    assert len(set(indices)) == len(indices)
    full += len(indices) == source.records.sizes[name]
  assert full >= 3


def take(source, count: int, start: int = 0) -> list[dict]:
  stream = source.batches(start)
  found = list(itertools.islice(stream, count))
  stream.close()
  return found


def test_workers_change_nothing(mixed, tmp_path, monkeypatch):
  """From memory and from a store, with a row that has to be replaced."""
  monkeypatch.setattr(prepare_module, "PART_RECORDS", 4)
  store = os.fspath(tmp_path / "store")
  prepare("generated_words", "", store, GENERATED)
  sources = (
    Source("generated_words", store, options=GENERATED, key="stored"),
    Source("generated_words", options=GENERATED | {"seed": 1}, key="made"),
  )
  tasks = dataclasses.replace(
    mixed,
    sources=sources,
    rates={"derender": 1.0},
    target_length=56,
    max_coarsening=0,
  )
  alone = RecordBatches(tasks, batch_size=10, seed=1)
  shared = RecordBatches(tasks, batch_size=10, seed=1, workers=2)
  built = [alone._builder(alone._job(i))[1] for i in range(30)]
  assert 0 < sum(hasattr(e, "reason") for e in built) < 30
  for one, other in zip(take(alone, 3), take(shared, 3), strict=True):
    for key, values in one.items():
      np.testing.assert_array_equal(values, other[key], err_msg=key)
  # Two streams have more in the making than shared memory has room for.
  streams = (shared.batches(), shared.batches(), iter(take(alone, 4)))
  for one, other, truth in itertools.islice(zip(*streams, strict=False), 4):
    for key, values in truth.items():
      np.testing.assert_array_equal(one[key], values, err_msg=key)
      np.testing.assert_array_equal(other[key], values, err_msg=key)
  # An error of a worker reaches the caller as it is.
  hopeless = dataclasses.replace(tasks, target_length=2)
  shared.close()
  with pytest.raises(ValueError, match="None of 9 records"):
    next(RecordBatches(hopeless, batch_size=2).batches())


def test_a_store_gives_the_examples_of_its_reader(mixed, tmp_path):
  store = os.fspath(tmp_path / "store")
  prepare("generated_words", "", store, GENERATED)
  made = dataclasses.replace(
    mixed, sources=mixed.sources[1:2], rates={"derender": 1.0}
  )
  stored = dataclasses.replace(
    made, sources=[dataclasses.replace(made.sources[0], path=store)]
  )
  assert made.name == stored.name
  assert examples_of(RecordBatches(made), 20) == examples_of(
    RecordBatches(stored), 20
  )
  other = dataclasses.replace(stored.sources[0], options={"count": 5})
  with pytest.raises(ValueError, match=r"'count': \(9, 5\)"):
    open_source(other)


def test_shards_of_a_mixture_hold_what_records_give(
  mixed, tmp_path, monkeypatch
):
  monkeypatch.setattr(shard_writer, "MAX_SHARD_EXAMPLES", 6)
  reports = write_shards(tmp_path, mixed, ("train",), workers=0)
  assert reports["derender/more/train"]["examples"] == 9
  sharded = ShardBatches(tmp_path, seed=0, tasks=mixed)
  built = RecordBatches(mixed, seed=0)
  assert sharded.rates == built.rates
  # The first epoch of the records is the one pass of the cache.
  assert examples_of(sharded, 12) == examples_of(built, 12)


def test_photos_are_filtered_by_shape():
  image = {
    name: np.zeros((height, width, 3), np.uint8)
    for name, (height, width) in {
      "fits": (30, 60), "wide": (30, 120), "tall": (60, 30), "low": (24, 60),
      "barely": (30, 119),
    }.items()
  }  # fmt: skip
  found = [Record(n, "", text="a", image=i) for n, i in image.items()]
  found.append(Record("untold", "", image=image["fits"]))
  found.append(Record("empty", "", text="a", ink=Ink()))
  source = Source("unit", aspect=(0.5, 4.0), min_side=25)
  indices, reasons = usable(
    Traits.of(found), task_info("recognize_image"), source
  )
  assert [found[i].id for i in indices] == ["fits", "barely"]
  assert reasons == {
    "no image": 1, "aspect ratio outside 0.5 to 4": 2, "side below 25 px": 1,
    "no text": 1,
  }  # fmt: skip
  # One by one, the same.
  for task in TASK_PROMPTS:
    indices, reasons = usable(Traits.of(found), task_info(task), source)
    one_by_one = [lack(record, task_info(task), source) for record in found]
    assert [i for i, r in enumerate(one_by_one) if not r] == indices.tolist()
    assert collections.Counter(filter(None, one_by_one)) == reasons


def test_a_source_is_read_once_for_all_splits(mixed, records, monkeypatch):
  calls = []
  load = pipeline_records.load_splits
  monkeypatch.setattr(
    pipeline_records, "load_splits",
    lambda name, *a, **k: calls.append(name) or load(name, *a, **k),
  )  # fmt: skip
  train, held_out = (RecordBatches(mixed, s) for s in ("train", "validation"))
  assert len(calls) == 3
  assert train.records.of(mixed.components[0]) is not None
  assert MixtureRecords(mixed, "test").sizes["derender/unit"] == 6
  assert len(calls) == 3 and held_out.batch_size == 32


@pytest.mark.parametrize(
  ("sources", "message"),
  [
    ((Source("unit", None),), "left out"),
    ((Source("unit"), Source("unit")), "Two sources"),
    ((), "either `source`"),
  ],
)
def test_wrong_mixtures_are_refused(make_spec, sources, message):
  with pytest.raises(ValueError, match=message):
    make_spec(source="", sources=sources)


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"rate": -1.0}, "0 or positive"),
    ({"rate": {"derender": float("nan")}}, "0 or positive"),
    ({"cap": 0}, "path to None"),
    ({"key": "a/b"}, "names a folder"),
  ],
)
def test_wrong_sources_are_refused(fields, message):
  with pytest.raises(ValueError, match=message):
    Source("unit", **fields)


def test_a_source_that_is_not_there_says_how_to_get_it(tmp_path):
  with pytest.raises(ValueError, match="data prepare unipen --manual_dir"):
    open_source(Source("unipen", "unipen", os.fspath(tmp_path)))


def test_the_name_follows_what_changes_examples(mixed):
  def changed(**fields) -> str:
    first = dataclasses.replace(mixed.sources[0], **fields)
    sources = (first, *mixed.sources[1:])
    return dataclasses.replace(mixed, sources=sources).name

  assert changed(path="/x", root="/y", rate=7.0, cap=2) == mixed.name
  for fields in (
    {"name": "other"}, {"options": {"a": 1}}, {"aspect": (1, 2)},
    {"min_side": 3}, {"key": "other"},
  ):  # fmt: skip
    assert changed(**fields) != mixed.name
  assert InkSightTasks.from_json(mixed.to_json(), mixed.vocabulary) == mixed


def test_a_single_source_keeps_its_name_of_before_mixtures(make_spec):
  """Literal: caches and shards on disk carry it."""
  spec = make_spec()
  assert "sources" not in spec.to_dict()
  assert [c.name for c in spec.components] == list(spec.tasks)
  assert pathlib.Path(spec.components[0].name).parts == ("derender",)
