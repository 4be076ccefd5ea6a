"""All tokens at once: the shared loss, and answers cut at the first end."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from inksight_jax.models.parallel import ParallelTokens
from inksight_jax.networks import decoding, readers, vit


@pytest.fixture(scope="module")
def model() -> ParallelTokens:
  encoder = vit.ViTConfig(
    image_size=(8, 24),
    patch_size=(8, 4),
    width=16,
    depth=0,
    mlp_dim=8,
    num_heads=2,
    stem="conv",
    position="sincos2d",
  )
  config = readers.ReaderConfig(encoder, 6, length=4, num_heads=4, mlp_dim=8)
  return ParallelTokens(readers.ParallelReader(config))


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  targets = np.array([[3, 4, 1, 0], [5, 3, 3, 1]], np.int32)
  return {
    "encoder_input_image": rng.integers(0, 256, (2, 8, 24, 3), np.uint8),
    "decoder_input_tokens": np.pad(targets[:, :-1], ((0, 0), (1, 0))),
    "decoder_target_tokens": targets,
    "decoder_loss_weights": (targets > 0).astype(np.float32),
  }


@pytest.fixture(scope="module")
def params(model, batch):
  shapes = {name: x.shape for name, x in batch.items()}
  return jax.jit(
    lambda key: model.get_initial_variables(key, shapes)["params"]
  )(jax.random.key(0))


def test_the_loss_is_the_mean_over_real_places(model, params, batch):
  image = jnp.asarray(batch["encoder_input_image"])
  logits = jax.jit(model.module.apply)({"params": params}, image)
  log_probs = np.asarray(jax.nn.log_softmax(logits))
  targets = batch["decoder_target_tokens"]
  of_targets = np.take_along_axis(log_probs, targets[..., None], 2)[..., 0]
  loss, _ = jax.jit(model.loss_fn)(params, batch, None)
  expected = -of_targets[targets > 0].mean()
  # The z-loss of the default is small.
  np.testing.assert_allclose(loss, expected, rtol=2e-3)


class Fixed(nn.Module):
  """A network that says what it was told to."""

  logits: Any

  def __call__(self, enable_dropout: bool = False):
    del enable_dropout
    return self.logits


def test_answers_end_at_the_first_eos_and_never_say_padding():
  best = jnp.array([[3, 4, 1, 3], [0, 3, 4, 5], [1, 3, 3, 3]])
  logits = 5.0 * jax.nn.one_hot(best, 6) + jnp.arange(6)[None, None] * 0.1
  model = ParallelTokens(Fixed(logits))
  config = decoding.DecodeConfig(max_length=6)
  decoded = model.decode_batch({}, {}, config=config)
  # Where PAD is likeliest the next best id is 5.
  assert decoded.tokens[:, 0].tolist() == [
    [3, 4, 1, 0, 0, 0],
    [5, 3, 4, 5, 0, 0],
    [1, 0, 0, 0, 0, 0],
  ]
  assert decoded.lengths[:, 0].tolist() == [3, 4, 1]
  log_probs = np.asarray(jax.nn.log_softmax(logits))
  first = log_probs[0, np.arange(3), [3, 4, 1]]
  np.testing.assert_allclose(decoded.log_probs[0, 0, :3], first, rtol=1e-6)
  np.testing.assert_allclose(decoded.scores[0, 0], first.sum(), rtol=1e-6)
  assert not decoded.log_probs[0, 0, 3:].any()


def test_places_begin_by_looking_from_left_to_right(params):
  bias = np.asarray(params["places"]["bias"])
  weights = np.asarray(jax.nn.softmax(bias, axis=-1))
  centres = (weights * (np.arange(6) + 0.5)).sum(-1) / 6
  # Four places, the last for the end; four heads share a third of the width.
  assert (np.diff(centres.mean(0)) > 0.05).all()
  assert (np.diff(centres[:, 1]) > 0).all()
  assert centres[:, 1].mean() == pytest.approx(0.5, abs=0.02)
