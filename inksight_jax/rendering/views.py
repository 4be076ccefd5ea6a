"""Views of one picture: what a reader may be shown beside the picture itself.

A little turned and otherwise coloured, as another photo of the same word would
be; what most views are read as is more often right than what one is.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.rendering.warp import WarpConfig, warp

Image = NDArray[np.uint8]
# OpenCV's hue is half a degree: any colour may become any other.
_HUE, _SATURATION, _VALUE = 90, 50, 50


def make_views(
  image: Image, count: int, seed: int = 0, angle: float = 8.0
) -> list[Image]:
  """The picture, then changed ones.

  Args:
    image: uint8[height, width, 3] RGB.
    count: views in all, at least 1.
    seed: of the changes.
    angle: greatest rotation either way, degrees.

  Raises:
    ValueError: fewer than one view.
  """
  if count < 1:
    raise ValueError(f"At least 1 view is needed; got {count}.")
  rng = np.random.default_rng(seed)
  turned = WarpConfig(chance=1.0, angle=angle)
  return [
    image,
    *(_recolour(warp(image, rng, turned), rng) for _ in range(count - 1)),
  ]


def _recolour(image: Image, rng: np.random.Generator) -> Image:
  """Turns the hues, and moves saturation and value."""
  colours = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.int32)
  hue, saturation, value = cv2.split(colours)
  hue = (hue + rng.integers(-_HUE, _HUE + 1)) % 180
  # What has no colour keeps none.
  move = rng.integers(-_SATURATION, _SATURATION + 1)
  saturation = np.where(saturation > 0, saturation + move, 0)
  value = value + rng.integers(-_VALUE, _VALUE + 1)
  moved = np.clip(np.stack([hue, saturation, value], axis=-1), 0, 255)
  return np.asarray(
    cv2.cvtColor(moved.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8
  )
