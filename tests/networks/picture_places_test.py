"""Rows and columns of a picture's tokens, in one pass and one by one."""

import jax
import jax.numpy as jnp
import numpy as np

from inksight_jax.networks import picture_places
from inksight_jax.networks.picture_grammar import PictureGrammar
from inksight_jax.text.picture_tokens import PictureCodec

# START 4, ROW 5, PAD 6, codes 7 to 26.
CONFIG = PictureGrammar(4, 20, 16)
CODEC = PictureCodec(20, 16)


def _sequences():
  """Grids of three shapes behind texts of several lengths."""
  rng = np.random.default_rng(0)
  sequences, places = [], []
  for rows, columns, text in ((2, 5, 3), (5, 2, 1), (1, 15, 5)):
    picture = CODEC.encode(rng.integers(20, size=(rows, columns))) + 4
    front = [4] * 1 + [3] * text + [0] * (6 - text)
    sequences.append([*front, *picture, 3, 1])
    grid = [(r, c) for r in range(1, rows + 1) for c in range(columns + 1)]
    behind = 16 - len(grid) + 2
    places.append([None] * 7 + grid + [None] * behind)
  return jnp.array(sequences), places


def test_each_token_of_a_grid_gets_its_row_and_its_column():
  tokens, places = _sequences()
  network = picture_places.PicturePlaces(CONFIG, 4)
  params = jax.tree.map(
    lambda x: np.random.default_rng(x.shape[0]).normal(size=x.shape),
    network.init(jax.random.key(0), tokens)["params"],
  )
  found = np.asarray(network.apply({"params": params}, tokens))
  for row, wanted in zip(found, places, strict=True):
    for vector, place in zip(row, wanted, strict=True):
      right = np.zeros(4)
      if place is not None:
        right = params["rows"][place[0]] + params["columns"][place[1]]
      np.testing.assert_allclose(vector, right, atol=1e-6)


def test_more_rows_than_a_picture_may_have_do_no_harm():
  tokens = jnp.full((1, 40), 5)
  network = picture_places.PicturePlaces(CONFIG, 4)
  params = network.init(jax.random.key(0), tokens)["params"]
  found = np.asarray(network.apply({"params": params}, tokens))
  assert np.isfinite(found).all()
