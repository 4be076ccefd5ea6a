"""InkSight: a picture and a prompt in, text and ink tokens out.

Without prompts and without layers in the mT5 encoder it has the shape of TrOCR
(Li et al. 2021, arXiv 2109.10282).

Patch embeddings of a ViT, then the embedded prompt, form one sequence for an
mT5 encoder; the mT5 decoder writes the answer. Source: arXiv 2402.05804.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int, UInt8

from inksight_jax.networks import layers, mt5, vit

PAD_ID = 0


@dataclasses.dataclass(frozen=True)
class InkSightConfig:
  """Sizes and choices of the whole network.

  Attributes:
    vit: image encoder.
    mt5: text encoder and decoder; its vocabulary holds text and ink ids.
    freeze_image_encoder: no gradient enters the ViT and its dropout is off;
      the optimiser must leave it alone as well (weight decay needs no
      gradient).
  """

  vit: vit.ViTConfig
  mt5: mt5.MT5Config
  freeze_image_encoder: bool = False


class InkSight(nn.Module):
  """The network; top-level parameters `image_encoder`, `token_embedder`,
  `encoder`, `decoder` and, where widths differ, `image_projection`.

  Attributes:
    config: sizes and choices.
  """

  config: InkSightConfig

  def setup(self) -> None:
    cfg = self.config
    self.image_encoder = vit.ViT(cfg.vit)
    if cfg.vit.width != cfg.mt5.emb_dim:
      self.image_projection = layers.Dense(
        cfg.mt5.emb_dim, ("image_embed", "embed"), dtype=cfg.mt5.dtype
      )
    self.token_embedder = mt5.token_embedder(cfg.mt5)
    if cfg.mt5.num_encoder_layers:
      self.encoder = mt5.Encoder(cfg.mt5)
    self.decoder = mt5.Decoder(cfg.mt5, self.token_embedder)

  @property
  def cache_batch_axis(self) -> int:
    """Axis of the batch in the cache; scanned layers put theirs in front."""
    return 1 if self.config.mt5.scan_layers else 0

  def __call__(
    self,
    encoder_input_image: UInt8[Array, "batch *slots height width channels"],
    encoder_input_tokens: Int[Array, "batch *slots inputs"] | None = None,
    decoder_input_tokens: Int[Array, "batch targets"] | None = None,
    decoder_target_tokens: Int[Array, "batch targets"] | None = None,
    decoder_segment_ids: Int[Array, "batch targets"] | None = None,
    decoder_positions: Int[Array, "batch targets"] | None = None,
    *,
    enable_dropout: bool = True,
  ) -> Float[Array, "batch targets vocab"]:
    """Teacher-forced logits.

    With an axis of slots, each row of targets holds several examples one after
    another, and slot `i` holds the picture and prompt of segment `i + 1`.

    Args:
      encoder_input_image: pixels 0 to 255.
      encoder_input_tokens: prompt, padded with 0; None for tasks without.
      decoder_input_tokens: targets shifted right by one, beginning with 0; so
        does every segment. Needed.
      decoder_target_tokens: not read, the causal mask hides padding already;
        accepted because T5X-shaped models hand it to every network.
      decoder_segment_ids: example of each target, from 1; 0 for padding.
        Needed with slots.
      decoder_positions: not read, position biases depend on distances alone;
        accepted like `decoder_target_tokens`.
      enable_dropout: whether to drop units; needs a `dropout` RNG.

    Raises:
      ValueError: slots without segment ids, or segment ids without slots.
    """
    del decoder_target_tokens, decoder_positions
    if decoder_input_tokens is None:
      raise ValueError("Teacher forcing needs decoder_input_tokens; got none.")
    slots = encoder_input_image.shape[1:-3]
    if bool(slots) != (decoder_segment_ids is not None):
      raise ValueError(
        "Packed rows need both: an axis of slots in encoder_input_image (its "
        f"shape is {encoder_input_image.shape}) and decoder_segment_ids."
      )
    encoded, mask = self.encode(
      encoder_input_image.reshape(-1, *encoder_input_image.shape[-3:]),
      encoder_input_tokens
      if encoder_input_tokens is None
      else encoder_input_tokens.reshape(-1, encoder_input_tokens.shape[-1]),
      enable_dropout=enable_dropout,
    )
    if decoder_segment_ids is not None:
      rows = encoder_input_image.shape[0]
      segments = jnp.arange(1, slots[0] + 1).repeat(encoded.shape[1])
      encoded = encoded.reshape(rows, -1, encoded.shape[-1])
      own = decoder_segment_ids[:, :, None] == segments[None, None, :]
      mask = own & mask.reshape(rows, 1, -1)
    return self.decoder(
      encoded,
      mask,
      decoder_input_tokens,
      segment_ids=decoder_segment_ids,
      deterministic=not enable_dropout,
    )

  def encode(
    self,
    encoder_input_image: UInt8[Array, "batch height width channels"],
    encoder_input_tokens: Int[Array, "batch inputs"] | None = None,
    *,
    enable_dropout: bool = False,
  ) -> tuple[Float[Array, "batch length embed"], Bool[Array, "batch length"]]:
    """Encodes patches, then prompt, and tells where the result is no padding.

    Args:
      encoder_input_image: pixels 0 to 255.
      encoder_input_tokens: prompt, padded with 0; None for tasks without.
      enable_dropout: whether to drop units.
    """
    embeddings = self._embed_image(encoder_input_image, enable_dropout)
    mask = jnp.ones(embeddings.shape[:2], jnp.bool_)
    if encoder_input_tokens is not None:
      text = self.token_embedder(encoder_input_tokens)
      text = text.astype(embeddings.dtype)
      embeddings = jnp.concatenate([embeddings, text], axis=1)
      mask = jnp.concatenate([mask, encoder_input_tokens != PAD_ID], axis=1)
    if not self.config.mt5.num_encoder_layers:
      return embeddings, mask
    encoded = self.encoder(embeddings, mask, deterministic=not enable_dropout)
    return encoded, mask

  def _embed_image(
    self,
    image: UInt8[Array, "batch height width channels"],
    enable_dropout: bool,
  ) -> Float[Array, "batch patches embed"]:
    frozen = self.config.freeze_image_encoder
    embeddings = self.image_encoder(
      image, deterministic=frozen or not enable_dropout
    )
    if frozen:
      # Before the projection, which has to learn; the backward pass of the
      # ViT, and all it would keep in memory, is dropped by the compiler.
      embeddings = jax.lax.stop_gradient(embeddings)
    if self.config.vit.width != self.config.mt5.emb_dim:
      embeddings = self.image_projection(embeddings)
    return embeddings.astype(self.config.mt5.dtype)

  def decode(
    self,
    encoded: Float[Array, "batch length embed"] | None,
    encoder_mask: Bool[Array, "batch length"] | None,
    decoder_input_tokens: Int[Array, "batch targets"],
    decoder_target_tokens: Int[Array, "batch targets"] | None = None,
    *,
    enable_dropout: bool = False,
    decode: bool = False,
    max_decode_length: int | None = None,
  ) -> Float[Array, "batch targets vocab"]:
    """Logits of the token after each input token.

    Args:
      encoded: output of `encode`; None to go on from the cache.
      encoder_mask: its mask; None with it.
      decoder_input_tokens: with `decode` the prompt (usually one 0), then the
        newest token.
      decoder_target_tokens: not read, see `__call__`.
      enable_dropout: whether to drop units.
      decode: keep keys and values in the collection `cache`, which must then
        be mutable. A call given `encoded` starts anew.
      max_decode_length: positions to make room for at that first call.
    """
    del decoder_target_tokens  # The causal mask hides the padding already.
    return self.decoder(
      encoded,
      encoder_mask,
      decoder_input_tokens,
      deterministic=not enable_dropout,
      decode=decode,
      max_decode_length=max_decode_length,
    )
