"""Placements keep ink inside the margins and can be undone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inksight_jax.ink.normalize import fit_placement, random_placement
from inksight_jax.ink.tokens import InkCodec
from inksight_jax.ink.types import Ink

coordinates = st.floats(-1e4, 1e4, width=32)
arrays = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=6)


@settings(deadline=None, max_examples=50)
@given(arrays, st.sampled_from([0.0, 1.0, 10.0]))
def test_fitted_ink_fills_the_longer_side_and_is_centred(array, margin):
  ink = Ink.from_arrays([array])
  placed = fit_placement(ink.bounds, 224, margin).apply(ink)
  left, top, right, bottom = placed.bounds
  before = ink.bounds
  if max(before[2] - before[0], before[3] - before[1]) > 1e-6:
    assert max(right - left, bottom - top) == pytest.approx(224 - 2 * margin)
  assert (left + right, top + bottom) == pytest.approx((224, 224), abs=1e-4)
  # Centred on the canvas and no longer than its side: never off the canvas.
  if max(abs(c) for c in before) * 1e-6 < before[2] - before[0]:
    InkCodec(224).encode(placed)


@settings(deadline=None, max_examples=50)
@given(arrays, st.integers(0, 99), st.sampled_from([0.1, 0.5, 1.0]))
def test_random_ink_stays_inside_the_margins(array, seed, min_fill):
  ink = Ink.from_arrays([array])
  rng = np.random.default_rng(seed)
  placed = random_placement(ink.bounds, 64, rng, min_fill, 2.0).apply(ink)
  left, top, right, bottom = placed.bounds
  slack = 1e-4
  assert min(left, top) >= 2 - slack
  assert max(right, bottom) <= 62 + slack
  before = ink.bounds
  if max(before[2] - before[0], before[3] - before[1]) > 1e-6:
    assert max(right - left, bottom - top) >= min_fill * 60 - slack


def test_random_size_and_place_are_uniform():
  rng = np.random.default_rng(0)
  fills, lefts, dots = [], [], []
  for _ in range(2000):
    bounds = (5.0, 5.0, 25.0, 15.0)
    placement = random_placement(bounds, 100, rng, 0.5, 0.0)
    width = 20 * placement.scale
    fills.append((width / 100 - 0.5) / 0.5)
    left = 5 * placement.scale + placement.offset[0]
    lefts.append(left / (100 - width))
    dot = random_placement((7.0, 7.0, 7.0, 7.0), 100, rng)
    dots.append((7 + dot.offset[1] - 2) / 96)
  for values in (fills, lefts, dots):
    # 6 standard errors of the mean of 2000 uniform values are 0.039.
    assert np.mean(values) == pytest.approx(0.5, abs=0.039)
    assert np.percentile(values, [10, 90]) == pytest.approx(
      [0.1, 0.9], abs=0.05
    )
    assert min(values) >= -1e-9
    assert max(values) <= 1 + 1e-9


@settings(deadline=None, max_examples=50)
@given(arrays, st.integers(0, 99))
def test_inverting_returns_to_the_source(array, seed):
  ink = Ink.from_arrays([array])
  rng = np.random.default_rng(seed)
  for placement in (
    fit_placement(ink.bounds, 224),
    random_placement(ink.bounds, 224, rng),
  ):
    back = placement.invert(placement.apply(ink))
    np.testing.assert_allclose(back.points, ink.points, rtol=1e-6, atol=1e-6)


def test_the_placement_is_scale_then_offset():
  placement = fit_placement((10.0, 20.0, 30.0, 30.0), 102)
  assert placement.scale == 5.0
  assert placement.offset == pytest.approx((-49.0, -74.0))


def test_a_dot_is_centred_at_its_own_scale():
  placement = fit_placement((7.0, 9.0, 7.0, 9.0), 64)
  assert placement.scale == 1.0
  np.testing.assert_array_equal(
    placement.apply(Ink.from_arrays([[[7, 9]]])).points, [[32, 32]]
  )


@pytest.mark.parametrize(
  "bounds",
  [
    (1.0, 0.0, 0.0, 1.0),
    (0.0, 0.0, float("nan"), 1.0),
    (-1.7e308, 0.0, 1.7e308, 1.0),
  ],
)
def test_impossible_bounds_are_refused(bounds):
  with pytest.raises(ValueError, match="Bounds must be finite and ordered"):
    fit_placement(bounds, 64)


def test_margins_and_fill_must_leave_room():
  rng = np.random.default_rng(0)
  with pytest.raises(ValueError, match="smaller margin"):
    fit_placement((0.0, 0.0, 1.0, 1.0), 64, 32.0)
  with pytest.raises(ValueError, match="`min_fill`"):
    random_placement((0.0, 0.0, 1.0, 1.0), 64, rng, 0.0)
