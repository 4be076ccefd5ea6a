"""Positions of image patches and of tokens: learned, or sines and cosines."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from inksight_jax.networks import coordinates, layers


class LearnedPosition(nn.Module):
  """Adds one learned vector per patch.

  Attributes:
    grid: rows and columns of patches; only their product counts here.
  """

  grid: tuple[int, int]

  @nn.compact
  def __call__(
    self, patches: Float[Array, "batch patches embed"]
  ) -> Float[Array, "batch patches embed"]:
    embedding = layers.param_with_axes(
      "pos_embedding",
      nn.initializers.normal(stddev=0.02),
      (1, *patches.shape[1:]),
      jnp.float32,
      axes=("unit", "patches", "embed"),
    )
    return patches + embedding.astype(patches.dtype)


class SinCosPosition(nn.Module):
  """Adds fixed sines and cosines of the patch's row and column.

  Attributes:
    grid: rows and columns of patches.
  """

  grid: tuple[int, int]

  @nn.compact
  def __call__(
    self, patches: Float[Array, "batch patches embed"]
  ) -> Float[Array, "batch patches embed"]:
    table = sincos2d(*self.grid, patches.shape[2])
    return patches + table[None].astype(patches.dtype)


def sincos2d(
  height: int, width: int, features: int
) -> Float[Array, "positions features"]:
  """2-D sine-cosine positions (Chen et al. 2021, MoCo v3), row by row.

  Each quarter of the features holds sin or cos of the column or the row at
  wavelengths from 2 pi to 20,000 pi.

  Raises:
    ValueError: if `features` is not a multiple of 4.
  """
  if features % 4:
    raise ValueError(
      "sincos2d positions need a width that is a multiple of 4, not "
      f"{features}; change `width` or set `position` to 'learned'."
    )
  rates = 10_000.0 ** -jnp.linspace(0.0, 1.0, features // 4)
  rows, columns = jnp.meshgrid(
    jnp.arange(height), jnp.arange(width), indexing="ij"
  )
  column_angles = columns.reshape(-1, 1) * rates[None, :]
  row_angles = rows.reshape(-1, 1) * rates[None, :]
  return jnp.concatenate(
    [
      jnp.sin(column_angles),
      jnp.cos(column_angles),
      jnp.sin(row_angles),
      jnp.cos(row_angles),
    ],
    axis=1,
  )


class CoordinatePosition(nn.Module):
  """Adds fixed features of the patch's centre, as coordinate tokens have.

  Attributes:
    grid: rows and columns of patches; the longer side is 1 long.
  """

  grid: tuple[int, int]

  @nn.compact
  def __call__(
    self, patches: Float[Array, "batch patches embed"]
  ) -> Float[Array, "batch patches embed"]:
    centres = (jnp.arange(max(self.grid)) + 0.5) / max(self.grid)
    rows, columns = jnp.meshgrid(
      centres[: self.grid[0]], centres[: self.grid[1]], indexing="ij"
    )
    table = coordinates.grid_features(
      columns.reshape(-1), rows.reshape(-1), patches.shape[2]
    )
    return patches + table[None].astype(patches.dtype)


POSITIONS: dict[str, type[nn.Module]] = {
  "learned": LearnedPosition,
  "sincos2d": SinCosPosition,
  "coordinates": CoordinatePosition,
}


class LearnedTextPosition(nn.Module):
  """One learned vector per place in a text.

  Attributes:
    max_length: number of places.
    features: size of the vectors.
  """

  max_length: int
  features: int

  @nn.compact
  def __call__(
    self, places: Int[Array, " length"]
  ) -> Float[Array, "length features"]:
    table = layers.param_with_axes(
      "embedding",
      nn.initializers.normal(stddev=0.02),
      (self.max_length, self.features),
      jnp.float32,
      axes=("length", "embed"),
    )
    # A place behind the last reads NaN: it shows at once.
    return jnp.take(table, places, axis=0, mode="fill", fill_value=jnp.nan)


class SinCosTextPosition(nn.Module):
  """Fixed sines, then cosines, of the place (Vaswani et al. 2017, 3.5).

  Attributes:
    max_length: not read, any place has its vector.
    features: size of the vectors, even.
  """

  max_length: int
  features: int

  @nn.compact
  def __call__(
    self, places: Int[Array, " length"]
  ) -> Float[Array, "length features"]:
    if self.features % 2:
      raise ValueError(
        f"Sines and cosines need an even number of features, not "
        f"{self.features}; change it or set `position` to 'learned'."
      )
    rates = 10_000.0 ** -jnp.linspace(0.0, 1.0, self.features // 2)
    angles = places[:, None] * rates[None, :]
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=1)


TEXT_POSITIONS: dict[str, type[nn.Module]] = {
  "learned": LearnedTextPosition,
  "sincos": SinCosTextPosition,
}
