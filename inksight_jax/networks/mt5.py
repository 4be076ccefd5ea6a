"""mT5 encoder and decoder: T5 1.1 (Raffel et al. 2020; Shazeer 2020).

RMS norms before each block, gated GELU, one relative position bias per stack,
no scaling of the attention logits and, by default, an untied output layer.
Encoder and decoder are separate so that other image readers can reuse either.
"""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Initializer
from jaxtyping import Array, Bool, Float, Int, Shaped

from inksight_jax.networks import (
  attention,
  fused_attention,
  layers,
  relative_positions,
)

_EMBEDDING_INIT = nn.initializers.normal(stddev=1.0)
_LOGITS_INIT = nn.initializers.variance_scaling(
  1.0, "fan_in", "truncated_normal"
)


@dataclasses.dataclass(frozen=True)
class MT5Config:
  """Sizes and choices of an mT5.

  Attributes:
    vocab_size: number of token ids, padding included.
    emb_dim: size of the embeddings.
    num_heads: attention heads.
    head_dim: size of each head; heads x head_dim may differ from emb_dim.
    mlp_dim: hidden size of the MLPs.
    num_encoder_layers: depth of the encoder.
    num_decoder_layers: depth of the decoder.
    mlp_activations: one name in layers.ACTIVATIONS per factor of the MLP.
    dropout_rate: dropout everywhere T5 has it.
    logits_via_embedding: ties the output layer to the embedding table.
    relative_attention_num_buckets: buckets of the position bias.
    relative_attention_max_distance: distance of its last bucket.
    dtype: computation type, "float32" or "bfloat16".
    remat_policy: key of layers.REMAT_POLICIES.
    scan_layers: stack the layers' parameters and compile one of them.
    fused_attention: whether whole sequences attend in one kernel where that can
      run (`fused_attention.usable`), on TPUs; the same numbers.
    embedding_init: initialiser of the token table; see also
      `coordinates.CoordinateEmbedding`.
    logits_init: initialiser of the output layer.
  """

  vocab_size: int
  emb_dim: int = 512
  num_heads: int = 6
  head_dim: int = 64
  mlp_dim: int = 1024
  num_encoder_layers: int = 8
  num_decoder_layers: int = 8
  mlp_activations: Sequence[str] = ("gelu", "linear")
  dropout_rate: float = 0.1
  logits_via_embedding: bool = False
  relative_attention_num_buckets: int = 32
  relative_attention_max_distance: int = 128
  dtype: str = "float32"
  remat_policy: str = "none"
  scan_layers: bool = False
  fused_attention: bool = False
  embedding_init: Initializer = _EMBEDDING_INIT
  logits_init: Initializer = _LOGITS_INIT

  def __post_init__(self) -> None:
    # gin files may give a list; linen needs hashable fields.
    object.__setattr__(self, "mlp_activations", tuple(self.mlp_activations))
    for activation in self.mlp_activations:
      layers.check_choice("mlp_activations", activation, layers.ACTIVATIONS)
    layers.check_choice("dtype", self.dtype, layers.DTYPES)
    layers.check_choice(
      "remat_policy", self.remat_policy, layers.REMAT_POLICIES
    )


def _size(
  emb_dim: int, num_heads: int, mlp_dim: int, depth: int
) -> dict[str, int]:
  return {
    "emb_dim": emb_dim,
    "num_heads": num_heads,
    "mlp_dim": mlp_dim,
    "num_encoder_layers": depth,
    "num_decoder_layers": depth,
  }


# Xue et al. (2021), released configurations; T5 1.1 of the same name.
MT5_SIZES: dict[str, dict[str, int]] = {
  "small": _size(512, 6, 1024, 8),
  "base": _size(768, 12, 2048, 12),
  "large": _size(1024, 16, 2816, 24),
}


def mt5_config(size: str, vocab_size: int, **changes: object) -> MT5Config:
  """A row of MT5_SIZES for a vocabulary, with some fields replaced.

  Raises:
    ValueError: if `size` is not in the table.
  """
  layers.check_choice("size", size, MT5_SIZES)
  return MT5Config(vocab_size=vocab_size, **{**MT5_SIZES[size], **changes})


def token_embedder(config: MT5Config, name: str | None = None) -> layers.Embed:
  """The table shared by encoder and decoder."""
  return layers.Embed(
    config.vocab_size,
    config.emb_dim,
    dtype=config.dtype,
    embedding_init=config.embedding_init,
    name=name,
  )


