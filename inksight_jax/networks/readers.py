"""Readers without a decoder: all characters of a picture in one step.

Both start from the ViT of `vit`, usually with a convolutional stem whose
patches are columns of a line.
"""

import dataclasses

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Num

from inksight_jax.networks import attention, layers, vit


@dataclasses.dataclass(frozen=True)
class ReaderConfig:
  """Sizes of a reader.

  Attributes:
    vit: image encoder.
    vocab_size: number of token ids, padding and, for frames, blank included.
    length: places of `ParallelReader`, the end of the text included.
    num_heads: places of the picture that each of them looks at.
    mlp_dim: hidden size behind them.
    dropout_rate: dropout in the head.
  """

  vit: vit.ViTConfig
  vocab_size: int
  length: int = 1
  num_heads: int = 8
  mlp_dim: int = 256
  dropout_rate: float = 0.0

  def __post_init__(self) -> None:
    if self.vit.width % self.num_heads or self.length < 1:
      raise ValueError(
        f"{self.num_heads} heads must divide the width {self.vit.width}, and "
        f"`length` {self.length} must be positive."
      )


class FrameReader(nn.Module):
  """Scores of all ids in each patch: the network of CTC.

  Attributes:
    config: sizes.
  """

  config: ReaderConfig

  @nn.compact
  def __call__(
    self,
    encoder_input_image: Num[Array, "batch height width channels"],
    *,
    enable_dropout: bool = False,
  ) -> Float[Array, "batch frames vocab"]:
    """Logits, float32, of patches in reading order.

    Args:
      encoder_input_image: pixels 0 to 255.
      enable_dropout: whether to drop units; needs a `dropout` RNG.
    """
    cfg = self.config
    x = vit.ViT(cfg.vit, name="image_encoder")(
      encoder_input_image, deterministic=not enable_dropout
    )
    x = nn.Dropout(cfg.dropout_rate, deterministic=not enable_dropout)(x)
    return _logits(cfg, x)


class ParallelReader(nn.Module):
  """Each place of the text looks at the picture by itself, all at once.

  Attributes:
    config: sizes.
  """

  config: ReaderConfig

  @nn.compact
  def __call__(
    self,
    encoder_input_image: Num[Array, "batch height width channels"],
    *,
    enable_dropout: bool = False,
  ) -> Float[Array, "batch length vocab"]:
    """Logits, float32, of each place of the text.

    Args:
      encoder_input_image: pixels 0 to 255.
      enable_dropout: whether to drop units; needs a `dropout` RNG.
    """
    cfg = self.config
    dtype = cfg.vit.dtype
    encoded = vit.ViT(cfg.vit, name="image_encoder")(
      encoder_input_image, deterministic=not enable_dropout
    )
    x = Places(cfg, name="places")(encoded, deterministic=not enable_dropout)
    y = layers.LayerNorm(dtype=dtype, name="norm")(x)
    y = layers.Dense(
      cfg.mlp_dim, ("embed", "mlp"), use_bias=True, dtype=dtype, name="wi"
    )(y)
    y = layers.ACTIVATIONS["gelu"](y)
    y = nn.Dropout(cfg.dropout_rate, deterministic=not enable_dropout)(y)
    return _logits(cfg, y)


class Places(nn.Module):
  """Attention from places of a text to patches, by content and by position.

  The positions that a place begins by looking at are those where it would
  stand if characters were equally wide; the heads share the width of one out
  among themselves, so that the order of its parts is not lost.

  Attributes:
    config: sizes.
  """

  config: ReaderConfig

  @nn.compact
  def __call__(
    self,
    encoded: Float[Array, "batch patches embed"],
    *,
    deterministic: bool = True,
  ) -> Float[Array, "batch length embed"]:
    """What each place sees.

    Args:
      encoded: patch embeddings, row by row.
      deterministic: disables dropout.
    """
    cfg = self.config
    batch, patches, width = encoded.shape
    heads, head_dim = cfg.num_heads, width // cfg.num_heads

    def split(x: Array) -> Array:
      return jnp.swapaxes(x.reshape(batch, -1, heads, head_dim), 1, 2)

    def project(name: str) -> Array:
      dense = layers.Dense(
        width,
        ("embed", "joined_kv"),
        use_bias=True,
        dtype=cfg.vit.dtype,
        name=name,
      )
      return split(dense(encoded))

    query = layers.param_with_axes(
      "query",
      nn.initializers.normal(stddev=0.02),
      (cfg.length, width),
      jnp.float32,
      axes=("length", "embed"),
    )
    query = jnp.broadcast_to(query[None], (batch, *query.shape))
    bias = layers.param_with_axes(
      "bias",
      lambda *_: _equal_widths(cfg),
      (heads, cfg.length, patches),
      jnp.float32,
      axes=("heads", "length", "patches"),
    )
    seen = attention.dot_product_attention(
      split(query.astype(cfg.vit.dtype)) * head_dim**-0.5,
      project("key"),
      project("value"),
      None,
      bias[None],
      layers.broadcast_dropout(cfg.dropout_rate, deterministic),
    )
    return jnp.swapaxes(seen, 1, 2).reshape(batch, cfg.length, width)


def _equal_widths(cfg: ReaderConfig) -> Float[Array, "heads length patches"]:
  """Log-weights of a bell around the part of the picture of each head."""
  rows, columns = cfg.vit.grid
  # The last place is for the end of the longest text: it stands at the edge.
  cell = 1.0 / max(1, cfg.length - 1)
  parts = (jnp.arange(cfg.num_heads) + 0.5) / cfg.num_heads
  centres = (jnp.arange(cfg.length)[None, :] + parts[:, None]) * cell
  places = jnp.tile((jnp.arange(columns) + 0.5) / columns, rows)
  # As wide as a head's part, but not narrower than a patch.
  deviation = max(cell / cfg.num_heads, 1.0 / columns)
  distance = jnp.minimum(centres, 1.0)[:, :, None] - places[None, None, :]
  return -0.5 * jnp.square(distance / deviation)


def _logits(
  cfg: ReaderConfig, x: Float[Array, "batch length features"]
) -> Float[Array, "batch length vocab"]:
  return layers.Dense(
    cfg.vocab_size,
    ("embed", "vocab"),
    use_bias=True,
    dtype=cfg.vit.dtype,
    output_dtype="float32",
    name="logits_dense",
  )(x)
