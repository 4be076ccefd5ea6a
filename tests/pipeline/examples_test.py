"""Tests of the step from record to example."""

import dataclasses

import numpy as np
import pytest

from inksight_jax.datasets.record import Record
from inksight_jax.ink.tokens import InkCodec
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import (
  Example,
  Skip,
  build_example,
  example_rng,
  stack,
  to_model_features,
)
from inksight_jax.pipeline.spec import TASK_PROMPTS
from inksight_jax.rendering.augment import AugmentConfig
from inksight_jax.text.codecs import CharacterCodec
from inksight_jax.text.vocabulary import Vocabulary

EOS = 1


def wide_ink() -> Ink:
  """A corner of 60 x 40 px, away from the origin, and a dot."""
  return Ink.from_arrays([[(10, 40), (70, 40), (70, 80)], [(40, 56)]])


def record(**fields) -> Record:
  settings = {"id": "r", "source": "unit", "text": "ab", "ink": wide_ink()}
  return Record(**(settings | fields))


def build(spec, task="derender", training=False, seed=0, **fields):
  rng = np.random.default_rng(seed)
  return build_example(record(**fields), task, spec, rng, training)


def test_evaluation_target_is_the_ink_fitted_to_the_canvas(make_spec):
  spec = make_spec(margin=1.0)
  example = build(spec)
  # By hand: 60 px wide to 32 - 2 px is scale 1/2; 20 px high, centred. Steps
  # of 2 px meet the corner.
  decoded = spec.vocabulary.decode(example.targets).ink
  assert [s.points.tolist() for s in decoded.strokes] == [
    [[1, 6], [31, 6], [31, 26]],
    [[16, 14]],
  ]
  assert example.targets[-1] == EOS
  # One stroke start per stroke, two ids per point, EOS.
  assert len(example.targets) == 2 + 2 * 4 + 1


def test_picture_shows_the_target_and_nothing_else(make_spec):
  spec = make_spec(image_size=32)
  example = build(spec)
  dark = example.image.min(-1) < 128
  _rows, columns = np.nonzero(dark)
  # The ink spans the width; far from it the paper is clean.
  assert columns.min() <= 4 and columns.max() >= 28
  assert not dark[:4].any() and not dark[29:].any()


@pytest.mark.parametrize("task", TASK_PROMPTS)
def test_prompt_and_answer_of_each_task(make_spec, task):
  spec = make_spec()
  picture = np.full((10, 20, 3), 200, np.uint8)
  example = build(spec, task, image=picture)
  prompt = spec.vocabulary.decode(example.inputs).text
  answer = spec.vocabulary.decode(example.targets)
  info = TASK_PROMPTS[task]
  assert prompt == info.prompt + ("ab" if task == "derender_with_text" else "")
  assert answer.text == ("ab" if info.writes_text else "")
  assert bool(answer.ink) == info.writes_ink
  assert answer.ended
  if info.writes_text and info.writes_ink:
    first_ink = np.argmax(example.targets >= spec.vocabulary.ink_offset)
    assert (example.targets[first_ink:-1] >= spec.vocabulary.ink_offset).all()


def test_a_photo_keeps_its_aspect_and_pixels(make_spec):
  spec = make_spec(image_size=20, padding="black")
  picture = np.full((10, 20, 3), 200, np.uint8)
  image = build(spec, "recognize_image", image=picture).image
  assert (image[5:15] == 200).all()
  assert (image[:5] == 0).all() and (image[15:] == 0).all()


def test_training_ink_is_inside_its_margins_and_varies(make_spec):
  spec = make_spec(
    margin=3.0, min_fill=0.5, augment=AugmentConfig.none(), tolerance=0.0
  )
  spans = []
  for seed in range(40):
    example = build(spec, training=True, seed=seed)
    points = spec.vocabulary.decode(example.targets).ink.points
    assert points.min() >= 3 and points.max() <= 29
    spans.append(np.ptp(points, axis=0).max())
  # Longer side fills half to all of 32 - 6 = 26 px, up to rounding.
  assert 12 <= min(spans) < 16 and 23 < max(spans) <= 27


def scribble(points: int) -> Ink:
  rng = np.random.default_rng(0)
  return Ink.from_arrays([rng.uniform(0, 300, (points, 2))])


