"""Pictures as grids of codes and back: an autoencoder that rounds in between.

VQ-VAE (van den Oord et al. 2017, arXiv 1711.00937) without any normalisation:
residual blocks that see nothing but their neighbourhood, so that it takes
pictures of every size that its patch divides.
"""

import dataclasses

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from inksight_jax.networks import image_blocks, quantizers, resnet

OUTPUTS = ("tanh", "linear")
# Nothing normalises, so each block adds little to begin with.
_LAST = nn.initializers.variance_scaling(0.1, "fan_in", "truncated_normal")


@dataclasses.dataclass(frozen=True)
class VQVAEConfig:
  """Sizes.

  Attributes:
    quantizer: how vectors become codes.
    widths: channels of the encoder's groups of blocks; each but the last halves
      height and width. The decoder mirrors them.
    blocks: residual blocks of a group.
    channels: 3 for colour, 1 for grey.
    stem: side of the squares of pixels that become channels before anything
      else, and are taken apart at the end; the published network has 1, small
      ones are several times faster with 2.
    output: "tanh" keeps pixels in range, "linear" has a gradient everywhere.
  """

  quantizer: quantizers.QuantizerConfig
  widths: tuple[int, ...] = (128, 128, 256, 256, 512)
  blocks: int = 2
  channels: int = 3
  stem: int = 1
  output: str = "tanh"

  def __post_init__(self) -> None:
    object.__setattr__(self, "widths", tuple(self.widths))
    if (
      not self.widths
      or min(self.blocks, self.stem) < 1
      or self.channels not in (1, 3)
    ):
      raise ValueError(
        f"widths {self.widths}, {self.blocks} blocks, {self.channels} "
        f"channels, stem {self.stem}: give at least one width and one block, 1 "
        "channel or 3, and a stem of 1 or more."
      )
    if self.output not in OUTPUTS:
      raise ValueError(
        f"`output` must be one of {', '.join(OUTPUTS)}; got {self.output!r}."
      )

  @property
  def patch(self) -> int:
    """Side of the square of pixels that one code stands for."""
    return self.stem * 2 ** (len(self.widths) - 1)


class VQVAE(nn.Module):
  """The network; top-level parameters `encoder`, `decoder`, where the quantizer
  learns any `codebook`, and where there is a reader `reader`.

  Attributes:
    config: sizes.
    reader_config: of the image encoder of a trained reader, kept beside the
      network while it is trained: what it sees in pictures is compared
      (`models.perception`).
  """

  config: VQVAEConfig
  reader_config: resnet.ResNetConfig | None = None

  def setup(self) -> None:
    cfg = self.config
    self.encoder = Encoder(cfg)
    self.codebook = cfg.quantizer.build()
    self.decoder = Decoder(cfg)
    if self.reader_config is not None:
      self.reader = resnet.ResNet(self.reader_config)

  def __call__(
    self,
    encoder_input_image: Num[Array, "batch height width 3"],
    encoder_input_tokens: Int[Array, "batch 2"] | None = None,
    decoder_input_tokens: Int[Array, "batch targets"] | None = None,
    decoder_target_tokens: Int[Array, "batch targets"] | None = None,
    *,
    enable_dropout: bool = False,
  ) -> Float[Array, "batch height width channels"]:
    """Pictures as their codes give them back; see `reconstruct`.

    Args:
      encoder_input_image: pixels 0 to 255.
      encoder_input_tokens: rows and columns of cells that the picture covers;
        all by default.
      decoder_input_tokens: not read; T5X-shaped models hand it to every
        network.
      decoder_target_tokens: not read.
      enable_dropout: not read.
    """
    del decoder_input_tokens, decoder_target_tokens, enable_dropout
    pictures = to_range(encoder_input_image, self.config.channels)
    mask = covered_cells(
      encoder_input_image, encoder_input_tokens, self.config.patch
    )
    if self.is_initializing() and self.reader_config is not None:
      self.reader(encoder_input_image)
    return self.reconstruct(pictures, mask)[0]

  def reconstruct(
    self,
    pictures: Float[Array, "batch height width channels"],
    mask: Bool[Array, "batch rows columns"],
    key: PRNGKeyArray | Array | None = None,
    share: Float[Array, ""] | float = 1.0,
  ) -> tuple[Float[Array, "batch height width channels"], quantizers.Quantized]:
    """Pictures to codes and back.

    Args:
      pictures: -1 (black) to 1 (white).
      mask: cells that hold some of a picture.
      key, share: see `quantizers.AverageCodebook`.

    Returns:
      The pictures again, and what the quantizer says.
    """
    quantized = self.codebook(self.encoder(pictures), mask, key, share)
    return self.decoder(quantized.vectors), quantized

  def encode_pictures(
    self, image: Num[Array, "batch height width 3"]
  ) -> Int[Array, "batch rows columns"]:
    """Codes of pictures with pixels 0 to 255."""
    pictures = to_range(image, self.config.channels)
    mask = covered_cells(image, None, self.config.patch)
    return self.codebook(self.encoder(pictures), mask).ids

  def code_vectors(
    self, codes: Int[Array, "batch rows columns"]
  ) -> Float[Array, "batch rows columns width"]:
    """What the codebook has for codes."""
    return self.codebook.lookup(codes)

  def decode_codes(
    self, codes: Int[Array, "batch rows columns"]
  ) -> Num[Array, "batch height width 3"]:
    """Pictures of codes, uint8 0 to 255."""
    return to_pixels(self.decoder(self.code_vectors(codes)))


