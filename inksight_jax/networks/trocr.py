"""TrOCR (Li et al. 2021, arXiv 2109.10282): a ViT, then a Transformer decoder.

The decoder looks at the ViT's output as it is, whatever its width. Published
weights are read by `interop.trocr_weights`.
"""

import dataclasses

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int, UInt8

from inksight_jax.networks import transformer_decoder, vit


@dataclasses.dataclass(frozen=True)
class TrOCRConfig:
  """Sizes and choices of the whole network.

  Attributes:
    vit: image encoder.
    decoder: text decoder.
  """

  vit: vit.ViTConfig
  decoder: transformer_decoder.DecoderConfig


class TrOCR(nn.Module):
  """The network; top-level parameters `image_encoder` and `decoder`.

  Attributes:
    config: sizes and choices.
  """

  config: TrOCRConfig

  def setup(self) -> None:
    self.image_encoder = vit.ViT(self.config.vit)
    self.decoder = transformer_decoder.Decoder(self.config.decoder)

  @property
  def cache_batch_axis(self) -> int:
    """Axis of the batch in the cache; scanned layers put theirs in front."""
    return 1 if self.config.decoder.scan_layers else 0

  def __call__(
    self,
    encoder_input_image: UInt8[Array, "batch height width channels"],
    decoder_input_tokens: Int[Array, "batch targets"] | None = None,
    decoder_target_tokens: Int[Array, "batch targets"] | None = None,
    *,
    enable_dropout: bool = True,
  ) -> Float[Array, "batch targets vocab"]:
    """Teacher-forced logits.

    Args:
      encoder_input_image: pixels 0 to 255.
      decoder_input_tokens: targets shifted right by one, beginning with 0.
        Needed.
      decoder_target_tokens: not read, the causal mask hides padding already;
        accepted because T5X-shaped models hand it to every network.
      enable_dropout: whether to drop units; needs a `dropout` RNG.
    """
    if decoder_input_tokens is None:
      raise ValueError("Teacher forcing needs decoder_input_tokens; got none.")
    encoded, mask = self.encode(
      encoder_input_image, enable_dropout=enable_dropout
    )
    return self.decode(
      encoded,
      mask,
      decoder_input_tokens,
      decoder_target_tokens,
      enable_dropout=enable_dropout,
    )

  def encode(
    self,
    encoder_input_image: UInt8[Array, "batch height width channels"],
    *,
    enable_dropout: bool = False,
  ) -> tuple[Float[Array, "batch length embed"], Bool[Array, "batch length"]]:
    """The encoded picture, and a mask that is True everywhere.

    Args:
      encoder_input_image: pixels 0 to 255.
      enable_dropout: whether to drop units.
    """
    encoded = self.image_encoder(
      encoder_input_image, deterministic=not enable_dropout
    )
    return encoded, jnp.ones(encoded.shape[:2], jnp.bool_)

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
    """Logits of the token after each input token; see `InkSight.decode`."""
    del decoder_target_tokens
    return self.decoder(
      encoded,
      encoder_mask,
      decoder_input_tokens,
      deterministic=not enable_dropout,
      decode=decode,
      max_decode_length=max_decode_length,
    )
