"""Connectionist temporal classification: texts of unknown length from frames.

Graves et al. 2006. The blank is an id of its own, not padding.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from inksight_jax.models import losses
from inksight_jax.models.parallel import (
  as_decoded,
  check_greedy,
  default_config,
)
from inksight_jax.models.sequence_to_sequence import (
  Key,
  Metrics,
  Params,
  SequenceToSequence,
  average,
)
from inksight_jax.networks import decoding

EOS_ID = 1


class CTC(SequenceToSequence):
  """Loss, scores and greedy predictions of a network of frames.

  The targets are those of the other models; their EOS is not read from the
  picture, the prediction ends by itself.

  Attributes:
    blank_id: id that stands for no character, the same as the network's.
  """

  FEATURE_PREFIX = "encoder_"

  def __init__(self, *args: Any, blank_id: int, **kwargs: Any) -> None:
    """Binds a network to its objective.

    Args:
      *args: of `SequenceToSequence`.
      blank_id: id of the blank, below the network's `vocab_size`.
      **kwargs: of `SequenceToSequence`; label smoothing and z-loss have no
        meaning here.
    """
    super().__init__(*args, **kwargs)
    self.blank_id = blank_id

  def loss_fn(
    self,
    params: Params,
    batch: losses.Batch,
    dropout_rng: Key,
    normalizer: Float[Array, ""] | None = None,
  ) -> tuple[Float[Array, ""], Metrics]:
    """Training loss and metrics; see `SequenceToSequence.loss_fn`.

    The metric `loss` is per token of the target, EOS included, and `accuracy`
    compares place by place with the greedy answer, so that both stand beside
    those of the other models.
    """
    logits = self._logits(params, batch, dropout_rng)
    own_normalizer, weights = losses.normalizer_and_weights(
      batch, self._loss_normalizing_factor
    )
    targets = jnp.asarray(batch["decoder_target_tokens"])
    counted = losses.target_weights(batch) > 0
    # What a row weighs: 1, or by its normaliser a share of that.
    tokens = jnp.sum(counted, axis=1)
    rows = jnp.sum(weights, axis=1) / jnp.maximum(tokens, 1)
    nll = negative_log_likelihood(logits, targets, self.blank_id)
    loss_sum = jnp.sum(nll * rows)
    answer = greedy(logits, self.blank_id, targets.shape[1])
    correct = (answer.tokens[:, 0] == targets) & counted
    exact = jnp.all(answer.tokens[:, 0] == targets, axis=1) & (tokens > 0)
    metrics: Metrics = {
      "loss": average(loss_sum, jnp.sum(weights)),
      "accuracy": average(jnp.sum(correct), jnp.sum(tokens)),
      "sequence_accuracy": average(jnp.sum(exact), jnp.sum(tokens > 0)),
    }
    divisor = own_normalizer if normalizer is None else normalizer
    return loss_sum / divisor, metrics

  def frame_log_probs(
    self, params: Params, batch: losses.Batch
  ) -> Float[Array, "batch frames vocab"]:
    """Log-probabilities of all ids in each frame.

    Args:
      params: network parameters.
      batch: encoder features.
    """
    return jax.nn.log_softmax(self._logits(params, batch, None), axis=-1)

  def score_batch(
    self, params: Params, batch: losses.Batch
  ) -> Float[Array, " batch"]:
    """Log-likelihood of each target, summed over all its alignments, in nats.

    Args:
      params: network parameters.
      batch: features.
    """
    targets = jnp.asarray(batch["decoder_target_tokens"])
    logits = self._logits(params, batch, None)
    return -negative_log_likelihood(logits, targets, self.blank_id)

  def decode_batch(
    self,
    params: Params,
    batch: losses.Batch,
    rng: Key = None,
    config: decoding.DecodeConfig | None = None,
    logit_transform: Callable[..., Array] | None = None,
  ) -> decoding.Decoded:
    """The best id of every frame, repeats and blanks taken out, then EOS.

    A character's log-probability is that of its most certain frame; EOS has 0.

    Args:
      params: network parameters.
      batch: encoder features.
      rng: not used.
      config: only `max_length` is read; by default the length of the batch's
        targets, else one more than the frames.
      logit_transform: not supported.

    Raises:
      ValueError: another method than greedy, or a `logit_transform`.
    """
    del rng
    check_greedy(config, logit_transform)
    logits = self._logits(params, batch, None)
    config = config or default_config(self, batch, logits.shape[1] + 1)
    return greedy(logits, self.blank_id, config.max_length)


def negative_log_likelihood(
  logits: Float[Array, "batch frames vocab"],
  targets: Int[Array, "batch length"],
  blank_id: int,
) -> Float[Array, " batch"]:
  """-log p(target | frames) of each row, in nats, over all its alignments.

  Args:
    logits: unnormalised scores.
    targets: ids; PAD and EOS count for nothing.
    blank_id: id that stands for no character.
  """
  is_padding = (targets == decoding.PAD_ID) | (targets == EOS_ID)
  return optax.ctc_loss(
    logits,
    jnp.zeros(logits.shape[:2], jnp.float32),
    targets,
    is_padding.astype(jnp.float32),
    blank_id=blank_id,
  )


def greedy(
  logits: Float[Array, "batch frames vocab"], blank_id: int, max_length: int
) -> decoding.Decoded:
  """The best id of every frame, repeats and blanks taken out, then EOS.

  Args:
    logits: unnormalised scores.
    blank_id: id that stands for no character.
    max_length: places of the result.
  """
  log_probs = jax.nn.log_softmax(logits, axis=-1)
  best = jnp.argmax(log_probs, axis=-1)
  chosen = jnp.max(log_probs, axis=-1)
  tokens, scores, counts = collapse(best, chosen, blank_id, max_length)
  # No room for EOS means that the text may go on.
  places = jnp.arange(max_length)[None, :]
  tokens = jnp.where(places == counts[:, None], EOS_ID, tokens)
  lengths = jnp.minimum(counts + 1, max_length)
  return as_decoded(tokens, scores, lengths, max_length)


def collapse(
  best: Int[Array, "batch frames"],
  log_probs: Float[Array, "batch frames"],
  blank_id: int,
  max_length: int,
) -> tuple[
  Int[Array, "batch length"], Float[Array, "batch length"], Int[Array, " batch"]
]:
  """Takes repeats, then blanks, out of an alignment.

  Args:
    best: ids of the frames.
    log_probs: their log-probabilities.
    blank_id: the id that goes.
    max_length: places of the result; characters beyond are dropped.

  Returns:
    (ids, then PAD; the greatest log-probability of each run of frames, then 0;
    number of characters).
  """
  before = jnp.pad(best[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
  starts = (best != blank_id) & (best != before)
  run = jnp.cumsum(starts, axis=1) - 1
  # Frames of blank belong to no run; out-of-range updates are dropped.
  place = jnp.where(best == blank_id, max_length, run)
  rows = jnp.arange(best.shape[0])[:, None]
  shape = (best.shape[0], max_length)
  tokens = jnp.full(shape, decoding.PAD_ID, best.dtype)
  tokens = tokens.at[rows, place].set(best, mode="drop")
  peaks = jnp.full(shape, -jnp.inf, log_probs.dtype)
  peaks = peaks.at[rows, place].max(log_probs, mode="drop")
  counts = jnp.minimum(jnp.sum(starts, axis=1), max_length)
  filled: Bool[Array, "batch length"] = (
    jnp.arange(max_length)[None, :] < counts[:, None]
  )
  return tokens, jnp.where(filled, peaks, 0.0), counts
