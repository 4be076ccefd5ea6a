"""The model object of one token language model over pictures and texts."""

from collections.abc import Mapping
from typing import Any, cast

import jax.numpy as jnp
from flax import core as flax_core
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8

from inksight_jax.models import losses
from inksight_jax.models.sequence_to_sequence import (
  Key,
  Metrics,
  Params,
  SequenceToSequence,
  average,
)
from inksight_jax.networks import decoding, picture_grammar


class TokenLanguageModel(SequenceToSequence):
  """Objective of `picture_language_model.PictureLanguageModel`.

  A batch holds what is given as `encoder_input_tokens` and what is written as
  decoder features, picture first or text first. Both are learned: the loss is
  the weighted sum of two means, over all tokens of pictures and over all tokens
  of texts, so that neither outweighs the other by its length.

  Attributes:
    grammar: ids of the vocabulary and their order.
    picture_first: whether pictures are given and texts written, or the other
      way round.
  """

  def __init__(
    self,
    *args: Any,
    grammar: picture_grammar.PictureGrammar,
    picture_first: bool = True,
    picture_weight: float = 1.0,
    text_weight: float = 1.0,
    count_picture_padding: bool = True,
    constrained: bool = True,
    **kwargs: Any,
  ) -> None:
    """Binds the network to its objective.

    Args:
      *args: of `SequenceToSequence`.
      grammar: see the class.
      picture_first: see the class.
      picture_weight: of the mean over tokens of pictures.
      text_weight: of the mean over tokens of texts.
      count_picture_padding: whether PAD, which fills pictures up, is learned.
      constrained: hold answers to the symbols that may stand where they do;
        their probabilities are then among those.
      **kwargs: of `SequenceToSequence`.

    Raises:
      ValueError: a weight is negative, or both are 0.
    """
    if (
      min(picture_weight, text_weight) < 0 or picture_weight == text_weight == 0
    ):
      raise ValueError(
        f"The weights of pictures, {picture_weight}, and texts, {text_weight}, "
        "must not be negative, and one must be positive."
      )
    super().__init__(*args, **kwargs)
    self.grammar = grammar
    self.picture_first = picture_first
    self._weights = (
      (picture_weight, text_weight)
      if picture_first
      else (text_weight, picture_weight)
    )
    self._count_padding = count_picture_padding
    if constrained and self.logit_transform is None:
      self.logit_transform = (
        grammar.text() if picture_first else grammar.picture()
      )

  def get_initial_variables(
    self,
    rng: PRNGKeyArray | Array,
    input_shapes: Mapping[str, Any],
    input_types: Mapping[str, Any] | None = None,
  ) -> flax_core.FrozenDict:
    """As `SequenceToSequence`; SeqIO's stand-in for a picture is left out."""
    return super().get_initial_variables(
      rng, _without_pictures(input_shapes), input_types
    )

  def loss_normalizer(self, batch: losses.Batch) -> Float[Array, "2"]:
    """Divisors of the summed losses of what is given and what is written."""
    _, given_weights = self._given(batch)
    written = super().loss_normalizer(self._weighted(batch))
    return jnp.stack([jnp.maximum(jnp.sum(given_weights), 1.0), written])

  def loss_fn(
    self,
    params: Params,
    batch: losses.Batch,
    dropout_rng: Key,
    normalizer: Float[Array, "2"] | None = None,
  ) -> tuple[Float[Array, ""], Metrics]:
    """The sum of both terms, and metrics.

    Args:
      params: network parameters.
      batch: features; what is given and what is written, see the class.
      dropout_rng: key for dropout; None turns dropout off.
      normalizer: replaces the batch's own `loss_normalizer`.

    Returns:
      (scalar loss, clu metrics): `loss`, the two-term loss per example;
      `picture_loss` and `text_loss`, per token; the others are of what is
      written, as in `SequenceToSequence`.
    """
    batch = self._weighted(batch)
    logits = self._all_logits(params, batch, dropout_rng)
    length = batch["encoder_input_tokens"].shape[1]
    targets, weights = self._given(batch)
    given_sum, _, given_count = losses.cross_entropy(
      logits[:, :length], targets, weights, self._label_smoothing, self._z_loss
    )
    divisors = self.loss_normalizer(batch) if normalizer is None else normalizer
    written, metrics = self._loss_of(logits[:, length:], batch, divisors[1])
    given_weight, written_weight = self._weights
    loss = given_weight * (given_sum / divisors[0]) + written_weight * written
    terms = [average(given_sum, given_count), metrics["loss"]]
    picture, text = terms if self.picture_first else terms[::-1]
    # Of these rows alone, whatever the loss is divided by.
    means = [term.total / jnp.maximum(term.count, 1.0) for term in terms]
    both = given_weight * means[0] + written_weight * means[1]
    rows = jnp.float32(logits.shape[0])
    metrics |= {
      "loss": average(both * rows, rows),
      "picture_loss": picture,
      "text_loss": text,
    }
    return loss, metrics

  def continue_pictures(
    self,
    params: Params,
    beginnings: Int[Array, "rows prefix"],
    rng: Key,
    config: decoding.DecodeConfig,
    constrained: bool = True,
  ) -> Int[Array, "rows length"]:
    """Goes on with pictures, in a model that has pictures first.

    Args:
      params: network parameters.
      beginnings: model ids of the first tokens; at least the first ROW.
      rng: key, needed when sampling.
      config: how to decode; of its length only what is missing is decoded.
      constrained: write nothing but pictures; otherwise what comes.

    Returns:
      Model ids of whole pictures; where the model ended one, which it may only
      unconstrained, 0 behind it.
    """
    missing = self.grammar.length - beginnings.shape[1]
    if missing < 1:
      return beginnings
    rules = (
      self.grammar.picture(beginnings)
      if constrained
      else picture_grammar.anything
    )
    decoded = self.decode_batch(
      params,
      {
        "encoder_input_tokens": beginnings[:, :-1],
        "decoder_start_tokens": beginnings[:, -1:],
      },
      rng,
      decoding.DecodeConfig(
        max_length=missing,
        method=config.method,
        temperature=config.temperature,
        top_k=config.top_k,
      ),
      rules,
    )
    return jnp.concatenate([beginnings, decoded.tokens[:, 0]], axis=1)

  def encode_pictures(
    self, params: Params, image: UInt8[Array, "batch height width 3"]
  ) -> Int[Array, "batch rows columns"]:
    """Codes of pictures, each on its canvas."""
    codes = self.module.apply(
      {"params": params}, image, method="encode_pictures"
    )
    return cast(Array, codes)

  def decode_codes(
    self, params: Params, codes: Int[Array, "batch rows columns"]
  ) -> UInt8[Array, "batch height width 3"]:
    """Pictures of grids of codes."""
    pictures = self.module.apply(
      {"params": params}, codes, method="decode_codes"
    )
    return cast(Array, pictures)

  def _encoder_features(self, batch: losses.Batch) -> dict[str, Any]:
    """Tokens; SeqIO's stand-in for a picture is left out."""
    return _without_pictures(super()._encoder_features(batch))

  def _start_tokens(
    self, batch: losses.Batch, rows: Any
  ) -> Int[Array, "rows 1"]:
    """START, or the tokens that a batch says."""
    if "decoder_start_tokens" in batch:
      return jnp.asarray(batch["decoder_start_tokens"])
    return jnp.full((rows, 1), self.grammar.start_id, jnp.int32)

  def _logits(
    self, params: Params, batch: losses.Batch, dropout_rng: Key
  ) -> Float[Array, "batch targets vocab"]:
    """Teacher-forced logits of what is written."""
    length = batch["encoder_input_tokens"].shape[1]
    return self._all_logits(params, batch, dropout_rng)[:, length:]

  def _all_logits(
    self, params: Params, batch: losses.Batch, dropout_rng: Key
  ) -> Float[Array, "batch length vocab"]:
    """Teacher-forced logits of the whole sequence."""
    logits = self.module.apply(
      {"params": params},
      jnp.asarray(batch["encoder_input_tokens"]),
      self._inputs(batch),
      enable_dropout=dropout_rng is not None,
      rngs=None if dropout_rng is None else {"dropout": dropout_rng},
    )
    return cast(Array, logits)

  def _inputs(self, batch: losses.Batch) -> Int[Array, "batch targets"]:
    """Decoder inputs that begin with START; those of batches do with PAD."""
    tokens = jnp.asarray(batch["decoder_input_tokens"])
    return tokens.at[:, 0].set(self.grammar.start_id)

  def _given(
    self, batch: losses.Batch
  ) -> tuple[Int[Array, "batch prompt"], Float[Array, "batch prompt"]]:
    """The token behind each one given, and its weight.

    Behind the last stands START, which says nothing; it counts in pictures, as
    one of many.
    """
    tokens = jnp.asarray(batch["encoder_input_tokens"])
    start = self._inputs(batch)[:, :1]
    targets = jnp.concatenate([tokens[:, 1:], start], axis=1)
    # Neither padding nor what follows it.
    counts = (tokens != decoding.PAD_ID) & (targets != decoding.PAD_ID)
    if self.picture_first and not self._count_padding:
      counts &= targets != self.grammar.padding_id
    return targets, counts.astype(jnp.float32)

  def _weighted(self, batch: losses.Batch) -> losses.Batch:
    """The batch, PAD of written pictures without weight if so wished."""
    if self.picture_first or self._count_padding:
      return batch
    weights = losses.target_weights(batch)
    targets = jnp.asarray(batch["decoder_target_tokens"])
    is_padding = targets == self.grammar.padding_id
    return {
      **batch, "decoder_loss_weights": jnp.where(is_padding, 0.0, weights)
    }  # fmt: skip


def _without_pictures(features: Mapping[str, Any]) -> dict[str, Any]:
  """What this network reads: tokens alone."""
  return {k: x for k, x in features.items() if not k.endswith("_image")}
