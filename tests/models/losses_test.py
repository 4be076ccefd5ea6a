import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from inksight_jax.models import losses


def example(seed=0, batch=2, length=3, vocab=5):
  rng = np.random.default_rng(seed)
  logits = jnp.asarray(rng.normal(size=(batch, length, vocab)) * 3, jnp.float32)
  targets = jnp.asarray(rng.integers(0, vocab, (batch, length)), jnp.int32)
  weights = jnp.asarray([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
  return logits, targets, weights


def test_plain_loss_is_optax_cross_entropy():
  logits, targets, weights = example()
  loss, z_loss, weight = losses.cross_entropy(logits, targets, weights)
  tokens = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
  np.testing.assert_allclose(loss, jnp.sum(tokens * weights), rtol=1e-6)
  assert (float(z_loss), float(weight)) == (0.0, 3.0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("z_loss", [0.0, 0.03])
def test_matches_the_definition_in_float64(smoothing, z_loss):
  logits, targets, weights = example()
  expected = expected_z = 0.0
  vocab = logits.shape[-1]
  for row in range(2):
    for position in range(3):
      x = np.asarray(logits[row, position], np.float64)
      p = np.exp(x) / np.exp(x).sum()
      q = np.full(vocab, smoothing / (vocab - 1))
      q[int(targets[row, position])] = 1 - smoothing
      # Cross-entropy less the entropy of the target: the KL divergence.
      divergence = sum(
        qi * np.log(qi / pi) for qi, pi in zip(q, p, strict=True) if qi
      )
      penalty = z_loss * np.log(np.exp(x).sum()) ** 2
      weight = float(weights[row, position])
      expected += weight * (divergence + penalty)
      expected_z += weight * penalty
  loss, z, _ = losses.cross_entropy(logits, targets, weights, smoothing, z_loss)
  np.testing.assert_allclose(loss, expected, rtol=1e-5)
  np.testing.assert_allclose(z, expected_z, rtol=1e-5, atol=1e-7)


def test_gradient_is_softmax_less_target_plus_the_pull_of_z():
  logits, targets, weights = example()
  grad = jax.grad(
    lambda x: losses.cross_entropy(x, targets, weights, 0.0, 0.01)[0]
  )(logits)
  probabilities = jax.nn.softmax(logits)
  log_z = jax.nn.logsumexp(logits, axis=-1, keepdims=True)
  expected = (
    probabilities * (1 + 2 * 0.01 * log_z)
    - jax.nn.one_hot(targets, logits.shape[-1])
  ) * weights[..., None]
  np.testing.assert_allclose(grad, expected, atol=1e-6)


def test_half_precision_logits_are_summed_in_float32():
  logits, targets, weights = example()
  half = logits.astype(jnp.bfloat16)
  loss, _, _ = losses.cross_entropy(half, targets, weights, 0.1, 0.01)
  same, _, _ = losses.cross_entropy(
    half.astype(jnp.float32), targets, weights, 0.1, 0.01
  )
  assert loss.dtype == jnp.float32
  assert float(loss) == float(same)


def test_normalizers():
  targets = jnp.asarray([[3, 1, 0, 0], [4, 4, 4, 1], [0, 0, 0, 0]])
  batch = {"decoder_target_tokens": targets}
  mask = np.asarray(targets) > 0
  for name, divisor in [
    (None, 1.0),
    (7, 7.0),
    ("NUM_REAL_TARGET_TOKENS", 6.0),
    ("num_total_target_tokens", 12.0),
  ]:
    got, weights = losses.normalizer_and_weights(batch, name)
    assert float(got) == divisor
    np.testing.assert_array_equal(weights, mask)
  got, weights = losses.normalizer_and_weights(batch, "AVERAGE_PER_SEQUENCE")
  # Two sequences have tokens; each of them weighs one in all.
  assert float(got) == 2.0
  np.testing.assert_allclose(weights.sum(axis=1), [1, 1, 0])
  np.testing.assert_allclose(weights[0], [0.5, 0.5, 0, 0])


def test_packed_sequences_weigh_one_each():
  batch = {
    "decoder_target_tokens": jnp.asarray(
      [[3, 1, 4, 4, 4, 1], [5, 1, 0, 0, 0, 0]]
    ),
    "decoder_segment_ids": jnp.asarray(
      [[1, 1, 2, 2, 2, 2], [1, 1, 0, 0, 0, 0]]
    ),
  }
  got, weights = losses.normalizer_and_weights(batch, "AVERAGE_PER_SEQUENCE")
  assert float(got) == 3.0
  np.testing.assert_allclose(
    weights, [[0.5, 0.5, 0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0, 0, 0]]
  )


def test_a_batch_without_targets_divides_by_one_not_by_zero():
  batch = {"decoder_target_tokens": jnp.zeros((2, 3), jnp.int32)}
  for name in ("NUM_REAL_TARGET_TOKENS", "AVERAGE_PER_SEQUENCE"):
    divisor, weights = losses.normalizer_and_weights(batch, name)
    assert float(divisor) == 1.0
    assert float(weights.sum()) == 0.0


def test_errors_name_the_way_out():
  batch = {"decoder_target_tokens": jnp.ones((1, 2), jnp.int32)}
  with pytest.raises(ValueError, match=r"'MEAN'; expected .*NUM_REAL"):
    losses.normalizer_and_weights(batch, "MEAN")
  with pytest.raises(ValueError, match="must lie in"):
    losses.cross_entropy(*example(), label_smoothing=1.0)


def told(one, other, same, temperature=0.1):
  vectors = (jnp.asarray(x, jnp.float32) for x in (one, other))
  loss = losses.contrastive(*vectors, jnp.asarray(same), temperature)
  return float(loss)


def test_what_belongs_together_is_told_from_the_rest():
  """Beside sums written out, and what is known of the ends."""
  rng = np.random.default_rng(0)
  one, other = rng.standard_normal((2, 6, 6))
  one, other = (
    x / np.sqrt(np.mean(x**2, 1, keepdims=True)) for x in (one, other)
  )
  # Three of one hand, two of another, and one alone.
  hands = np.array([0, 1, 0, 2, 1, 0])
  same = (hands[:, None] == hands) & ~np.eye(6, dtype=bool)
  nats = []
  for a, b in ((one, other), (other, one)):
    for row in (0, 1, 2, 4, 5):
      shares = {
        k: np.exp(np.dot(a[row], b[k]) / 6 / 0.5) for k in range(6) if k != row
      }
      right = sum(shares[k] for k in shares if hands[k] == hands[row])
      nats.append(-np.log(right / sum(shares.values())))
  np.testing.assert_allclose(
    told(one, other, same, 0.5), np.mean(nats), rtol=1e-5
  )
  pairs = np.kron(np.eye(3), 1 - np.eye(2)).astype(bool)
  alike = np.tile(one[:1], (6, 1))
  np.testing.assert_allclose(told(alike, alike, pairs), np.log(5), rtol=1e-5)
  apart = np.repeat(np.sqrt(3) * np.eye(3), 2, axis=0)
  assert told(apart, apart, pairs, 0.01) < 1e-6
  assert told(one, other, np.zeros((6, 6), bool)) == 0.0
