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
def test_both_ways_to_the_position_bias_agree_in_value_and_gradient(
  bidirectional: bool, first: int
):
  table = _random(0, 3, 32)
  towards = _random(1, 1, 3, 5, 300)

  def run(one_hot: bool):
    module = RelativePositionBias(
      3, bidirectional=bidirectional, one_hot=one_hot
    )

    def score(table):
      variables = {"params": {"rel_embedding": table}}
      bias = module.apply(variables, 5, 300, first)
      return jnp.sum(bias * towards), bias

    return jax.value_and_grad(score, has_aux=True)(table)

  (_, want), want_gradient = run(False)
  (_, got), got_gradient = run(True)
  np.testing.assert_array_equal(got, want)
  np.testing.assert_allclose(got_gradient, want_gradient, rtol=1e-5, atol=1e-5)


def test_the_product_of_the_position_bias_is_exact_in_one_pass_of_bfloat16():
  table = _random(0, 3, 32)
  module = RelativePositionBias(3, bidirectional=True, one_hot=True)
  variables = {"params": {"rel_embedding": table}}
  want = module.apply(variables, 5, 300)
  einsum = jnp.einsum

  def one_pass(subscripts: str, *operands: jax.Array) -> jax.Array:
    rounded = [x.astype(jnp.bfloat16).astype(jnp.float32) for x in operands]
    return einsum(subscripts, *rounded)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(jnp, "einsum", one_pass)
    got = module.apply(variables, 5, 300)
  np.testing.assert_array_equal(got, want)
  assert np.any(want != want.astype(jnp.bfloat16))
