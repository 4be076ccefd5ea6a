"""Tasks over pictures made of codes: both orders, from store to batch."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from inksight_jax.datasets.picture_tokens import write_picture_tokens
from inksight_jax.datasets.record import Record
from inksight_jax.pipeline.batches import RecordBatches, ShardBatches
from inksight_jax.pipeline.examples import Example, Skip
from inksight_jax.pipeline.families import load_tasks
from inksight_jax.pipeline.mixture import Source
from inksight_jax.pipeline.shard_writer import write_shards
from inksight_jax.pipeline.token_tasks import TokenTasks
from inksight_jax.rendering.views import ViewConfig
from inksight_jax.rendering.warp import WarpConfig
from inksight_jax.text.codecs import CharacterCodec
from inksight_jax.text.picture_tokens import PictureCodec
from inksight_jax.text.vocabulary import Vocabulary

CODEC = PictureCodec(num_codes=9, length=12)
VOCABULARY = Vocabulary(CharacterCodec("0123456789"), None, CODEC)
START = 13


def _record(shape=(2, 4), text="42", name="a"):
  codes = np.arange(np.prod(shape)).reshape(shape) % 9
  return Record(name, "picture_tokens", text, codes=codes.astype(np.int32))


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[pathlib.Path, pathlib.Path]:
  root = tmp_path_factory.mktemp("tokens")
  for name, shapes in (("dynamic", [(1, 5), (3, 1)]), ("square", [(2, 2)] * 2)):
    records = [_record(shapes[n % 2], str(n), f"{name}/{n}") for n in range(6)]
    splits = dict.fromkeys(("train", "validation", "test"), records)
    write_picture_tokens(root / name, splits, num_codes=9, length=12)
  return root / "dynamic", root / "square"


def _tasks(path, **changes) -> TokenTasks:
  return TokenTasks(
    source="picture_tokens",
    path=str(path),
    vocabulary=VOCABULARY,
    **{"text_length": 4, "patch": 8, **changes},
  )


def _build(tasks, record, task, training=True):
  return tasks.build(record, task, np.random.default_rng(0), training)


def test_pictures_are_given_and_texts_written():
  tasks = _tasks("")
  example = _build(tasks, _record(), "recognize_tokens")
  assert isinstance(example, Example)
  np.testing.assert_array_equal(
    VOCABULARY.decode_picture(example.inputs), _record().codes
  )
  assert example.targets.tolist() == [7, 5, 1]
  assert (tasks.prompt_length, tasks.target_length) == (12, 4)
  assert tasks.group(example) == "horizontal"
  for shape, group in (((3, 2), "vertical"), ((2, 2), "")):
    found = _build(tasks, _record(shape), "recognize_tokens")
    assert tasks.group(found) == group


def test_texts_are_given_and_pictures_written():
  tasks = _tasks("", rates={"text_to_image": 1.0})
  example = _build(tasks, _record(), "text_to_image")
  assert example.inputs.tolist() == [START, 7, 5, 1]
  assert example.inputs.tolist() == tasks.prompt("text_to_image", "42")
  np.testing.assert_array_equal(
    VOCABULARY.decode_picture(example.targets), _record().codes
  )
  assert (tasks.prompt_length, tasks.target_length) == (5, 12)
  assert tasks.group(example) == "horizontal"


def test_what_gives_no_example_is_skipped():
  tasks = _tasks("")

  def reason(record, training=True):
    example = _build(tasks, record, "recognize_tokens", training)
    return example.reason if isinstance(example, Skip) else example

  assert reason(_record((4, 3))) == "picture beyond the budget of tokens"
  assert reason(_record(text="1234")) == "text too long"
  assert reason(_record(text="")) == "no text"
  assert reason(Record("b", "s", "1")) == "no image"
  assert reason(_record(text="4x")) == "text outside the vocabulary"
  # Where it is scored, an unknown character is an error that counts.
  assert reason(_record(text="4x"), False).targets.tolist() == [7, 2, 1]


def test_batches_are_tokens_alone(folders, tmp_path):
  tasks = _tasks(folders[0])
  batch = next(RecordBatches(tasks, batch_size=6).batches())
  assert {name: rows.shape for name, rows in batch.items()} == {
    "encoder_input_tokens": (6, 12),
    "decoder_input_tokens": (6, 4),
    "decoder_target_tokens": (6, 4),
    "decoder_loss_weights": (6, 4),
  }
  assert set(tasks.input_shapes(2)) == set(batch) - {"decoder_loss_weights"}
  texts = {
    VOCABULARY.decode(row).text for row in batch["decoder_target_tokens"]
  }
  assert texts == set("012345")
  # The same through shards, whose tasks describe themselves.
  write_shards(str(tmp_path), tasks, workers=0)
  assert load_tasks(str(tmp_path)) == dataclasses.replace(
    tasks, path=str(folders[0])
  )
  stored = next(ShardBatches(str(tmp_path), batch_size=6).batches())
  assert set(stored) == set(batch)
  for name, rows in batch.items():
    assert sorted(map(tuple, stored[name])) == sorted(map(tuple, rows))


def test_square_canvases_are_a_task_of_their_own(folders):
  sources = [
    Source("picture_tokens", str(path), key=path.name, rate={task: 1.0})
    for path, task in zip(
      folders, ("recognize_tokens", "recognize_tokens_square"), strict=True
    )
  ]
  tasks = dataclasses.replace(
    _tasks(""),
    source="",
    sources=sources,
    rates={"recognize_tokens": 1.0, "recognize_tokens_square": 1.0},
  )
  batches = RecordBatches(tasks, batch_size=8, shuffle=False)
  found = [batches.example(position) for position in range(8)]
  groups = {(name, bool(tasks.group(example))) for name, _, example in found}
  assert groups == {
    ("recognize_tokens/dynamic", True),
    ("recognize_tokens_square/square", False),
  }


def test_views_change_no_example():
  tasks = _tasks("")
  bent = dataclasses.replace(
    tasks, view_config=ViewConfig(WarpConfig(chance=1.0, elastic=0.5), 0, 0, 0)
  )
  assert bent.name == tasks.name and bent != tasks
  text = bent.to_json()
  assert TokenTasks.from_json(text, VOCABULARY) == bent
  # Written before there were any.
  values = json.loads(text)
  del values["view_config"]
  again = TokenTasks.from_json(json.dumps(values), VOCABULARY)
  assert again == tasks


def test_one_model_has_one_order():
  with pytest.raises(ValueError, match="a model has one order"):
    _tasks("", rates={"recognize_tokens": 1.0, "text_to_image": 1.0})
  with pytest.raises(ValueError, match="Unknown task 'derender'"):
    _tasks("", rates={"derender": 1.0})
  with pytest.raises(ValueError, match="give it a PictureCodec"):
    TokenTasks("picture_tokens", Vocabulary(ink=None))
  with pytest.raises(ValueError, match="a character and the end"):
    _tasks("", text_length=1)