class Encoder(nn.Module):
  """From pixels to one vector for each patch."""

  config: VQVAEConfig

  @nn.compact
  def __call__(
    self, pictures: Float[Array, "batch height width channels"]
  ) -> Float[Array, "batch rows columns code"]:
    cfg = self.config
    x = fold(pictures, cfg.stem)
    x = image_blocks.Conv(cfg.widths[0], name="first")(x)
    for group, width in enumerate(cfg.widths):
      if group:
        x = image_blocks.halve(x)
      for number in range(cfg.blocks):
        x = Block(width, name=f"group_{group}_block_{number}")(x)
    x = image_blocks.Conv(cfg.widths[-1], size=1, name="last")(x)
    return image_blocks.Conv(cfg.quantizer.width, size=1, name="to_code")(x)


class Decoder(nn.Module):
  """From vectors to pixels, about -1 (black) to 1 (white)."""

  config: VQVAEConfig

  @nn.compact
  def __call__(
    self, vectors: Float[Array, "batch rows columns code"]
  ) -> Float[Array, "batch height width channels"]:
    cfg = self.config
    widths = cfg.widths[::-1]
    x = image_blocks.Conv(widths[0], size=1, name="from_code")(vectors)
    x = image_blocks.Conv(widths[0], size=1, name="first")(x)
    for group, width in enumerate(widths):
      if group:
        x = image_blocks.enlarge(x)
      for number in range(cfg.blocks):
        x = Block(width, name=f"group_{group}_block_{number}")(x)
    channels = cfg.channels * cfg.stem**2
    x = image_blocks.Conv(channels, kernel_init=_LAST, name="last")(x)
    x = unfold(x, cfg.stem)
    return jnp.tanh(x) if cfg.output == "tanh" else x


class Block(nn.Module):
  """Two convolutions, each behind a ReLU, and a bypass.

  Attributes:
    features: channels.
  """

  features: int

  @nn.compact
  def __call__(
    self, inputs: Float[Array, "batch height width channels"]
  ) -> Float[Array, "batch height width features"]:
    x = image_blocks.Conv(self.features, name="conv_0")(nn.relu(inputs))
    x = image_blocks.Conv(self.features, kernel_init=_LAST, name="conv_1")(
      nn.relu(x)
    )
    if inputs.shape[-1] != self.features:
      inputs = image_blocks.Conv(self.features, size=1, name="bypass")(inputs)
    return x + inputs


def fold(
  x: Float[Array, "batch height width channels"], side: int
) -> Float[Array, "batch rows columns folded"]:
  """Squares of pixels as the channels of one."""
  batch, height, width, channels = x.shape
  rows, columns = height // side, width // side
  x = x.reshape(batch, rows, side, columns, side, channels)
  return jnp.moveaxis(x, 2, 3).reshape(batch, rows, columns, -1)


def unfold(
  x: Float[Array, "batch rows columns folded"], side: int
) -> Float[Array, "batch height width channels"]:
  """The inverse of `fold`."""
  batch, rows, columns, folded = x.shape
  channels = folded // side**2
  x = x.reshape(batch, rows, columns, side, side, channels)
  return jnp.moveaxis(x, 3, 2).reshape(
    batch, rows * side, columns * side, channels
  )


def to_range(
  image: Num[Array, "batch height width 3"], channels: int
) -> Float[Array, "batch height width channels"]:
  """Pixels 0 to 255 as -1 to 1, in colour or grey."""
  pictures = image.astype(jnp.float32)
  if channels == 1:
    pictures = jnp.mean(pictures, axis=-1, keepdims=True)
  return pictures / 127.5 - 1.0


def from_range(
  pictures: Float[Array, "batch height width channels"],
) -> Float[Array, "batch height width channels"]:
  """The inverse, neither rounded nor clipped."""
  return (pictures + 1.0) * 127.5


def to_pixels(
  pictures: Float[Array, "batch height width channels"],
) -> Num[Array, "batch height width 3"]:
  """The inverse in colour, uint8; what is out of range is clipped."""
  pixels = jnp.clip(jnp.round(from_range(pictures)), 0.0, 255.0)
  return jnp.broadcast_to(pixels.astype(jnp.uint8), (*pictures.shape[:-1], 3))


def covered_cells(
  image: Num[Array, "batch height width 3"],
  covered: Int[Array, "batch 2"] | None,
  patch: int,
) -> Bool[Array, "batch rows columns"]:
  """Which cells of a canvas hold some of its picture.

  Args:
    image: gives the size.
    covered: rows and columns from the top left that do; None for all.
    patch: side of a cell, pixels.
  """
  batch, height, width = image.shape[:3]
  if height % patch or width % patch:
    raise ValueError(
      f"A picture of {width} x {height} pixels is not made of patches of "
      f"{patch}; fit it with `templates.Templates(..., patch={patch})`."
    )
  rows, columns = height // patch, width // patch
  if covered is None:
    return jnp.ones((batch, rows, columns), jnp.bool_)
  inside = jnp.arange(rows)[None, :] < covered[:, :1]
  beside = jnp.arange(columns)[None, :] < covered[:, 1:]
  return inside[:, :, None] & beside[:, None, :]
