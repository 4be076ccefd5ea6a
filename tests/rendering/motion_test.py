"""The pen's motion against curves whose shape and speed are known."""

import numpy as np
import pytest

from inksight_jax.rendering.motion import pen_times, sample, shake, smooth


def circle(points, radius=1.0):
  angle = np.linspace(0, 2 * np.pi, points)
  return radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def times_of(points, strokes, stops, seed=0):
  rng = np.random.default_rng(seed)
  return pen_times(points, strokes, stops, 20.0, (40.0, 60.0), rng)


def test_an_octagon_becomes_a_circle():
  corners = circle(9)
  curve, _, _ = smooth(corners, np.zeros(9, np.intp))
  radius = np.linalg.norm(curve, axis=1)
  inner = radius[len(radius) // 8 : -len(radius) // 8]
  assert np.abs(inner - 1).max() < 0.02
  # The chords of the octagon itself come as near as cos(22.5 degrees).
  assert radius.min() > 0.94


def test_control_points_lie_on_the_curve_and_only_corners_are_stops():
  points = np.array([[0, 0], [1, 0], [0.2, 0.3], [0.3, 2], [5, 5], [6, 6.0]])
  strokes = np.array([0, 0, 0, 0, 1, 1])
  curve, numbers, stops = smooth(points, strokes)
  for point, stroke in zip(points, strokes, strict=True):
    assert np.abs(curve[numbers == stroke] - point).sum(1).min() < 1e-12
  # All ends and the sharp turn at (1, 0); the next turn, 66 degrees, is round.
  np.testing.assert_allclose(curve[stops], points[[0, 1, 3, 4, 5]])
  gentle = np.array([[0, 0], [1, 0], [2, 0.5], [3, 1.5]])
  curve, _, stops = smooth(gentle, np.zeros(4, np.intp))
  np.testing.assert_allclose(curve[stops], gentle[[0, -1]])


def test_straight_lines_stay_straight():
  points = np.array([[0.0, 0.0], [3.0, 1.0]])
  curve, _, _ = smooth(points, np.zeros(2, np.intp))
  np.testing.assert_allclose(curve[:, 1], curve[:, 0] / 3, atol=1e-12)


def test_small_circles_are_written_slower_by_the_cube_root():
  """Two-thirds power law: speed goes with radius to the power 1/3."""
  speeds = []
  for radius in (0.02, 0.02 * 8):
    points = circle(60, radius)
    # Stops far away on a straight run-up, so that only curvature counts.
    run = np.linspace([radius, -3], [radius, -0.01], 50)
    way = np.concatenate([run, points, run[::-1]])
    stops = np.zeros(len(way), bool)
    stops[[0, -1]] = True
    times = times_of(way, np.zeros(len(way), np.intp), stops)
    inside = slice(55, 105)
    length = np.linalg.norm(np.diff(way[inside], axis=0), axis=1).sum()
    speeds.append(length / np.ptp(times[inside]))
  assert speeds[1] / speeds[0] == pytest.approx(8 ** (1 / 3), rel=0.05)


def test_lifting_takes_the_pause_and_the_way():
  points = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [4.0, 0.0]])
  strokes = np.array([0, 0, 1, 1])
  times = times_of(points, strokes, np.ones(4, bool))
  way = 2.0 / 20.0 * 1000
  assert way + 40 <= times[2] - times[1] <= way + 60


def test_sampling_reads_the_curve_at_the_period():
  points = np.stack([np.linspace(0, 10, 11), np.zeros(11)], 1)
  times = np.concatenate([np.arange(6) * 7.0, 100 + np.arange(5) * 7.0])
  strokes = np.repeat([0, 1], [6, 5])
  sampled, when, splits = sample(points, times, strokes, 10.0)
  np.testing.assert_allclose(
    when, [0, 10, 20, 30, 35, 100, 110, 120, 128], atol=1e-9
  )
  assert splits.tolist() == [5]
  np.testing.assert_allclose(sampled[:5, 0], when[:5] / 7)
  np.testing.assert_allclose(sampled[5:, 0], 6 + (when[5:] - 100) / 7)


def test_shake_keeps_ends_and_has_the_amount():
  points = np.zeros((4000, 2))
  points[:, 0] = np.linspace(0, 100, 4000)
  splits = np.array([2000])
  still = shake(points, splits, np.random.default_rng(0), 0.0)
  np.testing.assert_allclose(still, points, atol=1e-9)
  shaken = shake(points, splits, np.random.default_rng(0), 0.3)
  assert (shaken - points).std() == pytest.approx(0.3, rel=0.15)
