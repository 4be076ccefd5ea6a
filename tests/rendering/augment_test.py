"""Augmented pictures keep the ink where it is, readable and repeatable."""

import dataclasses

import numpy as np
import pytest

from inksight_jax.ink.normalize import random_placement
from inksight_jax.ink.types import Ink
from inksight_jax.rendering.augment import (
  AugmentConfig,
  augment_ink,
  augment_photo,
  place_neighbours,
  render_example,
)
from inksight_jax.rendering.handwriting import write_word
from inksight_jax.rendering.strokes import draw_coverage

WORDS = ("quick", "hello", "jumping", "cat", "x")
# Families that leave paper flat, so that ink can be found by its colour.
CLEAN = dataclasses.replace(
  AugmentConfig.full(),
  lines=0.0,
  grid=0.0,
  clutter=0.0,
  shade=0.0,
  neighbours=0.0,
  pad=0.0,
)
FAMILIES = (
  "color", "invert", "lines", "grid", "clutter", "texture", "shade", "blur",
  "noise", "contrast", "jpeg", "pad",
)  # fmt: skip


def placed_word(word, seed, canvas=224):
  rng = np.random.default_rng(seed)
  ink = write_word(word, rng)
  return random_placement(ink.bounds, canvas, rng).apply(ink)


def ink_mask(image):
  """Where a picture differs from its median colour: ink, on flat paper."""
  paper = np.median(image.reshape(-1, 3), axis=0)
  return np.abs(image - paper).sum(-1)


@pytest.mark.parametrize("size", [64, 224])
@pytest.mark.parametrize("seed", range(8))
def test_ink_and_picture_share_one_frame(size, seed):
  """Whatever the augmentation, ink pixels lie around the ink's points."""
  word = WORDS[seed % len(WORDS)]
  rng = np.random.default_rng(seed)
  ink = augment_ink(placed_word(word, seed), rng, CLEAN)
  ink = random_placement(ink.bounds, 224, rng).apply(ink)
  image = render_example(ink, size, 224, rng, CLEAN)
  difference = ink_mask(image)
  shape = draw_coverage(ink.scaled(size / 224), size, size, 2.0) / 255.0
  best = {}
  for shift_x in range(-3, 4):
    for shift_y in range(-3, 4):
      moved = np.roll(shape, (shift_y, shift_x), (0, 1))
      best[shift_x, shift_y] = (moved * difference).sum()
  found = max(best, key=best.get)
  assert max(abs(found[0]), abs(found[1])) <= 1
  # Ink stands out from paper by far more than noise.
  inside = difference[shape > 0.9].mean()
  outside = difference[draw_coverage(ink.scaled(size / 224), size, size,
                                     0.16 * size) == 0].mean()  # fmt: skip
  assert inside > outside + 25


def test_centroid_is_the_inks():
  for seed, word in enumerate(WORDS):
    ink = placed_word(word, seed)
    config = AugmentConfig.none()
    rng = np.random.default_rng(seed)
    image = render_example(ink, 64, 224, rng, config)
    dark = 255.0 - image[:, :, 0]
    rows, columns = np.mgrid[:64, :64]
    found = np.array([(dark * columns).sum(), (dark * rows).sum()]) / dark.sum()
    pieces, weights = [], []
    for stroke in ink.strokes:
      steps = np.diff(stroke.points, axis=0)
      pieces.append((stroke.points[1:] + stroke.points[:-1]) / 2)
      weights.append(np.hypot(steps[:, 0], steps[:, 1]))
    weights = np.concatenate(weights)
    centre = (np.concatenate(pieces) * weights[:, None]).sum(0) / weights.sum()
    # Retraced lines count once in the picture and twice in the ink.
    np.testing.assert_allclose(found, centre * 64 / 224, atol=1.5)


@pytest.mark.parametrize("level", ["none", "light", "full"])
def test_the_same_seed_gives_the_same_picture(level):
  config = getattr(AugmentConfig, level)()
  ink, other = placed_word("moon", 1), placed_word("cat", 2)
  pictures = [
    render_example(ink, 64, 224, np.random.default_rng(seed), config, [other])
    for seed in (5, 5, 6)
  ]
  np.testing.assert_array_equal(pictures[0], pictures[1])
  assert (pictures[0] != pictures[2]).any() == (level != "none")
  for picture in pictures:
    assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_changes_the_picture(family):
  ink = placed_word("moon", 3)
  plain = AugmentConfig.none()
  changed = dataclasses.replace(plain, **{family: 1.0})
  shares = []
  for seed in range(12):  # white bars on white paper change nothing
    images = [
      render_example(ink, 64, 224, np.random.default_rng(seed), config)
      for config in (plain, changed)
    ]
    shares.append((images[0] != images[1]).mean())
  assert max(shares) > 0.01


