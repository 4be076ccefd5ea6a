"""Between a generator and its judges: shifts, and the balance of gradients."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


def balance_ratio(
  adversarial: Float[Array, "batch height width 1"],
  other: Float[Array, "batch height width 1"],
  balance: float | Float[Array, ""] | None,
) -> Float[Array, ""]:
  """What the gradient of another loss, legibility say, is multiplied by.

  Its standard deviation over the pictures becomes `balance` times that of the
  adversarial gradient (ScrabbleGAN, section 3.4: without moving the mean, which
  would turn signs).

  Args:
    adversarial: gradient at the pictures.
    other: gradient at the pictures.
    balance: the share; None for a factor of 1.
  """
  if balance is None:
    return jnp.float32(1.0)
  return balance * jnp.std(adversarial) / (jnp.std(other) + 1e-12)


def move(
  pictures: Float[Array, "batch height width 1"],
  key: PRNGKeyArray | Array,
  most: int,
) -> Float[Array, "batch height width 1"]:
  """Shifts each picture by up to `most` pixels; edges are repeated."""
  if not most:
    return pictures
  height, width = pictures.shape[1:3]
  down, right = jax.random.randint(key, (2, pictures.shape[0]), -most, most + 1)

  def matrix(size: int, steps: Array) -> Array:
    places = jnp.arange(size)
    source = jnp.clip(places[None, :] - steps[:, None], 0, size - 1)
    return (source[:, :, None] == places[None, None, :]).astype(jnp.float32)

  # Products with shift matrices: their gradients are products too.
  return jnp.einsum(
    "bij,bjkc,blk->bilc",
    matrix(height, down),
    pictures,
    matrix(width, right),
  )
