"""The palette goes from blue to red without repeating itself."""

import itertools
import math

import pytest

from inksight_jax.ink.colors import stroke_color


def test_first_is_blue_last_is_red_and_outside_is_clipped():
  assert max(range(3), key=stroke_color(0.0).__getitem__) == 2
  assert max(range(3), key=stroke_color(1.0).__getitem__) == 0
  assert stroke_color(-3.0) == stroke_color(0.0)
  assert stroke_color(3.0) == stroke_color(1.0)


def test_moments_a_tenth_apart_can_be_told_apart():
  colors = [stroke_color(i / 10) for i in range(11)]
  for a, b in itertools.combinations(colors, 2):
    assert math.dist(a, b) > 25


@pytest.mark.parametrize("fraction", [i / 50 for i in range(51)])
def test_every_color_reads_on_white(fraction):
  red, green, blue = stroke_color(fraction)
  assert 0.299 * red + 0.587 * green + 0.114 * blue < 180
