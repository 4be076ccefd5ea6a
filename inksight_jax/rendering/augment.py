"""What pictures of writing go through: InkSight's augmentation families.

Ink angle, ink colour, stroke width, noise, blur, lines, grids and cluttered
backgrounds are InkSight's (Google Research blog, 2024); neighbouring ink, ruled
paper, light, JPEG and padding of either colour are added, because photos fail
without them. InkSight's ranges are not public: all ranges and chances are ours.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.types import Ink
from inksight_jax.rendering import photo
from inksight_jax.rendering.composite import lay
from inksight_jax.rendering.draws import between
from inksight_jax.rendering.paper import make_paper, paper_color
from inksight_jax.rendering.strokes import draw_piece

Image = NDArray[np.uint8]
Range = tuple[float, float]

# One on each side of the word.
_MAX_NEIGHBOURS = 4


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
  """Chances (0..1) and ranges of each family. Defaults change nothing.

  Lengths called shares are fractions of the picture's side.

  Attributes:
    angle: rotation of the ink, degrees either way; changes the target too.
    shear: lean of the ink, tangent either way; changes the target too.
    stretch: width over height changes by a factor in [1 / (1 + s), 1 + s];
      changes the target too.
    line_width: stroke width as a fraction of the ink's size (its height, or a
      third of its width where that is more).
    width_bounds: least and most stroke width, as shares.
    stroke_variation: spread of the width between strokes of one ink.
    color: chance that ink is not black, and paper not white.
    invert: chance of light ink on dark paper.
    lines: chance of ruled lines.
    grid: chance of squared paper instead.
    clutter: chance of a busy background.
    texture: chance of grain in the paper.
    shade: chance of uneven light.
    neighbours: chance of other ink at the edges.
    opacity: range of the ink's strength.
    blur: chance of blur.
    blur_sigma: range of its spread, as shares.
    noise: chance of noise.
    noise_sigma: range of its spread, in grey levels of 255.
    contrast: chance that brightness and contrast change.
    jpeg: chance of JPEG compression.
    jpeg_quality: range, 1 to 100.
    pad: chance that bars frame the picture as letterboxing does.
    affine: largest turn (degrees) of real pictures in `augment_photo`.
  """

  angle: float = 0.0
  shear: float = 0.0
  stretch: float = 0.0
  line_width: Range = (0.06, 0.06)
  width_bounds: Range = (0.008, 0.04)
  stroke_variation: float = 0.0
  color: float = 0.0
  invert: float = 0.0
  lines: float = 0.0
  grid: float = 0.0
  clutter: float = 0.0
  texture: float = 0.0
  shade: float = 0.0
  neighbours: float = 0.0
  opacity: Range = (1.0, 1.0)
  blur: float = 0.0
  blur_sigma: Range = (0.003, 0.008)
  noise: float = 0.0
  noise_sigma: Range = (2.0, 14.0)
  contrast: float = 0.0
  jpeg: float = 0.0
  jpeg_quality: Range = (25.0, 95.0)
  pad: float = 0.0
  affine: float = 0.0

  def __post_init__(self) -> None:
    for name in _CHANCES:
      chance = getattr(self, name)
      if not 0.0 <= chance <= 1.0:
        raise ValueError(f"`{name}` is a chance in [0, 1]; got {chance}.")
    for name in _RANGES:
      low, high = getattr(self, name)
      if not 0.0 <= low <= high:
        raise ValueError(
          f"`{name}` is a range (low, high), 0 <= low <= high; "
          f"got ({low}, {high})."
        )

  @classmethod
  def none(cls) -> AugmentConfig:
    """Black ink on white paper."""
    return cls()

  @classmethod
  def light(cls) -> AugmentConfig:
    """Clean scans: angle, width, colour, a little blur and noise."""
    return cls(
      angle=4.0,
      shear=0.08,
      stretch=0.08,
      line_width=(0.04, 0.09),
      stroke_variation=0.06,
      color=0.4,
      texture=0.2,
      opacity=(0.8, 1.0),
      blur=0.25,
      noise=0.25,
      noise_sigma=(2.0, 8.0),
      contrast=0.3,
    )

  @classmethod
  def full(cls) -> AugmentConfig:
    """Photos of anything: every family."""
    return cls(
      angle=10.0,
      shear=0.15,
      stretch=0.15,
      line_width=(0.03, 0.11),
      stroke_variation=0.1,
      color=0.7,
      invert=0.08,
      lines=0.2,
      grid=0.1,
      clutter=0.2,
      texture=0.4,
      shade=0.4,
      neighbours=0.3,
      opacity=(0.7, 1.0),
      blur=0.4,
      noise=0.5,
      contrast=0.5,
      jpeg=0.3,
      pad=0.4,
      affine=4.0,
    )


_CHANCES = (
  "color", "invert", "lines", "grid", "clutter", "texture", "shade",
  "neighbours", "blur", "noise", "contrast", "jpeg", "pad",
)  # fmt: skip
_RANGES = (
  "line_width", "width_bounds", "opacity", "blur_sigma", "noise_sigma",
  "jpeg_quality",
)  # fmt: skip


def augment_ink(
  ink: Ink, rng: np.random.Generator, config: AugmentConfig
) -> Ink:
  """Turns, leans and stretches ink about its middle, before placement.

  Args:
    ink: any frame; not empty.
    rng: source of randomness.
    config: `angle`, `shear` and `stretch` are used.

  Returns:
    The ink for picture and target alike.
  """
  turn, lean, wide = (2.0 * rng.random(3) - 1.0).tolist()
  angle = math.radians(turn * config.angle)
  cosine, sine = math.cos(angle), math.sin(angle)
  # Width grows as height shrinks, so that the ink's area stays.
  stretch = (1.0 + config.stretch) ** (wide / 2)
  lean *= -config.shear
  a, b = cosine * stretch, cosine * lean - sine / stretch
  c, d = sine * stretch, sine * lean + cosine / stretch
  left, top, right, bottom = ink.bounds
  x, y = (left + right) / 2, (top + bottom) / 2
  return ink.transformed(
    ((a, b), (c, d)), (x - a * x - b * y, y - c * x - d * y)
  )


def _draw_families(
  rng: np.random.Generator, config: AugmentConfig
) -> dict[str, bool]:
  """Which families this picture gets. Always takes the same random numbers."""
  chances = rng.random(len(_CHANCES)).tolist()
  return {
    name: chance < getattr(config, name)
    for name, chance in zip(_CHANCES, chances, strict=True)
  }


def _line_width(
  ink: Ink, size: int, rng: np.random.Generator, config: AugmentConfig
) -> float:
  left, top, right, bottom = ink.bounds
  extent = max(bottom - top, (right - left) / 3)
  least, most = (share * size for share in config.width_bounds)
  return min(most, max(least, between(rng, *config.line_width) * extent))


def _window(
  ink: Ink, size: int, rng: np.random.Generator, pad: bool
) -> tuple[int, int, int, int]:
  """The part of the square that is picture: (left, top, right, bottom).

  Letterboxing leaves bars on two opposite sides, equally wide.
  """
  if not pad:
    return 0, 0, size, size
  left, top, right, bottom = ink.bounds
  free = (min(left, size - 1 - right), min(top, size - 1 - bottom))
  # Bars on the axis with more room, never over the ink or its edge.
  axis = int(free[1] >= free[0])
  bar = int(between(rng, 0.3, 1.0) * max(0.0, free[axis] - 0.03 * size))
  if axis:
    return 0, bar, size, size - bar
  return bar, 0, size - bar, size


def place_neighbours(
  ink: Ink,
  neighbours: Sequence[Ink],
  window: tuple[int, int, int, int],
  rng: np.random.Generator,
) -> list[Ink]:
  """Puts other ink around `ink`, cut by the picture's edge, never over it.

  A neighbour shows half of itself at most: what is whole is what to read.

  Args:
    ink: the ink to read, pixels.
    neighbours: inks in any frame, one side of `ink` each; empty ones are
      left out.
    window: (left, top, right, bottom) of the visible picture, pixels.
    rng: source of randomness.

  Returns:
    The neighbours that found room, in the frame of `ink`.
  """
  bounds = ink.bounds
  size = (bounds[2] - bounds[0], bounds[3] - bounds[1])
  letters = max(size[1], size[0] / 4)
  # Words lie further apart than lines' loops do.
  gaps = (0.4 * letters + 1.0, 0.12 * letters + 1.0)
  placed = []
  sides = rng.permutation(4)
  for side, other in zip(sides.tolist(), neighbours, strict=False):
    if not other:
      continue
    axis, far = divmod(side, 2)
    edge = window[axis + 2 * far]
    room = abs(edge - bounds[axis + 2 * far]) - gaps[axis]
    if room < 1:
      continue
    left, top, right, bottom = other.bounds
    # Same hand, about the same size of letters: heights are alike.
    height = max(bottom - top, (right - left) / 4, 1e-6)
    scale = letters / height * between(rng, 0.8, 1.2)
    extent = ((right - left) * scale, (bottom - top) * scale)
    shown = min(room, between(rng, 0.1, 0.5) * extent[axis])
    offset = [0.0, 0.0]
    offset[axis] = edge - shown if far else edge + shown - extent[axis]
    across = 1 - axis
    reach = 0.3 if axis == 0 else 0.6
    slide = between(rng, -reach, reach)
    middle = (bounds[across] + bounds[across + 2]) / 2
    offset[across] = middle + slide * size[across] - extent[across] / 2
    placed.append(
      other.scaled(scale, (offset[0] - left * scale, offset[1] - top * scale))
    )
  return placed


def render_example(
  ink: Ink,
  size: int,
  canvas: int,
  rng: np.random.Generator,
  config: AugmentConfig,
  neighbours: Sequence[Ink] = (),
) -> Image:
  """Draws ink as a picture of writing, ink and picture in one frame.

  Args:
    ink: points on the token canvas, [0, canvas]; not empty.
    size: side of the picture, pixels.
    canvas: side of the token canvas; a canvas point v is drawn at pixel
      v * size / canvas, whatever the augmentation.
    rng: the same state gives the same picture.
    config: which families, how strong.
    neighbours: pool of other inks to draw at the edges, any frame.

  Returns:
    uint8[size, size, 3] RGB.

  Raises:
    ValueError: the ink is empty.
  """
  if not ink:
    raise ValueError("There is no ink to draw; skip empty inks beforehand.")
  if size != canvas:
    ink = ink.scaled(size / canvas)
  families = _draw_families(rng, config)
  width = _line_width(ink, size, rng, config)
  window = _window(ink, size, rng, families["pad"])
  drawn = ink
  if families["neighbours"] and neighbours:
    picked = rng.integers(len(neighbours), size=_MAX_NEIGHBOURS).tolist()
    extra = place_neighbours(ink, [neighbours[i] for i in picked], window, rng)
    drawn = Ink(sum((other.strokes for other in extra), ink.strokes))
  paper, color = paper_color(rng, families["color"], families["invert"])
  image = make_paper(size, paper, color, width, rng, families)
  spread = config.stroke_variation
  widths = width * (1.0 - spread + 2.0 * spread * rng.random(len(drawn)))
  piece, corner = draw_piece(drawn, size, size, widths.tolist())
  piece = photo.fade(piece, rng, config.opacity, bump=size / 6)
  lay(image, piece, *corner, color)
  image = _expose(image, rng, config, families)
  if families["pad"]:
    image = photo.frame(image, window, rng)
  return image


def _expose(
  image: Image,
  rng: np.random.Generator,
  config: AugmentConfig,
  families: dict[str, bool],
) -> Image:
  """What camera and file format do to a picture."""
  if families["shade"]:
    image = photo.shade(image, rng)
  if families["blur"]:
    spread = between(rng, *config.blur_sigma) * max(image.shape[:2])
    image = photo.blur(image, spread, rng)
  if families["contrast"]:
    image = photo.change_contrast(image, rng)
  if families["noise"]:
    spread = between(rng, *config.noise_sigma)
    image = photo.add_noise(image, spread, rng, grey=rng.random() < 0.5)
  if families["jpeg"]:
    image = photo.compress(image, between(rng, *config.jpeg_quality))
  return image


def augment_photo(
  image: Image, rng: np.random.Generator, config: AugmentConfig
) -> Image:
  """Changes a real picture as a second photo of the same page would.

  Args:
    image: uint8[height, width, 3] RGB.
    rng: source of randomness.
    config: `affine`, `shade`, `blur`, `contrast`, `noise` and `jpeg` are used.

  Returns:
    uint8[height, width, 3], the same shape.
  """
  families = _draw_families(rng, config)
  if config.affine > 0:
    image = photo.turn(image, config.affine, rng)
  return _expose(image, rng, config, families)
