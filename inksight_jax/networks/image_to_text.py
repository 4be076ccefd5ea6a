"""What readers share: a picture is encoded, a decoder writes its text."""

from typing import Any

from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int, UInt8


class ImageToText(nn.Module):
  """Base of networks from a picture to tokens.

  A subclass makes `decoder` in its `setup` and says how to `encode`.

  Attributes:
    config: sizes and choices; its `decoder` says whether layers are scanned.
  """

  config: Any

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
    if self.is_initializing():
      self.other_heads(encoded, mask)
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
    """The encoded picture, and where it holds something."""
    raise NotImplementedError

  def other_heads(
    self,
    encoded: Float[Array, "batch length embed"],
    mask: Bool[Array, "batch length"],
  ) -> None:
    """Calls what teacher forcing leaves out, for its parameters; nothing here.

    Args:
      encoded: from `encode`.
      mask: from `encode`.
    """

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
