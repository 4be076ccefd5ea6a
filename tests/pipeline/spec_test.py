"""Tests of the task description."""

import dataclasses
import json

import pytest

from inksight_jax.ink.tokens import InkCodec
from inksight_jax.pipeline.spec import (
  TASK_PROMPTS,
  InkSightTasks,
  prompt_ids,
  task_info,
)
from inksight_jax.rendering.augment import AugmentConfig
from inksight_jax.text.codecs import ByteCodec, CharacterCodec
from inksight_jax.text.vocabulary import Vocabulary


def test_prompts_are_inksights():
  # inksight's own client and figures; the text has no final period there.
  vocabulary = Vocabulary()

  def prompt(task: str) -> str:
    return vocabulary.decode(prompt_ids(task, "started", vocabulary)).text

  assert prompt("derender") == "Derender the ink."
  assert prompt("derender_with_text") == "Derender the ink: started"
  assert prompt("recognize_and_derender") == "Recognize and derender."


@pytest.mark.parametrize(
  ("field", "value"),
  [
    ("source", "other"),
    ("source_options", {"categories": ("1a",)}),
    ("image_size", 25),
    ("input_length", 49),
    ("target_length", 97),
    ("tolerance", 0.75),
    ("min_fill", 0.6),
    ("margin", 1.0),
    ("padding", "black"),
    ("augment", AugmentConfig.none()),
    ("neighbours", 4),
    ("vocabulary", Vocabulary(ink=InkCodec(31))),
    ("vocabulary", Vocabulary(CharacterCodec("ab"), InkCodec(32))),
  ],
)
def test_name_follows_what_changes_examples(make_spec, field, value):
  spec = make_spec(augment=AugmentConfig.full())
  changed = dataclasses.replace(spec, **{field: value})
  assert changed.name != spec.name


def test_name_ignores_where_the_data_lies_and_how_tasks_mix(make_spec):
  spec = make_spec(source_options={"a": 1, "b": [2, 3]})
  same = make_spec(
    source_options={"b": (2, 3), "a": 1},
    path="/elsewhere",
    rates={"derender": 3.0},
  )
  assert same.name == spec.name


def test_saved_tasks_come_back_equal(make_spec, tmp_path):
  spec = make_spec(
    path="x.tar",
    source_options={"categories": ("1a", "1c"), "deep": {"list": (1, 2)}},
    rates={"derender": 1.0, "recognize_image": 0.5},
    augment=AugmentConfig.full(),
  )
  spec.save(tmp_path)
  assert InkSightTasks.load(tmp_path) == spec


def test_a_changed_vocabulary_is_noticed(make_spec):
  text = make_spec().to_json()
  with pytest.raises(ValueError, match="another vocabulary"):
    InkSightTasks.from_json(text, Vocabulary(ByteCodec(), InkCodec(33)))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"vocabulary": 1}'])
def test_a_foreign_file_is_refused(text, make_spec):
  with pytest.raises(ValueError, match="task description"):
    InkSightTasks.from_json(text, make_spec().vocabulary)


def test_a_field_of_a_later_version_is_named(make_spec):
  values = json.loads(make_spec().to_json()) | {"hologram": 1}
  with pytest.raises(ValueError, match="hologram"):
    InkSightTasks.from_json(json.dumps(values), make_spec().vocabulary)


def test_a_folder_without_tasks_is_refused(tmp_path):
  with pytest.raises(ValueError, match=r"spec\.json"):
    InkSightTasks.load(tmp_path)


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"rates": {"derendr": 1.0}}, "derendr"),
    ({"rates": {"derender": -1.0}}, "positive"),
    ({"rates": {"derender": 0.0}}, "names no task"),
    ({"padding": "grey"}, "grey"),
    ({"vocabulary": Vocabulary(ink=None)}, "no ink ids"),
  ],
)
def test_wrong_settings_are_refused(make_spec, fields, message):
  with pytest.raises(ValueError, match=message):
    make_spec(**fields)


def test_a_reader_needs_no_ink(make_spec):
  spec = make_spec(
    vocabulary=Vocabulary(ink=None), rates={"recognize_image": 1.0}
  )
  assert spec.tasks == ("recognize_image",)


def test_unknown_task_lists_the_known_ones():
  with pytest.raises(ValueError, match="recognize_image"):
    task_info("read")
  assert len(TASK_PROMPTS) == 5
