"""Transformer decoder with absolute positions (Vaswani et al. 2017).

Layer norms behind each block, as TrOCR (Li et al. 2021, arXiv 2109.10282) and
Singh & Karayev (2021, arXiv 2103.06450) have it, or before; biases everywhere
but in the output layer, which may be tied to the embeddings. Unlike the decoder
of `mt5`, it knows where in the text a token stands. Without attention to a
picture, norms before and tied, it is GPT-2 (Radford et al. 2019).
"""

import dataclasses

import jax
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
    cross_attention: attend to an encoded input; without, the decoder is a
      language model, and `encoded` is never given.
    tied: the embeddings are the output layer too.
    hide_padding: nothing attends to tokens of id 0; needed only where padding
      stands before what is scored.
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
  cross_attention: bool = True
  tied: bool = False
  hide_padding: bool = False

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
  """Self-attention, attention to an encoded input if there is one, and MLP.

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
    mask: Bool[Array, "#batch 1 length keys"],
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
    if cfg.cross_attention:
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
    num_logits: int | None = None,
    added: Float[Array, "batch length embed"] | None = None,
  ) -> Float[Array, "batch scored vocab"]:
    """Logits, float32, of the token after each input token.

    Args:
      encoded: encoded inputs, of any width; None to go on from the cache.
      encoded_mask: True where `encoded` holds something.
      decoder_input_tokens: tokens so far, or with `decode` the newest.
      deterministic: disables dropout.
      decode: keep keys and values in the collection `cache`. The call that is
        given `encoded` starts a new text; its tokens are the prompt.
      max_decode_length: positions to make room for, prompt included.
      num_logits: of the last so many tokens only; all by default.
      added: to the embeddings of the tokens: what else is known of them.

    Raises:
      ValueError: more positions than `max_length` are asked for.
    """
    cfg = self.config
    num_new = decoder_input_tokens.shape[1]
    # Without attention to an input, the first call has no cache yet.
    starts = encoded is not None
    if not cfg.cross_attention:
      starts = not self.has_variable("cache", "cache_index")
    first, num_keys = self.positions(num_new, starts, decode, max_decode_length)
    if num_keys > cfg.max_length:
      raise ValueError(
        f"A text of {num_keys} tokens came to a decoder with positions for "
        f"{cfg.max_length}; set DecoderConfig.max_length to the most wanted."
      )
    places = jnp.arange(num_new) + first
    embedder = self._embedder()
    # Where padding lies to the right of every position that is scored, hiding
    # the future hides it too.
    mask = (jnp.arange(num_keys)[None, :] <= places[:, None])[None, None]
    if cfg.hide_padding:
      real = self._real(decoder_input_tokens, first, num_keys, decode)
      mask = mask & real[:, None, None]
    x = layers.run_layers(
      DecoderLayer,
      self._embed(embedder(decoder_input_tokens), places, added, deterministic),
      encoded,
      encoded_mask,
      mask,
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
    if num_logits is not None:
      x = x[:, -num_logits:]
    if cfg.norm == "pre":
      # The residual stream itself was never normalised.
      x = layers.LayerNorm(cfg.norm_epsilon, cfg.dtype, name="decoder_norm")(x)
    if cfg.tied:
      # `attend` scales as T5 does, GPT-2 does not.
      return embedder.attend(x * cfg.emb_dim**0.5)
    return layers.Dense(
      cfg.vocab_size,
      ("embed", "vocab"),
      dtype=cfg.dtype,
      output_dtype="float32",
      name="logits_dense",
    )(x)

  def _embedder(self) -> layers.Embed:
    """The table of tokens."""
    cfg = self.config
    # As large as the positions, in either case.
    deviation = 0.02 if cfg.position == "learned" else 1.0
    if cfg.scale_embedding:
      deviation *= cfg.emb_dim**-0.5
    return layers.Embed(
      cfg.vocab_size,
      cfg.emb_dim,
      dtype=cfg.dtype,
      embedding_init=nn.initializers.normal(deviation),
      name="token_embedder",
    )

  def _embed(
    self,
    x: Float[Array, "batch length embed"],
    places: Int[Array, " length"],
    added: Float[Array, "batch length embed"] | None,
    deterministic: bool,
  ) -> Float[Array, "batch length embed"]:
    """Embedded tokens, where they stand, and what else is known of them."""
    cfg = self.config
    if cfg.scale_embedding:
      x *= cfg.emb_dim**0.5
    x += positions.TEXT_POSITIONS[cfg.position](
      cfg.max_length, cfg.emb_dim, name="positions"
    )(places)[None].astype(x.dtype)
    if added is not None:
      x += added.astype(x.dtype)
    if cfg.embedding_norm:
      x = layers.LayerNorm(cfg.norm_epsilon, cfg.dtype, name="embedding_norm")(
        x
      )
    x = nn.Dropout(cfg.dropout_rate, deterministic=deterministic)(x)
    return layers.constrain_activations(x)

  def _real(
    self,
    tokens: Int[Array, "batch length"],
    first: Int[Array, ""],
    num_keys: int,
    decode: bool,
  ) -> Bool[Array, "batch keys"]:
    """Which keys are no padding; with `decode`, of the whole cache."""
    real = tokens != 0
    if not decode:
      return real
    # The batch stands where it does in the cache of the layers.
    lead = (1,) if self.config.scan_layers else ()
    if not self.has_variable("cache", "cached_real"):
      empty = jnp.zeros((*lead, tokens.shape[0], num_keys), jnp.bool_)
      self.put_variable("cache", "cached_real", empty)
    cached = jax.lax.dynamic_update_slice_in_dim(
      self.get_variable("cache", "cached_real"),
      real.reshape(*lead, *real.shape),
      first,
      axis=-1,
    )
    self.put_variable("cache", "cached_real", cached)
    return cached.reshape(-1, num_keys)
