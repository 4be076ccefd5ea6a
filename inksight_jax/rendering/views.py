"""Views of one picture: what a reader may be shown beside the picture itself.

A little turned and otherwise coloured, as another photo of the same word would
be, or otherwise bent; what most views are read as is more often right than what
one is.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.rendering.warp import WarpConfig, warp

Image = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class ViewConfig:
  """How views differ from their picture; by default as photos of signs do.

  Attributes:
    warp: changes of shape.
    hue: greatest turn either way, in OpenCV's units of two degrees; with 90 any
      colour may become any other.
    saturation, value: greatest change either way, of 255.
  """

  warp: WarpConfig = dataclasses.field(
    default_factory=lambda: WarpConfig(chance=1.0, angle=8.0)
  )
  hue: int = 90
  saturation: int = 50
  value: int = 50

  def __post_init__(self) -> None:
    if min(self.hue, self.saturation, self.value) < 0:
      raise ValueError(
        f"hue {self.hue}, saturation {self.saturation} and value {self.value} "
        "are greatest changes either way; give 0 or more."
      )


def make_views(
  image: Image, count: int, seed: int = 0, config: ViewConfig | None = None
) -> list[Image]:
  """The picture, then changed ones.

  Args:
    image: uint8[height, width, 3] RGB.
    count: views in all, at least 1.
    seed: of the changes.
    config: which changes; `ViewConfig()` by default.

  Raises:
    ValueError: fewer than one view.
  """
  if count < 1:
    raise ValueError(f"At least 1 view is needed; got {count}.")
  config = config or ViewConfig()
  rng = np.random.default_rng(seed)
  return [
    image,
    *(
      _recolour(warp(image, rng, config.warp), rng, config)
      for _ in range(count - 1)
    ),
  ]


def _recolour(
  image: Image, rng: np.random.Generator, config: ViewConfig
) -> Image:
  """Turns the hues, and moves saturation and value."""
  if not (config.hue or config.saturation or config.value):
    return image
  colours = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.int32)
  hue, saturation, value = cv2.split(colours)
  hue = (hue + rng.integers(-config.hue, config.hue + 1)) % 180
  # What has no colour keeps none.
  move = rng.integers(-config.saturation, config.saturation + 1)
  saturation = np.where(saturation > 0, saturation + move, 0)
  value = value + rng.integers(-config.value, config.value + 1)
  moved = np.clip(np.stack([hue, saturation, value], axis=-1), 0, 255)
  return np.asarray(
    cv2.cvtColor(moved.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8
  )