@pytest.mark.parametrize("seed", range(12))
def test_bars_never_cover_ink_and_are_even(seed):
  ink = placed_word("cat", seed)
  config = dataclasses.replace(AugmentConfig.none(), pad=1.0)
  image = render_example(ink, 64, 224, np.random.default_rng(seed), config)
  free = render_example(
    ink, 64, 224, np.random.default_rng(seed), AugmentConfig.none()
  )
  ink_pixels = free[:, :, 0] < 128
  np.testing.assert_array_equal(image[ink_pixels], free[ink_pixels])
  black = (image == 0).all(2)
  rows, columns = black.all(1), black.all(0)
  assert rows[:32].sum() == rows[32:].sum()
  assert columns[:32].sum() == columns[32:].sum()


@pytest.mark.parametrize("seed", range(20))
def test_neighbours_are_cut_and_never_touch(seed):
  rng = np.random.default_rng(seed)
  ink = placed_word("cat", seed)
  others = [placed_word(word, seed + 1) for word in ("hello", "dog", "quick")]
  window = (0, 0, 224, 224)
  placed = place_neighbours(ink, [Ink(), *others], window, rng)
  left, top, right, bottom = ink.bounds
  for other in placed:
    x0, y0, x1, y1 = other.bounds
    assert x1 < left or x0 > right or y1 < top or y0 > bottom
    cut = [max(0, -x0), max(0, -y0), max(0, x1 - 224), max(0, y1 - 224)]
    side = [x1 - x0, y1 - y0] * 2
    assert max(c / s for c, s in zip(cut, side, strict=True)) >= 0.49


def test_geometry_is_a_turn_about_the_middle():
  ink = placed_word("hello", 0)
  config = AugmentConfig(angle=30.0)
  turned = augment_ink(ink, np.random.default_rng(1), config)
  before, after = ink.points, turned.points
  np.testing.assert_allclose(
    np.linalg.norm(before[1:] - before[:-1], axis=1),
    np.linalg.norm(after[1:] - after[:-1], axis=1),
    atol=1e-9,
  )
  left, top, right, bottom = ink.bounds
  middle = np.array([left + right, top + bottom]) / 2
  np.testing.assert_allclose(
    np.linalg.norm(before - middle, axis=1),
    np.linalg.norm(after - middle, axis=1),
    atol=1e-9,
  )
  angles = []
  for seed in range(200):
    after = augment_ink(ink, np.random.default_rng(seed), config).points
    direction = (after[-1] - after[0]) @ [[1], [1j]]
    start = (before[-1] - before[0]) @ [[1], [1j]]
    angles.append(np.angle(direction / start, deg=True).item())
  assert -30 <= min(angles) < -20 and 20 < max(angles) <= 30


def test_times_and_area_survive_augmentation():
  ink = placed_word("hello", 0)
  config = AugmentConfig(shear=0.3, stretch=0.5)
  changed = augment_ink(ink, np.random.default_rng(2), config)
  for before, after in zip(ink.strokes, changed.strokes, strict=True):
    np.testing.assert_array_equal(before.times, after.times)

  def area(points):
    x, y = points.T
    return 0.5 * (x * np.roll(y, 1) - y * np.roll(x, 1)).sum()

  # Lean and stretch are area-preserving by design.
  assert area(changed.points) == pytest.approx(area(ink.points), rel=1e-9)


def test_photos_keep_their_shape_and_look():
  image = render_example(
    placed_word("hello", 0), 224, 224, np.random.default_rng(0), CLEAN
  )[:100]
  config = AugmentConfig.full()
  for seed in range(6):
    out = augment_photo(image, np.random.default_rng(seed), config)
    assert out.shape == image.shape and out.dtype == np.uint8
    assert (out != image).any()
  still = augment_photo(image, np.random.default_rng(0), AugmentConfig.none())
  np.testing.assert_array_equal(still, image)


def test_bad_requests_say_what_is_wrong():
  with pytest.raises(ValueError, match="`jpeg` is a chance"):
    AugmentConfig(jpeg=1.5)
  with pytest.raises(ValueError, match="`opacity` is a range"):
    AugmentConfig(opacity=(0.9, 0.2))
  with pytest.raises(ValueError, match="no ink"):
    render_example(
      Ink(), 64, 224, np.random.default_rng(0), AugmentConfig.none()
    )
