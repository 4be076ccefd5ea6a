"""Small changes of shape: one written character becomes many.

For pictures of text that are given as they are. Rendered ink is changed before
it is drawn, and photos as a camera would; see `augment`.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.rendering.letterbox import border_color

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
    uint8[height, width, 3]; what comes in from outside has the border's colour.
  """
  if rng.random() >= config.chance:
    return image
  height, width = image.shape[:2]
  matrix = _affine(height, width, rng, config)
  columns, rows = np.meshgrid(
    np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
  )
  x = matrix[0, 0] * columns + matrix[0, 1] * rows + matrix[0, 2]
  y = matrix[1, 0] * columns + matrix[1, 1] * rows + matrix[1, 2]
  if config.elastic > 0:
    x += _field(height, width, rng, config)
    y += _field(height, width, rng, config)
  warped = cv2.remap(
    image,
    x.astype(np.float32),
    y.astype(np.float32),
    cv2.INTER_LINEAR,
    borderMode=cv2.BORDER_CONSTANT,
    borderValue=border_color(image),
  )
  if rng.random() < config.blur:
    warped = cv2.GaussianBlur(warped, (3, 3), rng.uniform(*config.blur_sigma))
  return np.asarray(warped, np.uint8)


def _affine(
  height: int, width: int, rng: np.random.Generator, config: WarpConfig
) -> NDArray[np.float64]:
  """Maps pixels of the result to pixels of the source, about the centre."""

  def draw(limit: float) -> float:
    return float(rng.uniform(-limit, limit))

  angle = np.deg2rad(draw(config.angle))
  turn = np.array(
    [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
  )
  slant = np.array([[1.0, draw(config.shear)], [0.0, 1.0]])
  # In logarithms, so that growing is as likely as shrinking.
  limit = -np.log1p(-config.scale)
  size = np.diag(np.exp([draw(limit), draw(limit)]))
  linear = turn @ slant @ size
  centre = np.array([(width - 1) / 2, (height - 1) / 2])
  move = np.array([draw(config.shift) * width, draw(config.shift) * height])
  offset = centre - linear @ (centre + move)
  return np.concatenate([linear, offset[:, None]], axis=1)


def _field(
  height: int, width: int, rng: np.random.Generator, config: WarpConfig
) -> NDArray[np.float32]:
  """A smooth random field of moves along one axis, pixels."""
  noise = rng.standard_normal((height, width), np.float32)
  sigma = config.elastic_sigma
  smooth = cv2.GaussianBlur(noise, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
  # Averaging noise over a Gaussian leaves 1 / (2 sqrt(pi) sigma) of it.
  return smooth * np.float32(config.elastic * 2 * np.sqrt(np.pi) * sigma)
