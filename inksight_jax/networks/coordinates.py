"""Initial values that tell the network that coordinates are numbers.

To a token model the ids of x = 17 and x = 18 are as unrelated as any two words,
and so are an id and the patch it points into; both have to be found out from
data. These initialisers give the rows of the embedding table, the columns of
the output layer and the positions of the patches the same sines and cosines of
the place on the picture. They change no shape and no name: only where training
starts.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Wavelengths as fractions of the picture's side: from a slope over the whole
# picture to a letter stroke.
_LONGEST = 2.0
_SHORTEST = 1.0 / 12.0


def coordinate_features(
  places: Float[Array, "places"], features: int
) -> Float[Array, "places features"]:
  """Sines and cosines of places in [0, 1], root mean square 1.

  Args:
    places: fractions of the picture's side.
    features: even number of features.

  Raises:
    ValueError: if `features` is odd.
  """
  if features % 2:
    raise ValueError(
      f"Coordinates need an even number of features; got {features}."
    )
  wavelengths = jnp.geomspace(_LONGEST, _SHORTEST, features // 2)
  angles = 2 * jnp.pi * places[:, None] / wavelengths[None, :]
  return jnp.sqrt(2.0) * jnp.concatenate(
    [jnp.sin(angles), jnp.cos(angles)], axis=1
  )


def grid_features(
  x: Float[Array, "places"], y: Float[Array, "places"], features: int
) -> Float[Array, "places features"]:
  """Features of points: those of x in the first half, of y in the second."""
  return jnp.concatenate(
    [
      coordinate_features(x, features // 2),
      coordinate_features(y, features // 2),
    ],
    axis=1,
  )


def _token_features(canvas: int, features: int) -> Float[Array, "ids features"]:
  """Features of the ids x = 0..N, then y = 0..N; the other half is zero."""
  places = coordinate_features(jnp.arange(canvas + 1) / canvas, features // 2)
  blank = jnp.zeros_like(places)
  # A half of zeros leaves a root mean square of 1 to the other half only.
  return jnp.sqrt(2.0) * jnp.concatenate(
    [
      jnp.concatenate([places, blank], axis=1),
      jnp.concatenate([blank, places], axis=1),
    ],
    axis=0,
  )


@dataclasses.dataclass(frozen=True)
class CoordinateEmbedding:
  """Initialiser of a token table with ink ids laid out as by the ink codec.

  Attributes:
    offset: id of x = 0.
    canvas: N, the largest coordinate; x = 0..N, then y = 0..N.
    stddev: root mean square of every row; the rows of other ids are normal.
  """

  offset: int
  canvas: int
  stddev: float = 0.5

  def __call__(
    self, key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32
  ) -> Float[Array, "vocab embed"]:
    """Draws a table of shape [vocab, embed]."""
    last = self.offset + 2 * self.canvas + 2
    if shape[0] < last:
      raise ValueError(
        f"A table of {shape[0]} ids cannot hold coordinates up to id {last}; "
        "set offset and canvas to those of the vocabulary."
      )
    table = self.stddev * jax.random.normal(key, shape, dtype)
    features = _token_features(self.canvas, shape[1]).astype(dtype)
    return table.at[self.offset : last].set(self.stddev * features)


@dataclasses.dataclass(frozen=True)
class CoordinateLogits:
  """Initialiser of the output layer: the table of the embedding, transposed.

  Neighbouring cells then share their first gradients.

  Attributes:
    offset: id of x = 0.
    canvas: N, the largest coordinate.
  """

  offset: int
  canvas: int

  def __call__(
    self, key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32
  ) -> Float[Array, "embed vocab"]:
    """Draws a kernel of shape [embed, vocab], variance 1 / embed."""
    embedding = CoordinateEmbedding(
      self.offset, self.canvas, stddev=shape[0] ** -0.5
    )
    return embedding(key, shape[::-1], dtype).T
