"""Placing ink on the square canvas of the token codec."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from inksight_jax.ink.types import Ink

Bounds = tuple[float, float, float, float]
# Below this many pixels the ink is a dot and has no size to scale.
_DOT_SIZE = 1e-6


@dataclasses.dataclass(frozen=True)
class Placement:
  """Maps source pixels to canvas pixels: canvas = source * scale + offset.

  Attributes:
    scale: canvas pixels per source pixel, the same on both axes.
    offset: where the source origin lands, canvas pixels (x, y).
  """

  scale: float
  offset: tuple[float, float]

  def apply(self, ink: Ink) -> Ink:
    """Moves ink from the source frame onto the canvas."""
    return ink.scaled(self.scale, self.offset)

  def invert(self, ink: Ink) -> Ink:
    """Moves ink from the canvas back to the source frame."""
    x, y = self.offset
    # Two steps: shifting first keeps precision where the scale is tiny.
    return ink.scaled(1.0, (-x, -y)).scaled(1.0 / self.scale)


def _extent(bounds: Bounds, room: float) -> tuple[float, float]:
  """(width, height) of the bounds in pixels, checked."""
  left, top, right, bottom = bounds
  width, height = right - left, bottom - top
  if not (0.0 <= width < math.inf and 0.0 <= height < math.inf):
    raise ValueError(
      "Bounds must be finite and ordered (left, top, right, bottom); "
      f"got {bounds}."
    )
  if room <= 0:
    raise ValueError(
      f"The margins leave {room:g} px of the canvas; use a smaller margin."
    )
  return width, height


def fit_placement(
  bounds: Bounds, canvas: int, margin: float = 1.0
) -> Placement:
  """Centres ink on the canvas as large as fits, aspect kept.

  Args:
    bounds: (left, top, right, bottom) of the ink, pixels.
    canvas: N; coordinates end up in [margin, N - margin].
    margin: clear border in canvas pixels.

  Returns:
    The placement; a single point is centred at scale 1.
  """
  room = canvas - 2 * margin
  width, height = _extent(bounds, room)
  side = max(width, height)
  scale = room / side if side > _DOT_SIZE else 1.0
  left, top = bounds[:2]
  return Placement(
    scale,
    (
      (canvas - width * scale) / 2 - left * scale,
      (canvas - height * scale) / 2 - top * scale,
    ),
  )


def random_placement(
  bounds: Bounds,
  canvas: int,
  rng: np.random.Generator,
  min_fill: float = 0.5,
  margin: float = 2.0,
) -> Placement:
  """Puts ink at a random size and place on the canvas, aspect kept.

  A model that only ever sees tight ink learns that ink touches the border and
  adds dots there; random size and place avoid that.

  Args:
    bounds: (left, top, right, bottom) of the ink, pixels.
    canvas: N; coordinates end up in [margin, N - margin].
    rng: source of randomness.
    min_fill: the longer side fills a uniform fraction in [min_fill, 1] of the
      canvas without its margins.
    margin: clear border in canvas pixels.

  Returns:
    The placement; a single point lands anywhere, at scale 1.
  """
  if not 0.0 < min_fill <= 1.0:
    raise ValueError(f"`min_fill` must be in (0, 1]; got {min_fill}.")
  room = canvas - 2 * margin
  width, height = _extent(bounds, room)
  side = max(width, height)
  fill = rng.uniform(min_fill, 1.0)
  scale = fill * room / side if side > _DOT_SIZE else 1.0
  left, top = bounds[:2]
  # The rounding error of a full fill must not make the free range negative.
  free_x = max(0.0, room - width * scale)
  free_y = max(0.0, room - height * scale)
  return Placement(
    scale,
    (
      margin + rng.uniform(0.0, 1.0) * free_x - left * scale,
      margin + rng.uniform(0.0, 1.0) * free_y - top * scale,
    ),
  )
