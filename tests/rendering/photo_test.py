"""Effects of camera and file format, measured on the pictures they make."""

import numpy as np
import pytest
from scipy import ndimage

from inksight_jax.rendering import photo

GREY = np.full((96, 96, 3), 128, np.uint8)


@pytest.mark.parametrize("spread", [3.0, 12.0])
@pytest.mark.parametrize("grey", [False, True])
def test_noise_has_the_spread_asked_for(spread, grey):
  rng = np.random.default_rng(0)
  noisy = photo.add_noise(GREY, spread, rng, grey).astype(float)
  assert noisy.std() == pytest.approx(spread, rel=0.08)
  assert noisy.mean() == pytest.approx(128, abs=0.5)
  assert (np.ptp(noisy, axis=2).max() == 0) == grey


def test_noise_covers_pictures_larger_than_its_bank():
  large = np.full((30, 1500, 3), 100, np.uint8)
  noisy = photo.add_noise(large, 8.0, np.random.default_rng(0)).astype(float)
  assert noisy[:, -200:].std() == pytest.approx(8.0, rel=0.1)


@pytest.mark.parametrize("spread", [1.0, 2.5])
def test_blur_spreads_a_dot_by_its_variance(spread):
  point = np.zeros((65, 65, 3), np.uint8)
  point[31:34, 31:34] = 255
  coordinates = np.arange(65) - 32.0
  own = 2 / 3  # variance of three pixels in a row
  kinds = set()
  for seed in range(24):
    blurred = photo.blur(point, spread, np.random.default_rng(seed))
    mass = blurred[:, :, 0].astype(float)
    variance = [
      (mass.sum(axis) * coordinates**2).sum() / mass.sum() for axis in (0, 1)
    ]
    kinds.add(round(variance[0], 2))
    assert sum(variance) / 2 - own < 3.0 * spread**2
    assert sum(variance) / 2 - own > 0.2 * spread**2
  assert len(kinds) > 2


def test_gaussian_blur_agrees_with_scipy():
  image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
  expected = ndimage.gaussian_filter(
    image.astype(float), (1.5, 1.5, 0), mode="mirror"
  )
  close = [
    np.abs(photo.blur(image, 1.5, np.random.default_rng(s)) - expected).max()
    for s in range(6)
  ]
  assert min(close) < 3


def test_shade_only_darkens_and_never_wraps():
  white = np.full((64, 64, 3), 255, np.uint8)
  for seed in range(30):
    shaded = photo.shade(white, np.random.default_rng(seed)).astype(int)
    assert shaded.min() > 255 * 0.4
    assert np.abs(np.diff(shaded, axis=0)).max() < 90


def test_contrast_keeps_the_order_of_greys():
  ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
  for seed in range(10):
    out = photo.change_contrast(ramp, np.random.default_rng(seed))[0, :, 0]
    assert (np.diff(out.astype(int)) >= 0).all()
    assert int(out[-1]) - int(out[0]) >= 129


def test_grain_has_the_spread_of_its_fibres_and_one_grey():
  rng = np.random.default_rng(0)
  noisy = photo.add_grain(GREY, 0.0, 5, 4.0, rng).astype(float)
  assert noisy.std() == pytest.approx(4.0, rel=0.08)
  assert np.ptp(noisy, axis=2).max() == 0
  stained = photo.add_grain(GREY, 60.0, 5, 0.0, rng).astype(float)
  # Bumps 19 pixels wide: smooth from pixel to pixel, uneven across.
  assert np.abs(np.diff(stained[:, :, 0], axis=0)).max() < 15
  assert np.ptp(stained) > 40


def test_moved_camera_draws_a_dot_out_along_one_line():
  point = np.zeros((65, 65, 3), np.uint8)
  point[32, 32] = 255
  lengths = []
  for seed in range(60):
    rows, columns = np.nonzero(
      photo.blur(point, 2.5, np.random.default_rng(seed))[:, :, 0]
    )
    offsets = np.stack([rows, columns], axis=1) - 32.0
    spread = np.linalg.svd(offsets, compute_uv=False)
    if spread[1] < 0.25 * spread[0]:
      lengths.append(np.hypot(*np.ptp(offsets, axis=0)))
      np.testing.assert_allclose(offsets.mean(0), 0.0, atol=0.6)
  # 1.5 times the box of the same spread, 9 pixels.
  assert len(lengths) > 5
  assert min(lengths) > 10 and max(lengths) < 16


def test_jpeg_loses_more_at_lower_quality():
  rng = np.random.default_rng(0)
  image = photo.add_grain(GREY, 60.0, 12, 0.0, rng)
  image = photo.add_noise(image, 10.0, rng)
  errors = [
    np.abs(photo.compress(image, quality) - image.astype(float)).mean()
    for quality in (95.0, 60.0, 20.0)
  ]
  assert 0 < errors[0] < errors[1] < errors[2] < 20


def test_fade_keeps_paper_clear_and_weakens_ink():
  coverage = np.zeros((40, 40), np.uint8)
  coverage[10:30] = 255
  faded = photo.fade(coverage, np.random.default_rng(0), (0.6, 0.6), 8.0)
  assert not faded[:10].any()
  assert faded[10:30].mean() / 255 == pytest.approx(0.6, abs=0.1)
  same = photo.fade(coverage, np.random.default_rng(0), (1.0, 1.0), 8.0)
  np.testing.assert_array_equal(same, coverage)


def test_turn_shows_paper_where_the_picture_ends():
  image = np.full((60, 90, 3), (210, 200, 190), np.uint8)
  image[25:35, 30:60] = 0
  out = photo.turn(image, 8.0, np.random.default_rng(3))
  corners = out[[0, 0, -1, -1], [0, -1, 0, -1]]
  assert (corners == (210, 200, 190)).all()
  assert (out == 0).all(2).sum() > 200
