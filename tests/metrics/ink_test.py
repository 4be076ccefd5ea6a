"""Ink distances against brute force, dtaidistance and hand-computed cases."""

from collections.abc import Iterator

import numpy as np
import pytest
from dtaidistance import dtw_ndim
from scipy import ndimage

from inksight_jax.ink.types import Ink, Stroke
from inksight_jax.metrics import ink as metrics


def line(*points: tuple[float, float]) -> Ink:
  return Ink((Stroke(np.array(points, np.float64)),))


def random_ink(seed: int, size: float = 40.0, strokes: int = 2) -> Ink:
  rng = np.random.default_rng(seed)
  return Ink(
    tuple(Stroke(rng.uniform(2, size - 2, (5, 2))) for _ in range(strokes))
  )


def all_paths(n: int, m: int) -> Iterator[list[tuple[int, int]]]:
  """Every monotone path from (0, 0) to (n - 1, m - 1)."""
  if (n, m) == (1, 1):
    yield [(0, 0)]
  for i, j in ((n - 1, m - 1), (n - 1, m), (n, m - 1)):
    if i and j:
      for path in all_paths(i, j):
        yield [*path, (n - 1, m - 1)]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1), (3, 5), (5, 4)])
def test_warp_finds_the_best_of_all_paths(shape: tuple[int, int]):
  matrix = np.random.default_rng(sum(shape)).uniform(0, 1, shape)
  costs = [
    (sum(matrix[pair] for pair in path), len(path))
    for path in all_paths(*shape)
  ]
  cost, length = metrics.warp(matrix)
  assert cost == pytest.approx(min(costs)[0], rel=1e-12)
  assert length == min(costs)[1]


@pytest.mark.parametrize("points", [(30, 45), (45, 30), (1, 20)])
def test_warp_equals_dtaidistance(points: tuple[int, int]):
  rng = np.random.default_rng(7)
  a, b = (rng.normal(size=(count, 2)) for count in points)
  matrix = np.linalg.norm(a[:, None] - b[None], axis=-1)
  cost, length = metrics.warp(matrix)
  expected = dtw_ndim.distance(a, b, inner_dist="euclidean", use_c=False)
  path = dtw_ndim.warping_path(a, b, inner_dist="euclidean", use_c=False)
  assert cost == pytest.approx(expected, rel=1e-9)
  assert length == len(path)


def test_a_shifted_line_by_hand():
  # 11 points each, 3 px apart pairwise and 2 px steps: the diagonal is best.
  truth, prediction = line((0, 0), (20, 0)), line((0, 3), (20, 3))
  assert metrics.dtw(prediction, truth) == pytest.approx(33.0)
  assert metrics.ldtw(prediction, truth) == pytest.approx(3.0)
  assert metrics.chamfer(prediction, truth) == pytest.approx(3.0)


def test_identical_inks_agree():
  ink = random_ink(0)
  assert metrics.distances(ink, ink) == {"chamfer": 0, "dtw": 0, "ldtw": 0}
  assert metrics.aiou(ink, ink, 40) == 1.0


def test_ldtw_does_not_depend_on_length_or_point_density():
  for length in (20, 80):
    truth, prediction = line((0, 0), (length, 0)), line((0, 3), (length, 3))
    assert metrics.ldtw(prediction, truth) == pytest.approx(3.0)
  sparse = line((0, 0), (32, 0), (32, 16))
  dense = line(*[(x, 0) for x in range(33)], *[(32, y) for y in range(1, 17)])
  other = line((0, 5), (32, 9))
  assert metrics.distances(dense, other) == pytest.approx(
    metrics.distances(sparse, other)
  )


def test_ldtw_divides_by_the_pairs_on_the_path():
  # All 6 points of the line, 0 to 10 px away, pair with the one of the dot.
  dot, other = line((0, 0)), line((0, 0), (10, 0))
  assert metrics.dtw(other, dot) == pytest.approx(30.0)
  assert metrics.ldtw(other, dot) == pytest.approx(30 / 6)
  assert metrics.ldtw(dot, other) == pytest.approx(30 / 6)
  a, b = random_ink(5), random_ink(6)
  points = [metrics._samples(ink, 2.0) for ink in (a, b)]
  path = dtw_ndim.warping_path(*points, inner_dist="euclidean", use_c=False)
  assert len(path) > max(map(len, points))
  steps = [np.linalg.norm(points[0][i] - points[1][j]) for i, j in path]
  assert metrics.ldtw(a, b) == pytest.approx(np.mean(steps))


def test_order_counts_in_dtw_and_not_in_chamfer():
  ink = random_ink(1)
  reordered = Ink(ink.strokes[::-1])
  assert metrics.chamfer(reordered, ink) == 0
  assert metrics.ldtw(reordered, ink) > 5
  backwards = Ink(tuple(Stroke(s.points[::-1]) for s in ink.strokes))
  assert metrics.chamfer(backwards, ink) < 1.5
  assert metrics.ldtw(backwards, ink) > 3


