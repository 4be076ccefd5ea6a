"""Small changes of shape: one written character becomes many.

For pictures of text that are given as they are. Rendered ink is changed before
it is drawn, and photos as a camera would; see `augment`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class WarpConfig:
  """What may happen to a picture; nothing by default.

  Attributes:
    chance: of a picture to be changed at all.
    angle: greatest rotation either way, degrees.
    scale: greatest change of size, as a share, of height and width apart.
    shear: greatest slant, pixels sideways per pixel up.
    shift: greatest move either way, as a share of the sides.
    elastic: standard deviation of a random field of moves, pixels.
    elastic_sigma: smoothness of that field, pixels (Simard et al. 2003).
    blur: chance of a changed picture to be blurred by a 3 x 3 Gaussian.
    blur_sigma: range of its standard deviation, pixels.
  """

  chance: float = 0.0
  angle: float = 0.0
  scale: float = 0.0
  shear: float = 0.0
  shift: float = 0.0
  elastic: float = 0.0
  elastic_sigma: float = 4.0
  blur: float = 0.0
  blur_sigma: tuple[float, float] = (0.1, 2.0)

  def __post_init__(self) -> None:
    object.__setattr__(self, "blur_sigma", tuple(self.blur_sigma))
    for name in ("chance", "blur"):
      if not 0.0 <= getattr(self, name) <= 1.0:
        raise ValueError(
          f"`{name}` is a chance in [0, 1]; got {getattr(self, name)}."
        )
    if not 0.0 <= self.scale < 1.0:
      raise ValueError(f"`scale` is a share below 1; got {self.scale}.")


def warp(image: Image, rng: np.random.Generator, config: WarpConfig) -> Image:
  """Changes a picture at random; it keeps its size.

  Args:
    image: uint8[height, width, 3].
    rng: source of randomness.
    config: what may happen.

  Returns:
    uint8[height, width, 3]; what comes in from outside repeats the border.
  """
  if rng.random() >= config.chance:
    return image
  height, width = image.shape[:2]
  linear, offset = _affine(height, width, rng, config)
  places = _places(height, width) @ linear.T + offset
  if config.elastic > 0:
    places += _field(height, width, rng, config)
  # x and y lie together in the first map; the type stub wants a second.
  second: Any = None
  warped = cv2.remap(
    image,
    places,
    second,
    cv2.INTER_LINEAR,
    borderMode=cv2.BORDER_REPLICATE,
  )
  if rng.random() < config.blur:
    warped = cv2.GaussianBlur(warped, (3, 3), rng.uniform(*config.blur_sigma))
  return np.asarray(warped, np.uint8)


@functools.lru_cache(maxsize=64)
def _places(height: int, width: int) -> NDArray[np.float32]:
  """x and y of every pixel, float32[height, width, 2]; not to be changed."""
  rows, columns = np.mgrid[:height, :width].astype(np.float32)
  return np.stack([columns, rows], axis=-1)


def _affine(
  height: int, width: int, rng: np.random.Generator, config: WarpConfig
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
  """Maps pixels of the result to pixels of the source, about the centre."""
  draws = rng.uniform(-1.0, 1.0, 6).tolist()
  angle = math.radians(config.angle) * draws[0]
  cos, sin = math.cos(angle), math.sin(angle)
  slant = config.shear * draws[1]
  # In logarithms, so that growing is as likely as shrinking.
  limit = -math.log1p(-config.scale)
  across, down = math.exp(limit * draws[2]), math.exp(limit * draws[3])
  # Size, then slant, then rotation.
  a, b = cos * across, (cos * slant + sin) * down
  c, d = -sin * across, (cos - sin * slant) * down
  x, y = (width - 1) / 2, (height - 1) / 2
  from_x = x + config.shift * width * draws[4]
  from_y = y + config.shift * height * draws[5]
  offset = [x - a * from_x - b * from_y, y - c * from_x - d * from_y]
  return np.array([[a, b], [c, d]], np.float32), np.array(offset, np.float32)


def _field(
  height: int, width: int, rng: np.random.Generator, config: WarpConfig
) -> NDArray[np.float32]:
  """A smooth random field of moves, pixels, float32[height, width, 2]."""
  noise = rng.standard_normal((height, width, 2), np.float32)
  sigma = config.elastic_sigma
  smooth = cv2.GaussianBlur(noise, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
  # Averaging noise over a Gaussian leaves 1 / (2 sqrt(pi) sigma) of it.
  return smooth * np.float32(config.elastic * 2 * math.sqrt(math.pi) * sigma)
