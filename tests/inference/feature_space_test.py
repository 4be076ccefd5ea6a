"""Feature spaces of pictures by name."""

import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.inference import feature_space
from inksight_jax.inference.predictor import Predictor
from inksight_jax.models import ctc
from inksight_jax.networks import readers, vit
from inksight_jax.pipeline.reading import ReadingTasks
from inksight_jax.text.codecs import CharacterCodec
from inksight_jax.text.vocabulary import Vocabulary

ENCODER = vit.ViTConfig(
  image_size=(8, 16),
  patch_size=(8, 4),
  width=8,
  depth=0,
  num_heads=2,
  position="sincos2d",
)


@pytest.fixture(scope="module")
def judge():
  module = readers.FrameReader(readers.ReaderConfig(ENCODER, 8, num_heads=2))
  image = jnp.zeros((1, 8, 16, 3), jnp.uint8)
  params = module.init(jax.random.key(0), image)["params"]
  tasks = ReadingTasks(
    source="sklearn_digits",
    vocabulary=Vocabulary(CharacterCodec("abc"), None),
    image_size=(8, 16),
    target_length=4,
  )
  return Predictor(ctc.CTC(module, blank_id=6), params, tasks, 7, 2)


def pictures(count: int) -> list[np.ndarray]:
  rng = np.random.default_rng(0)
  return list(rng.integers(0, 256, (count, 8, 16, 3)).astype(np.uint8))


def test_the_judge_sees_what_its_encoder_says(judge):
  space = feature_space.of_judge(judge)
  # An odd number: the last batch is filled up.
  found = space.features(pictures(3))
  encoder = vit.ViT(ENCODER)
  frames = encoder.apply(
    {"params": judge.params["image_encoder"]}, jnp.asarray(pictures(3))
  )
  expected = np.concatenate([frames.mean(axis=1), frames.std(axis=1)], axis=1)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
  assert "step 7" in space.name


def test_pixels_and_functions_by_name(judge, monkeypatch):
  grey = feature_space.named("pixels", judge).features(
    [np.full((16, 48, 3), 51, np.uint8)]
  )
  np.testing.assert_allclose(grey, np.full((1, 8 * 24), 0.2))
  module = types.ModuleType("mine")
  monkeypatch.setattr(
    module, "mean", lambda many: np.array([[p.mean()] for p in many]), False
  )
  monkeypatch.setitem(sys.modules, "mine", module)
  space = feature_space.named("mine:mean", judge)
  assert space.features(pictures(2)).shape == (2, 1)
  for name in ("inception", "mine:median", "absent.module:mean"):
    with pytest.raises(ValueError, match=name):
      feature_space.named(name, judge)


def test_edges_tell_slant_and_place_but_not_length(judge):
  def strokes(slant: int, top: int, count: int) -> np.ndarray:
    picture = np.full((24, 20 * count, 3), 255, np.uint8)
    for row in range(8):
      for start in range(6, 20 * count, 20):
        left = start + slant * (7 - row)
        picture[top + row, left : left + 2] = 0
    return picture

  space = feature_space.named("edges", judge)
  upright, leaning, longer, lower = space.features(
    [strokes(0, 8, 2), strokes(1, 8, 2), strokes(0, 8, 3), strokes(0, 16, 2)]
  ).reshape(4, 3, 16)
  for found in (upright, leaning, longer, lower):
    assert found.sum() == pytest.approx(1.0)
  np.testing.assert_allclose(longer, upright, atol=1e-6)
  # What rises to the right changes towards the lower right: an eighth turn.
  assert upright.sum(axis=0).argmax() in (0, 15)
  assert leaning.sum(axis=0).argmax() in (3, 4)
  assert upright.sum(axis=1).argmax() == 1 and lower.sum(axis=1).argmax() == 2
  assert np.abs(upright - leaning).sum() > 0.5
