"""Pictures of words from their text and a style: generator, critic and reader.

Every character brings its own spatial filters, scaled by the style and laid
side by side (ScrabbleGAN, Fogel et al. 2020, arXiv 2003.10557), so a word is as
wide as it has characters. Of Alonso et al. (2019, arXiv 1903.00277) are the
conditioning of each block by a part of the style, the discriminator without
sight of the text and the recogniser that judges it.
"""

import dataclasses
import math
from collections.abc import Callable

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int, Num

from inksight_jax.networks import (
  fixed_width,
  image_blocks,
  layers,
  readers,
  word_styles,
)

PAD_ID = 0
EOS_ID = 1


@dataclasses.dataclass(frozen=True)
class WordGANConfig:
  """Sizes of the three networks.

  Attributes:
    vocab_size: number of text ids, padding and EOS included.
    characters: places for characters in a picture.
    height: of a picture, pixels.
    character_width: width of one character, pixels.
    widths: channels of the generator's blocks; each but the last doubles
      height and width.
    critic_widths: channels of the discriminator's blocks; each but the last
      halves height and width.
    style_dim: size of the style, normally distributed; split evenly over the
      characters' filters and the blocks.
    paper: grey of empty paper, -1 (black) to 1 (white).
    reader: the recogniser; of 1 channel, or of 3, all grey, where it comes from
      a reader of pictures.
    generator: "characters", filters of each laid side by side; or "words", one
      vector for all of a word, see `fixed_width`.
    text_dim, text_depth: of what reads the word, where that is a vector.
    attention: block of `fixed_width` before which all pixels look at each
      other.
    style_widths: channels of the blocks of the style encoder; none without.
  """

  vocab_size: int
  characters: int
  height: int
  character_width: int
  reader: readers.ReaderConfig
  widths: tuple[int, ...] = (64, 48, 32)
  critic_widths: tuple[int, ...] = (32, 48, 64)
  style_dim: int = 32
  paper: float = 1.0
  generator: str = "characters"
  text_dim: int = 128
  text_depth: int = 4
  attention: int = 2
  style_widths: tuple[int, ...] = ()

  def __post_init__(self) -> None:
    layers.check_choice("generator", self.generator, GENERATORS)
    for name in ("widths", "critic_widths", "style_widths"):
      object.__setattr__(self, name, tuple(getattr(self, name)))
    factor = 2 ** (len(self.widths) - 1)
    if self.height % factor or self.character_width % factor:
      raise ValueError(
        f"{len(self.widths)} blocks enlarge {factor} times, which does not "
        f"divide a character of {self.height} x {self.character_width} pixels."
      )
    if self.style_dim % (len(self.widths) + 1):
      raise ValueError(
        f"The style of {self.style_dim} numbers cannot be split evenly over "
        f"the characters and {len(self.widths)} blocks."
      )
    expected = (self.height, self.characters * self.character_width)
    vit = self.reader.vit
    if vit.image_shape != expected or vit.channels not in (1, 3):
      raise ValueError(
        f"The recogniser reads pictures of {vit.image_shape} with "
        f"{vit.channels} channels; the generator makes them {expected}, grey: "
        "1 channel, or 3 that agree."
      )


class WordGAN(nn.Module):
  """The networks; top-level parameters `generator`, `generator_average`,
  `discriminator`, `recognizer` and, if there is one, `style_encoder`.

  Attributes:
    config: sizes.
  """

  config: WordGANConfig

  def setup(self) -> None:
    cfg = self.config
    self.generator = GENERATORS[cfg.generator](cfg)
    # The same network again, whose weights follow the first one's.
    self.generator_average = GENERATORS[cfg.generator](cfg)
    self.discriminator = Discriminator(cfg)
    self.recognizer = readers.FrameReader(cfg.reader)
    if cfg.style_widths:
      self.style_encoder = word_styles.StyleEncoder(
        cfg.style_widths, cfg.style_dim, cfg.paper
      )

  def __call__(
    self,
    encoder_input_image: Num[Array, "batch height width channels"],
    decoder_target_tokens: Int[Array, "batch targets"],
    decoder_input_tokens: Int[Array, "batch targets"] | None = None,
    encoder_input_tokens: Int[Array, "batch 1"] | None = None,
    *,
    enable_dropout: bool = False,
  ) -> Float[Array, "batch height width 1"]:
    """Runs every network once, which creates their parameters.

    Args:
      encoder_input_image: pixels 0 to 255.
      decoder_target_tokens: text ids, then EOS.
      decoder_input_tokens: not read.
      encoder_input_tokens: not read.
      enable_dropout: not read.
    """
    del decoder_input_tokens, encoder_input_tokens, enable_dropout
    style = jnp.zeros((encoder_input_image.shape[0], self.config.style_dim))
    self.generate(decoder_target_tokens, style)
    picture = to_grey(encoder_input_image)
    self.judge(picture)
    self.read(picture)
    if self.config.style_widths:
      self.encode_style(picture)
    return self.generate(decoder_target_tokens, style, average=True)

  def generate(
    self,
    tokens: Int[Array, "batch targets"],
    style: Float[Array, "batch style"],
    *,
    average: bool = False,
  ) -> Float[Array, "batch height width 1"]:
    """Pictures of words, -1 (black) to 1 (white).

    Args:
      tokens: text ids; what is no character (padding, EOS) is left empty.
      style: normally distributed.
      average: use the averaged weights, which generate better.
    """
    generator = self.generator_average if average else self.generator
    return generator(tokens[:, : self.config.characters], style)

  def judge(
    self, pictures: Float[Array, "batch height width 1"]
  ) -> Float[Array, " batch"]:
    """How real pictures look; unbounded."""
    return self.discriminator(pictures)

  def read(
    self, pictures: Float[Array, "batch height width 1"]
  ) -> Float[Array, "batch frames vocab"]:
    """Logits of each frame, for CTC."""
    channels = self.config.reader.vit.channels
    return self.recognizer(jnp.repeat((pictures + 1.0) * 127.5, channels, -1))

  def encode_style(
    self, pictures: Float[Array, "batch height width 1"]
  ) -> Float[Array, "batch style"]:
    """The style that each picture is written in; of several, their mean."""
    return self.style_encoder(pictures)


