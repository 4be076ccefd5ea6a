"""ResNet image encoder whose padding changes nothing (He et al. 2016).

GroupNorm in the place of BatchNorm keeps the network free of batch statistics.
A page lies in the top left of its frame; what follows it, to the right and
below, of one single colour, is padding. Padding counts as zero in every
convolution, is left out of every norm and masked for whoever reads the result:
a page gives the same numbers in a frame of any size.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Num

from inksight_jax.networks import layers, positions, stems

_CONV_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


@dataclasses.dataclass(frozen=True)
class ResNetConfig:
  """Sizes and choices of a ResNet.

  Attributes:
    width: size of the embeddings of the cells.
    blocks: residual blocks of each stage.
    channels: of each stage; of a bottleneck block a quarter of its output.
    bottleneck: whether blocks are 1x1, 3x3, 1x1 instead of 3x3, 3x3.
    stride: pixels of a cell, (height, width), powers of two. Halvings go to
      the stem, the pooling and the stages from the second on, in this order.
    stem_kernel: side of the first convolution.
    max_pool: whether a 3x3 maximum follows the stem.
    group_size: channels of a group of the norms; divides all `channels`.
    dropout_rate: of the embeddings.
    dtype: computation type.
  """

  width: int = 256
  blocks: Sequence[int] = (2, 2, 2, 2)
  channels: Sequence[int] = (64, 128, 256, 512)
  bottleneck: bool = False
  stride: tuple[int, int] = (32, 8)
  stem_kernel: int = 7
  max_pool: bool = True
  group_size: int = 8
  dropout_rate: float = 0.0
  dtype: str = "float32"

  def __post_init__(self) -> None:
    # gin files may give lists; linen needs hashable fields.
    for name in ("blocks", "channels", "stride"):
      object.__setattr__(self, name, tuple(getattr(self, name)))
    layers.check_choice("dtype", self.dtype, layers.DTYPES)
    if len(self.blocks) != len(self.channels):
      raise ValueError(
        f"`blocks` {self.blocks} and `channels` {self.channels} must name the "
        "same stages."
      )
    if any(number % self.group_size for number in self.channels):
      raise ValueError(
        f"`group_size` {self.group_size} must divide all `channels` "
        f"{self.channels}."
      )
    places = len(self.blocks) + int(self.max_pool)
    for side in self.stride:
      if side not in {2**i for i in range(places + 1)}:
        raise ValueError(
          f"`stride` {self.stride} must be of powers of two up to "
          f"{2**places}: {places} places of this network may halve."
        )

  @property
  def halvings(self) -> tuple[tuple[int, int], ...]:
    """(height, width) strides of stem, pooling and stages, in order."""
    places = 1 + int(self.max_pool) + len(self.blocks)
    halved = [int(math.log2(side)) for side in self.stride]
    steps = []
    for place in range(places):
      # The first stage follows the pooling, or the stem, at its resolution.
      first = place == places - len(self.blocks)
      turn = place - int(place > places - len(self.blocks))
      steps.append(
        (1, 1) if first else tuple(2 if turn < count else 1 for count in halved)
      )
    return tuple(steps)


# He et al. (2016), table 1.
RESNET_SIZES: dict[str, ResNetConfig] = {
  "18": ResNetConfig(blocks=(2, 2, 2, 2)),
  "34": ResNetConfig(blocks=(3, 4, 6, 3)),
  "50": ResNetConfig(blocks=(3, 4, 6, 3), bottleneck=True),
}


def resnet_config(size: str, **changes: object) -> ResNetConfig:
  """A row of RESNET_SIZES with some fields replaced; handy in gin.

  Raises:
    ValueError: if `size` is not in the table.
  """
  layers.check_choice("size", size, RESNET_SIZES)
  return dataclasses.replace(RESNET_SIZES[size], **changes)


def page_mask(
  image: Num[Array, "batch height width channels"],
) -> Bool[Array, "batch height width"]:
  """Where the page is: all but what follows it in one single colour.

  Rows below and columns to the right of the last pixel that differs from the
  one in the bottom right corner are padding, whoever put them there: the empty
  end of a clean page is padding as well. A picture of one colour is a page of
  one pixel.

  Args:
    image: pixels 0 to 255.
  """
  differs = jnp.any(image != image[:, -1:, -1:], axis=-1)
  inside = []
  for axis in (2, 1):
    some = jnp.any(differs, axis=axis)
    after = jnp.cumsum(some[:, ::-1], axis=1)[:, ::-1] > 0
    inside.append(after.at[:, 0].set(True))
  return inside[0][:, :, None] & inside[1][:, None, :]


def to_ink(
  image: Num[Array, "batch height width channels"], dtype: str
) -> Float[Array, "batch height width 1"]:
  """Grey values from 0, white, to 1, black: padding is as white paper."""
  grey = jnp.mean(image.astype(jnp.float32), axis=-1, keepdims=True)
  return ((255.0 - grey) / 255.0).astype(dtype)


class ResNet(nn.Module):
  """Image encoder: a grid of cells with their places, row by row.

  Attributes:
    config: sizes and choices.
  """

  config: ResNetConfig

  @nn.compact
  def __call__(
    self,
    image: Num[Array, "batch height width channels"],
    *,
    deterministic: bool = True,
    mask: Bool[Array, "batch height width"] | None = None,
  ) -> tuple[Float[Array, "batch cells embed"], Bool[Array, "batch cells"]]:
    """Embeds the cells of a page, and tells which of them are on it.

    Args:
      image: pixels 0 to 255 of any size; the page in the top left corner.
      deterministic: disables dropout.
      mask: where the page is; what `page_mask` finds by default.
    """
    cfg = self.config
    if mask is None:
      mask = page_mask(image)
    x = to_ink(image, cfg.dtype)
    x = jnp.where(mask[..., None], x, jnp.zeros((), x.dtype))
    strides = iter(cfg.halvings)
    x, mask = _Conv(
      cfg.channels[0], cfg.stem_kernel, next(strides), cfg, name="stem"
    )(x, mask)
    if cfg.max_pool:
      stride = next(strides)
      x = max_pool(x, stride)
      mask = shrink_mask(mask, stride)
      # A window outside the page may reach into it.
      x = jnp.where(mask[..., None], x, jnp.zeros((), x.dtype))
    for stage, (depth, channels) in enumerate(
      zip(cfg.blocks, cfg.channels, strict=True)
    ):
      stride = next(strides)
      for index in range(depth):
        x, mask = Block(
          channels,
          stride if index == 0 else (1, 1),
          cfg,
          name=f"stage_{stage}_block_{index}",
        )(x, mask)
    batch, rows, columns, channels = x.shape
    x = layers.Dense(
      cfg.width,
      ("conv_in", "embed"),
      use_bias=True,
      dtype=cfg.dtype,
      name="projection",
    )(x.reshape(batch, rows * columns, channels))
    x = positions.SinCosPosition((rows, columns), name="position")(x)
    x = nn.Dropout(cfg.dropout_rate, deterministic=deterministic)(x)
    return x, mask.reshape(batch, -1)


def max_pool(
  x: Float[Array, "batch height width channels"], stride: tuple[int, int]
) -> Float[Array, "batch rows columns channels"]:
  """The greatest of 3x3 around every `stride`-th pixel; nothing is negative.

  Maxima of shifted pictures, of which the gradient keeps no places: that of
  `nn.max_pool` holds four arrays of integers of the size of its input on CPUs.
  """
  for axis, step in zip((1, 2), stride, strict=True):
    # What follows the stem is not negative: a border of zeros does not matter.
    border = [(1, 1) if axis == padded else (0, 0) for padded in range(4)]
    size = x.shape[axis]
    wide = jnp.pad(x, border)
    x = functools.reduce(
      jnp.maximum,
      [
        jax.lax.slice_in_dim(wide, first, first + size, step, axis)
        for first in range(3)
      ],
    )
  return x


class Block(nn.Module):
  """Residual block; the shortcut is projected where the shape changes.

  Attributes:
    channels: of its 3x3 convolutions.
    stride: of the first of them.
    config: of the network.
  """

  channels: int
  stride: tuple[int, int]
  config: ResNetConfig

  @nn.compact
  def __call__(
    self,
    inputs: Float[Array, "batch height width channels"],
    mask: Bool[Array, "batch height width"],
  ) -> tuple[
    Float[Array, "batch rows columns features"],
    Bool[Array, "batch rows columns"],
  ]:
    cfg = self.config
    features = self.channels * (4 if cfg.bottleneck else 1)
    x, below = inputs, mask
    if cfg.bottleneck:
      x, _ = _Conv(self.channels, 1, (1, 1), cfg, name="reduce")(x, below)
      x, below = _Conv(self.channels, 3, self.stride, cfg, name="conv_0")(
        x, below
      )
      last, kernel = "expand", 1
    else:
      x, below = _Conv(self.channels, 3, self.stride, cfg, name="conv_0")(
        x, below
      )
      last, kernel = "conv_1", 3
    x, below = _Conv(features, kernel, (1, 1), cfg, active=False, name=last)(
      x, below
    )
    if inputs.shape != x.shape:
      inputs, _ = _Conv(
        features, 1, self.stride, cfg, active=False, name="shortcut"
      )(inputs, mask)
    return nn.relu(x + inputs), below


class _Conv(nn.Module):
  """Convolution, norm over what is on the page, and where wanted ReLU.

  Attributes:
    features: output channels.
    kernel: side.
    stride: (height, width).
    config: of the network.
    active: whether the ReLU follows.
  """

  features: int
  kernel: int
  stride: tuple[int, int]
  config: ResNetConfig
  active: bool = True

  @nn.compact
  def __call__(
    self,
    inputs: Float[Array, "batch height width channels"],
    mask: Bool[Array, "batch height width"],
  ) -> tuple[
    Float[Array, "batch rows columns features"],
    Bool[Array, "batch rows columns"],
  ]:
    cfg = self.config
    kernel = layers.param_with_axes(
      "kernel",
      _CONV_INIT,
      (self.kernel, self.kernel, inputs.shape[-1], self.features),
      jnp.float32,
      axes=("height", "width", "conv_in", "conv_out"),
    )
    # Not "SAME": that would shift the grid by the parity of the frame.
    reach = self.kernel // 2
    x = jax.lax.conv_general_dilated(
      inputs,
      kernel.astype(cfg.dtype),
      window_strides=self.stride,
      padding=[(reach, reach), (reach, reach)],
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    mask = shrink_mask(mask, self.stride)
    x = stems.GroupNorm(
      dtype=cfg.dtype, group_size=cfg.group_size, name="norm"
    )(x, mask)
    x = nn.relu(x) if self.active else x
    return jnp.where(mask[..., None], x, jnp.zeros((), x.dtype)), mask


def shrink_mask(
  mask: Bool[Array, "batch height width"], stride: tuple[int, int]
) -> Bool[Array, "batch rows columns"]:
  """The mask after a stride: a cell counts whose first pixel is on the page."""
  return mask[:, :: stride[0], :: stride[1]]
