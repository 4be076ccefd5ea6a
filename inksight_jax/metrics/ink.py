"""Distances between a traced ink and the true one.

AIoU and LDTW follow PEN-Net (Chen et al., "Complex Handwriting Trajectory
Recovery: Evaluation Metrics and Algorithm", ACCV 2022, arXiv 2210.15879). Its
repository (ChenZhounan/PEN-Net) holds training code only, so they are written
from the definitions:

- AIoU = max over k of IoU(G, dilate^k(P)): G is the binary ink of the picture,
  P the prediction drawn one pixel wide, dilate the 3 x 3 square. The free k
  takes the stroke width out of the number.
- LDTW = DTW / T: unconstrained DTW with Euclidean point distances, divided by
  the number T of point pairs on its optimal path: a mean distance in pixels.

Ours, where the paper leaves room: both inks are resampled at one spacing along
their strokes, so that point density does not matter; and where the truth is an
ink, G is that ink drawn with a square pen (see `aiou`). Numbers depend on the
size of the canvas: state it beside them.

An empty prediction has a finite worst value. If exactly one of the two inks is
empty, AIoU is 0, Chamfer distance and LDTW are `empty_distance`, and DTW is
`empty_distance` per point of the other ink. Two empty inks agree perfectly.
`empty_distance` is in pixels; None stands for the diagonal of the other ink's
bounding box, at least 1. Evaluations pass the diagonal of the canvas.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.resample import resample_length
from inksight_jax.ink.types import Ink
from inksight_jax.metrics.raster import Mask, dilate, trace_mask

FloatArray = NDArray[np.float64]

SPACING = 2.0
# Bounds time and memory where an untrained model scribbles across the canvas:
# a trace longer than MAX_POINTS * spacing is sampled at a wider spacing.
MAX_POINTS = 1024


def chamfer(
  a: Ink,
  b: Ink,
  spacing: float = SPACING,
  empty_distance: float | None = None,
) -> float:
  """Mean distance to the nearest point of the other ink, both ways averaged.

  Blind to writing order. Symmetric: half the mean over the points of `a` plus
  half the mean over the points of `b`.

  Args:
    a: an ink, pixels.
    b: the other ink, pixels.
    spacing: resampling distance along the strokes, pixels.
    empty_distance: result if one ink is empty, pixels; see the module.

  Returns:
    Pixels, 0 for equal traces.
  """
  return distances(a, b, spacing, empty_distance)["chamfer"]


def dtw(
  a: Ink,
  b: Ink,
  spacing: float = SPACING,
  empty_distance: float | None = None,
) -> float:
  """Dynamic time warping: summed point distances along the best alignment.

  Points of all strokes in writing order; the way of the pen between strokes is
  not sampled. Direction and order of the strokes count.

  Args:
    a: an ink, pixels.
    b: the other ink, pixels.
    spacing: resampling distance along the strokes, pixels; half the spacing
      about doubles the sum.
    empty_distance: cost per point if one ink is empty; see the module.

  Returns:
    Summed pixels, 0 for equal inks.
  """
  return distances(a, b, spacing, empty_distance)["dtw"]


def ldtw(
  prediction: Ink,
  truth: Ink,
  spacing: float = SPACING,
  empty_distance: float | None = None,
) -> float:
  """Length-independent DTW of PEN-Net: DTW over the length of its best path.

  Args:
    prediction: traced ink, pixels.
    truth: true ink, pixels.
    spacing: resampling distance along the strokes, pixels.
    empty_distance: result if one ink is empty, pixels; see the module.

  Returns:
    Mean distance of aligned points in pixels, 0 for equal inks.
  """
  return distances(prediction, truth, spacing, empty_distance)["ldtw"]


def distances(
  prediction: Ink,
  truth: Ink,
  spacing: float = SPACING,
  empty_distance: float | None = None,
) -> dict[str, float]:
  """`chamfer`, `dtw` and `ldtw` of one pair from one distance matrix.

  Args:
    prediction: traced ink, pixels.
    truth: true ink, pixels.
    spacing: resampling distance along the strokes, pixels.
    empty_distance: distance of a point to nothing, pixels; see the module.

  Raises:
    ValueError: `spacing` is not positive.
  """
  if not spacing > 0:
    raise ValueError(f"The spacing must be positive pixels; got {spacing}.")
  if not prediction or not truth:
    present = prediction or truth
    worst = _distance_to_nothing(present, empty_distance)
    points = len(_samples(present, spacing))
    return {"chamfer": worst, "dtw": worst * points, "ldtw": worst}
  a, b = _samples(prediction, spacing), _samples(truth, spacing)
  matrix = _distance_matrix(a, b)
  cost, length = warp(matrix)
  return {
    "chamfer": float(matrix.min(1).mean() + matrix.min(0).mean()) / 2,
    "dtw": cost,
    "ldtw": cost / length,
  }


def warp(matrix: FloatArray) -> tuple[float, int]:
  """Finds the cheapest monotone path from the first to the last point pair.

  Steps are (1, 1), (1, 0) and (0, 1), unconstrained (Sakoe and Chiba, 1978,
  symmetric form with equal step weights).

  Args:
    matrix: float64[n, m] distances of point pairs, n and m at least 1.

  Returns:
    (cost, length): the summed distances on the path and its number of point
    pairs. Among equally cheap predecessors the diagonal one is taken.
  """
  if matrix.shape[0] > matrix.shape[1]:
    matrix = matrix.T
  rows, columns = matrix.shape
  # Row d + 1 of `costs` is the anti-diagonal i + j = d, indexed by i + 1. Its
  # cells depend on the two rows before only, so each row is one numpy call.
  costs = np.full((rows + columns, rows + 1), np.inf)
  skewed = _skew(matrix)
  costs[1, 1] = skewed[0, 0]
  for d in range(1, rows + columns - 1):
    best = np.minimum(costs[d, 1:], costs[d, :-1])
    np.minimum(best, costs[d - 1, :-1], out=best)
    np.add(best, skewed[d], out=costs[d + 1, 1:])
  return float(costs[-1, -1]), _path_length(costs)


def _skew(matrix: FloatArray) -> FloatArray:
  """Puts anti-diagonals into rows: result[i + j, i] = matrix[i, j]."""
  rows, columns = matrix.shape
  padded = np.full((rows, rows + columns), np.inf)
  padded[:, :columns] = matrix
  # Read with rows one shorter, row i starts i cells early: it slides right.
  diagonals = rows + columns - 1
  slid = padded.reshape(-1)[: rows * diagonals].reshape(rows, diagonals)
  return np.ascontiguousarray(slid.T)


def _path_length(costs: FloatArray) -> int:
  """Walks back from the last cell; the diagonal step wins ties."""
  diagonal, row = costs.shape[0] - 1, costs.shape[1] - 1
  length = 1
  while diagonal > 1:
    steps = (
      (costs[diagonal - 2, row - 1], 2, 1),
      (costs[diagonal - 1, row - 1], 1, 1),
      (costs[diagonal - 1, row], 1, 0),
    )
    _, back, up = min(steps, key=lambda step: step[0])
    diagonal, row, length = diagonal - back, row - up, length + 1
  return length


def aiou(prediction: Ink, truth: Ink, size: int, pen: int = 3) -> float:
  """Adaptive intersection over union of PEN-Net, against a true ink.

  The truth is drawn with a square pen, by the same rule as the prediction, so
  that a perfect trace scores exactly 1.

  Args:
    prediction: traced ink on the canvas, pixels.
    truth: true ink on the canvas, pixels.
    size: canvas side N; coordinates run from 0 to N and masks have N + 1 rows.
      What lies outside is cut.
    pen: width of the true ink in pixels, odd. About the width in the picture.

  Returns:
    0 to 1, higher is better; 1 for two empty inks, 0 if one is empty.

  Raises:
    ValueError: `pen` is even or not positive, `size` is not positive.
  """
  if pen < 1 or pen % 2 == 0:
    raise ValueError(
      f"The pen must be an odd number of pixels so that it has a centre; "
      f"got {pen}, use {max(pen, 0) // 2 * 2 + 1}."
    )
  if size < 1:
    raise ValueError(f"The canvas needs a side of at least 1 px; got {size}.")
  mask = trace_mask(truth, size + 1, size + 1)
  for _ in range(pen // 2):
    mask = dilate(mask)
  return mask_aiou(prediction, mask)


def mask_aiou(prediction: Ink, mask: Mask) -> float:
  """Adaptive intersection over union of PEN-Net, against the ink of a picture.

  The paper's own form; it needs no true ink.

  Args:
    prediction: traced ink in pixels of the picture.
    mask: bool[height, width], True where the picture has ink (the paper
      thresholds with Otsu's method).

  Returns:
    0 to 1; the largest IoU over all numbers of dilations. 1 if both are empty.
  """
  drawn = trace_mask(prediction, *mask.shape)
  if not mask.any() or not drawn.any():
    return float(mask.any() == drawn.any())
  area, best = np.count_nonzero(mask), 0.0
  while True:
    union = np.count_nonzero(mask | drawn)
    best = max(best, np.count_nonzero(mask & drawn) / union)
    # The union only grows and the intersection never exceeds the mask, so no
    # further dilation can beat area / union.
    if area / union <= best:
      return best
    drawn = dilate(drawn)


def stroke_count_error(prediction: Ink, truth: Ink) -> int:
  """How many strokes too many or too few, as an absolute number."""
  return abs(len(prediction) - len(truth))


def _samples(ink: Ink, spacing: float) -> FloatArray:
  if not ink:
    return ink.points
  length = sum(stroke.length for stroke in ink.strokes)
  return resample_length(ink, max(spacing, length / MAX_POINTS)).points


def _distance_matrix(a: FloatArray, b: FloatArray) -> FloatArray:
  # Several times faster than np.hypot; pixels do not overflow when squared.
  squared = (a[:, None, 0] - b[None, :, 0]) ** 2
  squared += (a[:, None, 1] - b[None, :, 1]) ** 2
  return np.sqrt(squared, out=squared)


def _distance_to_nothing(present: Ink, empty_distance: float | None) -> float:
  if not present:
    return 0.0
  if empty_distance is not None:
    return float(empty_distance)
  left, top, right, bottom = present.bounds
  return max(1.0, float(np.hypot(right - left, bottom - top)))
