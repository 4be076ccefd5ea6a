"""Cutting words out of pages."""

import math
import pathlib

import numpy as np
import pytest

from inksight_jax.datasets.pictures import (
  Pictures,
  crop_box,
  crop_polygon,
  crop_turned,
)
from inksight_jax.datasets.skipped import SkipReport


@pytest.fixture
def ramp() -> np.ndarray:
  """Pixel (x, y) is (x, y, 100)."""
  picture = np.full((90, 120, 3), 100, np.uint8)
  picture[:, :, 0] = np.arange(120)
  picture[:, :, 1] = np.arange(90)[:, None]
  return picture


def test_a_box_is_clamped_and_copied(ramp: np.ndarray):
  crop = crop_box(ramp, (-5, 80, 10, 200))
  assert crop is not None and crop.base is None
  np.testing.assert_array_equal(crop, ramp[80:, :10])
  for box in [
    (5, 5, 5, 9),
    (200, 0, 300, 9),
    (9, 9, 5, 12),
    (0, 0, math.nan, 1),
  ]:
    assert crop_box(ramp, box) is None


@pytest.mark.parametrize("degrees", [-150, -90, -12, 12, 45, 90, 178])
def test_a_turned_box_shows_what_lies_under_its_pixels(
  ramp: np.ndarray, degrees: float
):
  """The ramp gives the page position of every pixel of the crop."""
  angle = math.radians(degrees)
  width, height = 24, 10
  along = np.array([math.cos(angle), math.sin(angle)])
  across = np.array([-math.sin(angle), math.cos(angle)])
  corner = np.array([60.0, 45.0]) - width / 2 * along - height / 2 * across
  crop = crop_turned(ramp, tuple(corner.tolist()), angle, (width, height))
  assert crop is not None and crop.shape == (height, width, 3)
  for row, column in [(0, 0), (0, 23), (9, 0), (5, 11)]:
    x, y = corner + (column + 0.5) * along + (row + 0.5) * across - 0.5
    assert abs(float(crop[row, column, 0]) - x) <= 1
    assert abs(float(crop[row, column, 1]) - y) <= 1


def test_a_turned_box_may_reach_out_but_not_be_absurd(ramp: np.ndarray):
  crop = crop_turned(ramp, (-10.0, 0.0), math.radians(10), (40, 20))
  assert crop is not None and crop.shape == (20, 40, 3)
  for corner, size in [
    ((500.0, 500.0), (10, 10)),
    ((0.0, 0.0), (1e9, 1e9)),
    ((0.0, 0.0), (50, 0.2)),
    ((math.inf, 0.0), (5, 5)),
  ]:
    assert crop_turned(ramp, corner, 0.3, size) is None


def test_a_polygon_is_set_upright_along_its_reading_direction(
  ramp: np.ndarray,
):
  upright = [(10, 20), (50, 20), (50, 35), (10, 35)]
  crop = crop_polygon(ramp, upright)
  np.testing.assert_array_equal(crop, ramp[20:35, 10:50])
  # The first corner and the order say that this word is read upwards.
  upwards = [(10, 60), (10, 20), (25, 20), (25, 60)]
  crop = crop_polygon(ramp, upwards)
  assert crop is not None and crop.shape == (15, 40, 3)
  np.testing.assert_allclose(crop[:, :, 1].mean(0), np.arange(59, 19, -1))
  assert crop_polygon(ramp, upright[:2]) is None


def test_a_mask_paints_what_lies_outside(ramp: np.ndarray):
  triangle = [(10, 20), (50, 20), (10, 60)]
  crop = crop_polygon(ramp, triangle, angle=0.0, mask=True)
  assert crop is not None
  np.testing.assert_array_equal(crop[0, 0], [10, 20, 100])
  # Not page content (50, 59), but the median colour of the page's border.
  assert crop[-1, -1].tolist() != [49, 59, 100]
  np.testing.assert_array_equal(crop[-1, -1], crop[-1, -2])


def test_references_stay_within_the_folder(
  tmp_path: pathlib.Path, draw, huge_png: bytes, limits
):
  draw(tmp_path / "secret.png", 9, 9)
  root = tmp_path / "set [1]"
  draw(root / "a" / "b.png", 9, 9)
  (root / "link.png").symlink_to(tmp_path / "secret.png")
  (root / "huge.png").write_bytes(huge_png)
  draw(root / "thin.png", 9, 1)
  report = SkipReport()
  pictures = Pictures(root, report)
  assert pictures.find("a/b.png", "x") == root / "a" / "b.png"
  assert pictures.find("a\\b.png", "x") == root / "a" / "b.png"
  for reference in (
    "../secret.png",
    str(tmp_path / "secret.png"),
    "link.png",
  ):
    assert pictures.find(reference, "x") is None
  assert pictures.find(["no.png", "x" * 9999, "a\0b"], "x") is None
  with limits():
    assert pictures.read(root / "huge.png", "x") is None
    assert pictures.read(root / "thin.png", "x") is None
  assert report.counts == {
    "reference points out of the folder": 3,
    "picture missing": 1,
    "unreadable picture": 2,
  }
  assert "2500000000" in report.examples["unreadable picture"][0]
