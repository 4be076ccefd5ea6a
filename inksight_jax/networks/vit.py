"""Vision Transformer (Dosovitskiy et al. 2021) that returns patch embeddings.

Parameter names follow the published `.npz` files of vision_transformer and
big_vision. There is no class token, unless TrOCR's weights want one: the reader
attends to the patches.
"""

import dataclasses

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Num

from inksight_jax.networks import attention, layers, positions, stems


@dataclasses.dataclass(frozen=True)
class ViTConfig:
  """Sizes and choices of a ViT.

  Attributes:
    image_size: side of the square image in pixels, or its (height, width).
    patch_size: the same of a patch; divides `image_size`.
    width: size of the patch embeddings.
    depth: number of layers.
    mlp_dim: hidden size of the MLPs.
    num_heads: attention heads; divides `width`.
    dropout_rate: dropout of the residual branches and attention weights.
    dtype: computation type, "float32" or "bfloat16".
    remat_policy: key of layers.REMAT_POLICIES.
    scan_layers: stack the layers' parameters and compile one of them.
    position: key of positions.POSITIONS; "learned" as published, "sincos2d"
      fixed.
    stem: "patch" as published; "conv" for training from scratch on little
      data (Xiao et al. 2021), "deep_conv" with twice the convolutions.
    channels: channels of the image.
    prefix_tokens: learned vectors before the patches: 1 for a class token, 2
      for DeiT's distillation token too (Touvron et al. 2021). They are part of
      what is returned; "learned" positions only.
    activation: name in layers.ACTIVATIONS, of the MLPs.
    norm_epsilon: of the layer norms.
  """

  image_size: int | tuple[int, int] = 224
  patch_size: int | tuple[int, int] = 16
  width: int = 768
  depth: int = 12
  mlp_dim: int = 3072
  num_heads: int = 12
  dropout_rate: float = 0.0
  dtype: str = "float32"
  remat_policy: str = "none"
  scan_layers: bool = False
  position: str = "learned"
  stem: str = "patch"
  channels: int = 3
  prefix_tokens: int = 0
  activation: str = "gelu"
  norm_epsilon: float = 1e-6

  def __post_init__(self) -> None:
    layers.check_choice("activation", self.activation, layers.ACTIVATIONS)
    layers.check_choice("position", self.position, positions.POSITIONS)
    layers.check_choice("stem", self.stem, stems.STEMS)
    layers.check_choice("dtype", self.dtype, layers.DTYPES)
    layers.check_choice(
      "remat_policy", self.remat_policy, layers.REMAT_POLICIES
    )
    for name in ("image_size", "patch_size"):
      if not isinstance(getattr(self, name), int):
        object.__setattr__(self, name, tuple(getattr(self, name)))
    if self.prefix_tokens and self.position != "learned":
      raise ValueError(
        f"{self.prefix_tokens} tokens before the patches have no place in a "
        f'grid; set `position` to "learned", not {self.position!r}.'
      )
    sides = zip(self.image_shape, self.patch_shape, strict=True)
    for name, part, uneven in (
      ("image_size", "patch_size", any(side % patch for side, patch in sides)),
      ("width", "num_heads", self.width % self.num_heads),
    ):
      if uneven:
        raise ValueError(
          f"`{name}` {getattr(self, name)} is not a multiple of `{part}` "
          f"{getattr(self, part)}; change one of them."
        )

  @property
  def image_shape(self) -> tuple[int, int]:
    """(height, width) of the image in pixels."""
    return layers.pair(self.image_size)

  @property
  def patch_shape(self) -> tuple[int, int]:
    """(height, width) of a patch in pixels."""
    return layers.pair(self.patch_size)

  @property
  def grid(self) -> tuple[int, int]:
    """Rows and columns of patches."""
    (height, width), (rows, columns) = self.image_shape, self.patch_shape
    return height // rows, width // columns

  @property
  def num_patches(self) -> int:
    """Length of the sequence of patch embeddings."""
    return self.grid[0] * self.grid[1]


# Dosovitskiy et al. (2021), table 1; Ti and S from Touvron et al. (2021).
VIT_SIZES: dict[str, ViTConfig] = {
  "Ti/16": ViTConfig(width=192, depth=12, mlp_dim=768, num_heads=3),
  "S/16": ViTConfig(width=384, depth=12, mlp_dim=1536, num_heads=6),
  "B/16": ViTConfig(width=768, depth=12, mlp_dim=3072, num_heads=12),
  "L/16": ViTConfig(width=1024, depth=24, mlp_dim=4096, num_heads=16),
}


def vit_config(size: str, **changes: object) -> ViTConfig:
  """A row of VIT_SIZES with some fields replaced; handy in gin.

  Raises:
    ValueError: if `size` is not in the table.
  """
  layers.check_choice("size", size, VIT_SIZES)
  return dataclasses.replace(VIT_SIZES[size], **changes)


def scale_image(
  image: Num[Array, "batch height width channels"], dtype: str
) -> Float[Array, "batch height width channels"]:
  """Maps 0..255 to -1..1, as the published ViT weights expect."""
  return image.astype(dtype) / 127.5 - 1.0