class Generator(nn.Module):
  """From characters and a style to a picture."""

  config: WordGANConfig

  @nn.compact
  def __call__(
    self,
    tokens: Int[Array, "batch characters"],
    style: Float[Array, "batch style"],
  ) -> Float[Array, "batch height width 1"]:
    cfg = self.config
    factor = 2 ** (len(cfg.widths) - 1)
    rows, columns = cfg.height // factor, cfg.character_width // factor
    first, *styles = jnp.split(style, len(cfg.widths) + 1, axis=-1)
    written = tokens > EOS_ID
    x = self._filters(tokens, first, rows * columns * cfg.widths[0])
    x = jnp.where(written[:, :, None], x, 0.0)
    x = x.reshape(*tokens.shape, rows, columns, cfg.widths[0])
    x = jnp.swapaxes(x, 1, 2).reshape(
      tokens.shape[0], rows, tokens.shape[1] * columns, cfg.widths[0]
    )
    for index, (width, part) in enumerate(zip(cfg.widths, styles, strict=True)):
      block = image_blocks.UpBlock(
        width, enlarge=index > 0, name=f"block_{index}"
      )
      x = block(x, part, written)
    x = image_blocks.keep(nn.relu(image_blocks.normalize(x)), written)
    x = jnp.tanh(image_blocks.Conv(1, name="picture")(x))
    return image_blocks.keep(x - cfg.paper, written) + cfg.paper

  def _filters(
    self,
    tokens: Int[Array, "batch characters"],
    style: Float[Array, "batch part"],
    size: int,
  ) -> Float[Array, "batch characters features"]:
    """Each character's filters, summed with the style as weights."""
    part = style.shape[-1]
    filters = layers.param_with_axes(
      "filters",
      nn.initializers.normal(stddev=1.0 / math.sqrt(part + 1)),
      (self.config.vocab_size, part + 1, size),
      jnp.float32,
      axes=("vocab", "style", "embed"),
    )
    # The last filter counts whatever the style: the character itself.
    one = jnp.ones((style.shape[0], 1), style.dtype)
    weights = jnp.concatenate([style, one], axis=-1)
    return jnp.einsum("bs,blsf->blf", weights, filters[tokens])


class Discriminator(nn.Module):
  """Residual blocks, spectrally normalised, without any other norm."""

  config: WordGANConfig

  @nn.compact
  def __call__(
    self, pictures: Float[Array, "batch height width 1"]
  ) -> Float[Array, " batch"]:
    widths = self.config.critic_widths
    x = image_blocks.Conv(widths[0], spectral=True, name="first")(pictures)
    for index, width in enumerate(widths):
      x = image_blocks.DownBlock(
        width, index < len(widths) - 1, name=f"block_{index}"
      )(x)
    x = jnp.mean(image_blocks.leaky(x), axis=(1, 2))
    score = layers.Dense(1, ("embed", "score"), use_bias=True, name="score")(x)
    return score[:, 0]


def _fixed_width(cfg: WordGANConfig) -> nn.Module:
  return fixed_width.FixedWidthGenerator(
    cfg.vocab_size,
    cfg.height,
    cfg.characters * cfg.character_width,
    cfg.widths,
    cfg.text_dim,
    cfg.text_depth,
    cfg.attention,
  )


GENERATORS: dict[str, Callable[[WordGANConfig], nn.Module]] = {
  "characters": Generator,
  "words": _fixed_width,
}


def to_grey(
  image: Num[Array, "batch height width channels"],
) -> Float[Array, "batch height width 1"]:
  """Pixels 0 to 255 of any channels as one channel from -1 to 1."""
  grey = jnp.mean(image.astype(jnp.float32), axis=-1, keepdims=True)
  return grey / 127.5 - 1.0