def test_chamfer_equals_nearest_points_one_by_one():
  a, b = line((0, 0), (6, 0)), line((0, 4), (0, 10))
  # At 2 px: a = (0|2|4|6, 0), b = (0, 4|6|8|10).
  to_b = [np.hypot(x, 4) for x in (0, 2, 4, 6)]
  to_a = [4, 6, 8, 10]
  expected = np.mean(to_b) / 2 + np.mean(to_a) / 2
  assert metrics.chamfer(a, b) == pytest.approx(expected)
  assert metrics.chamfer(b, a) == pytest.approx(expected)


def test_a_dot_and_an_empty_ink():
  dot, truth = line((3, 4)), line((0, 0), (6, 8))
  assert metrics.distances(dot, line((0, 0))) == {
    "chamfer": 5,
    "dtw": 5,
    "ldtw": 5,
  }
  # 10 px at 2 px spacing are 6 points; the bounding box has diagonal 10.
  expected = {"chamfer": 10.0, "dtw": 60.0, "ldtw": 10.0}
  assert metrics.distances(Ink(), truth) == pytest.approx(expected)
  assert metrics.distances(truth, Ink()) == pytest.approx(expected)
  given = metrics.distances(Ink(), truth, empty_distance=90.0)
  assert given == {"chamfer": 90.0, "dtw": 540.0, "ldtw": 90.0}
  assert metrics.distances(Ink(), dot)["ldtw"] == 1.0
  assert metrics.distances(Ink(), Ink())["dtw"] == 0.0


def test_a_scribble_across_the_canvas_stays_cheap():
  rng = np.random.default_rng(0)
  scribble = Ink((Stroke(rng.uniform(0, 224, (500, 2))),))
  assert len(metrics._samples(scribble, 2.0)) <= metrics.MAX_POINTS + 2
  assert np.isfinite(metrics.ldtw(scribble, random_ink(0, 224)))


def brute_force_aiou(prediction: Ink, mask: np.ndarray) -> float:
  """Every number of dilations until the canvas is full."""
  drawn = metrics.trace_mask(prediction, *mask.shape)
  best = 0.0
  for _ in range(max(mask.shape)):
    best = max(best, (drawn & mask).sum() / (drawn | mask).sum())
    drawn = ndimage.binary_dilation(drawn, np.ones((3, 3)))
  return best


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("pen", [1, 3, 7])
def test_aiou_is_the_best_of_all_dilations(seed: int, pen: int):
  truth, prediction = random_ink(seed), random_ink(seed + 100)
  mask = metrics.trace_mask(truth, 41, 41)
  if pen > 1:
    mask = ndimage.binary_dilation(mask, np.ones((pen, pen)))
  expected = brute_force_aiou(prediction, mask)
  assert metrics.aiou(prediction, truth, 40, pen) == pytest.approx(expected)
  assert metrics.mask_aiou(prediction, mask) == pytest.approx(expected)


def test_aiou_of_parallel_lines_by_hand():
  # Truth: rows 9 to 11 of 21, all 21 columns. Prediction: row 12, then rows
  # 11 to 13, 10 to 14, 9 to 15: 0, 1 / 5, 2 / 6, 3 / 7, 3 / 9 of the rows.
  truth, prediction = line((0, 10), (20, 10)), line((0, 12), (20, 12))
  assert metrics.aiou(prediction, truth, 20) == pytest.approx(3 / 7)


@pytest.mark.parametrize("pen", [1, 3, 9])
def test_aiou_of_a_perfect_trace_does_not_depend_on_the_pen(pen: int):
  assert metrics.aiou(random_ink(3), random_ink(3), 40, pen) == 1.0


def test_aiou_sees_a_missing_stroke_and_not_the_order():
  ink = random_ink(4)
  assert metrics.aiou(Ink(ink.strokes[::-1]), ink, 40) == 1.0
  assert metrics.aiou(Ink(ink.strokes[:1]), ink, 40) < 0.8


def test_aiou_of_empty_inks():
  assert metrics.aiou(Ink(), random_ink(0), 40) == 0.0
  assert metrics.aiou(random_ink(0), Ink(), 40) == 0.0
  assert metrics.aiou(Ink(), Ink(), 40) == 1.0
  assert metrics.aiou(line((-9, -9)), random_ink(0), 40) == 0.0


def test_the_far_edge_of_the_canvas_is_drawn():
  edge = line((0, 40), (40, 40))
  assert metrics.aiou(edge, edge, 40) == 1.0


def test_stroke_count_error_is_absolute():
  one, three = random_ink(0, strokes=1), random_ink(0, strokes=3)
  assert metrics.stroke_count_error(one, three) == 2
  assert metrics.stroke_count_error(three, one) == 2


def test_bad_settings_are_refused():
  with pytest.raises(ValueError, match="got 4, use 5"):
    metrics.aiou(random_ink(0), random_ink(0), 40, pen=4)
  with pytest.raises(ValueError, match="at least 1 px"):
    metrics.aiou(random_ink(0), random_ink(0), 0)
  with pytest.raises(ValueError, match="positive pixels"):
    metrics.chamfer(random_ink(0), random_ink(0), spacing=0.0)
