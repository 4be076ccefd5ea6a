"""The model object of networks that score all tokens of a text at once."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from inksight_jax.models import losses
from inksight_jax.models.sequence_to_sequence import (
  Key,
  Params,
  SequenceToSequence,
)
from inksight_jax.networks import decoding


class ParallelTokens(SequenceToSequence):
  """Loss and scores of `SequenceToSequence`, a prediction in one step.

  The network gets the encoder's features and returns logits of every place of
  the target. Loss and metrics are those of the other models: the same targets,
  with EOS, whose places behind it weigh nothing.
  """

  FEATURE_PREFIX = "encoder_"

  def decode_batch(
    self,
    params: Params,
    batch: losses.Batch,
    rng: Key = None,
    config: decoding.DecodeConfig | None = None,
    logit_transform: Callable[..., Array] | None = None,
  ) -> decoding.Decoded:
    """The most likely token of every place, up to the first EOS.

    Args:
      params: network parameters.
      batch: encoder features.
      rng: not used.
      config: only `max_length` and `eos_id` are read; by default the length of
        the batch's targets, else the number of places.
      logit_transform: not supported; there are no tokens so far.

    Raises:
      ValueError: another method than greedy, or a `logit_transform`.
    """
    del rng
    check_greedy(config, logit_transform)
    logits = self._logits(params, batch, None)
    config = config or default_config(self, batch, logits.shape[1])
    log_probs = jax.nn.log_softmax(logits[:, : config.max_length], axis=-1)
    # Padding follows from EOS; as an answer it was never trained.
    allowed = jnp.arange(logits.shape[-1]) != decoding.PAD_ID
    best = jnp.argmax(
      jnp.where(allowed[None, None, :], log_probs, -jnp.inf), axis=-1
    )
    chosen = jnp.take_along_axis(log_probs, best[..., None], axis=-1)[..., 0]
    is_end = best == config.eos_id
    before = jnp.cumsum(is_end, axis=1) - is_end
    counts = before == 0
    return as_decoded(
      jnp.where(counts, best, decoding.PAD_ID),
      jnp.where(counts, chosen, 0.0),
      jnp.sum(counts, axis=1),
      config.max_length,
    )


def as_decoded(
  tokens: Array, log_probs: Array, lengths: Array, max_length: int
) -> decoding.Decoded:
  """One hypothesis for each row in the shape that decoding returns.

  Args:
    tokens: int[batch, places], PAD behind the end.
    log_probs: float[batch, places], 0 there.
    lengths: int[batch], EOS included.
    max_length: places of the result, at least as many.
  """
  room = ((0, 0), (0, max_length - tokens.shape[1]))
  return decoding.Decoded(
    tokens=jnp.pad(tokens, room).astype(jnp.int32)[:, None],
    log_probs=jnp.pad(log_probs, room).astype(jnp.float32)[:, None],
    scores=jnp.sum(log_probs, axis=1, keepdims=True),
    lengths=lengths.astype(jnp.int32)[:, None],
  )


def default_config(
  model: SequenceToSequence, batch: losses.Batch, length: int
) -> decoding.DecodeConfig:
  """The model's own, else one for the targets of the batch, else `length`."""
  if model.decode_config is not None:
    return model.decode_config
  if "decoder_target_tokens" in batch:
    length = batch["decoder_target_tokens"].shape[1]
  return decoding.DecodeConfig(max_length=length)


def check_greedy(config: Any, logit_transform: Any) -> None:
  """One step has one answer."""
  if logit_transform is not None or (config and config.method != "greedy"):
    raise ValueError(
      "A reader of one step decodes greedily and takes no logit_transform; "
      "use SequenceToSequence for more."
    )
