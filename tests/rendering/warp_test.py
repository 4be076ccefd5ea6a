"""Changes of shape, against what each of them must do to a known picture."""

import numpy as np
import pytest

from inksight_jax.rendering.warp import WarpConfig, warp


@pytest.fixture
def dot() -> np.ndarray:
  """A bright disc, 8 pixels right of the centre, on dark grey."""
  rows, columns = np.mgrid[:41, :41]
  disc = (rows - 20) ** 2 + (columns - 28) ** 2 <= 9
  return np.where(disc[..., None], 250, 30).astype(np.uint8).repeat(3, 2)


def centre(image: np.ndarray) -> tuple[float, float]:
  weights = image[..., 0].astype(float) - 30
  rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] - 20.0
  return (
    float((columns * weights).sum() / weights.sum()),
    float((rows * weights).sum() / weights.sum()),
  )


def draws(image: np.ndarray, count: int = 60, **fields) -> list:
  rng = np.random.default_rng(0)
  return [warp(image, rng, WarpConfig(1.0, **fields)) for _ in range(count)]


def test_rotation_keeps_the_distance_and_stays_within_its_angle(dot):
  angles = []
  for image in draws(dot, angle=15.0):
    x, y = centre(image)
    assert np.hypot(x, y) == pytest.approx(8.0, abs=0.15)
    angles.append(np.degrees(np.arctan2(y, x)))
  assert -15.5 < min(angles) < -10 and 10 < max(angles) < 15.5


def test_shift_scale_and_shear_move_as_far_as_they_say(dot):
  shifts = np.array([centre(image) for image in draws(dot, shift=0.1)])
  assert np.abs(shifts - [8, 0]).max() == pytest.approx(4.1, abs=0.3)
  scaled = np.array([centre(image)[0] for image in draws(dot, scale=0.2)])
  # The disc grows and shrinks with its distance from the middle.
  assert scaled.min() == pytest.approx(8 * 0.8, abs=0.3)
  assert scaled.max() == pytest.approx(8 / 0.8, abs=0.3)
  sheared = np.array(
    [centre(i) for i in draws(np.rot90(dot).copy(), shear=0.5)]
  )
  np.testing.assert_allclose(sheared[:, 1], -8, atol=0.1)
  assert np.abs(sheared[:, 0]).max() == pytest.approx(4.0, abs=0.3)


def test_elastic_moves_have_the_size_that_is_asked_for():
  # A ramp shows horizontal moves as changes of brightness, 3 levels a pixel.
  ramp = np.tile(np.arange(81, dtype=np.uint8) * 3, (81, 1))
  image = ramp[..., None].repeat(3, 2)
  moved = np.array(draws(image, 40, elastic=2.0), float)[:, 20:-20, 20:-20, 0]
  moves = (moved - image[None, 20:-20, 20:-20, 0]) / 3
  assert moves.std() == pytest.approx(2.0, rel=0.2)
  # Neighbours move together.
  assert np.diff(moves, axis=2).std() < 0.8


def test_nothing_happens_without_a_chance_and_paper_comes_in(dot):
  rng = np.random.default_rng(0)
  assert warp(dot, rng, WarpConfig(angle=90.0)) is dot
  for image in draws(dot, 20, shift=0.5, blur=1.0):
    assert image.shape == dot.shape and image.dtype == np.uint8
    assert image.min() >= 29
  half = [warp(dot, rng, WarpConfig(0.5, shift=0.2)) is dot for _ in range(400)]
  assert 160 < sum(half) < 240
  with pytest.raises(ValueError, match="chance"):
    WarpConfig(chance=2.0)
