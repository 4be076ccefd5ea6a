import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from inksight_jax.ink.tokens import InkCodec
from inksight_jax.networks import coordinates
from inksight_jax.text.vocabulary import Vocabulary, first_ink_id

CANVAS = 24


@pytest.fixture
def vocabulary():
  return Vocabulary(ink=InkCodec(CANVAS))


def embed(vocabulary, features=32):
  init = coordinates.CoordinateEmbedding(first_ink_id(vocabulary), CANVAS)
  size = vocabulary.padded_size(64)
  return np.asarray(init(jax.random.key(0), (size, features)))


def test_features_are_the_sines_of_the_place():
  features = np.asarray(
    coordinates.coordinate_features(jnp.array([0.0, 0.25]), 8)
  )
  waves = np.geomspace(2.0, 1.0 / 12.0, 4)
  for row, place in zip(features, (0.0, 0.25), strict=True):
    expected = np.concatenate(
      [np.sin(2 * np.pi * place / waves), np.cos(2 * np.pi * place / waves)]
    )
    assert_allclose(row, np.sqrt(2) * expected, atol=2e-5)


def test_the_ids_of_the_codec_get_the_features_of_their_cells(vocabulary):
  table = embed(vocabulary)
  codec, offset = vocabulary.ink, vocabulary.ink_offset
  for cell in (0, 7, CANVAS):
    place = jnp.array([cell / CANVAS])
    features = np.asarray(coordinates.coordinate_features(place, 16))[0]
    x_row = table[offset + cell]
    y_row = table[offset + codec.y_offset + cell]
    assert_allclose(x_row[:16], 0.5 * np.sqrt(2) * features, atol=1e-5)
    assert_allclose(x_row[16:], 0.0)
    assert_allclose(y_row[16:], x_row[:16])
    assert_allclose(y_row[:16], 0.0)


def test_near_cells_are_more_alike_than_far_ones(vocabulary):
  table = embed(vocabulary, 64)
  rows = table[vocabulary.ink_offset :][: CANVAS + 1]
  likeness = rows @ rows.T
  middle = likeness[CANVAS // 2]
  assert middle.argmax() == CANVAS // 2
  assert middle[CANVAS // 2 + 1] > 2 * np.abs(middle[[0, CANVAS]]).max()


def test_other_ids_and_the_stroke_start_stay_random(vocabulary):
  first = embed(vocabulary)
  init = coordinates.CoordinateEmbedding(first_ink_id(vocabulary), CANVAS)
  second = np.asarray(init(jax.random.key(1), first.shape))
  fixed = np.all(first == second, axis=1)
  start = vocabulary.ink_offset
  assert fixed[start : start + 2 * CANVAS + 2].all()
  assert fixed.sum() == 2 * CANVAS + 2
  assert_allclose(first[:start].std(), 0.5, rtol=0.05)


def test_the_output_layer_has_the_variance_of_a_fan_in_kernel(vocabulary):
  init = coordinates.CoordinateLogits(first_ink_id(vocabulary), CANVAS)
  kernel = np.asarray(init(jax.random.key(0), (32, vocabulary.size)))
  assert_allclose((kernel**2).mean(), 1 / 32, rtol=0.05)


def test_a_table_that_is_too_small_is_refused():
  init = coordinates.CoordinateEmbedding(offset=10, canvas=8)
  with pytest.raises(ValueError, match=r"27 ids.*up to id 28"):
    init(jax.random.key(0), (27, 8))
