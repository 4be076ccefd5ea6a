"""Pictures as sequences: a grid of codes, row by row, and back.

    ROW code ... code  ROW code ... code  ...  PAD ... PAD

A ROW before each row of the grid tells wide pictures from tall ones; PAD fills
up to one length for all pictures. It is a symbol that a model writes, as
opposed to the padding of batches. Ids here start at 0; `Vocabulary` puts them
behind those of the text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

# Begins a text or a picture that a model is to write.
START, ROW, PADDING = 0, 1, 2
FIRST_CODE = 3


@dataclasses.dataclass(frozen=True)
class PictureCodec:
  """Grids of codes to sequences of one length.

  Attributes:
    num_codes: entries of the codebook; codes are 0 to num_codes - 1.
    length: tokens of every picture; a grid of r x c codes needs r * (c + 1).
  """

  num_codes: int
  length: int

  def __post_init__(self) -> None:
    if self.num_codes < 1 or self.length < 2:
      raise ValueError(
        f"A codebook of {self.num_codes} codes and pictures of {self.length} "
        "tokens: at least 1 code, and 2 tokens for a row of one code."
      )

  @property
  def num_ids(self) -> int:
    """START, ROW, PAD and the codes."""
    return FIRST_CODE + self.num_codes

  def fits(self, rows: int, columns: int) -> bool:
    """Whether a grid has at least one code and is no longer than a picture."""
    return min(rows, columns) > 0 and rows * (columns + 1) <= self.length

  def encode(self, codes: NDArray[np.integer]) -> NDArray[np.int32]:
    """The sequence of a grid.

    Args:
      codes: int[rows, columns], codebook entries.

    Returns:
      int32[length].

    Raises:
      ValueError: no grid, one that is too large, or codes outside the book.
    """
    if codes.ndim != 2 or not self.fits(*codes.shape):
      raise ValueError(
        f"Codes of shape {codes.shape} are no picture of at most {self.length} "
        "tokens; r rows of c codes need r * (c + 1)."
      )
    if codes.min() < 0 or codes.max() >= self.num_codes:
      raise ValueError(
        f"Codes from {codes.min()} to {codes.max()}; the codebook has "
        f"{self.num_codes}. Were they made by another tokeniser?"
      )
    rows = codes.shape[0]
    ids = np.full(self.length, PADDING, np.int32)
    grid = np.full((rows, codes.shape[1] + 1), ROW, np.int32)
    grid[:, 1:] = codes + FIRST_CODE
    ids[: grid.size] = grid.reshape(-1)
    return ids

  def decode(self, ids: Iterable[SupportsIndex]) -> NDArray[np.int32]:
    """The grid of a sequence: the inverse of `encode`.

    Args:
      ids: `length` ids.

    Returns:
      int32[rows, columns].

    Raises:
      ValueError: the sequence is no picture; naming the first place that says
        so.
    """
    tokens = np.asarray([int(i) for i in ids], np.int32)
    if len(tokens) != self.length:
      raise ValueError(
        f"{len(tokens)} tokens are no picture; it has {self.length}."
      )
    padding = np.flatnonzero(tokens == PADDING)
    used = int(padding[0]) if len(padding) else self.length
    _check(used + np.flatnonzero(tokens[used:] != PADDING), "behind PAD")
    body = tokens[:used]
    starts = np.flatnonzero(body == ROW)
    if not len(starts) or starts[0]:
      raise ValueError("Token 0 is no ROW, with which a picture begins.")
    width = int(starts[1]) if len(starts) > 1 else used
    if width < 2 or used % width:
      raise ValueError(
        f"{used} tokens before PAD are no rows of {width} tokens, as the first "
        "one has; all rows are of one width and hold a code."
      )
    grid = body.reshape(-1, width)
    is_row = grid == ROW
    wrong = is_row != (np.arange(width)[None] == 0)
    _check(np.flatnonzero(wrong), f"out of the rhythm of {width} tokens a row")
    codes = grid[:, 1:]
    strange = (codes < FIRST_CODE) | (codes >= self.num_ids)
    places = np.arange(used).reshape(-1, width)[:, 1:]
    _check(places[strange], "outside the codebook")
    return codes - FIRST_CODE


def share_parsed(
  codec: PictureCodec, sequences: Sequence[Iterable[SupportsIndex]]
) -> float:
  """Share of the sequences that are pictures; nan for none."""
  parsed = 0
  for sequence in sequences:
    try:
      codec.decode(sequence)
    except ValueError:
      continue
    parsed += 1
  return parsed / len(sequences) if sequences else float("nan")


def _check(places: NDArray[np.integer], what: str) -> None:
  """Raises unless there is no place where a sequence goes wrong."""
  if len(places):
    raise ValueError(f"Token {int(places[0])} of the picture is {what}.")
