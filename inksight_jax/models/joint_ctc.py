"""A decoder with a second loss, CTC, on its encoder (Watanabe et al. 2017).

The frames learn early which characters are where, from the picture alone; the
decoder learns to attend to them. Either can read.
"""

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from inksight_jax.models import ctc, losses
from inksight_jax.models.sequence_to_sequence import (
  Key,
  Metrics,
  Params,
  SequenceToSequence,
  average,
)
from inksight_jax.networks import decoding

# Log-odds against every other id where only the blank is allowed.
_CERTAIN = 1e5
# Beyond this, characters stand where there is no frame of the page.
_IMPOSSIBLE = 5e4
READERS = ("decoder", "frames")


class JointCTC(SequenceToSequence):
  """`SequenceToSequence` of a network that has `read_with_frames`.

  Attributes:
    blank_id: id of the blank of the network's second head.
    ctc_weight: the loss is `(1 - ctc_weight) * decoder + ctc_weight * CTC`.
    reader: one of `READERS`, whose answer predictions are.
  """

  def __init__(
    self,
    *args: Any,
    blank_id: int,
    ctc_weight: float = 0.3,
    reader: str = "decoder",
    **kwargs: Any,
  ) -> None:
    """Binds a network to its objective.

    Args:
      *args: of `SequenceToSequence`.
      blank_id: id of the blank, below the network's `frame_vocab_size`.
      ctc_weight: from 0 to below 1.
      reader: "frames" until the decoder has learned to attend; it takes longer.
      **kwargs: of `SequenceToSequence`.

    Raises:
      ValueError: a weight out of range, another reader, or frames that learn
        nothing.
    """
    if not 0.0 <= ctc_weight < 1.0:
      raise ValueError(f"`ctc_weight` lies in [0, 1); got {ctc_weight}.")
    if reader not in READERS:
      raise ValueError(
        f"`reader` is {reader!r}; it must be one of {', '.join(READERS)}."
      )
    if reader == "frames" and not ctc_weight:
      raise ValueError(
        'With `ctc_weight` 0 the frames learn nothing; set reader="decoder".'
      )
    super().__init__(*args, **kwargs)
    self.blank_id = blank_id
    self.ctc_weight = ctc_weight
    self.reader = reader

  def loss_fn(
    self,
    params: Params,
    batch: losses.Batch,
    dropout_rng: Key,
    normalizer: Float[Array, ""] | None = None,
  ) -> tuple[Float[Array, ""], Metrics]:
    """Training loss and metrics; see `SequenceToSequence.loss_fn`.

    The metric `ctc_loss` is per token of the target, like `loss`, which is the
    decoder's alone.
    """
    logits, frames, mask = self._both(
      params,
      jnp.asarray(batch["encoder_input_image"]),
      jnp.asarray(batch["decoder_input_tokens"]),
      dropout_rng,
    )
    loss, metrics = self._loss_of(logits, batch, normalizer)
    own_normalizer, weights = losses.normalizer_and_weights(
      batch, self._loss_normalizing_factor
    )
    targets = jnp.asarray(batch["decoder_target_tokens"])
    tokens = jnp.sum(losses.target_weights(batch) > 0, axis=1)
    rows = jnp.sum(weights, axis=1) / jnp.maximum(tokens, 1)
    nll = ctc.negative_log_likelihood(
      on_page(frames, mask, self.blank_id), targets, self.blank_id
    )
    # A text that is longer than its frames has no alignment: no news from it.
    ctc_sum = jnp.sum(jnp.where(nll < _IMPOSSIBLE, nll * rows, 0.0))
    ctc_loss = ctc_sum / (own_normalizer if normalizer is None else normalizer)
    metrics["ctc_loss"] = average(ctc_sum, jnp.sum(rows * tokens))
    return (1 - self.ctc_weight) * loss + self.ctc_weight * ctc_loss, metrics

  def _both(
    self, params: Params, image: Array, tokens: Array, dropout_rng: Key
  ) -> tuple[Array, Array, Array]:
    """Logits of both heads and the mask of the cells."""
    outputs = self.module.apply(
      {"params": params},
      image,
      tokens,
      enable_dropout=dropout_rng is not None,
      rngs=None if dropout_rng is None else {"dropout": dropout_rng},
      method="read_with_frames",
    )
    # Only with mutable collections does `apply` return variables too.
    return cast(Any, outputs)

  def frame_log_probs(
    self, params: Params, batch: losses.Batch
  ) -> Float[Array, "batch cells vocab"]:
    """Log-probabilities of the second head; blanks behind the page's frames."""
    image = jnp.asarray(batch["encoder_input_image"])
    start = jnp.zeros((image.shape[0], 1), jnp.int32)
    _, frames, mask = self._both(params, image, start, None)
    return jax.nn.log_softmax(on_page(frames, mask, self.blank_id), axis=-1)

  def decode_batch(
    self,
    params: Params,
    batch: losses.Batch,
    rng: Key = None,
    config: decoding.DecodeConfig | None = None,
    logit_transform: Callable[..., Array] | None = None,
  ) -> decoding.Decoded:
    """Answers of the reader.

    Those of the frames are the best id of each, as `ctc.CTC.decode_batch` has
    them; only the length of `config` matters to them.
    """
    if self.reader == "decoder":
      return super().decode_batch(params, batch, rng, config, logit_transform)
    config = config or self.decode_config or self._default_config(batch)
    log_probs = self.frame_log_probs(params, batch)
    return ctc.greedy(log_probs, self.blank_id, config.max_length)


def on_page(
  logits: Float[Array, "batch cells vocab"],
  mask: Bool[Array, "batch cells"],
  blank_id: int,
) -> Float[Array, "batch cells vocab"]:
  """The frames of the page first, in order, then nothing but certain blanks.

  Left between the rows, blanks would part characters that go on from the end of
  one row of cells to the next.
  """
  order = jnp.argsort(~mask, axis=1, stable=True)
  logits = jnp.take_along_axis(logits, order[..., None], axis=1)
  mask = jnp.take_along_axis(mask, order, axis=1)
  is_blank = (jnp.arange(logits.shape[-1]) == blank_id)[None, None, :]
  certain = jnp.where(is_blank, 0.0, -_CERTAIN)
  return jnp.where(mask[..., None], logits, certain)
