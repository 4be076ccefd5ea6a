"""Relative positions, by loops over pairs and by another layout."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.networks.relative_positions import (
  RelativePositionBias,
  relative_position_bucket,
)


def _random(seed: int, *shape: int) -> jax.Array:
  values = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(values, jnp.float32)


def _bucket(offset: int, bidirectional: bool, buckets: int, far: int) -> int:
  """T5's rule for one offset, in Python integers and doubles."""
  first = 0
  if bidirectional:
    buckets //= 2
    first = buckets if offset > 0 else 0
    distance = abs(offset)
  else:
    distance = max(-offset, 0)
  exact = buckets // 2
  if distance < exact:
    return first + distance
  # The small constant settles exact powers, where doubles may fall short.
  share = math.log(distance / exact) / math.log(far / exact) + 1e-9
  return first + min(exact + int(share * (buckets - exact)), buckets - 1)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_buckets_follow_the_rule_up_to_rounding(bidirectional):
  offsets = np.arange(-300, 301)
  got = relative_position_bucket(
    jnp.asarray(offsets),
    bidirectional=bidirectional,
    num_buckets=32,
    max_distance=128,
  )
  want = [_bucket(int(o), bidirectional, 32, 128) for o in offsets]
  wrong = np.flatnonzero(np.asarray(got) != want)
  # Powers of two times num_exact fall on a bucket's edge in float32.
  assert set(np.abs(offsets[wrong])) <= {8, 16, 32, 64}


@pytest.mark.parametrize("first", [0, 2])
def test_relative_bias_looks_up_each_pair(first):
  module = RelativePositionBias(2, bidirectional=False, num_buckets=8)
  table = _random(0, 2, 8)
  variables = {"params": {"rel_embedding": table}}
  got = module.apply(variables, 3, 7, jnp.int32(first))
  assert got.shape == (1, 2, 3, 7)
  for query in range(3):
    for key in range(7):
      bucket = _bucket(key - query - first, False, 8, 128)
      np.testing.assert_array_equal(
        got[0, :, query, key], np.asarray(table)[:, bucket]
      )


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("first", [0, 3])
def test_both_forms_of_the_position_bias_agree(bidirectional: bool, first: int):
  module = RelativePositionBias(3, bidirectional=bidirectional)
  variables = {"params": {"rel_embedding": _random(0, 3, 32)}}
  want = module.apply(variables, 5, 300, first)
  row = module.apply(variables, 5, 300, first, by_offset=True)
  assert row.shape == (3, 5 + 300 - 1)
  for query in range(5):
    # The first number is of the last query and the first key.
    own = row[:, 4 - query : 4 - query + 300]
    np.testing.assert_array_equal(own, want[0, :, query])
