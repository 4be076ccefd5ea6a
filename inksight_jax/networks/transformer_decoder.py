"""Transformer decoder with absolute positions (Vaswani et al. 2017).

Layer norms behind each block, as TrOCR (Li et al. 2021, arXiv 2109.10282) and
Singh & Karayev (2021, arXiv 2103.06450) have it, or before; biases everywhere
but in the output layer, which is not tied to the embeddings. Unlike the decoder
of `mt5`, it knows where in the text a token stands.
"""

import dataclasses

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from inksight_jax.networks import attention, layers, positions

NORMS = {"post": "behind each block", "pre": "before each block"}


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
  """Sizes and choices; the defaults are those of TrOCR-small.

  Attributes:
    vocab_size: number of token ids, padding included.
    emb_dim: size of the embeddings, a multiple of `num_heads`.
    num_heads: attention heads.
    mlp_dim: hidden size of the MLPs.
    num_layers: depth.
    activation: a name in layers.ACTIVATIONS.
    position: a name in positions.TEXT_POSITIONS.
    max_length: longest text, in tokens; a table of that length is learned.
    norm: a name in NORMS.
    embedding_norm: a layer norm over the sum of token and position.
    scale_embedding: multiplies the token's embedding by sqrt(emb_dim).
    dropout_rate: dropout of embeddings, blocks and attention weights.
    norm_epsilon: of all layer norms.
    dtype: computation type, "float32" or "bfloat16".
    remat_policy: key of layers.REMAT_POLICIES.
    scan_layers: stack the layers' parameters and compile one of them.
  """

  vocab_size: int
  emb_dim: int = 256
  num_heads: int = 8
  mlp_dim: int = 1024
  num_layers: int = 6
  activation: str = "relu"
  position: str = "learned"
  max_length: int = 512
  norm: str = "post"
  embedding_norm: bool = True
  scale_embedding: bool = True
  dropout_rate: float = 0.1
  norm_epsilon: float = 1e-5
  dtype: str = "float32"
  remat_policy: str = "none"
  scan_layers: bool = False

  def __post_init__(self) -> None:
    for name, choices in (
      ("activation", layers.ACTIVATIONS),
      ("position", positions.TEXT_POSITIONS),
      ("norm", NORMS),
      ("dtype", layers.DTYPES),
      ("remat_policy", layers.REMAT_POLICIES),
    ):
      layers.check_choice(name, getattr(self, name), choices)
    if self.emb_dim % self.num_heads:
      raise ValueError(
        f"`emb_dim` {self.emb_dim} is not a multiple of `num_heads` "
        f"{self.num_heads}; change one of them."
      )


class DecoderLayer(nn.Module):
  """Self-attention, attention to the encoded picture, and MLP.

  Attributes:
    config: sizes and choices.
    deterministic: disables dropout.
    decode: read and write the collection `cache`.
    cache_length: positions of the self-attention cache, where it is created.
  """

  config: DecoderConfig
  deterministic: bool
  decode: bool = False
  cache_length: int | None = None

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "batch length embed"],
    encoded: Float[Array, "batch inputs features"] | None,
    encoded_mask: Bool[Array, "batch inputs"] | None,
    mask: Bool[Array, "1 1 length keys"],
    cache_index: Int[Array, ""] | None,
  ) -> tuple[Float[Array, "batch length embed"], None]:
    cfg = self.config
    head_dim = cfg.emb_dim // cfg.num_heads
    fields = {
      "num_heads": cfg.num_heads,
      "head_dim": head_dim,
      "dropout_rate": cfg.dropout_rate,
      "deterministic": self.deterministic,
      "use_bias": True,
      "query_scale": head_dim**-0.5,
      "dtype": cfg.dtype,
    }
    norm, y = self._before("self_attention_norm", x)
    y = attention.SelfAttention(**fields, name="self_attention")(
      y, mask, cache_index=cache_index, cache_length=self.cache_length
    )
    x = self._add(norm, x, y)
    norm, y = self._before("cross_attention_norm", x)
    y = attention.CrossAttention(**fields, name="encoder_decoder_attention")(
      y, encoded, encoded_mask, decode=self.decode
    )
    x = self._add(norm, x, y)
    norm, y = self._before("mlp_norm", x)
    y = layers.Dense(
      cfg.mlp_dim, ("embed", "mlp"), use_bias=True, dtype=cfg.dtype, name="wi"
    )(y)
    y = self._dropout(layers.ACTIVATIONS[cfg.activation](y))
    y = layers.Dense(
      cfg.emb_dim, ("mlp", "embed"), use_bias=True, dtype=cfg.dtype, name="wo"
    )(y)
    return layers.constrain_activations(self._add(norm, x, y)), None

  def _before(
    self, name: str, x: Float[Array, "batch length embed"]
  ) -> tuple[layers.LayerNorm, Float[Array, "batch length embed"]]:
    """The block's norm, and what the block reads."""
    cfg = self.config
    norm = layers.LayerNorm(cfg.norm_epsilon, cfg.dtype, name=name)
    return norm, norm(x) if cfg.norm == "pre" else x

  def _add(
    self,
    norm: layers.LayerNorm,
    x: Float[Array, "batch length embed"],
    y: Float[Array, "batch length embed"],
  ) -> Float[Array, "batch length embed"]:
    """The block's result `y` added to what it read."""
    x += self._dropout(y)
    return norm(x) if self.config.norm == "post" else x

  def _dropout(
    self, x: Float[Array, "batch length features"]
  ) -> Float[Array, "batch length features"]:
    rate = self.config.dropout_rate
    return nn.Dropout(rate, deterministic=self.deterministic)(x)


