"""The generator of Alonso et al.: one vector for a word, one width for all.

Alonso, Moysset & Messina (2019), arXiv 1903.00277: a recurrent network reads
the word; its last states, and a part of the style, condition every block of a
generator that paints the whole frame at once. Unlike `word_gan.Generator` it
has no place for a character: which letter stands where it must learn.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from inksight_jax.networks import image_blocks, layers

# Ids up to here stand for no character.
_EOS_ID = 1


class TextEncoder(nn.Module):
  """A bidirectional LSTM over the characters; padding is not read.

  Attributes:
    vocab_size: number of ids.
    features: size of embedding and result; half of it each way.
    depth: layers.
  """

  vocab_size: int
  features: int
  depth: int

  @nn.compact
  def __call__(
    self,
    tokens: Int[Array, "batch characters"],
    written: Bool[Array, "batch characters"],
  ) -> Float[Array, "batch features"]:
    table = layers.param_with_axes(
      "embedding",
      nn.initializers.normal(stddev=1.0),
      (self.vocab_size, self.features),
      jnp.float32,
      axes=("vocab", "embed"),
    )
    x = table[tokens]
    lengths = jnp.sum(written, axis=1)
    carries: Any = ()
    for index in range(self.depth):
      both = nn.Bidirectional(
        nn.RNN(nn.OptimizedLSTMCell(self.features // 2)),
        nn.RNN(nn.OptimizedLSTMCell(self.features // 2)),
        return_carry=True,
        name=f"layer_{index}",
      )
      carries, x = both(x, seq_lengths=lengths)
    # Where each way ends: behind the last character, and before the first.
    (_, forward), (_, backward) = carries
    return jnp.concatenate([forward, backward], axis=-1)


class SelfAttention(nn.Module):
  """Every pixel looks at all (SAGAN, Zhang et al. 2019); begins as nothing."""

  @nn.compact
  def __call__(
    self, inputs: Float[Array, "batch height width channels"]
  ) -> Float[Array, "batch height width channels"]:
    batch, height, width, channels = inputs.shape

    def project(features: int, name: str) -> Array:
      x = image_blocks.Conv(features, size=1, spectral=True, name=name)(inputs)
      return x.reshape(batch, height * width, features)

    inner = max(1, channels // 8)
    query, key = project(inner, "query"), project(inner, "key")
    scores = jnp.einsum("bqc,bkc->bqk", query, key)
    seen = jnp.einsum(
      "bqk,bkc->bqc",
      jax.nn.softmax(scores, axis=-1),
      project(channels, "value"),
    )
    gate = layers.param_with_axes(
      "gate", nn.initializers.zeros_init(), (1,), jnp.float32, axes=("gate",)
    )
    return inputs + jnp.reshape(gate, (1, 1, 1, 1)) * seen.reshape(inputs.shape)


class FixedWidthGenerator(nn.Module):
  """From a word and a style to a picture of one width.

  Attributes:
    vocab_size: number of ids.
    height, width: of the picture, pixels.
    widths: channels of the blocks; each but the first doubles height and width.
    text_dim: size of the vector that stands for the word.
    text_depth: layers of the network that reads it.
    attention: block before which all pixels look at each other.
  """

  vocab_size: int
  height: int
  width: int
  widths: tuple[int, ...]
  text_dim: int
  text_depth: int
  attention: int

  @nn.compact
  def __call__(
    self,
    tokens: Int[Array, "batch characters"],
    style: Float[Array, "batch style"],
  ) -> Float[Array, "batch height width 1"]:
    written = tokens > _EOS_ID
    encoder = TextEncoder(
      self.vocab_size, self.text_dim, self.text_depth, name="text"
    )
    word = encoder(tokens, written)
    first, *parts = jnp.split(style, len(self.widths) + 1, axis=-1)
    factor = 2 ** (len(self.widths) - 1)
    rows, columns = self.height // factor, self.width // factor
    start = jnp.concatenate([first, word], axis=-1)
    x = layers.Dense(
      rows * columns * self.widths[0],
      ("style", "embed"),
      use_bias=True,
      name="start",
    )(start).reshape(-1, rows, columns, self.widths[0])
    # No place of the frame is left out.
    everywhere = jnp.ones((x.shape[0], 1), bool)
    for index, (width, part) in enumerate(zip(self.widths, parts, strict=True)):
      if index == self.attention:
        x = SelfAttention(name="attention")(x)
      block = image_blocks.UpBlock(
        width, enlarge=index > 0, name=f"block_{index}"
      )
      x = block(x, jnp.concatenate([part, word], axis=-1), everywhere)
    x = nn.relu(image_blocks.normalize(x))
    return jnp.tanh(image_blocks.Conv(1, name="picture")(x))
