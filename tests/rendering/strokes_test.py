"""Drawn strokes against distances computed point by point."""

import numpy as np
import pytest

from inksight_jax.ink.colors import stroke_color
from inksight_jax.ink.types import Ink
from inksight_jax.rendering.strokes import (
  Style,
  draw_coverage,
  draw_ink,
  draw_order_frames,
  draw_ordered,
)


def distance_to_ink(ink, height, width):
  """Distance of every pixel centre to the ink, by dense sampling."""
  samples = []
  for stroke in ink.strokes:
    samples.append(stroke.points[:1])
    for start, end in zip(stroke.points[:-1], stroke.points[1:], strict=True):
      share = np.linspace(0, 1, 80)[:, None]
      samples.append(start * (1 - share) + end * share)
  samples = np.concatenate(samples)
  rows, columns = np.mgrid[:height, :width]
  pixels = np.stack([columns, rows], -1).reshape(-1, 1, 2).astype(float)
  nearest = np.full(len(pixels), np.inf)
  for chunk in np.array_split(samples, max(1, len(samples) // 100)):
    distance = np.sqrt(((pixels - chunk) ** 2).sum(-1)).min(1)
    nearest = np.minimum(nearest, distance)
  return nearest.reshape(height, width)


@pytest.fixture
def ink():
  return Ink.from_arrays(
    [
      [[5.3, 6.1], [40.2, 20.7], [12.5, 44.0]],
      [[50.5, 10.25], [50.5, 50.75]],
      [[25.0, 30.0]],
    ]
  )


@pytest.mark.parametrize(
  ("line_width", "side"),
  [(0.7, 64), (1.5, 64), (3.3, 64), (6.0, 64), (2.0, 99)],
)
def test_pixels_lie_where_the_ink_is(ink, line_width, side):
  coverage = draw_coverage(ink, side, side, line_width)
  distance = distance_to_ink(ink, side, side)
  assert (distance[coverage > 0] <= line_width / 2 + 1).all()
  # What lies well inside the line is fully covered.
  assert (coverage[distance < line_width / 2 - 1] == 255).all()


@pytest.mark.parametrize("line_width", [1.0, 1.5, 2.0, 3.0, 5.0])
@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 4, 1.3])
def test_area_of_a_line_is_length_times_width(line_width, angle):
  way = 22 * np.array([np.cos(angle), np.sin(angle)])
  line = Ink.from_arrays([np.stack([32 - way, 32 + way])])
  area = draw_coverage(line, 64, 64, line_width).sum() / 255
  expected = 44 * line_width + np.pi * line_width**2 / 4
  assert area == pytest.approx(expected, abs=44 * 0.25)


def test_centre_of_mass_is_the_point_itself():
  for x, y in [(20.0, 30.0), (20.5, 30.25), (7.75, 50.125)]:
    dot = Ink.from_arrays([[[x, y]]])
    coverage = draw_coverage(dot, 64, 64, 5.0).astype(float)
    rows, columns = np.mgrid[:64, :64]
    assert (coverage * columns).sum() / coverage.sum() == pytest.approx(
      x, abs=0.08
    )
    assert (coverage * rows).sum() / coverage.sum() == pytest.approx(
      y, abs=0.08
    )


def test_without_antialias_there_are_two_values(ink):
  coverage = draw_coverage(ink, 64, 64, 2.0, antialias=False)
  assert set(np.unique(coverage)) == {0, 255}
  assert len(np.unique(draw_coverage(ink, 64, 64, 2.0))) > 4


def test_each_stroke_has_its_own_width():
  lines = Ink.from_arrays([[[10, 16], [54, 16]], [[10, 48], [54, 48]]])
  coverage = draw_coverage(lines, 64, 64, [1.0, 6.0])
  assert coverage[32:].sum() > 4 * coverage[:32].sum()


def test_colours_of_strokes_paper_and_background(ink):
  style = Style(4.0, ink_color=(10, 20, 30), paper_color=(250, 240, 230))
  image = draw_ink(ink, 64, 64, style)
  assert image[63, 0].tolist() == [250, 240, 230]
  assert image[30, 50].tolist() == [10, 20, 30]
  colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
  image = draw_ink(ink, 64, 64, style, colors=colors)
  assert image[30, 50].tolist() == [0, 255, 0]
  assert image[30, 25].tolist() == [0, 0, 255]
  background = np.full((64, 64, 3), 99, np.uint8)
  image = draw_ink(ink, 64, 64, style, background=background)
  assert image[63, 0].tolist() == [99, 99, 99]
  assert (background == 99).all()


def test_order_is_shown_by_the_palette():
  line = Ink.from_arrays([np.stack([np.linspace(5, 58, 60), [32] * 60], 1)])
  image = draw_ordered(line, 64, 64, 5.0)
  for x in (8, 30, 55):
    expected = np.array(stroke_color((x - 5) / 53))
    # Later lines cover half a width of what was before them.
    assert np.abs(image[32, x] - expected).max() <= 32
  (half,) = draw_order_frames(line, 64, 64, 5.0, [30])
  assert (half[:, 40:] == 255).all()
  np.testing.assert_array_equal(half[:, :25], image[:, :25])


def test_ink_far_outside_leaves_the_picture_empty():
  far = Ink.from_arrays([[[1e7, 1e7], [2e7, 1e7]], [[-1e9, 5.0]]])
  assert not draw_coverage(far, 32, 32, 2.0).any()
  assert not draw_coverage(Ink(), 32, 32).any()


def test_bad_requests_say_what_is_wrong(ink):
  with pytest.raises(ValueError, match="width must lie"):
    draw_coverage(ink, 64, 64, 0.0)
  with pytest.raises(ValueError, match="2 line widths for 3 strokes"):
    draw_coverage(ink, 64, 64, [1.0, 2.0])
  with pytest.raises(ValueError, match="1 colours for 3 strokes"):
    draw_ink(ink, 64, 64, colors=[(0, 0, 0)])
  with pytest.raises(ValueError, match="go down"):
    draw_order_frames(ink, 64, 64, 2.0, [3, 1])
  with pytest.raises(ValueError, match="0 x 64"):
    draw_ink(ink, 0, 64)
  with pytest.raises(ValueError, match="background"):
    draw_ink(ink, 64, 64, background=np.zeros((2, 2, 3), np.uint8))