class Decoder(attention.CachedDecoder):
  """From tokens to logits, with a cache; called like `mt5.Decoder`.

  Attributes:
    config: sizes and choices.
  """

  config: DecoderConfig

  @nn.compact
  def __call__(
    self,
    encoded: Float[Array, "batch inputs features"] | None,
    encoded_mask: Bool[Array, "batch inputs"] | None,
    decoder_input_tokens: Int[Array, "batch length"],
    *,
    deterministic: bool = True,
    decode: bool = False,
    max_decode_length: int | None = None,
  ) -> Float[Array, "batch length vocab"]:
    """Logits, float32, of the token after each input token.

    Args:
      encoded: encoded inputs, of any width; None to go on from the cache.
      encoded_mask: True where `encoded` holds something.
      decoder_input_tokens: tokens so far, or with `decode` the newest.
      deterministic: disables dropout.
      decode: keep keys and values in the collection `cache`. The call that is
        given `encoded` starts a new text; its tokens are the prompt.
      max_decode_length: positions to make room for, prompt included.

    Raises:
      ValueError: more positions than `max_length` are asked for.
    """
    cfg = self.config
    num_new = decoder_input_tokens.shape[1]
    first, num_keys = self.positions(
      num_new, encoded is not None, decode, max_decode_length
    )
    if num_keys > cfg.max_length:
      raise ValueError(
        f"A text of {num_keys} tokens came to a decoder with positions for "
        f"{cfg.max_length}; set DecoderConfig.max_length to the most wanted."
      )
    places = jnp.arange(num_new) + first
    # Padding lies to the right of every position that is scored, so hiding
    # the future hides it too.
    mask = jnp.arange(num_keys)[None, :] <= places[:, None]
    x = layers.run_layers(
      DecoderLayer,
      self._embed(decoder_input_tokens, places, deterministic),
      encoded,
      encoded_mask,
      mask[None, None],
      first if decode else None,
      depth=cfg.num_layers,
      name="layers",
      scan=cfg.scan_layers,
      remat_policy="none" if decode else cfg.remat_policy,
      attributes={
        "config": cfg,
        "deterministic": deterministic,
        "decode": decode,
        "cache_length": num_keys if decode else None,
      },
    )
    if cfg.norm == "pre":
      # The residual stream itself was never normalised.
      x = layers.LayerNorm(cfg.norm_epsilon, cfg.dtype, name="decoder_norm")(x)
    return layers.Dense(
      cfg.vocab_size,
      ("embed", "vocab"),
      dtype=cfg.dtype,
      output_dtype="float32",
      name="logits_dense",
    )(x)

  def _embed(
    self,
    tokens: Int[Array, "batch length"],
    places: Int[Array, " length"],
    deterministic: bool,
  ) -> Float[Array, "batch length embed"]:
    """Tokens and where they stand."""
    cfg = self.config
    # As large as the positions, in either case.
    deviation = 0.02 if cfg.position == "learned" else 1.0
    if cfg.scale_embedding:
      deviation *= cfg.emb_dim**-0.5
    x = layers.Embed(
      cfg.vocab_size,
      cfg.emb_dim,
      dtype=cfg.dtype,
      embedding_init=nn.initializers.normal(deviation),
      name="token_embedder",
    )(tokens)
    if cfg.scale_embedding:
      x *= cfg.emb_dim**0.5
    x += positions.TEXT_POSITIONS[cfg.position](
      cfg.max_length, cfg.emb_dim, name="positions"
    )(places)[None].astype(x.dtype)
    if cfg.embedding_norm:
      x = layers.LayerNorm(cfg.norm_epsilon, cfg.dtype, name="embedding_norm")(
        x
      )
    x = nn.Dropout(cfg.dropout_rate, deterministic=deterministic)(x)
    return layers.constrain_activations(x)