class ViT(nn.Module):
  """Image encoder.

  Attributes:
    config: sizes and choices.
    deterministic: disables dropout.
  """

  config: ViTConfig

  @nn.compact
  def __call__(
    self,
    image: Num[Array, "batch height width channels"],
    *,
    deterministic: bool = True,
  ) -> Float[Array, "batch patches embed"]:
    """Embeds the patches of an image, row by row, behind any prefix tokens.

    Args:
      image: pixels 0 to 255, of the configured size.
      deterministic: disables dropout.

    Raises:
      ValueError: if the image has another size or number of channels.
    """
    cfg = self.config
    expected = (*cfg.image_shape, cfg.channels)
    if image.shape[1:] != expected:
      raise ValueError(
        f"Images of shape {image.shape[1:]} came to a ViT configured for "
        f"{expected}; set its `image_size` and `channels` to the data's."
      )
    x = stems.STEMS[cfg.stem](
      features=cfg.width,
      patch_size=cfg.patch_size,
      dtype=cfg.dtype,
      name="embedding",
    )(scale_image(image, cfg.dtype))
    x = x.reshape(x.shape[0], -1, cfg.width)
    if cfg.prefix_tokens:
      prefix = layers.param_with_axes(
        "prefix",
        nn.initializers.normal(stddev=0.02),
        (cfg.prefix_tokens, cfg.width),
        jnp.float32,
        axes=("patches", "embed"),
      )
      prefix = jnp.broadcast_to(prefix[None], (x.shape[0], *prefix.shape))
      x = jnp.concatenate([prefix.astype(x.dtype), x], axis=1)
    return Transformer(cfg, deterministic, name="Transformer")(x)


class Transformer(nn.Module):
  """Positions, layers and final norm over patch embeddings."""

  config: ViTConfig
  deterministic: bool

  @nn.compact
  def __call__(
    self, patches: Float[Array, "batch patches embed"]
  ) -> Float[Array, "batch patches embed"]:
    cfg = self.config
    x = positions.POSITIONS[cfg.position](cfg.grid, name="posembed_input")(
      patches
    )
    x = nn.Dropout(cfg.dropout_rate, deterministic=self.deterministic)(x)
    x = layers.constrain_activations(x)
    x = layers.run_layers(
      EncoderBlock,
      x,
      depth=cfg.depth,
      name="encoderblock",
      scan=cfg.scan_layers,
      remat_policy=cfg.remat_policy,
      attributes={"config": cfg, "deterministic": self.deterministic},
    )
    return layers.LayerNorm(cfg.norm_epsilon, cfg.dtype, name="encoder_norm")(x)


class EncoderBlock(nn.Module):
  """Pre-norm attention and MLP; names as in the published files."""

  config: ViTConfig
  deterministic: bool

  @nn.compact
  def __call__(
    self, inputs: Float[Array, "batch patches embed"]
  ) -> tuple[Float[Array, "batch patches embed"], None]:
    cfg = self.config
    head_dim = cfg.width // cfg.num_heads
    x = layers.LayerNorm(cfg.norm_epsilon, cfg.dtype, name="LayerNorm_0")(
      inputs
    )
    x = attention.SelfAttention(
      num_heads=cfg.num_heads,
      head_dim=head_dim,
      dropout_rate=cfg.dropout_rate,
      deterministic=self.deterministic,
      use_bias=True,
      query_scale=head_dim**-0.5,
      dtype=cfg.dtype,
      name="MultiHeadDotProductAttention_1",
    )(x)
    x = nn.Dropout(cfg.dropout_rate, deterministic=self.deterministic)(x)
    x += inputs
    y = layers.LayerNorm(cfg.norm_epsilon, cfg.dtype, name="LayerNorm_2")(x)
    y = MlpBlock(cfg, self.deterministic, name="MlpBlock_3")(y)
    return layers.constrain_activations(x + y), None


class MlpBlock(nn.Module):
  """Dense, GELU, dense, with biases."""

  config: ViTConfig
  deterministic: bool

  @nn.compact
  def __call__(
    self, inputs: Float[Array, "batch patches embed"]
  ) -> Float[Array, "batch patches embed"]:
    cfg = self.config
    x = layers.Dense(
      cfg.mlp_dim,
      ("embed", "mlp"),
      use_bias=True,
      dtype=cfg.dtype,
      kernel_init=nn.initializers.xavier_uniform(),
      name="Dense_0",
    )(inputs)
    x = layers.ACTIVATIONS[cfg.activation](x)
    x = nn.Dropout(cfg.dropout_rate, deterministic=self.deterministic)(x)
    x = layers.Dense(
      inputs.shape[-1],
      ("mlp", "embed"),
      use_bias=True,
      dtype=cfg.dtype,
      kernel_init=nn.initializers.xavier_uniform(),
      name="Dense_1",
    )(x)
    return nn.Dropout(cfg.dropout_rate, deterministic=self.deterministic)(x)