def _fuses(config: MT5Config, sequences: Shaped[Array, "batch ..."]) -> bool:
  """Whether whole sequences attend in one kernel."""
  return config.fused_attention and fused_attention.usable(
    sequences, config.num_heads, config.head_dim
  )


def _attention_fields(
  config: MT5Config, deterministic: bool, fused: bool
) -> dict:
  kernel_init = nn.initializers.variance_scaling(1.0, "fan_in", "normal")
  return {
    "num_heads": config.num_heads,
    "head_dim": config.head_dim,
    "dropout_rate": config.dropout_rate,
    "deterministic": deterministic,
    "kernel_init": kernel_init,
    # T5 has no 1/sqrt(head_dim) in the logits; its initializer stands for it.
    "query_init": nn.initializers.variance_scaling(
      1.0 / config.head_dim, "fan_in", "normal"
    ),
    "dtype": config.dtype,
    "fused": fused,
  }


class _Layer(nn.Module):
  """Fields and blocks common to encoder and decoder layers.

  Attributes:
    config: sizes and choices.
    deterministic: disables dropout.
    fused: whether attention runs as one kernel.
  """

  config: MT5Config
  deterministic: bool
  fused: bool = False

  def _norm(
    self, name: str, x: Float[Array, "batch length embed"]
  ) -> Float[Array, "batch length embed"]:
    return layers.RMSNorm(dtype=self.config.dtype, name=name)(x)

  def _dropout(
    self, x: Float[Array, "batch length embed"]
  ) -> Float[Array, "batch length embed"]:
    return layers.broadcast_dropout(
      self.config.dropout_rate, self.deterministic
    )(x)

  def _add_mlp(
    self, x: Float[Array, "batch length embed"]
  ) -> Float[Array, "batch length embed"]:
    cfg = self.config
    y = self._norm("pre_mlp_layer_norm", x)
    y = layers.GatedMlp(
      cfg.mlp_dim,
      tuple(cfg.mlp_activations),
      cfg.dropout_rate,
      self.deterministic,
      cfg.dtype,
      name="mlp",
    )(y)
    return layers.constrain_activations(x + self._dropout(y))


class EncoderLayer(_Layer):
  """Self-attention and MLP."""

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "batch length embed"],
    mask: Bool[Array, "batch 1 #length length"],
    bias: attention.Bias,
  ) -> tuple[Float[Array, "batch length embed"], None]:
    y = self._norm("pre_attention_layer_norm", x)
    fields = _attention_fields(self.config, self.deterministic, self.fused)
    y = attention.SelfAttention(**fields, name="attention")(y, mask, bias)
    return self._add_mlp(x + self._dropout(y)), None


class DecoderLayer(_Layer):
  """Self-attention, attention to the encoded inputs, and MLP.

  Attributes:
    decode: read and write the collection `cache`.
    cache_length: positions of the self-attention cache, where it is created.
  """

  decode: bool = False
  cache_length: int | None = None

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "batch length embed"],
    encoded: Float[Array, "batch inputs embed"] | None,
    encoded_mask: Bool[Array, "batch *length inputs"] | None,
    mask: Bool[Array, "#batch 1 length keys"] | None,
    bias: attention.Bias,
    cache_index: Int[Array, ""] | None,
  ) -> tuple[Float[Array, "batch length embed"], None]:
    fields = _attention_fields(self.config, self.deterministic, self.fused)
    y = self._norm("pre_self_attention_layer_norm", x)
    y = attention.SelfAttention(
      **fields, causal=not self.decode, name="self_attention"
    )(
      y,
      mask,
      bias,
      cache_index=cache_index,
      cache_length=self.cache_length,
    )
    x += self._dropout(y)
    y = self._norm("pre_cross_attention_layer_norm", x)
    y = attention.CrossAttention(**fields, name="encoder_decoder_attention")(
      y, encoded, encoded_mask, decode=self.decode
    )
    return self._add_mlp(x + self._dropout(y)), None


