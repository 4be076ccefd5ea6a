"""Papers that ink can be told from."""

import numpy as np
import pytest

from inksight_jax.rendering.paper import make_paper, paper_color

LUMA = np.array([0.299, 0.587, 0.114])


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("coloured", [False, True])
def test_ink_stands_out_from_paper(coloured, inverted):
  for seed in range(200):
    rng = np.random.default_rng(seed)
    paper, ink = paper_color(rng, coloured, inverted)
    difference = LUMA @ paper - LUMA @ ink
    assert abs(difference) >= 55
    assert (difference < 0) == inverted


def test_backgrounds_leave_room_for_ink():
  """On the busiest paper, most of the ink's way is over unlike colours."""
  families = dict.fromkeys(("clutter", "texture", "lines", "grid"), True)
  for seed in range(60):
    rng = np.random.default_rng(seed)
    paper, ink = paper_color(rng, True, seed % 5 == 0)
    image = make_paper(64, paper, ink, 2.0, rng, families)
    gap = np.abs(image @ LUMA - LUMA @ ink)
    assert np.quantile(gap, 0.2) > 25
