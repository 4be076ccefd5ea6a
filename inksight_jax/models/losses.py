"""Losses of tokens, and of pairs.

Cross-entropy with label smoothing and z-loss, its normalisers; a contrastive
loss.
"""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

Batch = Mapping[str, Array | np.ndarray]
NORMALIZERS = (
  "NUM_REAL_TARGET_TOKENS",
  "NUM_TOTAL_TARGET_TOKENS",
  "AVERAGE_PER_SEQUENCE",
)


def token_cross_entropy(
  logits: Float[Array, "batch length vocab"],
  targets: Int[Array, "batch length"],
  label_smoothing: float = 0.0,
  z_loss: float = 0.0,
) -> tuple[Float[Array, "batch length"], Float[Array, "batch length"]]:
  """Cross-entropy of every token, in nats, in float32.

  The target's logit is picked by comparing an iota, not by a gather: the
  comparison fuses into the reduction and stays local when the vocabulary is
  sharded, and its gradient needs no scatter.

  Args:
    logits: unnormalised scores, any float type.
    targets: ids in [0, vocab).
    label_smoothing: probability mass spread over the other ids, in [0, 1).
      The entropy of the smoothed target is subtracted, so that a perfect
      prediction scores zero.
    z_loss: weight of log(Z)^2, which keeps the logits near zero
      (Chowdhery et al. 2022, PaLM, section 5).

  Returns:
    (loss including z-loss, the z-loss part).
  """
  logits = logits.astype(jnp.float32)
  vocab = logits.shape[-1]
  log_z = jax.nn.logsumexp(logits, axis=-1)
  ids = jnp.arange(vocab, dtype=targets.dtype)[None, None, :]
  is_target = ids == targets[..., None]
  target_logit = jnp.sum(jnp.where(is_target, logits, 0.0), axis=-1)
  if label_smoothing and vocab > 1:
    confidence = 1.0 - label_smoothing
    low = label_smoothing / (vocab - 1)
    loss = (
      log_z - (confidence - low) * target_logit - low * jnp.sum(logits, axis=-1)
    )
    loss += confidence * math.log(confidence) + label_smoothing * math.log(low)
  else:
    loss = log_z - target_logit
  penalty = z_loss * jnp.square(log_z)
  return loss + penalty, penalty


def cross_entropy(
  logits: Float[Array, "batch length vocab"],
  targets: Int[Array, "batch length"],
  weights: Float[Array, "batch length"] | None = None,
  label_smoothing: float = 0.0,
  z_loss: float = 0.0,
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
  """Weighted sums over the batch of `token_cross_entropy`.

  Args:
    logits: unnormalised scores.
    targets: ids in [0, vocab).
    weights: weight of each token; None counts every token once.
    label_smoothing: see `token_cross_entropy`.
    z_loss: see `token_cross_entropy`.

  Returns:
    (loss sum including z-loss, z-loss sum, weight sum).

  Raises:
    ValueError: if the label smoothing is outside [0, 1).
  """
  if not 0.0 <= label_smoothing < 1.0:
    raise ValueError(
      f"label_smoothing is {label_smoothing}; it is a probability mass and "
      "must lie in [0, 1)."
    )
  loss, penalty = token_cross_entropy(logits, targets, label_smoothing, z_loss)
  if weights is None:
    weights = jnp.ones(targets.shape, jnp.float32)
  return (
    jnp.sum(loss * weights),
    jnp.sum(penalty * weights),
    jnp.sum(weights),
  )


def target_weights(
  batch: Batch,
) -> Float[Array, "batch length"]:
  """Loss weights of a batch; without them every non-padding target counts."""
  weights = batch.get("decoder_loss_weights")
  if weights is None:
    weights = batch["decoder_target_tokens"] > 0
  return jnp.asarray(weights, jnp.float32)


def sum_per_sequence(
  batch: Batch, values: Float[Array, "batch length"]
) -> Float[Array, "batch #length"]:
  """At each token, the sum of `values` over the sequence that it belongs to.

  Args:
    batch: features; a row is one sequence, or with `decoder_segment_ids`
      several packed ones.
    values: one for each token.
  """
  if "decoder_segment_ids" not in batch:
    return jnp.sum(values, axis=-1, keepdims=True)
  segments = jnp.asarray(batch["decoder_segment_ids"])
  # Comparing all pairs fuses into the sum; a scatter would not.
  same = segments[:, :, None] == segments[:, None, :]
  return jnp.sum(jnp.where(same, values[:, None, :], 0.0), axis=-1)


def normalizer_and_weights(
  batch: Batch,
  normalizing_factor: float | int | str | None,
) -> tuple[Float[Array, ""], Float[Array, "batch length"]]:
  """What the summed loss is divided by, and the token weights to sum with.

  The names are those of T5X `SpecialLossNormalizingFactor`, so that one gin
  binding serves both launchers.

  Args:
    batch: features; reads `decoder_target_tokens`, `decoder_loss_weights`.
    normalizing_factor: None (no division), a constant, or one of
      `NORMALIZERS`.

  Returns:
    (scalar divisor, never zero; float32 token weights).

  Raises:
    ValueError: for an unknown name.
  """
  weights = target_weights(batch)
  if normalizing_factor is None:
    return jnp.float32(1.0), weights
  if not isinstance(normalizing_factor, str):
    return jnp.float32(normalizing_factor), weights
  name = normalizing_factor.upper()
  if name == "NUM_REAL_TARGET_TOKENS":
    return jnp.maximum(jnp.sum(weights), 1.0), weights
  if name == "NUM_TOTAL_TARGET_TOKENS":
    return jnp.float32(weights.size), weights
  if name == "AVERAGE_PER_SEQUENCE":
    per_sequence = sum_per_sequence(batch, weights)
    weights = weights / jnp.where(per_sequence == 0, 1.0, per_sequence)
    return jnp.maximum(jnp.sum(weights), 1.0), weights
  raise ValueError(
    f"Unknown loss_normalizing_factor {normalizing_factor!r}; expected None, "
    f"a number or one of {', '.join(NORMALIZERS)}."
  )


def contrastive(
  one: Float[Array, "rows features"],
  other: Float[Array, "rows features"],
  same: Bool[Array, "rows rows"],
  temperature: float = 0.1,
) -> Float[Array, ""]:
  """How badly what belongs together is told from the rest, in nats.

  InfoNCE (van den Oord et al. 2018, arXiv 1807.03748) of cosines, from one to
  the other and back: 0 where all find their like, the logarithm of the number
  of others where nothing is known and each has one partner.

  Args:
    one, other: vectors with a root mean square of 1. Two vectors of one row
      are not compared.
    same: which rows belong together, symmetric; rows that belong to no other
      ask nothing, and 0 is the result where all are such.
    temperature: cosines are divided by it.
  """
  logits = one @ other.T / (one.shape[1] * temperature)
  # Far below any cosine, and finite, for the sake of gradients.
  low = -1e9
  others = jnp.where(jnp.eye(len(one), dtype=bool), low, logits)
  partners = jnp.where(same, others, low)
  lost = sum(
    jax.nn.logsumexp(others, axis) - jax.nn.logsumexp(partners, axis)
    for axis in (0, 1)
  )
  counted = jnp.any(same, axis=1)
  number = jnp.maximum(jnp.sum(counted), 1)
  return jnp.sum(jnp.where(counted, lost, 0.0)) / (2.0 * number)
