"""Generated handwriting: words as timed ink, unlimited and paired with text.

Letters of single-stroke fonts are bent, joined and timed as a hand would. Each
word is a new hand. The ranges are ours, set by eye; they are not InkSight's.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.types import Ink, Stroke
from inksight_jax.rendering.glyphs import Glyph, load_font
from inksight_jax.rendering.motion import (
  pen_times,
  sample,
  shake,
  smooth,
)

Range = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class HandwritingConfig:
  """What hands there are. Lengths are in x-heights unless said otherwise.

  Attributes:
    fonts: drawn from with equal chance, see glyphs.PRINT_FONTS, CURSIVE_FONTS.
    x_height: pixels.
    slant: tangent of the letters' lean, positive to the right.
    aspect: width of letters over the font's width.
    spacing: extra room between letters that are not joined.
    word_space: room for a blank.
    size_variation: spread of the letters' size, as a share.
    rotation: spread of the letters' angle, degrees.
    warp: amplitude of the bend inside letters.
    baseline_wave: amplitude of the wave of the baseline.
    baseline_slope: rise over run of the baseline, either way.
    tremor: amplitude of the pen's shake.
    keep_joined: chance that lines meant for one pen-down, and joined letters,
      are written without lifting, drawn per word.
    connect_print: chance that a printed letter runs into the next, drawn per
      word.
    drop_dot: chance that the dot of an i or j is forgotten.
    speed: top pen speed, x-heights per second.
    pause: ms in the air between strokes, besides the way itself.
    period: ms between the pen's samples.
    messiness: multiplies every irregularity; 0 gives the font itself, leaned.
  """

  fonts: tuple[str, ...] = ("futural", "rowmans", "cursive")
  x_height: float = 100.0
  slant: Range = (-0.12, 0.4)
  aspect: Range = (0.75, 1.1)
  spacing: Range = (-0.02, 0.2)
  word_space: Range = (0.7, 1.2)
  size_variation: float = 0.05
  rotation: float = 2.5
  warp: float = 0.05
  baseline_wave: float = 0.06
  baseline_slope: float = 0.04
  tremor: float = 0.012
  keep_joined: Range = (0.8, 1.0)
  connect_print: Range = (0.0, 0.25)
  drop_dot: float = 0.02
  speed: Range = (16.0, 28.0)
  pause: Range = (30.0, 90.0)
  period: float = 10.0
  messiness: float = 1.0

  def __post_init__(self) -> None:
    if not self.fonts:
      raise ValueError("`fonts` is empty; name at least one font.")
    if self.period <= 0 or self.x_height <= 0 or self.messiness < 0:
      raise ValueError(
        "`period` and `x_height` must be positive and `messiness` not "
        f"negative; got {self.period}, {self.x_height}, {self.messiness}."
      )


@dataclasses.dataclass
class _Pen:
  """The pen-downs of a word so far: control points with letter numbers."""

  points: list[NDArray[np.float64]] = dataclasses.field(default_factory=list)
  letters: list[int] = dataclasses.field(default_factory=list)
  strokes: list[int] = dataclasses.field(default_factory=list)
  stroke: int = -1

  def write(
    self, line: NDArray[np.float64], letter: int, lift: bool = True
  ) -> None:
    """Adds a line, as a new stroke or carrying on the last."""
    if lift or not self.points:
      self.stroke += 1
    else:
      gap = line[0] - self.points[-1][-1]
      # The line begins where the pen is: one control point, not two.
      if abs(gap[0]) + abs(gap[1]) < 0.25:
        line = line[1:]
    if len(line):
      self.points.append(line)
      self.letters.append(letter)
      self.strokes.append(self.stroke)

  def arrays(
    self,
  ) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    lengths = [len(line) for line in self.points]
    return (
      np.concatenate(self.points),
      np.repeat(self.letters, lengths),
      np.repeat(self.strokes, lengths),
    )


def supported_characters(fonts: Sequence[str]) -> str:
  """Characters that every one of `fonts` can write, sorted, with the blank."""
  sets = [set(load_font(font)) for font in fonts]
  if not sets:
    raise ValueError("`fonts` is empty; name at least one font.")
  return "".join(sorted(set.intersection(*sets) | {" "}))


def _uniform(rng: np.random.Generator, bounds: Range) -> float:
  return bounds[0] + (bounds[1] - bounds[0]) * rng.random()


def _joint(
  previous: Glyph | None,
  glyph: Glyph,
  end: NDArray[np.float64] | None,
  cursor: float,
  connect: bool,
) -> NDArray[np.float64] | None:
  """How the pen gets from the last letter into this one without lifting.

  Returns:
    Points to pass on the way, possibly none; or None where it must lift.
  """
  if previous is None or end is None or not glyph.pen_downs:
    return None
  start = glyph.pen_downs[0][0][0]
  if previous.joins and glyph.joins:
    near_edge = abs(end[0] - cursor) < 0.35 and -1.2 < end[1] < 0.1
    if not near_edge:
      return None
    if glyph.lead_in is not None:
      return glyph.lead_in
    return np.zeros((0, 2)) if start[0] < 0.3 and start[1] > -1.1 else None
  # Printed letters: from the baseline up into a letter that begins top left.
  rises = end[1] > -0.3 and -1.1 < start[1] < -0.9 and start[0] < 0.5
  apart = 0.15 < start[0] + cursor - end[0] < 0.9
  if connect and not previous.joins and rises and apart:
    return np.zeros((0, 2))
  return None


def _write_controls(
  text: str,
  glyphs: dict[str, Glyph],
  rng: np.random.Generator,
  config: HandwritingConfig,
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
  """Lays the letters out; returns control points, letter and stroke numbers."""
  pen = _Pen()
  delayed: list[tuple[NDArray[np.float64], int]] = []
  messiness = config.messiness
  keep_joined = 1 - (1 - _uniform(rng, config.keep_joined)) * messiness
  connect_print = _uniform(rng, config.connect_print) * messiness
  aspect = _uniform(rng, config.aspect)
  spacing = _uniform(rng, config.spacing)
  chances = rng.random((len(text), 8)).tolist()
  cursor = 0.0
  previous: Glyph | None = None
  end: NDArray[np.float64] | None = None
  for letter, character in enumerate(text):
    if character == " ":
      for mark, owner in delayed:
        pen.write(mark, owner)
      delayed.clear()
      cursor += _uniform(rng, config.word_space)
      previous = None
      continue
    glyph = glyphs[character]
    chance = chances[letter]
    shift = (cursor, 0.0)
    way = _joint(previous, glyph, end, cursor, chance[0] < connect_print)
    if way is not None and chance[1] > keep_joined:
      way = None
    if way is not None and len(way):
      pen.write(way * (aspect, 1.0) + shift, letter, lift=False)
    for number, pen_down in enumerate(glyph.pen_downs):
      for index, line in enumerate(pen_down):
        if index:
          lift = chance[2 + min(index, 3)] > keep_joined
        else:
          lift = number > 0 or way is None
        pen.write(line * (aspect, 1.0) + shift, letter, lift)
    end = pen.points[-1][-1]
    for mark in glyph.marks:
      is_dot = bool((mark[0] == mark[-1]).all())
      if is_dot and chance[6] < config.drop_dot * messiness:
        continue
      aside = (chance[7] - 0.5) * messiness
      moved = mark * (aspect, 1.0) + shift + (0.3 * aside, 0.1 * aside)
      if is_dot and aside > 0:
        # Half of the dots are small ticks.
        moved[1] += (0.1 * aside, 0.3 * aside)
      if glyph.joins:
        delayed.append((moved, letter))
      else:
        pen.write(moved, letter)
        end = None
    cursor += glyph.advance * aspect + (0.0 if glyph.joins else spacing)
    previous = glyph
  for mark, owner in delayed:
    pen.write(mark, owner)
  return pen.arrays()


def _bend(
  points: NDArray[np.float64],
  letters: NDArray[np.intp],
  rng: np.random.Generator,
  config: HandwritingConfig,
) -> NDArray[np.float64]:
  """Makes letters differ, then leans them and lets the baseline drift."""
  amount = config.messiness
  count = int(letters.max()) + 1
  width = max(float(np.ptp(points[:, 0])), 1.0)
  # Each letter: a small turn and two scales about its own foot.
  normal = rng.standard_normal((count, 4))
  np.clip(normal, -2.0, 2.0, out=normal)
  size = 1 + normal[:, :2] * config.size_variation * amount
  turn = np.deg2rad(normal[:, 2] * config.rotation * amount)
  sums = np.bincount(letters, points[:, 0], count)
  feet = sums / np.maximum(np.bincount(letters, minlength=count), 1)
  x = (points[:, 0] - feet[letters]) * size[letters, 0]
  y = points[:, 1] * size[letters, 1]
  sine = turn[letters]
  x, y = x - sine * y + feet[letters], y + sine * x
  # A bend with its own phase per letter, about one wave per x-height.
  phase = rng.random((count, 4))[letters] * (2 * np.pi)
  rate = 2.5 + 2.0 * rng.random()
  bend = config.warp * amount
  waves = np.sin(rate * np.stack([y, x, y + x, x - y], axis=1) + phase)
  x = x + bend * (waves[:, 0] + 0.5 * waves[:, 2])
  y = y + bend * (waves[:, 1] + 0.5 * waves[:, 3]) * 0.7
  # The hand: lean, slope, wave of the baseline, growth along the word.
  low, high = config.slant
  slant = low + (high - low) * rng.random()
  drift = rng.random(4)
  slope = (2 * drift[0] - 1) * config.baseline_slope * amount
  wave = config.baseline_wave * amount * (0.3 + drift[1])
  growth = (2 * drift[3] - 1) * 0.08 * amount
  y = y * (1 + growth * x / width)
  lift = slope * x + wave * np.sin(x * (0.5 + drift[2]) + 6.28 * drift[0])
  lift = lift + normal[letters, 3] * 0.03 * amount
  return np.stack([x - slant * y, y + lift], axis=1)


def write_word(
  text: str,
  rng: np.random.Generator,
  config: HandwritingConfig = HandwritingConfig(),
) -> Ink:
  """Writes a word (or a line, with blanks) in a hand drawn from `rng`.

  Args:
    text: characters of `supported_characters(config.fonts)`.
    rng: the same state gives the same ink.
    config: ranges to draw the hand from.

  Returns:
    Strokes in writing order with times in ms from 0; x-height about
    `config.x_height` pixels; the bounds begin at (0, 0).

  Raises:
    ValueError: nothing to write, or a character the fonts lack.
  """
  font = config.fonts[int(rng.integers(len(config.fonts)))]
  glyphs = load_font(font)
  missing = sorted({c for c in text if c != " " and c not in glyphs})
  if missing:
    raise ValueError(
      f"Font {font!r} cannot write {''.join(missing)!r} of {text!r}; keep to "
      "supported_characters(fonts)."
    )
  if not text.strip(" "):
    raise ValueError(f"There is nothing to write in {text!r}.")
  controls, letters, strokes = _write_controls(text, glyphs, rng, config)
  controls = _bend(controls, letters, rng, config)
  curve, numbers, stops = smooth(controls, strokes)
  top_speed = _uniform(rng, config.speed)
  times = pen_times(curve, numbers, stops, top_speed, config.pause, rng)
  points, when, splits = sample(curve, times, numbers, config.period)
  points = shake(points, splits, rng, config.tremor * config.messiness)
  points = (points - points.min(0)) * config.x_height
  bounds = [0, *splits.tolist(), len(points)]
  return Ink(
    tuple(
      Stroke(points[start:stop], when[start:stop])
      for start, stop in itertools.pairwise(bounds)
    )
  )