def test_a_long_ink_is_simplified_harder_and_never_cut(make_spec):
  vocabulary = Vocabulary(ink=InkCodec(224))
  ink = Ink.from_arrays([np.cumsum(scribble(90).points - 150, 0)])
  spec = make_spec(vocabulary=vocabulary, target_length=1024, spacing=2.0)
  full = build(spec, ink=ink)
  tight = dataclasses.replace(
    spec, target_length=len(full.targets) * 2 // 3, max_coarsening=8
  )
  short = build(tight, ink=ink)
  assert full.coarsened == 0 < short.coarsened
  assert len(short.targets) <= tight.target_length
  assert short.targets[-1] == EOS
  first = vocabulary.decode(full.targets).ink.points
  second = vocabulary.decode(short.targets).ink.points
  # Both ends survive, and every kept point is one of the full ink.
  assert (first[[0, -1]] == second[[0, -1]]).all()
  assert {*map(tuple, second)} <= {*map(tuple, first)}


@pytest.mark.parametrize(
  ("task", "fields", "changes", "reason"),
  [
    ("derender", {"ink": None}, {}, "no ink"),
    ("derender", {"ink": Ink()}, {}, "empty ink"),
    ("derender", {"ink": scribble(300)}, {"max_coarsening": 1}, "ink too long"),
    ("recognize_ink", {"text": ""}, {}, "no text"),
    ("recognize_ink", {"text": "x" * 96}, {}, "text too long"),
    ("derender_with_text", {"text": "x" * 48}, {}, "input too long"),
    ("recognize_image", {}, {}, "no image"),
    (
      "recognize_ink",
      {"text": "é"},
      {"vocabulary": Vocabulary(CharacterCodec("Recogniz thk."))},
      "text outside the vocabulary",
    ),
  ],
)
def test_what_gives_no_example_says_why(
  make_spec, task, fields, changes, reason
):
  assert build(make_spec(**changes), task, **fields) == Skip(reason)


def test_a_text_of_exactly_the_length_fits(make_spec):
  example = build(make_spec(), "recognize_ink", text="x" * 95)
  assert len(example.targets) == 96 and example.targets[-1] == EOS


def test_an_ink_of_one_point_is_an_example(make_spec):
  spec = make_spec()
  for training in (False, True):
    example = build(spec, training=training, ink=Ink.from_arrays([[(5, 5)]]))
    decoded = spec.vocabulary.decode(example.targets)
    assert decoded.ink.num_points == 1


def test_random_numbers_depend_on_every_part_of_the_key():
  keys = [
    (0, "train", "derender", "a", 0),
    (1, "train", "derender", "a", 0),
    (0, "test", "derender", "a", 0),
    (0, "train", "recognize_ink", "a", 0),
    (0, "train", "derender", "b", 0),
    (0, "train", "derender", "a", 1),
  ]
  draws = [example_rng(*key).integers(1 << 62) for key in keys]
  assert len(set(draws)) == len(keys)
  assert draws == [example_rng(*key).integers(1 << 62) for key in keys]


def test_features_are_padded_and_shifted(make_spec):
  spec = make_spec(image_size=2, input_length=3, target_length=5)
  image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
  ids = np.asarray([7, 8, EOS], np.int32)
  features = to_model_features(Example(image, ids[:2], ids), spec)
  assert (features["encoder_input_image"] == image).all()
  assert features["encoder_input_tokens"].tolist() == [7, 8, 0]
  assert features["decoder_input_tokens"].tolist() == [0, 7, 8, EOS, 0]
  assert features["decoder_target_tokens"].tolist() == [7, 8, EOS, 0, 0]
  assert features["decoder_loss_weights"].tolist() == [1, 1, 1, 0, 0]
  batch = stack([features, features])
  assert batch["encoder_input_image"].shape == (2, 2, 2, 3)
  assert {k: v.dtype.name for k, v in batch.items()} == {
    "encoder_input_image": "uint8",
    "encoder_input_tokens": "int32",
    "decoder_input_tokens": "int32",
    "decoder_target_tokens": "int32",
    "decoder_loss_weights": "float32",
  }


def test_padding_never_cuts(make_spec):
  spec = make_spec(image_size=2, target_length=2)
  image = np.zeros((2, 2, 3), np.uint8)
  ids = np.asarray([7, 8, EOS], np.int32)
  with pytest.raises(ValueError, match="`targets` holds 3 tokens"):
    to_model_features(Example(image, ids, ids), spec)
