"""Rows and positions of decoding's cache, against NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.networks import decoding_cache


@pytest.mark.parametrize("axis", [0, 1])
def test_beams_reorder_all_of_the_cache_but_what_they_share(axis):
  rows = jnp.arange(6) if axis == 0 else jnp.arange(12).reshape(2, 6)
  cache = {
    "layers": {"cached_key": rows, "cross_key": rows},
    "cache_index": jnp.int32(3),
  }
  # Two examples of three beams: rows 0 to 2 and 3 to 5.
  parents = jnp.array([[2, 0, 0], [1, 1, 2]])
  got = decoding_cache.reorder_rows(cache, axis, parents)
  want = np.take(np.asarray(rows), [2, 0, 0, 4, 4, 5], axis=axis)
  np.testing.assert_array_equal(got["layers"]["cached_key"], want)
  np.testing.assert_array_equal(got["layers"]["cross_key"], rows)
  assert got["cache_index"] == 3


def test_beams_reorder_all_heads_of_a_row():
  # Rows 0 to 5, two heads each: entry 10 * row + head.
  heads = (10 * np.arange(6)[:, None] + np.arange(2)).reshape(-1)
  parents = jnp.array([[2, 0, 0], [1, 1, 2]])
  cache = {"cached_key": jnp.asarray(heads)[:, None]}
  got = decoding_cache.reorder_rows(cache, 0, parents)["cached_key"]
  want = [20, 21, 0, 1, 0, 1, 40, 41, 40, 41, 50, 51]
  np.testing.assert_array_equal(got[:, 0], want)


def test_rows_are_repeated_with_all_their_heads():
  cache = {"cached_key": jnp.arange(8), "cache_index": jnp.int32(3)}
  got = decoding_cache.repeat_rows(cache, 0, 4, 2)
  want = [0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7]
  np.testing.assert_array_equal(got["cached_key"], want)
  assert got["cache_index"] == 3
  assert decoding_cache.repeat_rows(cache, 0, 4, 1) is cache


@pytest.mark.parametrize("axis", [0, 1])
def test_only_what_was_cached_gets_more_positions(axis):
  shape = (2,) * axis + (3, 4, 5)
  filled = jnp.ones(shape)
  cache = {"cached_key": filled, "cross_key": filled, "step": jnp.int32(3)}
  got = decoding_cache.add_positions(cache, axis, 6)
  widths = [(0, 0)] * (axis + 1) + [(0, 6), (0, 0)]
  want = np.pad(np.ones(shape), widths)
  np.testing.assert_array_equal(got["cached_key"], want)
  np.testing.assert_array_equal(got["cross_key"], filled)
  assert got["step"] == 3