class Encoder(nn.Module):
  """Stack of encoder layers over embeddings of any origin."""

  config: MT5Config

  @nn.compact
  def __call__(
    self,
    embeddings: Float[Array, "batch length embed"],
    mask: Bool[Array, "batch length"],
    *,
    deterministic: bool = True,
  ) -> Float[Array, "batch length embed"]:
    """Encodes a sequence.

    Args:
      embeddings: the sequence.
      mask: True where it holds something.
      deterministic: disables dropout.
    """
    cfg = self.config
    length = embeddings.shape[1]
    fused = _fuses(cfg, embeddings)
    bias = relative_positions.RelativePositionBias(
      cfg.num_heads,
      bidirectional=True,
      num_buckets=cfg.relative_attention_num_buckets,
      max_distance=cfg.relative_attention_max_distance,
      name="relpos_bias",
    )(length, length, by_offset=fused)
    dropout = layers.broadcast_dropout(cfg.dropout_rate, deterministic)
    x = layers.constrain_activations(dropout(embeddings))
    x = layers.run_layers(
      EncoderLayer,
      x,
      mask[:, None, None, :],
      bias,
      depth=cfg.num_encoder_layers,
      name="layers",
      scan=cfg.scan_layers,
      remat_policy=cfg.remat_policy,
      attributes={
        "config": cfg,
        "deterministic": deterministic,
        "fused": fused,
      },
    )
    return dropout(layers.RMSNorm(dtype=cfg.dtype, name="encoder_norm")(x))


def _past_mask(
  first: Int[Array, ""], num_new: int, num_keys: int
) -> Bool[Array, "1 1 new keys"]:
  """True where a cache holds what new tokens, from `first` on, may look at."""
  positions = jnp.arange(num_new) + first
  return (jnp.arange(num_keys)[None, :] <= positions[:, None])[None, None]


class Decoder(attention.CachedDecoder):
  """Stack of decoder layers from tokens to logits, with a cache.

  Attributes:
    config: sizes and choices.
    token_embedder: table of the tokens, and of the logits where tied.
  """

  config: MT5Config
  token_embedder: layers.Embed

  @nn.compact
  def __call__(
    self,
    encoded: Float[Array, "batch inputs embed"] | None,
    encoded_mask: Bool[Array, "batch *length inputs"] | None,
    decoder_input_tokens: Int[Array, "batch length"],
    *,
    segment_ids: Int[Array, "batch length"] | None = None,
    deterministic: bool = True,
    decode: bool = False,
    max_decode_length: int | None = None,
  ) -> Float[Array, "batch length vocab"]:
    """Logits, float32, of the token after each input token.

    Args:
      encoded: encoded inputs; None to go on from the cache.
      encoded_mask: True where `encoded` holds something (for that token).
      decoder_input_tokens: tokens so far, or with `decode` the newest.
      segment_ids: which of several sequences in the row each token belongs to;
        it sees no other. Not with `decode`.
      deterministic: disables dropout.
      decode: keep keys and values in the collection `cache`. The call that is
        given `encoded` starts a new sequence; its tokens are the prompt.
      max_decode_length: positions to make room for, prompt included.
    """
    cfg = self.config
    num_new = decoder_input_tokens.shape[1]
    first, num_keys = self.positions(
      num_new, encoded is not None, decode, max_decode_length
    )
    fused = not decode and _fuses(cfg, decoder_input_tokens)
    bias = relative_positions.RelativePositionBias(
      cfg.num_heads,
      bidirectional=False,
      num_buckets=cfg.relative_attention_num_buckets,
      max_distance=cfg.relative_attention_max_distance,
      name="relpos_bias",
    )(num_new, num_keys, first, by_offset=fused)
    # Padding lies to the right of every position that is scored, so hiding the
    # future, as layers do that do not decode, hides it too. Biases of texts in
    # one row need no change: they depend on distances, which stay the same.
    own_text = None
    if segment_ids is not None:
      own_text = segment_ids[:, None, :, None] == segment_ids[:, None, None, :]
    dropout = layers.broadcast_dropout(cfg.dropout_rate, deterministic)
    x = dropout(self.token_embedder(decoder_input_tokens))
    x = layers.run_layers(
      DecoderLayer,
      layers.constrain_activations(x),
      encoded,
      encoded_mask,
      _past_mask(first, num_new, num_keys) if decode else own_text,
      bias,
      first if decode else None,
      depth=cfg.num_decoder_layers,
      name="layers",
      scan=cfg.scan_layers,
      remat_policy="none" if decode else cfg.remat_policy,
      attributes={
        "config": cfg,
        "deterministic": deterministic,
        "fused": fused,
        "decode": decode,
        "cache_length": num_keys if decode else None,
      },
    )
    x = layers.RMSNorm(dtype=cfg.dtype, name="decoder_norm")(x)
    x = dropout(x)
    if cfg.logits_via_embedding:
      return self.token_embedder.attend(x)
    return layers.Dense(
      cfg.vocab_size,
      ("embed", "vocab"),
      dtype=cfg.dtype,
      output_dtype="float32",
      kernel_init=cfg.logits_init,
      name="logits_dense",
    )(x)
