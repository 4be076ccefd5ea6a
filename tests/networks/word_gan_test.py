"""Generator, discriminator and recogniser of words."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.networks import (
  fixed_width,
  image_blocks,
  readers,
  vit,
  word_gan,
  word_styles,
)

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
  apply = functools.partial(
    word_gan.WordGAN(cfg or config()).apply, method="generate"
  )
  return np.asarray(
    jax.jit(apply)(
      {"params": params},
      jnp.asarray(tokens, jnp.int32),
      jnp.asarray(style, jnp.float32),
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

  @jax.jit
  def judge(params):
    return module.apply({"params": params}, picture, method="judge")

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


@pytest.fixture(scope="module")
def recurrent():
  cfg = config(generator="words", text_dim=8, text_depth=2, attention=1)
  generator = word_gan.GENERATORS[cfg.generator](cfg)
  tokens = jnp.ones((1, 4), jnp.int32)
  init = jax.jit(generator.init)
  return cfg, init(jax.random.key(0), tokens, jnp.zeros((1, 12)))["params"]


def test_a_word_vector_paints_the_whole_frame(recurrent):
  cfg, params = recurrent
  tokens = np.array([[2, 3, 4, 5], [2, 3, 4, 6]])
  whole = jax.eval_shape(lambda: variables(cfg)["params"]["generator"])
  assert jax.tree.map(jnp.shape, whole) == jax.tree.map(jnp.shape, params)
  one, other = np.asarray(
    jax.jit(word_gan.GENERATORS[cfg.generator](cfg).apply)(
      {"params": params},
      jnp.asarray(tokens, jnp.int32),
      jnp.asarray(np.repeat(styles(1), 2, axis=0)),
    )
  )
  assert one.shape == (8, 32, 1)
  # One letter else, and every column may change: no place of its own.
  assert (np.abs(one - other)[:, :, 0].max(axis=0) > 1e-5).all()


def test_the_vector_of_a_word_does_not_see_padding(recurrent):
  """Nor the longest word of the batch."""
  _, params = recurrent
  text = fixed_width.TextEncoder(8, 8, 2)
  state = {"params": params["text"]}

  apply = jax.jit(lambda tokens: text.apply(state, tokens, tokens > 1))

  def encode(tokens):
    return np.asarray(apply(jnp.asarray(tokens, jnp.int32)))

  (alone,) = encode([[2, 3]])
  padded = encode([[2, 3, 1, 0, 0], [4, 5, 6, 7, 2]])
  np.testing.assert_allclose(padded[0], alone, atol=1e-6)
  # Both ends count.
  assert np.abs(encode([[4, 3]])[0] - alone).max() > 1e-4
  assert np.abs(encode([[2, 4]])[0] - alone).max() > 1e-4


def test_attention_begins_as_nothing(recurrent):
  inputs = jax.random.normal(jax.random.key(0), (2, 3, 4, 8))
  module = fixed_width.SelfAttention()
  state = module.init(jax.random.key(1), inputs)["params"]
  np.testing.assert_array_equal(module.apply({"params": state}, inputs), inputs)
  opened = dict(state, gate=jnp.ones(1))
  seen = np.asarray(module.apply({"params": opened}, inputs)) - inputs
  # By hand, with the kernels as they are applied.
  flat = np.asarray(inputs).reshape(2, 12, 8)
  maps = {}
  for name in ("query", "key", "value"):
    kernel = np.asarray(state[name]["kernel"]).reshape(8, -1)
    norm = float(image_blocks.spectral_norm(jnp.asarray(kernel)))
    maps[name] = flat @ kernel / norm
  scores = maps["query"] @ maps["key"].transpose(0, 2, 1)
  weights = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
  expected = (weights @ maps["value"]).reshape(inputs.shape)
  np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=1e-5)


def test_a_style_does_not_tell_how_long_a_word_is():
  """A picture written twice, side by side, has the style of one of them."""
  encoder = word_styles.StyleEncoder((8, 8), 4, paper=1.0)
  word = jax.random.uniform(jax.random.key(2), (1, 8, 16, 1), minval=-1.0)
  paper = jnp.ones((1, 8, 32, 1))
  variables = jax.jit(encoder.init)(jax.random.key(3), paper)
  apply = jax.jit(encoder.apply)

  def encode(*parts):
    return np.asarray(apply(variables, np.concatenate(parts, axis=2)))

  short = encode(paper, word, paper)
  longer = encode(paper, word, paper, paper)
  np.testing.assert_allclose(longer, short, atol=1e-5)
  twice = encode(paper, word, paper, word, paper)
  np.testing.assert_allclose(twice, short, atol=1e-5)
  other = encode(paper, -word, paper)
  assert np.abs(other - short).max() > 1e-2
  # As long as styles that are drawn, whatever is seen.
  np.testing.assert_allclose(np.mean(np.square([short, other])), 1.0, rtol=1e-3)


def test_a_reader_of_three_channels_sees_grey_in_all_of_them():
  """One that was trained alone, on pictures, reads the same within the GAN."""
  cfg = config(characters=2)
  colour = dataclasses.replace(cfg.reader.vit, channels=3)
  cfg = dataclasses.replace(
    cfg, reader=dataclasses.replace(cfg.reader, vit=colour)
  )
  alone = readers.FrameReader(cfg.reader)
  image = np.random.default_rng(0).integers(0, 256, (1, 8, 16, 1))
  pictures = jnp.asarray(np.repeat(image, 3, axis=3), jnp.uint8)

  @jax.jit
  def both(key):
    params = alone.init(key, pictures)["params"]
    within = word_gan.WordGAN(cfg).apply(
      {"params": {"recognizer": params}},
      word_gan.to_grey(pictures),
      method="read",
    )
    return within, alone.apply({"params": params}, pictures)

  within, by_itself = both(jax.random.key(0))
  np.testing.assert_allclose(within, by_itself, rtol=1e-4, atol=1e-4)
  wrong = dataclasses.replace(cfg.reader.vit, channels=2)
  with pytest.raises(ValueError, match="1 channel, or 3"):
    dataclasses.replace(cfg, reader=dataclasses.replace(cfg.reader, vit=wrong))
