"""Turning pages upright, and points back."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Mask = NDArray[np.uint8]

# Largest slope of lines that is looked for, degrees.
_MAX_SKEW = 20.0
# Points that vote for an angle; more make no difference.
_MAX_VOTES = 30_000
# A turn must sharpen the lines by so much for each degree to be believed.
_LEAST_GAIN = 0.1
# Below this many degrees nothing is turned.
_LEAST_SKEW = 0.2


@dataclasses.dataclass(frozen=True)
class Upright:
  """Maps page pixels to pixels of the upright page, by a turn and a shift.

  Attributes:
    angle: degrees by which lines fell to the right before.
    matrix: rows of the 2 x 3 matrix from page to upright pixels.
  """

  angle: float
  matrix: tuple[tuple[float, float, float], tuple[float, float, float]]

  def back(self, points: FloatArray) -> FloatArray:
    """Upright pixels to page pixels.

    Args:
      points: float64[points, 2].
    """
    matrix = np.asarray(self.matrix)
    return (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


def _sharpness(votes: FloatArray, degrees: float) -> float:
  """How much rows of ink and rows of paper differ after a turn."""
  angle = np.deg2rad(degrees)
  rows = votes[:, 1] * np.cos(angle) - votes[:, 0] * np.sin(angle)
  rows = (rows - rows.min()).astype(np.int64)
  profile = np.bincount(rows).astype(np.float64)
  return float(np.square(np.diff(profile, prepend=0.0, append=0.0)).sum())


def estimate_skew(mask: Mask) -> float:
  """Angle of the lines of writing, degrees, positive where they fall.

  Turns the ink until its rows are fullest and emptiest (Postl, ICPR 1986).

  Args:
    mask: uint8[height, width], 1 where ink is.
  """
  scale = min(1.0, 1000 / max(mask.shape))
  rows, columns = np.nonzero(mask)
  if len(rows) < 20:
    return 0.0
  step = max(1, len(rows) // _MAX_VOTES)
  votes = np.stack([columns[::step], rows[::step]], 1)
  # Anywhere within its pixel: whole numbers would favour level lines.
  votes = (votes + np.random.default_rng(0).random(votes.shape)) * scale
  level = _sharpness(votes, 0.0)
  best, sharpest = 0.0, level
  for spread, step_degrees in ((_MAX_SKEW, 1.0), (1.0, 0.25), (0.25, 0.05)):
    steps = round(spread / step_degrees)
    for degrees in best + step_degrees * np.arange(-steps, steps + 1):
      sharpness = _sharpness(votes, degrees)
      if sharpness > sharpest:
        best, sharpest = float(degrees), sharpness
  # The more a line slopes the surer we want to be: one word may lean.
  gain = 1.0 + _LEAST_GAIN * max(1.0, abs(best))
  return best if sharpest > gain * level else 0.0


def turn_upright(picture: Mask, degrees: float) -> tuple[Mask, Upright]:
  """Turns a picture so that its lines run level; nothing is cut off.

  Args:
    picture: uint8[height, width]; beyond it there is 0.
    degrees: as `estimate_skew` returns.
  """
  if abs(degrees) < _LEAST_SKEW:
    return picture, Upright(0.0, ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)))
  height, width = picture.shape
  matrix = cv2.getRotationMatrix2D((0.0, 0.0), degrees, 1.0)
  corners = np.array([[0, 0], [width, 0], [0, height], [width, height]])
  moved = corners @ matrix[:, :2].T
  matrix[:, 2] = -moved.min(axis=0)
  size = np.ceil(np.ptp(moved, axis=0)).astype(int)
  turned = cv2.warpAffine(
    picture, matrix, (int(size[0]), int(size[1])), flags=cv2.INTER_LINEAR
  )
  first, second = matrix.tolist()
  upright = Upright(degrees, (tuple(first), tuple(second)))
  return turned.astype(np.uint8, copy=False), upright
