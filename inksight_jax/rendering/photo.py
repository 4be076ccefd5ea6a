"""What light, lens, sensor and file format do to a picture.

Every function takes and returns uint8[height, width, 3] RGB of one shape.
"""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.rendering.draws import below, between
from inksight_jax.rendering.letterbox import border_color
from inksight_jax.rendering.strokes import plain

Image = NDArray[np.uint8]

_NOISE_SIDE = 512
_NOISE_UNIT = 32.0


@functools.cache
def _noise_bank(grey: bool) -> Image:
  """Gaussian noise of spread 32 about 128; drawing it afresh is far slower."""
  shape = (_NOISE_SIDE, _NOISE_SIDE) if grey else (_NOISE_SIDE, _NOISE_SIDE, 3)
  noise = np.random.default_rng(0).standard_normal(shape, np.float32)
  return np.clip(np.rint(noise * _NOISE_UNIT + 128), 0, 255).astype(np.uint8)


def _add_scaled(image: Image, field: Image, scale: float) -> Image:
  """image + (field - 128) * scale, clipped to bytes."""
  if field.ndim < image.ndim:
    field = cv2.cvtColor(field, cv2.COLOR_GRAY2RGB).astype(np.uint8, copy=False)
  summed = cv2.addWeighted(image, 1.0, field, scale, -128.0 * scale)
  return summed.astype(np.uint8, copy=False)


