"""What light, lens, sensor and file format do to a picture.

Every function takes and returns uint8[height, width, 3] RGB of one shape.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.rendering.letterbox import border_color
from inksight_jax.rendering.strokes import plain

Image = NDArray[np.uint8]

_NOISE_SIDE = 512
_NOISE_UNIT = 32.0


@functools.cache
def _noise_bank(grey: bool) -> Image:
  """Gaussian noise of spread 32 about 128; drawing it afresh is far slower."""
  noise = np.random.default_rng(0).standard_normal(
    (_NOISE_SIDE, _NOISE_SIDE, 1 if grey else 3), np.float32
  )
  noise = np.broadcast_to(noise, (_NOISE_SIDE, _NOISE_SIDE, 3))
  return np.clip(np.rint(noise * _NOISE_UNIT + 128), 0, 255).astype(np.uint8)


def _add_scaled(image: Image, field: Image, scale: float) -> Image:
  """image + (field - 128) * scale, clipped to bytes."""
  summed = cv2.addWeighted(image, 1.0, field, scale, -128.0 * scale)
  return summed.astype(np.uint8, copy=False)


def add_noise(
  image: Image, spread: float, rng: np.random.Generator, grey: bool = False
) -> Image:
  """Sensor noise, or fibres of paper.

  Args:
    image: the picture.
    spread: standard deviation in grey levels, below 128.
    rng: source of randomness.
    grey: the same noise in all channels.
  """
  height, width = image.shape[:2]
  bank = _noise_bank(grey)
  if max(height, width) > _NOISE_SIDE:
    repeats = (-(-height // _NOISE_SIDE) + 1, -(-width // _NOISE_SIDE) + 1, 1)
    bank = np.tile(bank, repeats)
  top = int(rng.integers(bank.shape[0] - height + 1))
  left = int(rng.integers(bank.shape[1] - width + 1))
  noise = bank[top : top + height, left : left + width]
  return _add_scaled(image, noise, spread / _NOISE_UNIT)


def add_stains(
  image: Image, spread: float, cells: int, rng: np.random.Generator
) -> Image:
  """Smooth unevenness of the paper.

  Args:
    image: the picture.
    spread: largest change in grey levels, about.
    cells: bumps along each side.
    rng: source of randomness.
  """
  height, width = image.shape[:2]
  field = smooth_field(height, width, cells, rng)
  fields = cv2.merge([field] * 3).astype(np.uint8, copy=False)
  return _add_scaled(image, fields, spread / 100)


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
) -> NDArray[np.uint8]:
  """Makes ink weaker, and unevenly so where it is weak.

  Args:
    coverage: uint8[height, width], 255 where ink is full.
    rng: source of randomness.
    opacity: range of the mean strength, within [0, 1].
  """
  strength = rng.uniform(*opacity)
  if strength >= 1.0:
    return coverage
  height, width = coverage.shape
  field = smooth_field(height, width, 6, rng)
  # Strength varies by 30 % of what is missing to full ink.
  varied = 1.0 + 0.3 * (1.0 - strength) * (np.arange(256) - 128) / 100
  levels = np.clip(strength * varied * 255, 0, 255).astype(np.uint8)
  faded = cv2.multiply(coverage, cv2.LUT(field, levels), scale=1 / 255)
  return faded.astype(np.uint8, copy=False)


def shade(image: Image, rng: np.random.Generator) -> Image:
  """Light from one side, now and then the edge of a shadow."""
  height, width = image.shape[:2]
  x = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :]
  y = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
  angle = rng.uniform(0.0, 2 * np.pi)
  along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
  # Never above 1: bytes would wrap around.
  light = 1.0 - rng.uniform(0.05, 0.3) * np.clip(along / 3 + 0.5, 0.0, 1.0)
  if rng.random() < 0.3:
    edge = (along - rng.uniform(-0.8, 0.8)) * rng.uniform(3.0, 20.0)
    light = light * (1.0 - rng.uniform(0.1, 0.35) * np.clip(edge, 0.0, 1.0))
  levels = np.rint(light * 255).astype(np.uint8)
  shaded = cv2.multiply(image, cv2.merge([levels] * 3), scale=1 / 255)
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
    blurred = cv2.GaussianBlur(image, (0, 0), max(spread, 0.05))
    return blurred.astype(np.uint8, copy=False)
  # A box of n pixels has variance (n * n - 1) / 12.
  side = max(2, round(float(np.sqrt(12 * spread * spread + 1))))
  if kind < 0.8:
    return cv2.blur(image, (side, side)).astype(np.uint8, copy=False)
  kernel = np.zeros((2 * side + 1, 2 * side + 1), np.float32)
  angle = rng.uniform(0.0, np.pi)
  reach = side * 0.75 * np.array([np.cos(angle), np.sin(angle)])
  start, end = (side - reach) * 16, (side + reach) * 16
  cv2.line(
    kernel,
    (round(float(start[0])), round(float(start[1]))),
    (round(float(end[0])), round(float(end[1]))),
    1.0,
    1,
    cv2.LINE_8,
    4,
  )
  moved = cv2.filter2D(image, -1, kernel / kernel.sum())
  return moved.astype(np.uint8, copy=False)


def change_contrast(image: Image, rng: np.random.Generator) -> Image:
  """Brightness, contrast and gamma through one table."""
  low = rng.uniform(0.0, 60.0)
  high = rng.uniform(190.0, 255.0)
  gamma = np.exp(rng.uniform(-0.35, 0.35))
  levels = (np.arange(256) / 255.0) ** gamma
  table = np.rint(low + (high - low) * levels).astype(np.uint8)
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
  kind = int(rng.integers(3))
  color = ((0, 0, 0), (255, 255, 255), border_color(inner))[kind]
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
  angle = rng.uniform(-degrees, degrees)
  zoom = rng.uniform(0.9, 1.05)
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
