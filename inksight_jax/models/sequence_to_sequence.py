"""The model object of every network that reads features and emits tokens."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import jax.numpy as jnp
from clu import metrics as clu_metrics
from flax import core as flax_core
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from inksight_jax.models import losses
from inksight_jax.networks import decoding

# What a network may ask for by name; a batch carries those its task needs.
FEATURES = (
  "encoder_input_image",
  "encoder_input_tokens",
  "encoder_segment_ids",
  "encoder_positions",
  "decoder_input_tokens",
  "decoder_target_tokens",
  "decoder_segment_ids",
  "decoder_positions",
)
Params = Mapping[str, Any]
Metrics = dict[str, clu_metrics.Metric]
Key = PRNGKeyArray | Array | None


class SequenceToSequence:
  """Loss, scores and predictions of an encoder-decoder network.

  Follows T5X `BaseModel` without importing T5X, so the same object is driven
  by this project's loop and by `t5x/train.py`. Features absent from a batch are
  simply not passed on, so a network without an image, or without input text,
  works unchanged.

  Attributes:
    module: linen network with `__call__`, `encode` and `decode`.
    optimizer_def: optimiser used when the launcher names none.
    FEATURE_CONVERTER_CLS: read from the instance by T5X.
    FEATURE_PREFIX: the network is given the features whose names begin so.
    input_vocabulary: vocabulary of the input text, for T5X.
    output_vocabulary: vocabulary of the targets, for T5X.
  """

  FEATURE_CONVERTER_CLS: Callable[..., Any] | None = None
  FEATURE_PREFIX = ""

  def __init__(
    self,
    module: nn.Module,
    optimizer_def: Any = None,
    feature_converter_cls: Callable[..., Any] | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 1e-4,
    loss_normalizing_factor: float | int | str | None = (
      "NUM_REAL_TARGET_TOKENS"
    ),
    decode_config: decoding.DecodeConfig | None = None,
    logit_transform: decoding.LogitTransform | None = None,
    input_vocabulary: Any = None,
    output_vocabulary: Any = None,
  ) -> None:
    """Binds a network to its objective.

    Args:
      module: the network.
      optimizer_def: optax transformation, or a T5X optimiser definition.
      feature_converter_cls: SeqIO feature converter class, injected by gin.
      label_smoothing: see `losses.token_cross_entropy`.
      z_loss: see `losses.token_cross_entropy`.
      loss_normalizing_factor: see `losses.normalizer_and_weights`.
      decode_config: how `predict_batch` decodes; greedy to the length of the
        batch's targets by default.
      logit_transform: what predictions may not say, see `decoding.decode`.
      input_vocabulary: kept for T5X.
      output_vocabulary: kept for T5X.
    """
    self.module = module
    self.optimizer_def = optimizer_def
    if feature_converter_cls is not None:
      self.FEATURE_CONVERTER_CLS = feature_converter_cls
    self.decode_config = decode_config
    self.logit_transform = logit_transform
    self.input_vocabulary = input_vocabulary
    self.output_vocabulary = output_vocabulary
    self._label_smoothing = label_smoothing
    self._z_loss = z_loss
    self._loss_normalizing_factor = loss_normalizing_factor

  def get_initial_variables(
    self,
    rng: PRNGKeyArray | Array,
    input_shapes: Mapping[str, Any],
    input_types: Mapping[str, Any] | None = None,
  ) -> flax_core.FrozenDict:
    """Initialises the network on features of these shapes.

    Args:
      rng: key of the parameters.
      input_shapes: feature name to shape, batch axis included.
      input_types: feature name to dtype; uint8 for images and int32 for the
        rest where absent.

    Returns:
      Collections `params` and, where the network names them, `params_axes`.
    """
    types = dict(input_types or {})
    features = {}
    for name in FEATURES:
      if name in input_shapes and name.startswith(self.FEATURE_PREFIX):
        usual = jnp.uint8 if name.endswith("_image") else jnp.int32
        features[name] = jnp.ones(
          tuple(input_shapes[name]), types.get(name, usual)
        )
    return flax_core.freeze(
      self.module.init(rng, **features, enable_dropout=False)
    )

  def loss_normalizer(self, batch: losses.Batch) -> Float[Array, ""]:
    """The divisor of the summed loss of this batch.

    The training loop computes it over the whole batch before it cuts the batch
    into microbatches, so that their gradients add up to the whole's.
    """
    return losses.normalizer_and_weights(batch, self._loss_normalizing_factor)[
      0
    ]

  def loss_fn(
    self,
    params: Params,
    batch: losses.Batch,
    dropout_rng: Key,
    normalizer: Float[Array, ""] | None = None,
  ) -> tuple[Float[Array, ""], Metrics]:
    """Training loss and metrics.

    Args:
      params: network parameters.
      batch: features, see design.md section 4.
      dropout_rng: key for dropout; None turns dropout off.
      normalizer: replaces the batch's own `loss_normalizer`.

    Returns:
      (scalar loss, clu metrics). The metric `loss` is per weighted token
      whatever the normaliser, so curves of different recipes compare.
    """
    return self._loss_of(
      self._logits(params, batch, dropout_rng), batch, normalizer
    )

  def _loss_of(
    self,
    logits: Float[Array, "batch length vocab"],
    batch: losses.Batch,
    normalizer: Float[Array, ""] | None,
  ) -> tuple[Float[Array, ""], Metrics]:
    """`loss_fn` of teacher-forced logits."""
    own_normalizer, weights = losses.normalizer_and_weights(
      batch, self._loss_normalizing_factor
    )
    targets = jnp.asarray(batch["decoder_target_tokens"])
    loss_sum, z_loss_sum, weight_sum = losses.cross_entropy(
      logits, targets, weights, self._label_smoothing, self._z_loss
    )
    loss = loss_sum / (own_normalizer if normalizer is None else normalizer)
    correct = _is_best(logits, targets)
    counted = weights > 0
    num_tokens = jnp.sum(counted)
    sequences, exact = _count_sequences(batch, counted, correct)
    metrics: Metrics = {
      "loss": average(loss_sum, weight_sum),
      "z_loss": average(z_loss_sum, weight_sum),
      "accuracy": average(jnp.sum(correct & counted), num_tokens),
      "sequence_accuracy": average(exact, sequences),
      "non_padding_fraction": average(num_tokens, counted.size),
    }
    return loss, metrics

  def eval_fn(
    self, params: Params, batch: losses.Batch
  ) -> tuple[Float[Array, ""], Metrics]:
    """`loss_fn` without dropout."""
    return self.loss_fn(params, batch, None)

  def score_batch(
    self, params: Params, batch: losses.Batch
  ) -> Float[Array, " batch"]:
    """Log-likelihood of each target sequence, in nats; no z-loss, no smoothing.

    Args:
      params: network parameters.
      batch: features; padding is left out by its zero weight.

    Returns:
      Sum over the weighted tokens of log p(token | tokens before, inputs).
    """
    logits = self._logits(params, batch, None)
    targets = jnp.asarray(batch["decoder_target_tokens"])
    loss, _ = losses.token_cross_entropy(logits, targets)
    return -jnp.sum(loss * losses.target_weights(batch), axis=-1)

  def predict_batch(
    self, params: Params, batch: losses.Batch, rng: Key = None
  ) -> Int[Array, "batch length"]:
    """Best token sequence of each row, PAD (0) after EOS."""
    return self.predict_batch_with_aux(params, batch, rng)[0]

  def predict_batch_with_aux(
    self, params: Params, batch: losses.Batch, rng: Key = None
  ) -> tuple[Int[Array, "batch length"], dict[str, Array]]:
    """Best token sequence of each row, with its log-probabilities.

    Args:
      params: network parameters.
      batch: features; the decoder features, where present, only bound the
        length.
      rng: key, needed when sampling.

    Returns:
      (tokens, {"log_probs": float32[batch, length] of each token,
      "scores": float32[batch]}).
    """
    decoded = self.decode_batch(params, batch, rng)
    return decoded.tokens[:, 0], {
      "log_probs": decoded.log_probs[:, 0],
      "scores": decoded.scores[:, 0],
    }

  def decode_batch(
    self,
    params: Params,
    batch: losses.Batch,
    rng: Key = None,
    config: decoding.DecodeConfig | None = None,
    logit_transform: Callable[..., Array] | None = None,
  ) -> decoding.Decoded:
    """All hypotheses of each row, best first.

    Args:
      params: network parameters.
      batch: encoder features; decoder features may be absent.
      rng: key, needed when sampling.
      config: replaces the model's own `decode_config`.
      logit_transform: replaces the model's own.

    Returns:
      `decoding.Decoded`.
    """
    config = config or self.decode_config or self._default_config(batch)
    module = self.module
    encoded, encoder_mask = module.apply(
      {"params": params},
      **self._encoder_features(batch),
      enable_dropout=False,
      method="encode",
    )
    start = self._start_tokens(batch, encoded.shape[0])
    prompt_logits, variables = module.apply(
      {"params": params},
      encoded,
      encoder_mask,
      start,
      decode=True,
      max_decode_length=config.cache_lengths[0],
      mutable=["cache"],
      method="decode",
    )

    def step(
      tokens: Int[Array, "rows 1"], cache: Any
    ) -> tuple[Float[Array, "rows vocab"], Any]:
      logits, updated = module.apply(
        {"params": params, "cache": cache},
        None,
        None,
        tokens,
        decode=True,
        mutable=["cache"],
        method="decode",
      )
      return logits[:, -1], updated["cache"]

    return decoding.decode(
      step,
      prompt_logits[:, -1],
      variables["cache"],
      config,
      rng=rng,
      cache_batch_axis=module.cache_batch_axis,
      logit_transform=logit_transform or self.logit_transform,
    )

  def _encoder_features(self, batch: losses.Batch) -> dict[str, Any]:
    """What `encode` of the network reads of a batch."""
    return _features(batch, "encoder_")

  def _start_tokens(
    self, batch: losses.Batch, rows: Any
  ) -> Int[Array, "rows 1"]:
    """What decoding starts from; `rows` may be symbolic in an export."""
    del batch
    # T5 starts decoding from PAD, which doubles as the start token.
    return jnp.zeros((rows, 1), jnp.int32)

  def _default_config(self, batch: losses.Batch) -> decoding.DecodeConfig:
    """Greedy, to the length of the batch's targets."""
    if "decoder_input_tokens" not in batch:
      raise ValueError(
        "How long may a prediction be? The batch has no decoder_input_tokens "
        "and the model no decode_config; bind "
        "SequenceToSequence.decode_config = @decoding.DecodeConfig()."
      )
    return decoding.DecodeConfig(
      max_length=batch["decoder_input_tokens"].shape[1]
    )

  def _logits(
    self, params: Params, batch: losses.Batch, dropout_rng: Key
  ) -> Float[Array, "batch length vocab"]:
    """Teacher-forced logits."""
    logits = self.module.apply(
      {"params": params},
      **_features(batch, self.FEATURE_PREFIX),
      enable_dropout=dropout_rng is not None,
      rngs=None if dropout_rng is None else {"dropout": dropout_rng},
    )
    # Only with mutable collections does `apply` return a tuple.
    return cast(Array, logits)


