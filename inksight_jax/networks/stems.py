"""From pixels to a grid of patch embeddings: linear patches or a conv stem."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from inksight_jax.networks import layers


class PatchStem(nn.Module):
  """Linear map of non-overlapping patches; kernel as in the ViT files.

  Attributes:
    features: size of the embeddings.
    patch_size: side of a patch in pixels.
    dtype: computation type.
  """

  features: int
  patch_size: int
  dtype: str

  @nn.compact
  def __call__(
    self, image: Float[Array, "batch height width channels"]
  ) -> Float[Array, "batch rows columns features"]:
    batch, height, width, channels = image.shape
    size = self.patch_size
    kernel = layers.param_with_axes(
      "kernel",
      nn.initializers.lecun_normal(in_axis=(0, 1, 2)),
      (size, size, channels, self.features),
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
    rows, columns = height // size, width // size
    patches = image.reshape(batch, rows, size, columns, size, channels)
    patches = patches.transpose(0, 1, 3, 2, 4, 5).reshape(
      batch, rows, columns, -1
    )
    embeddings = layers.matmul(
      patches.astype(self.dtype),
      kernel.reshape(-1, self.features).astype(self.dtype),
      jnp.dtype(self.dtype),
    )
    return embeddings + bias.astype(self.dtype)[None, None, None, :]


class ConvStem(nn.Module):
  """Stride-2 3x3 convolutions up to the patch grid (Xiao et al. 2021).

  Channels double from layer to layer; GroupNorm instead of BatchNorm keeps
  the network free of batch statistics.

  Attributes:
    features: size of the embeddings.
    patch_size: total stride, a power of two.
    dtype: computation type.
  """

  features: int
  patch_size: int
  dtype: str

  @nn.compact
  def __call__(
    self, image: Float[Array, "batch height width channels"]
  ) -> Float[Array, "batch rows columns features"]:
    num_convolutions = int(math.log2(self.patch_size))
    if 2**num_convolutions != self.patch_size:
      raise ValueError(
        f"The conv stem halves the image step by step; `patch_size` "
        f"{self.patch_size} is not a power of two."
      )
    x = image.astype(self.dtype)
    for index in range(num_convolutions):
      channels = self.features >> (num_convolutions - 1 - index)
      x = Conv3x3(
        max(8, channels - channels % 8), self.dtype, name=f"conv_{index}"
      )(x)
      x = GroupNorm(dtype=self.dtype, name=f"norm_{index}")(x)
      x = nn.relu(x)
    return layers.Dense(
      self.features,
      ("conv_in", "embed"),
      use_bias=True,
      dtype=self.dtype,
      name="projection",
    )(x)


class Conv3x3(nn.Module):
  """3x3 convolution with stride 2 and no bias (a norm follows)."""

  features: int
  dtype: str

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
      window_strides=(2, 2),
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
    self, inputs: Float[Array, "batch height width channels"]
  ) -> Float[Array, "batch height width channels"]:
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
    x = inputs.astype(jnp.float32).reshape(
      batch, height, width, -1, self.group_size
    )
    mean = jnp.mean(x, axis=(1, 2, 4), keepdims=True)
    variance = jnp.var(x, axis=(1, 2, 4), keepdims=True)
    x = (x - mean) * jax.lax.rsqrt(variance + self.epsilon)
    x = x.reshape(inputs.shape)
    x = x * scale[None, None, None, :] + bias[None, None, None, :]
    return x.astype(self.dtype)


STEMS: dict[str, type[nn.Module]] = {"patch": PatchStem, "conv": ConvStem}
