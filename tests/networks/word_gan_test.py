"""Generator, discriminator and recogniser of words."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.networks import readers, vit, word_gan

VOCAB = 8


def config(characters: int = 4, **changes) -> word_gan.WordGANConfig:
  size = (8, characters * 8)
  reader = readers.ReaderConfig(
    vit.ViTConfig(
      image_size=size,
      patch_size=(8, 4),
      width=16,
      depth=0,
      num_heads=2,
      stem="conv",
      position="sincos2d",
      channels=1,
    ),
    vocab_size=VOCAB,
    num_heads=2,
  )
  return word_gan.WordGANConfig(
    vocab_size=VOCAB,
    characters=characters,
    height=8,
    character_width=8,
    reader=reader,
    **{
      "widths": (16, 8),
      "critic_widths": (8, 16),
      "style_dim": 12,
      **changes,
    },
  )


def variables(cfg: word_gan.WordGANConfig):
  image = jnp.zeros((2, cfg.height, cfg.characters * 8, 3), jnp.uint8)
  tokens = jnp.ones((2, cfg.characters + 1), jnp.int32)
  return jax.jit(word_gan.WordGAN(cfg).init)(jax.random.key(0), image, tokens)


@pytest.fixture(scope="module")
def params():
  return variables(config())["params"]


def generate(params, tokens, style, cfg=None):
  return np.asarray(
    word_gan.WordGAN(cfg or config()).apply(
      {"params": params},
      jnp.asarray(tokens, jnp.int32),
      jnp.asarray(style, jnp.float32),
      method="generate",
    )
  )


def styles(count: int) -> np.ndarray:
  return np.random.default_rng(0).normal(size=(count, 12)).astype(np.float32)


def test_pictures_are_as_wide_as_their_words(params):
  pictures = generate(params, [[2, 3, 1, 0, 0], [4, 5, 6, 7, 1]], styles(2))
  assert pictures.shape == (2, 8, 32, 1)
  assert np.abs(pictures).max() <= 1.0
  np.testing.assert_array_equal(pictures[0, :, 16:], 1.0)
  assert pictures[0, :, :16].std() > 0.01
  assert pictures[1, :, 16:].std() > 0.01


def test_a_character_shows_in_its_own_columns(params):
  """Two blocks and the last layer reach 2 * 2 + 2 + 1 pixels to either side."""
  tokens = np.array([[2, 3, 4, 5, 1], [2, 3, 6, 5, 1]])
  one, other = generate(params, tokens, np.repeat(styles(1), 2, axis=0))
  change = np.abs(one - other)[:, :, 0].max(axis=0)
  reach = 7
  assert (change[16:24] > 1e-3).all()
  np.testing.assert_array_equal(change[: 16 - reach], 0.0)
  np.testing.assert_array_equal(change[24 + reach :], 0.0)


def test_padding_changes_nothing(params):
  """The same weights with fewer places draw the same word."""
  short = config(characters=2)
  few = generate(params, [[2, 3, 1]], styles(1), short)
  many = generate(params, [[2, 3, 1, 0, 0]], styles(1))
  np.testing.assert_allclose(many[:, :, :16], few, atol=1e-6)


def test_rows_do_not_depend_on_their_batch(params):
  tokens = [[2, 3, 4, 1, 0], [5, 6, 1, 0, 0], [7, 1, 0, 0, 0]]
  together = generate(params, tokens, styles(3))
  alone = generate(params, tokens[1:2], styles(3)[1:2])
  np.testing.assert_allclose(together[1:2], alone, atol=1e-6)


def test_style_changes_the_picture_everywhere(params):
  tokens = [[2, 3, 4, 5, 1]] * 2
  one, other = generate(params, tokens, styles(2))
  assert (np.abs(one - other)[:, :, 0].max(axis=0) > 1e-3).all()


def test_convolutions_of_the_discriminator_have_norm_one(params):
  """Scaling its kernels changes nothing but the last, free layer."""
  module = word_gan.WordGAN(config())
  picture = jax.random.uniform(jax.random.key(3), (2, 8, 32, 1))

  def judge(params):
    return np.asarray(module.apply({"params": params}, picture, method="judge"))

  critic = params["discriminator"]
  scaled = {
    name: part
    if name == "score"
    else jax.tree.map(lambda x: 3.0 * x if x.ndim == 4 else x, part)
    for name, part in critic.items()
  }
  changed = dict(params, discriminator=scaled)
  np.testing.assert_allclose(judge(changed), judge(params), rtol=1e-4)


def test_sizes_that_do_not_fit():
  with pytest.raises(ValueError, match="does not divide"):
    config(widths=(8, 8, 8, 8, 8))
  with pytest.raises(ValueError, match="style of 13"):
    config(style_dim=13)
  with pytest.raises(ValueError, match="recogniser reads"):
    dataclasses.replace(config(), characters=5)