def _features(batch: losses.Batch, prefix: str = "") -> dict[str, Any]:
  """The features of a batch that networks read; the rest stays behind."""
  return {
    name: jnp.asarray(batch[name])
    for name in FEATURES
    if name.startswith(prefix) and name in batch
  }


def _is_best(
  logits: Float[Array, "batch length vocab"],
  targets: Int[Array, "batch length"],
) -> Bool[Array, "batch length"]:
  """Whether no other token is more likely than the target.

  Twice as fast on CPU as comparing the argmax, and free of collectives when
  the vocabulary is sharded.
  """
  ids = jnp.arange(logits.shape[-1], dtype=targets.dtype)[None, None, :]
  others = jnp.where(ids == targets[..., None], -jnp.inf, logits)
  return jnp.max(others, axis=-1) < jnp.max(logits, axis=-1)


def _count_sequences(
  batch: losses.Batch,
  counted: Bool[Array, "batch length"],
  correct: Bool[Array, "batch length"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
  """Number of sequences, packed or not, and of those without a wrong token."""
  counts = counted.astype(jnp.float32)
  lengths = losses.sum_per_sequence(batch, counts)
  wrong = losses.sum_per_sequence(batch, jnp.where(correct, 0.0, counts))
  # Each token stands for its part of a sequence; the parts sum to whole ones.
  parts = counts / jnp.maximum(lengths, 1.0)
  exact = jnp.where(wrong == 0, parts, 0.0)
  return jnp.round(jnp.sum(parts)), jnp.round(jnp.sum(exact))


def average(total: Array, count: Array | int) -> clu_metrics.Average:
  """A ratio whose two sums merge over microbatches, steps and processes."""
  # Checkers cannot see the fields that clu declares through `flax.struct`.
  return cast(Any, clu_metrics.Average)(
    total=jnp.asarray(total, jnp.float32), count=jnp.asarray(count, jnp.float32)
  )
