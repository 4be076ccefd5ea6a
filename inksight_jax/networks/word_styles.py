"""The style of writing, from pictures of it."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from inksight_jax.networks import image_blocks, layers

# Further from paper than this, of a whole range of 2, there is ink.
_INK = 0.2


class StyleEncoder(nn.Module):
  """Convolutions, then the mean over the columns that are written.

  So it sees slant, width, thickness and shapes, and not how long a word is.
  Styles are as long as those that are drawn are on average, a root mean square
  of 1: an encoder in doubt says less, and all hands would look like the mean.

  Attributes:
    widths: channels of the blocks; each but the last halves height and width.
    style_dim: size of the style.
    paper: grey of empty paper, -1 to 1.
  """

  widths: tuple[int, ...]
  style_dim: int
  paper: float

  @nn.compact
  def __call__(
    self, pictures: Float[Array, "batch height width 1"]
  ) -> Float[Array, "batch style"]:
    x = image_blocks.Conv(self.widths[0], name="first")(pictures - self.paper)
    for index, width in enumerate(self.widths):
      reduce = index < len(self.widths) - 1
      block = image_blocks.DownBlock(
        width, reduce, spectral=False, name=f"block_{index}"
      )
      x = block(x)
    x = jnp.mean(image_blocks.leaky(image_blocks.normalize(x)), axis=1)
    batch, columns = x.shape[:2]
    ink = jnp.max(jnp.abs(pictures - self.paper), axis=(1, 3))
    written = jnp.any(ink.reshape(batch, columns, -1) > _INK, axis=-1)
    weight = written.astype(x.dtype)[:, :, None]
    x = jnp.sum(x * weight, axis=1) / (jnp.sum(weight, axis=1) + 1e-6)
    x = layers.Dense(
      self.style_dim, ("embed", "style"), use_bias=True, name="style"
    )(x)
    return image_blocks.normalize(x)
