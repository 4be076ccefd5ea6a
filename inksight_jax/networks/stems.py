"""From pixels to a grid of patch embeddings: linear patches or a conv stem."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from inksight_jax.networks import layers


class PatchStem(nn.Module):
  """Linear map of non-overlapping patches; kernel as in the ViT files.

  Attributes:
    features: size of the embeddings.
    patch_size: side of a patch in pixels, or its (height, width).
    dtype: computation type.
  """

  features: int
  patch_size: int | tuple[int, int]
  dtype: str

  @nn.compact
  def __call__(
    self, image: Float[Array, "batch height width channels"]
  ) -> Float[Array, "batch rows columns features"]:
    batch, height, width, channels = image.shape
    patch_height, patch_width = layers.pair(self.patch_size)
    kernel = layers.param_with_axes(
      "kernel",
      nn.initializers.lecun_normal(in_axis=(0, 1, 2)),
      (patch_height, patch_width, channels, self.features),
      jnp.float32,
      axes=("height", "width", "channels", "embed"),
    )
    bias = layers.param_with_axes(
      "bias",
      nn.initializers.zeros_init(),
      (self.features,),
      jnp.float32,
      axes=("embed",),
    )
    # The strided convolution written as a matrix product: faster on CPU, and
    # without a gradient with respect to the pixels.
    rows, columns = height // patch_height, width // patch_width
    patches = image.reshape(
      batch, rows, patch_height, columns, patch_width, channels
    )
    patches = patches.transpose(0, 1, 3, 2, 4, 5).reshape(
      batch, rows, columns, -1
    )
    # Or XLA makes a convolution of it on TPUs, whose window is long to compile.
    patches = jax.lax.optimization_barrier(patches.astype(self.dtype))
    embeddings = layers.matmul(
      patches,
      kernel.reshape(-1, self.features).astype(self.dtype),
      jnp.dtype(self.dtype),
    )
    return embeddings + bias.astype(self.dtype)[None, None, None, :]


class ConvStem(nn.Module):
  """Stride-2 3x3 convolutions up to the patch grid (Xiao et al. 2021).

  Channels double from layer to layer; GroupNorm instead of BatchNorm keeps
  the network free of batch statistics. Patches higher than wide, down to whole
  columns of a line, are halved as often as they are wide; the rows that are
  left in a patch are joined.

  Attributes:
    features: size of the embeddings.
    patch_size: total stride, or of (height, width); the width is a power of
      two and divides the height.
    dtype: computation type.
    depth: convolutions at each resolution; the first of them halves it.
  """

  features: int
  patch_size: int | tuple[int, int]
  dtype: str
  depth: int = 1

  @nn.compact
  def __call__(
    self, image: Float[Array, "batch height width channels"]
  ) -> Float[Array, "batch rows columns features"]:
    patch_height, patch_width = layers.pair(self.patch_size)
    num_halvings = int(math.log2(patch_width))
    if 2**num_halvings != patch_width or patch_height % patch_width:
      raise ValueError(
        f"The conv stem halves the image step by step; the width of "
        f"`patch_size` {self.patch_size} is not a power of two, or does not "
        "divide the height."
      )
    x = image.astype(self.dtype)
    for index in range(num_halvings * self.depth):
      stage, step = divmod(index, self.depth)
      channels = self.features >> (num_halvings - 1 - stage)
      x = Conv3x3(
        max(8, channels - channels % 8),
        self.dtype,
        stride=1 if step else 2,
        name=f"conv_{index}",
      )(x)
      x = GroupNorm(dtype=self.dtype, name=f"norm_{index}")(x)
      x = nn.relu(x)
    joined = patch_height // patch_width
    if joined > 1:
      batch, rows, columns, channels = x.shape
      x = x.reshape(batch, rows // joined, joined, columns, channels)
      x = jnp.swapaxes(x, 2, 3).reshape(
        batch, rows // joined, columns, joined * channels
      )
    return layers.Dense(
      self.features,
      ("conv_in", "embed"),
      use_bias=True,
      dtype=self.dtype,
      name="projection",
    )(x)


class Conv3x3(nn.Module):
  """3x3 convolution without bias (a norm follows)."""

  features: int
  dtype: str
  stride: int = 2

  @nn.compact
  def __call__(
    self, inputs: Float[Array, "batch height width channels"]
  ) -> Float[Array, "batch rows columns features"]:
    kernel = layers.param_with_axes(
      "kernel",
      nn.initializers.he_normal(),
      (3, 3, inputs.shape[-1], self.features),
      jnp.float32,
      axes=("height", "width", "conv_in", "conv_out"),
    )
    return jax.lax.conv_general_dilated(
      inputs,
      kernel.astype(self.dtype),
      window_strides=(self.stride, self.stride),
      padding="SAME",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


class GroupNorm(nn.Module):
  """Group norm (Wu & He 2018) over 8 channels at a time, in float32."""

  dtype: str
  group_size: int = 8
  epsilon: float = 1e-6

  @nn.compact
  def __call__(
    self,
    inputs: Float[Array, "batch height width channels"],
    mask: Bool[Array, "batch height width"] | None = None,
  ) -> Float[Array, "batch height width channels"]:
    """Normalises; moments are taken where `mask` is True, if there is one."""
    batch, height, width, channels = inputs.shape
    scale = layers.param_with_axes(
      "scale",
      nn.initializers.ones_init(),
      (channels,),
      jnp.float32,
      axes=("conv_out",),
    )
    bias = layers.param_with_axes(
      "bias",
      nn.initializers.zeros_init(),
      (channels,),
      jnp.float32,
      axes=("conv_out",),
    )
    x = inputs.astype(jnp.float32).reshape(batch, height * width, channels)
    # Moments by channel as products, then by group; what is left is one
    # multiply-add for each value. A third of the time on CPU of reductions
    # over the pixels and channels of each group.
    if mask is None:
      average = jnp.full((batch, 1, height * width), 1.0 / (height * width))
    else:
      counted = mask.reshape(batch, 1, -1).astype(jnp.float32)
      average = counted / jnp.sum(counted, axis=-1, keepdims=True)
    mean = self._by_group(_sum_of_pixels(average, x))
    square = self._by_group(_sum_of_pixels(average, jnp.square(x)))
    variance = jnp.maximum(square - jnp.square(mean), 0.0)
    factor = jax.lax.rsqrt(variance + self.epsilon) * scale[None, :]
    offset = bias[None, :] - mean * factor
    x = _scale_and_shift(x, factor, offset)
    return x.reshape(inputs.shape).astype(self.dtype)

  def _by_group(
    self, moments: Float[Array, "batch channels"]
  ) -> Float[Array, "batch channels"]:
    """The average of each channel's group."""
    groups = moments.reshape(moments.shape[0], -1, self.group_size)
    means = jnp.mean(groups, axis=-1, keepdims=True)
    return jnp.broadcast_to(means, groups.shape).reshape(moments.shape)


