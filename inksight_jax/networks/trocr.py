"""TrOCR (Li et al. 2021, arXiv 2109.10282): a ViT, then a Transformer decoder.

The decoder looks at the ViT's output as it is, whatever its width. Published
weights are read by `interop.trocr_weights`.
"""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt8

from inksight_jax.networks import image_to_text, transformer_decoder, vit


@dataclasses.dataclass(frozen=True)
class TrOCRConfig:
  """Sizes and choices of the whole network.

  Attributes:
    vit: image encoder.
    decoder: text decoder.
  """

  vit: vit.ViTConfig
  decoder: transformer_decoder.DecoderConfig


class TrOCR(image_to_text.ImageToText):
  """The network; top-level parameters `image_encoder` and `decoder`.

  Attributes:
    config: sizes and choices.
  """

  config: TrOCRConfig

  def setup(self) -> None:
    self.image_encoder = vit.ViT(self.config.vit)
    self.decoder = transformer_decoder.Decoder(self.config.decoder)

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
