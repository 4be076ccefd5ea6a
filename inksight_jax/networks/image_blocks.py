"""Blocks of networks that make pictures, or judge them."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Initializer
from jaxtyping import Array, Bool, Float

from inksight_jax.networks import layers

# Iterations of the power method for a spectral norm, from a fixed start: the
# largest singular value to a few percent, without state to carry along.
_POWER_ITERATIONS = 3


class UpBlock(nn.Module):
  """Two convolutions, each behind a norm that the style scales, and a bypass.

  Attributes:
    features: channels.
    enlarge: doubles height and width first.
  """

  features: int
  enlarge: bool

  @nn.compact
  def __call__(
    self,
    inputs: Float[Array, "batch height width channels"],
    style: Float[Array, "batch part"],
    written: Bool[Array, "batch characters"],
  ) -> Float[Array, "batch rows columns features"]:
    x = nn.relu(StyleNorm(name="norm_0")(inputs, style))
    if self.enlarge:
      x, inputs = enlarge(x), enlarge(inputs)
    x = Conv(self.features, name="conv_0")(keep(x, written))
    x = nn.relu(StyleNorm(name="norm_1")(x, style))
    x = Conv(self.features, name="conv_1")(keep(x, written))
    bypass = inputs
    if inputs.shape[-1] != self.features:
      bypass = Conv(self.features, size=1, name="bypass")(inputs)
    return x + bypass


class StyleNorm(nn.Module):
  """Norm over the channels of each pixel; gain and offset from the style.

  One gain and offset for each channel. No statistics over pixels or pictures:
  a character does not change what lies beside it, a batch may have any size.
  """

  @nn.compact
  def __call__(
    self,
    inputs: Float[Array, "batch height width channels"],
    style: Float[Array, "batch part"],
  ) -> Float[Array, "batch height width channels"]:
    channels = inputs.shape[-1]
    affine = layers.Dense(
      2 * channels,
      ("style", "embed"),
      use_bias=True,
      kernel_init=nn.initializers.normal(
        stddev=0.3 / math.sqrt(style.shape[1])
      ),
      name="affine",
    )(style)
    gain, offset = jnp.split(affine[:, None, None, :], 2, axis=-1)
    return normalize(inputs) * (1.0 + gain) + offset


class DownBlock(nn.Module):
  """Two convolutions and a bypass.

  Attributes:
    features: channels.
    reduce: halves height and width at the end.
    spectral: divides kernels by their spectral norm.
  """

  features: int
  reduce: bool
  spectral: bool = True

  @nn.compact
  def __call__(
    self, inputs: Float[Array, "batch height width channels"]
  ) -> Float[Array, "batch rows columns features"]:
    x = self._conv("conv_0")(leaky(inputs))
    x = self._conv("conv_1")(leaky(x))
    if inputs.shape[-1] != self.features:
      inputs = self._conv("bypass", 1)(inputs)
    x = x + inputs
    return halve(x) if self.reduce else x

  def _conv(self, name: str, size: int = 3) -> nn.Module:
    return Conv(self.features, size, self.spectral, name=name)


class Conv(nn.Module):
  """Convolution with a bias, of the same size as its input.

  Attributes:
    features: channels.
    size: side of the kernel.
    spectral: divides the kernel by its largest singular value (Miyato et al.
      2018).
    kernel_init: initialiser of the kernel.
  """

  features: int
  size: int = 3
  spectral: bool = False
  kernel_init: Initializer = nn.initializers.he_normal()

  @nn.compact
  def __call__(
    self, inputs: Float[Array, "batch height width channels"]
  ) -> Float[Array, "batch height width features"]:
    shape = (self.size, self.size, inputs.shape[-1], self.features)
    kernel = layers.param_with_axes(
      "kernel",
      self.kernel_init,
      shape,
      jnp.float32,
      axes=("height", "width", "conv_in", "conv_out"),
    )
    bias = layers.param_with_axes(
      "bias",
      nn.initializers.zeros_init(),
      (self.features,),
      jnp.float32,
      axes=("conv_out",),
    )
    if self.spectral:
      kernel = kernel / spectral_norm(kernel.reshape(-1, self.features))
    x = jax.lax.conv_general_dilated(
      inputs,
      kernel,
      window_strides=(1, 1),
      padding="SAME",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return x + bias[None, None, None, :]


def keep(
  x: Float[Array, "batch height width channels"],
  written: Bool[Array, "batch characters"],
) -> Float[Array, "batch height width channels"]:
  """Zeros the columns of places without a character.

  Before every convolution: what padding holds then never reaches a word, which
  looks the same however many places follow it.
  """
  columns = x.shape[2] // written.shape[1]
  mask = jnp.repeat(written, columns, axis=1)
  return jnp.where(mask[:, None, :, None], x, 0.0)


def spectral_norm(matrix: Float[Array, "rows columns"]) -> Float[Array, ""]:
  """Largest singular value, by the power method; differentiable.

  Source: Miyato et al. (2018), arXiv 1802.05957, section 3.2.
  """
  fixed = jax.lax.stop_gradient(matrix)
  right = jnp.ones((matrix.shape[1],), matrix.dtype)
  left = jnp.zeros((matrix.shape[0],), matrix.dtype)
  for _ in range(_POWER_ITERATIONS):
    left = _unit(fixed @ right)
    right = _unit(fixed.T @ left)
  return left @ matrix @ right


def _unit(vector: Float[Array, " size"]) -> Float[Array, " size"]:
  return vector * jax.lax.rsqrt(jnp.sum(jnp.square(vector)) + 1e-12)


def normalize(
  x: Float[Array, "*batch channels"],
) -> Float[Array, "*batch channels"]:
  """Divides the channels, of a pixel say, by their root mean square."""
  square = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
  return x * jax.lax.rsqrt(square + 1e-6)


def leaky(x: Array) -> Array:
  """ReLU that lets a fifth of what is negative through."""
  return nn.leaky_relu(x, 0.2)


def enlarge(
  x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch rows columns channels"]:
  """Twice the height and width, each pixel four times."""
  batch, height, width, channels = x.shape
  shape = (batch, height, 2, width, 2, channels)
  x = jnp.broadcast_to(x[:, :, None, :, None, :], shape)
  return x.reshape(batch, 2 * height, 2 * width, channels)


def halve(
  x: Float[Array, "batch rows columns channels"],
) -> Float[Array, "batch height width channels"]:
  """Half the height and width: means of four pixels."""
  batch, rows, columns, channels = x.shape
  shape = (batch, rows // 2, 2, columns // 2, 2, channels)
  return jnp.mean(x.reshape(shape), axis=(2, 4))
