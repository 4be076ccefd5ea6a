"""What may follow what in a picture made of tokens, and in a text about one.

Logit transforms for `decoding.decode`. A picture is rows of equally many codes,
each behind a ROW, then PAD up to its full length (`text.picture_tokens` says it
once more, in numpy); held to that, whatever is sampled can be drawn.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import NDArray

from inksight_jax.networks.decoding import LogitTransform

_FORBIDDEN = -1e9


def anything(
  logits: Float[Array, "rows vocab"],
  tokens: Int[Array, "rows length"],
  index: Int[Array, ""],
) -> Float[Array, "rows vocab"]:
  """A `logit_transform` that forbids nothing."""
  del tokens, index
  return logits


@dataclasses.dataclass(frozen=True)
class PictureGrammar:
  """Ids of a vocabulary of characters and picture tokens, and their order.

  Text ids lie below `first_id`; from there on START, ROW, PAD and the codes.

  Attributes:
    first_id: id of START.
    num_codes: entries of the codebook.
    length: tokens of a picture.
    shapes: (rows, columns) of the grids that pictures may have; any by default.
    pad_id, unk_id: text ids that are never an answer.
    eos_id: ends a text.
  """

  first_id: int
  num_codes: int
  length: int
  shapes: tuple[tuple[int, int], ...] = ()
  pad_id: int = 0
  eos_id: int = 1
  unk_id: int = 2

  def __post_init__(self) -> None:
    shapes = tuple((rows, columns) for rows, columns in self.shapes)
    object.__setattr__(self, "shapes", shapes)
    for rows, columns in shapes:
      if min(rows, columns) < 1 or rows * (columns + 1) > self.length:
        raise ValueError(
          f"A grid of {rows} x {columns} codes is no picture of {self.length} "
          "tokens; r rows of c codes need r * (c + 1)."
        )

  @property
  def start_id(self) -> int:
    """Begins what is written."""
    return self.first_id

  @property
  def row_id(self) -> int:
    """Begins a row of codes."""
    return self.first_id + 1

  @property
  def padding_id(self) -> int:
    """Fills a picture up."""
    return self.first_id + 2

  @property
  def first_code(self) -> int:
    """Id of code 0."""
    return self.first_id + 3

  def text(self) -> LogitTransform:
    """Characters and the end alone."""

    def apply(
      logits: Float[Array, "rows vocab"],
      tokens: Int[Array, "rows length"],
      index: Int[Array, ""],
    ) -> Float[Array, "rows vocab"]:
      del tokens, index  # Any character may follow any.
      ids = jnp.arange(logits.shape[-1])[None]
      allowed = (
        (ids < self.first_id) & (ids != self.pad_id) & (ids != self.unk_id)
      )
      return jnp.where(allowed, logits, _FORBIDDEN)

    return apply

  def picture(
    self, prefix: Int[Array, "rows prefix"] | None = None
  ) -> LogitTransform:
    """ROW, codes and PAD, each at its place.

    Args:
      prefix: beginning of the pictures of each row, where they are to be gone
        on with; what is decoded follows it. One row for each hypothesis.
    """

    def apply(
      logits: Float[Array, "rows vocab"],
      tokens: Int[Array, "rows length"],
      index: Int[Array, ""],
    ) -> Float[Array, "rows vocab"]:
      place, history = index, tokens
      if prefix is not None:
        place = index + prefix.shape[1]
        history = jnp.concatenate([prefix, tokens], axis=1)
      allowed = self._allowed(logits.shape[-1], history, place)
      return jnp.where(allowed, logits, _FORBIDDEN)

    return apply

  def _allowed(
    self, vocab: int, history: Int[Array, "rows length"], place: Int[Array, ""]
  ) -> Bool[Array, "rows vocab"]:
    places = jnp.arange(history.shape[1])[None]
    known = places < place
    later_row = (history == self.row_id) & known & (places > 0)
    ended = jnp.any((history == self.padding_id) & known, axis=1)
    # Of the first row, as far as it goes yet.
    width = jnp.min(jnp.where(later_row, places, place), axis=1)
    # Nothing there yet, or not even a code: any width will do in the tables.
    width = jnp.maximum(width, 2)
    first_row = width >= place
    rows, columns = place // width, width - 1
    done, more, wider = (
      jnp.asarray(table)[rows, columns] for table in self._tables()
    )
    at_end = first_row | (place % width == 0)
    has_code = place > 1
    code = jnp.where(first_row, (place == 1) | wider, place % width != 0)
    row = at_end & has_code & more
    padding = at_end & has_code & done
    # The very first token is a ROW, the second a code.
    row = jnp.where(place == 0, True, row) & ~ended
    code = code & ~ended & (place > 0)
    padding = padding | ended
    ids = jnp.arange(vocab)[None]
    is_code = (ids >= self.first_code) & (
      ids < self.first_code + self.num_codes
    )
    return (
      ((ids == self.row_id) & row[:, None])
      | ((ids == self.padding_id) & padding[:, None])
      | (is_code & code[:, None])
    )

  def _tables(self) -> tuple[NDArray[np.bool_], ...]:
    """By rows and columns so far: done, may get more rows, or more columns."""
    rows, columns = np.indices((self.length + 1, self.length + 1))
    done = (rows > 0) & (columns > 0) & (rows * (columns + 1) <= self.length)
    if self.shapes:
      listed = np.zeros_like(done)
      listed[tuple(np.transpose(self.shapes))] = True
      done &= listed
    more, wider = np.zeros_like(done), np.zeros_like(done)
    # Whether any grid with more rows, or with more columns, is allowed.
    later = np.logical_or.accumulate(done[::-1], axis=0)[::-1]
    more[:-1] = later[1:]
    any_rows = np.logical_or.accumulate(
      np.logical_or.reduce(done, axis=0)[::-1]
    )[::-1]
    wider[:, :-1] = any_rows[1:]
    return done, more, wider
