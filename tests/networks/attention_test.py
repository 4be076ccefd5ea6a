"""Attention and its cache, each derived another way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from inksight_jax.networks import attention


class _Core(nn.Module):
  """Attention without dropout, as a bound module."""

  causal: bool = False

  @nn.compact
  def __call__(self, query, key, value, mask, bias):
    dropout = nn.Dropout(0.0, deterministic=True)
    return attention.dot_product_attention(
      query, key, value, mask, bias, dropout, causal=self.causal
    )


def _random(seed: int, *shape: int) -> jax.Array:
  values = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(values, jnp.float32)


def _self_attention() -> attention.SelfAttention:
  return attention.SelfAttention(
    num_heads=2, head_dim=4, dropout_rate=0.0, deterministic=True
  )


def test_attention_equals_loops_over_queries():
  query, key, value = (_random(i, 1, 2, 3, 4) for i in range(3))
  bias = _random(3, 1, 2, 3, 3)
  mask = jnp.array([[1, 0, 0], [1, 1, 0], [1, 0, 1]], bool)[None, None]
  got = _Core().apply({}, query, key, value, mask, bias)
  query, key, value, bias = map(np.asarray, (query, key, value, bias))
  for head in range(2):
    for i in range(3):
      seen = np.flatnonzero(mask[0, 0, i])
      weights = np.exp(
        [
          query[0, head, i] @ key[0, head, j] + bias[0, head, i, j]
          for j in seen
        ]
      )
      want = weights @ value[0, head, seen] / weights.sum()
      np.testing.assert_allclose(got[0, head, i], want, rtol=1e-5, atol=1e-6)


def test_query_that_may_look_nowhere_gets_a_finite_answer_and_gradient():
  query, key, value = (_random(i, 1, 1, 2, 4) for i in range(3))
  mask = jnp.zeros((1, 1, 2, 2), bool)
  gradient = jax.grad(
    lambda q: _Core().apply({}, q, key, value, mask, None).sum()
  )(query)
  assert np.isfinite(gradient).all()


def test_cached_self_attention_equals_one_causal_pass():
  x = _random(0, 2, 6, 8)
  module = _self_attention()
  variables = module.init(jax.random.key(0), x)
  causal = jnp.tril(jnp.ones((6, 6), bool))
  whole = module.apply(variables, x, causal[None, None])

  state, outputs = {"params": variables["params"]}, []
  for start, stop in ((0, 3), (3, 4), (4, 6)):
    # Room for more than is written: what is beyond must not be looked at.
    mask = jnp.arange(8)[None, :] <= jnp.arange(start, stop)[:, None]
    out, cache = module.apply(
      state,
      x[:, start:stop],
      mask[None, None],
      cache_index=jnp.int32(start),
      cache_length=8,
      mutable=["cache"],
    )
    state.update(cache)
    outputs.append(out)
  np.testing.assert_allclose(
    np.concatenate(outputs, axis=1), whole, rtol=1e-5, atol=1e-6
  )


def test_cache_too_short_for_the_prompt_is_refused():
  x = _random(0, 1, 4, 8)
  with pytest.raises(ValueError, match=r"4 positions.*length 3.*max_decode"):
    _self_attention().init(
      jax.random.key(0), x, cache_index=jnp.int32(0), cache_length=3
    )


def test_cross_attention_without_cache_or_input_is_refused():
  module = attention.CrossAttention(
    num_heads=2, head_dim=4, dropout_rate=0.0, deterministic=True
  )
  with pytest.raises(ValueError, match="with decode=True must be given"):
    module.init(jax.random.key(0), _random(0, 1, 1, 8), None, None, decode=True)


def test_causal_attention_hides_what_a_mask_of_the_past_hides():
  query, key, value = (_random(i, 2, 2, 5, 4) for i in range(3))
  past = jnp.tril(jnp.ones((5, 5), bool))[None, None]
  padding = (jnp.arange(5)[None, :] < jnp.array([[5], [3]]))[:, None, None]
  for mask in (None, padding):
    combined = past if mask is None else past & mask
    want = _Core().apply({}, query, key, value, combined, None)
    got = _Core(causal=True).apply({}, query, key, value, mask, None)
    np.testing.assert_array_equal(got, want)


def test_dropped_keys_are_the_same_for_all_queries_and_the_rest_is_scaled():
  class Dropped(nn.Module):
    @nn.compact
    def __call__(self, query, key, value):
      dropout = nn.Dropout(0.5, broadcast_dims=(-2,), deterministic=False)
      return attention.dot_product_attention(
        query, key, value, None, None, dropout
      )

  zeros = jnp.zeros((1, 1, 3, 8))
  # With equal weights and one value per key, the output shows who was kept.
  out = Dropped().apply(
    {}, zeros, zeros[:, :, :1].repeat(8, 2), jnp.eye(8)[None, None],
    rngs={"dropout": jax.random.key(0)},
  )  # fmt: skip
  assert set(np.unique(out)) == {0.0, 2 / 8}
  np.testing.assert_array_equal(out[0, 0, 0], out[0, 0, 2])
