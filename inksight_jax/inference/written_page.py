"""Lines and paragraphs of generated words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.word_generator import Image, WordGenerator
from inksight_jax.rendering.paragraph import (
  ParagraphStyle,
  Piece,
  set_paragraph,
)

# Nobody writes a letter twice in the same way: so much of another style is
# mixed into each word's.
_VARIATION = 0.15
_LOOK = ParagraphStyle(
  gap=(0.4, 0.7), margin=(0.8, 0.8), pitch=(2.4, 2.6), wobble=0.04
)
# Gaps and margins are at most this many heights of small letters, of which a
# picture of a word has about 2.2.
_GAP, _MARGIN, _LETTERS = 0.7, 0.8, 2.2


def write_page(
  generator: WordGenerator,
  text: str,
  style: NDArray[np.float32],
  width: int = 640,
  seed: int = 0,
) -> tuple[Image, list[str]]:
  """Writes a text in one hand, dark on white.

  Args:
    generator: the model.
    text: words with blanks between them; a line break begins a new line.
    style: float32[style].
    width: of the page, pixels; lines are broken where they reach it.
    seed: of small differences between words, and of their places.

  Returns:
    (uint8[height, width, 3], the text of each line).

  Raises:
    ValueError: there is no word, one cannot be written, or is too wide for the
      page.
  """
  rng = np.random.default_rng(seed)
  paragraphs = [line.split() for line in text.split("\n")]
  words = [word for paragraph in paragraphs for word in paragraph]
  if not words:
    raise ValueError("There is no word to write on the page.")
  noise = rng.standard_normal((len(words), len(style)), np.float32)
  keep = np.sqrt(np.float32(1.0 - _VARIATION**2))
  pictures = generator.generate(
    words, keep * style[None, :] + np.float32(_VARIATION) * noise
  )
  if generator.dark_paper:
    pictures = [255 - picture for picture in pictures]
  lines: list[list[Piece]] = []
  start = 0
  for paragraph in paragraphs:
    pieces = [
      Piece(word, image=picture)
      for word, picture in zip(paragraph, pictures[start:], strict=False)
    ]
    start += len(pieces)
    lines += wrap(pieces, width)
  height = pictures[0].shape[0]
  size = (2 * height * (len(lines) + 2), width)
  return set_paragraph(lines, size, _LOOK, rng)


def wrap(pieces: Sequence[Piece], width: int) -> list[list[Piece]]:
  """Breaks words into lines that fit a page.

  Args:
    pieces: pictures of words, all of one height.
    width: of the page, pixels.

  Raises:
    ValueError: a word alone is wider than the page.
  """
  lines: list[list[Piece]] = []
  used = 0.0
  for piece in pieces:
    assert piece.image is not None, "Generated words are pictures."
    letter = piece.image.shape[0] / _LETTERS
    wide = piece.image.shape[1]
    room = width - 2 * _MARGIN * letter
    if wide > room:
      raise ValueError(
        f"{piece.text!r} is {wide} pixels wide; a page of {width} has room for "
        f"{int(room)}."
      )
    used += _GAP * letter + wide
    if not lines or used > room:
      lines.append([])
      used = wide
    lines[-1].append(piece)
  return lines
