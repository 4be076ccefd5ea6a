"""How varied generated handwriting is."""

import numpy as np
import pytest

from inksight_jax.metrics.generation import character_spread


def word(*greys: int) -> np.ndarray:
  """Plain cells of 4 x 2 pixels side by side."""
  cells = [np.full((4, 2, 3), grey, np.uint8) for grey in greys]
  return np.concatenate(cells, axis=1)


def test_spread_is_that_of_each_character():
  pictures = [word(0, 100), word(100, 255), word(0)]
  # "a" is 0, 255 and 0; "b" 100 twice, wherever it stands.
  spread = character_spread(pictures, ["ab", "ba", "a"], 2)
  assert spread == pytest.approx(np.std([0, 1, 0]) / 2)


def test_one_style_has_no_spread():
  assert character_spread([word(7, 200)] * 3, ["ab"] * 3, 2) == 0.0
  with pytest.raises(ValueError, match="No character occurs twice"):
    character_spread([word(7, 200)], ["ab"], 2)
