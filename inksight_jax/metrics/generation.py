"""How varied generated handwriting is."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def character_spread(
  pictures: Sequence[NDArray[np.uint8]],
  texts: Sequence[str],
  character_width: int,
) -> float:
  """How much pictures of the same character differ: 0 for one style alone.

  Args:
    pictures: uint8[height, width, 3] of words whose characters are equally
      wide.
    texts: what they say.
    character_width: pixels.

  Returns:
    Standard deviation over all pictures of a character, averaged over its
    pixels and over the characters that occur at least twice; 1 is the whole
    range from black to white.

  Raises:
    ValueError: no character occurs twice.
  """
  shapes: dict[str, list[NDArray[np.float64]]] = collections.defaultdict(list)
  for picture, text in zip(pictures, texts, strict=True):
    for place, character in enumerate(text):
      left = place * character_width
      piece = picture[:, left : left + character_width].mean(axis=2) / 255.0
      shapes[character].append(piece)
  spreads = [
    float(np.std(np.stack(pieces), axis=0).mean())
    for pieces in shapes.values()
    if len(pieces) > 1
  ]
  if not spreads:
    raise ValueError("No character occurs twice; score more words.")
  return float(np.mean(spreads))