def _noise(
  height: int, width: int, rng: np.random.Generator, grey: bool
) -> Image:
  """Noise of spread 32 about 128, uint8[height, width, 3], grey without 3."""
  bank = _noise_bank(grey)
  if max(height, width) > _NOISE_SIDE:
    repeats = (-(-height // _NOISE_SIDE) + 1, -(-width // _NOISE_SIDE) + 1)
    bank = np.tile(bank, repeats if grey else (*repeats, 1))
  top = below(rng, bank.shape[0] - height + 1)
  left = below(rng, bank.shape[1] - width + 1)
  return bank[top : top + height, left : left + width]


def add_noise(
  image: Image, spread: float, rng: np.random.Generator, grey: bool = False
) -> Image:
  """Sensor noise.

  Args:
    image: the picture.
    spread: standard deviation in grey levels, below 128.
    rng: source of randomness.
    grey: the same noise in all channels.
  """
  height, width = image.shape[:2]
  noise = _noise(height, width, rng, grey)
  return _add_scaled(image, noise, spread / _NOISE_UNIT)


def add_grain(
  image: Image,
  stains: float,
  cells: int,
  fibres: float,
  rng: np.random.Generator,
) -> Image:
  """Unevenness of paper, coarse and fine.

  Args:
    image: the picture.
    stains: largest change by the coarse part in grey levels, about.
    cells: bumps of it along each side.
    fibres: standard deviation of the fine part, grey levels.
    rng: source of randomness.
  """
  height, width = image.shape[:2]
  coarse, fine = stains / 100, fibres / _NOISE_UNIT
  grain = cv2.addWeighted(
    smooth_field(height, width, cells, rng),
    coarse,
    _noise(height, width, rng, grey=True),
    fine,
    128.0 * (1.0 - coarse - fine),
  )
  return _add_scaled(image, grain.astype(np.uint8, copy=False), 1.0)


def smooth_field(
  height: int, width: int, cells: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
  """Smooth randomness about 128, mostly in 28..228, uint8[height, width].

  Args:
    height: rows.
    width: columns.
    cells: bumps along each side.
    rng: source of randomness.
  """
  coarse = rng.integers(28, 229, (cells + 1, cells + 1), np.uint8)
  field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
  return field.astype(np.uint8, copy=False)


def fade(
  coverage: NDArray[np.uint8],
  rng: np.random.Generator,
  opacity: tuple[float, float],
  bump: float,
) -> NDArray[np.uint8]:
  """Makes ink weaker, and unevenly so where it is weak.

  Args:
    coverage: uint8[height, width], 255 where ink is full.
    rng: source of randomness.
    opacity: range of the mean strength, within [0, 1].
    bump: size of what is uneven, pixels.
  """
  strength = between(rng, *opacity)
  if strength >= 1.0 or not coverage.size:
    return coverage
  height, width = coverage.shape
  cells = (math.ceil(height / bump) + 1, math.ceil(width / bump) + 1)
  # Strength varies by 30 % of what is missing to full ink.
  varied = rng.random(cells) * 2.0 - 1.0
  levels = strength * (1.0 + 0.3 * (1.0 - strength) * varied) * 255
  field = cv2.resize(
    np.minimum(levels, 255.0).astype(np.uint8),
    (width, height),
    interpolation=cv2.INTER_CUBIC,
  )
  faded = cv2.multiply(coverage, field, scale=1 / 255)
  return faded.astype(np.uint8, copy=False)


@functools.lru_cache(16)
def _axis(length: int) -> NDArray[np.float32]:
  """float32[length], -1 to 1 across a picture; read only."""
  return np.linspace(-1.0, 1.0, length, dtype=np.float32)


def shade(image: Image, rng: np.random.Generator) -> Image:
  """Light from one side, now and then the edge of a shadow."""
  height, width = image.shape[:2]
  angle = between(rng, 0.0, 2 * math.pi)
  x = _axis(width) * np.float32(math.cos(angle))
  y = _axis(height)[:, None] * np.float32(math.sin(angle))
  # From 0 to `loss` darker along the light. Never above 255: bytes wrap around.
  loss = between(rng, 0.05, 0.3)
  scale = np.float32(-255 * loss / 3)
  light = x * scale + (y * scale + np.float32(255 * (1 - loss / 2)))
  if rng.random() < 0.3:
    place, steepness = between(rng, -0.8, 0.8), between(rng, 3.0, 20.0)
    depth = between(rng, 0.1, 0.35)
    slope = np.float32(-depth * steepness)
    edge = x * slope + (y * slope + np.float32(1.0 + depth * steepness * place))
    light *= np.minimum(np.maximum(edge, 1.0 - depth, out=edge), 1.0, out=edge)
  levels = cv2.cvtColor(light.astype(np.uint8), cv2.COLOR_GRAY2RGB)
  shaded = cv2.multiply(image, levels, scale=1 / 255)
  return shaded.astype(np.uint8, copy=False)


def blur(image: Image, spread: float, rng: np.random.Generator) -> Image:
  """Out of focus (Gaussian), a cheap scaler (box) or a moved camera (line).

  Args:
    image: the picture.
    spread: standard deviation in pixels.
    rng: source of randomness.
  """
  kind = rng.random()
  if kind < 0.6:
    spread = max(spread, 0.05)
    # Twice as fast as GaussianBlur, which computes bytes to the last bit.
    kernel = cv2.getGaussianKernel(
      round(6 * spread + 1) | 1, spread, cv2.CV_32F
    )
    blurred = cv2.sepFilter2D(image, -1, kernel, kernel)
    return blurred.astype(np.uint8, copy=False)
  # A box of n pixels has variance (n * n - 1) / 12.
  side = max(2, round(math.sqrt(12 * spread * spread + 1)))
  if kind < 0.8:
    return cv2.blur(image, (side, side)).astype(np.uint8, copy=False)
  angle = between(rng, 0.0, math.pi)
  across, down = side * 0.75 * math.cos(angle), side * 0.75 * math.sin(angle)
  # No larger than the line: OpenCV takes 20 times as long from 11 x 12 on.
  columns, rows = math.ceil(abs(across)), math.ceil(abs(down))
  kernel = np.zeros((2 * rows + 1, 2 * columns + 1), np.float32)
  start = (round((columns - across) * 16), round((rows - down) * 16))
  end = (round((columns + across) * 16), round((rows + down) * 16))
  cv2.line(kernel, start, end, 1.0, 1, cv2.LINE_8, 4)
  moved = cv2.filter2D(image, -1, kernel / kernel.sum())
  return moved.astype(np.uint8, copy=False)


_GREYS = np.arange(256) / 255.0


def change_contrast(image: Image, rng: np.random.Generator) -> Image:
  """Brightness, contrast and gamma through one table."""
  low = between(rng, 0.0, 60.0)
  high = between(rng, 190.0, 255.0)
  gamma = math.exp(between(rng, -0.35, 0.35))
  table = np.rint(low + (high - low) * _GREYS**gamma).astype(np.uint8)
  return cv2.LUT(image, table).astype(np.uint8, copy=False)


def compress(image: Image, quality: float) -> Image:
  """Through JPEG and back.

  Args:
    image: the picture.
    quality: 1 to 100.
  """
  ok, data = cv2.imencode(
    ".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, round(quality)]
  )
  assert ok, "OpenCV refused to encode a valid picture."
  decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
  assert decoded is not None and decoded.shape == image.shape
  return decoded.astype(np.uint8, copy=False)


def frame(
  image: Image, window: tuple[int, int, int, int], rng: np.random.Generator
) -> Image:
  """Covers all outside `window` with black, white or paper colour.

  Args:
    image: the picture.
    window: (left, top, right, bottom) of what stays visible, pixels.
    rng: picks the colour, each kind equally often.
  """
  left, top, right, bottom = window
  inner = image[top:bottom, left:right]
  kind = below(rng, 3)
  plains = ((0, 0, 0), (255, 255, 255))
  color = plains[kind] if kind < 2 else border_color(inner)
  framed = plain(image.shape[0], image.shape[1], color)
  framed[top:bottom, left:right] = inner
  return framed


def turn(image: Image, degrees: float, rng: np.random.Generator) -> Image:
  """A small turn, zoom and shift; what comes into view is paper.

  Args:
    image: the picture.
    degrees: largest turn either way.
    rng: source of randomness.
  """
  height, width = image.shape[:2]
  angle = between(rng, -degrees, degrees)
  zoom = between(rng, 0.9, 1.05)
  matrix = cv2.getRotationMatrix2D(
    ((width - 1) / 2, (height - 1) / 2), angle, zoom
  )
  matrix[:, 2] += rng.uniform(-0.02, 0.02, 2) * (width, height)
  turned = cv2.warpAffine(
    image,
    matrix,
    (width, height),
    flags=cv2.INTER_LINEAR,
    borderMode=cv2.BORDER_CONSTANT,
    borderValue=border_color(image),
  )
  return turned.astype(np.uint8, copy=False)