def _sum_of_pixels(
  weights: Float[Array, "batch 1 pixels"],
  x: Float[Array, "batch pixels channels"],
) -> Float[Array, "batch channels"]:
  """Weighted sums as products, in float32 on accelerators as well."""
  return jnp.matmul(weights, x, precision=jax.lax.Precision.HIGHEST)[:, 0]


@jax.custom_vjp
def _scale_and_shift(
  x: Float[Array, "batch pixels channels"],
  factor: Float[Array, "batch channels"],
  offset: Float[Array, "batch channels"],
) -> Float[Array, "batch pixels channels"]:
  """x * factor + offset; its gradients are products, for the same reason."""
  return x * factor[:, None, :] + offset[:, None, :]


def _scale_and_shift_forward(
  x: Array, factor: Array, offset: Array
) -> tuple[Array, tuple[Array, Array]]:
  return _scale_and_shift(x, factor, offset), (x, factor)


def _scale_and_shift_backward(
  residuals: tuple[Array, Array], gradient: Array
) -> tuple[Array, Array, Array]:
  x, factor = residuals
  ones = jnp.ones((x.shape[0], 1, x.shape[1]), x.dtype)
  return (
    gradient * factor[:, None, :],
    _sum_of_pixels(ones, gradient * x),
    _sum_of_pixels(ones, gradient),
  )


_scale_and_shift.defvjp(_scale_and_shift_forward, _scale_and_shift_backward)


STEMS: dict[str, Callable[..., nn.Module]] = {
  "patch": PatchStem,
  "conv": ConvStem,
  "deep_conv": functools.partial(ConvStem, depth=2),
}
