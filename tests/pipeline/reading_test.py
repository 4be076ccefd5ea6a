"""Reading tasks: no prompt, a rectangle, several records in a picture."""

import dataclasses
import itertools

import numpy as np
import pytest

from inksight_jax.pipeline.batches import RecordBatches, ShardBatches
from inksight_jax.pipeline.examples import Example, Skip, to_model_features
from inksight_jax.pipeline.families import load_tasks
from inksight_jax.pipeline.joined import Join
from inksight_jax.pipeline.mixture import Source
from inksight_jax.pipeline.reading import ReadingTasks
from inksight_jax.pipeline.shard_writer import write_shards
from inksight_jax.rendering.warp import WarpConfig
from inksight_jax.text.codecs import CharacterCodec
from inksight_jax.text.vocabulary import Vocabulary


@pytest.fixture
def tasks(records) -> ReadingTasks:
  return ReadingTasks(
    source="unit",
    path=__file__,
    vocabulary=Vocabulary(CharacterCodec("word0123456789"), None),
    rates={"read_words": 1.0},
    image_size=(12, 60),
    target_length=16,
    padding="black",
  )


def build(tasks, record, training=False):
  rng = np.random.default_rng(0)
  return tasks.build(record, "read_words", rng, training)


def test_an_example_is_picture_and_characters(tasks, records):
  record = records["train"][3]
  example = build(tasks, record)
  assert isinstance(example, Example)
  assert example.image.shape == (12, 60, 3)
  # 9 x 17 pixels grow to the height of 12, from the left.
  assert example.image[:, :23].any() and not example.image[:, 23:].any()
  assert tasks.vocabulary.decode(example.targets).text == record.text
  features = to_model_features(example, tasks)
  assert "encoder_input_tokens" not in features
  shapes = tasks.input_shapes(1)
  assert {k: v.shape for k, v in features.items() if k in shapes} == {
    k: shape[1:] for k, shape in shapes.items()
  }


def test_what_cannot_be_read_is_skipped(tasks, records):
  short = dataclasses.replace(tasks, target_length=5)
  silent = records["train"][4]
  assert isinstance(build(tasks, silent), Skip)
  assert build(short, records["train"][3]) == Skip("text too long")
  latin = Vocabulary(CharacterCodec("abc"), None)
  foreign = dataclasses.replace(tasks, vocabulary=latin)
  reason = Skip("text outside the vocabulary")
  assert build(foreign, records["train"][3]) == reason


def test_only_training_pictures_are_warped(tasks, records):
  warped = dataclasses.replace(tasks, augment=WarpConfig(chance=1.0, shift=0.3))
  record = records["train"][3]
  plain = build(tasks, record).image
  np.testing.assert_array_equal(build(warped, record).image, plain)
  assert (build(warped, record, training=True).image != plain).any()


def test_names_tell_families_and_joins_apart(tasks):
  assert tasks.name.startswith("reading_")
  joined = dataclasses.replace(tasks, join=Join(2, 2))
  source = Source("unit", __file__, join=Join(2, 2))
  mixture = dataclasses.replace(tasks, source="", path="", sources=[source])
  other = dataclasses.replace(mixture, sources=[Source("unit", __file__)])
  assert len({t.name for t in (tasks, joined, mixture, other)}) == 4
  with pytest.raises(ValueError, match=r"each mixture\.Source"):
    dataclasses.replace(mixture, join=Join(2, 2))


def test_saved_tasks_come_back_as_their_family(tasks, make_spec, tmp_path):
  joined = dataclasses.replace(
    tasks, join=Join(2, 3), augment=WarpConfig(chance=0.5)
  )
  source = Source("unit", __file__, join=Join(2, 2))
  mixture = dataclasses.replace(tasks, source="", path="", sources=[source])
  for number, spec in enumerate((joined, mixture, make_spec())):
    folder = str(tmp_path / str(number))
    spec.save(folder)
    assert load_tasks(folder) == spec
  with pytest.raises(ValueError, match="family 'inksight', not 'reading'"):
    ReadingTasks.load(str(tmp_path / "2"))


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"rates": {"Read!": 1.0}}, "small letters"),
    ({"padding": "grey"}, "grey"),
    ({"align": "right"}, "right"),
  ],
)
def test_wrong_settings_are_refused(tasks, fields, message):
  with pytest.raises(ValueError, match=message):
    dataclasses.replace(tasks, **fields)


def test_shards_and_records_give_each_record_once_an_epoch(
  tasks, records, tmp_path
):
  records["train"][:] = [
    dataclasses.replace(record, text=f"word{number}")
    for number, record in enumerate(records["train"])
  ]
  joined = dataclasses.replace(tasks, join=Join(2, 2), target_length=24)
  texts = [r.text for r in records["train"]]
  batches = RecordBatches(joined, batch_size=11, seed=3)
  epochs = []
  for batch in itertools.islice(batches.batches(), 2):
    rows = [joined.vocabulary.decode(t) for t in batch["decoder_target_tokens"]]
    epochs.append([row.text for row in rows])
  for epoch in epochs:
    read = "".join(epoch).replace("word", " ").split()
    written = "".join(texts).replace("word", " ").split()
    # 11 pairs of 23 records: at most one is left over.
    assert set(read) <= set(written) and len(written) - len(read) <= 1
  assert sorted(epochs[0]) != sorted(epochs[1])
  write_shards(str(tmp_path), joined, ["train"], repeats=2, workers=0)
  shards = ShardBatches(str(tmp_path), batch_size=22, tasks=joined)
  batch = next(shards.batches())
  rows = [joined.vocabulary.decode(t) for t in batch["decoder_target_tokens"]]
  assert sorted(row.text for row in rows) == sorted(epochs[0] + epochs[1])
