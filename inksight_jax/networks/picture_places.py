"""What a language model is told of a picture's tokens beside their ids.

A picture is flattened row by row, so that the place of a token in the sequence
says nothing about what lies above or below it: that depends on how wide the
rows of this one picture are. Here each token of a picture gets vectors of its
row and of its column, and of what its code looks like.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from inksight_jax.networks import layers
from inksight_jax.networks.picture_grammar import PictureGrammar


class PicturePlaces(nn.Module):
  """Learned vectors of row and column of a picture's tokens.

  A ROW counts as the column 0 of its row. Whatever is not part of a row, texts
  and PAD, gets nothing.

  Attributes:
    ids: which ids are pictures'.
    features: size of the vectors.
    batch_axis: of the collection `cache`.
  """

  ids: PictureGrammar
  features: int
  batch_axis: int = 0

  @nn.compact
  def __call__(
    self, tokens: Int[Array, "batch length"], *, decode: bool = False
  ) -> Float[Array, "batch length features"]:
    """Vectors of each token.

    Args:
      tokens: the whole sequence, or with `decode` what follows what came.
      decode: keep in the collection `cache` where the last token stood.
    """
    ids = self.ids
    batch, number = tokens.shape
    before = jnp.zeros((batch, 2), jnp.int32)
    if decode and self.has_variable("cache", "row_and_column"):
      before = self.get_variable("cache", "row_and_column").reshape(batch, 2)
    is_row = tokens == ids.row_id
    rows = before[:, :1] + jnp.cumsum(is_row, axis=1)
    # Columns count from the newest ROW, be it among these tokens or before.
    indices = jnp.arange(number)[None]
    begins = jnp.where(is_row, indices, -1 - before[:, 1:])
    columns = indices - jax.lax.cummax(begins, axis=1)
    if decode:
      last = jnp.stack([rows[:, -1], columns[:, -1]], axis=1)
      lead = (1,) * self.batch_axis
      self.put_variable(
        "cache", "row_and_column", last.reshape(*lead, batch, 2)
      )
    vectors = self._vectors("rows", ids.length // 2 + 1, rows)
    vectors += self._vectors("columns", ids.length, columns)
    return jnp.where((is_row | is_code(ids, tokens))[..., None], vectors, 0.0)

  def _vectors(
    self, name: str, number: int, places: Int[Array, "batch length"]
  ) -> Float[Array, "batch length features"]:
    table = layers.param_with_axes(
      name,
      nn.initializers.normal(stddev=0.02),
      (number, self.features),
      jnp.float32,
      axes=("length", "embed"),
    )
    # What is sampled without a grammar may have any number of rows.
    return jnp.take(table, places, axis=0, mode="clip")


def is_code(
  ids: PictureGrammar, tokens: Int[Array, "batch length"]
) -> Bool[Array, "batch length"]:
  """Which tokens are codes; ids behind the last one fill tables up."""
  index = tokens - ids.first_code
  return (index >= 0) & (index < ids.num_codes)
