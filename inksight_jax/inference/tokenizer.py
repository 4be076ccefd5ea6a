"""Pixels to codes and back, by the VQ-VAE inside a token language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.decoder import compiled_size
from inksight_jax.inference.reconstructions import by_shape
from inksight_jax.models.token_language_model import TokenLanguageModel

Image = NDArray[np.uint8]
Codes = NDArray[np.int32]


class Tokenizer:
  """Runs both halves of a VQ-VAE, in batches of one shape.

  Every shape is a program of its own; the templates of a budget are few.
  """

  def __init__(self, model: TokenLanguageModel, batch_size: int = 32) -> None:
    """Binds a model, not its parameters; compiles at the first picture.

    Args:
      model: has `encode_pictures` and `decode_codes`.
      batch_size: most pictures at once.
    """
    self._model = model
    self._batch_size = batch_size
    self._encode = jax.jit(model.encode_pictures)
    self._decode = jax.jit(model.decode_codes)

  @property
  def exists(self) -> bool:
    """Whether the model has a VQ-VAE."""
    return self._model.module.config.vqvae is not None

  def encode(self, params: Any, canvases: Sequence[Image]) -> list[Codes]:
    """Codes int32[rows, columns] of pictures, each on its canvas."""
    return self._by_shape(self._encode, params, canvases)

  def decode(self, params: Any, codes: Sequence[Codes]) -> list[Image]:
    """Pictures uint8[height, width, 3] of grids of codes."""
    return self._by_shape(self._decode, params, codes)

  def _by_shape(
    self,
    function: Callable[..., Any],
    params: Any,
    items: Sequence[NDArray[Any]],
  ) -> list[NDArray[Any]]:
    results: dict[int, NDArray[Any]] = {}
    for rows in by_shape(items, self._batch_size):
      missing = compiled_size(len(rows), self._batch_size) - len(rows)
      batch = np.stack([items[row] for row in rows + rows[:1] * missing])
      made = np.asarray(jax.device_get(function(params, batch)))
      results |= dict(zip(rows, made, strict=False))
    return [results[index] for index in range(len(items))]
