"""Pictures of words, lines or pages to characters (Singh & Karayev 2021).

A ResNet encodes the page, a Transformer decoder writes the text character by
character, line breaks among them; nothing is segmented. Source: arXiv
2103.06450. A second head on the encoder, frame by frame, may help it to begin
(CTC, as OrigamiNet and SPAN train theirs).
"""

import dataclasses

from jaxtyping import Array, Bool, Float, Int, UInt8

from inksight_jax.networks import (
  image_to_text,
  layers,
  mt5,
  resnet,
  transformer_decoder,
)


@dataclasses.dataclass(frozen=True)
class PageReaderConfig:
  """Sizes and choices of the whole network.

  Attributes:
    resnet: image encoder.
    decoder: text decoder; the type says which, absolute or relative positions.
    frame_vocab_size: ids of the second head, CTC's blank included; 0 for none.
  """

  resnet: resnet.ResNetConfig
  decoder: transformer_decoder.DecoderConfig | mt5.MT5Config
  frame_vocab_size: int = 0


class PageReader(image_to_text.ImageToText):
  """The network; top-level parameters `image_encoder`, `decoder` and, where
  they are needed, `token_embedder`, `image_projection` and `frame_logits`.

  Attributes:
    config: sizes and choices.
  """

  config: PageReaderConfig

  def setup(self) -> None:
    cfg = self.config
    self.image_encoder = resnet.ResNet(cfg.resnet)
    if cfg.resnet.width != cfg.decoder.emb_dim:
      self.image_projection = layers.Dense(
        cfg.decoder.emb_dim, ("image_embed", "embed"), dtype=cfg.decoder.dtype
      )
    if cfg.frame_vocab_size:
      self.frame_logits = layers.Dense(
        cfg.frame_vocab_size,
        ("embed", "vocab"),
        use_bias=True,
        dtype=cfg.decoder.dtype,
        output_dtype="float32",
      )
    if isinstance(cfg.decoder, mt5.MT5Config):
      self.token_embedder = mt5.token_embedder(cfg.decoder)
      self.decoder = mt5.Decoder(cfg.decoder, self.token_embedder)
    else:
      self.decoder = transformer_decoder.Decoder(cfg.decoder)

  def encode(
    self,
    encoder_input_image: UInt8[Array, "batch height width channels"],
    *,
    enable_dropout: bool = False,
  ) -> tuple[Float[Array, "batch cells embed"], Bool[Array, "batch cells"]]:
    """Encodes the cells of a page, row by row; True where they are on it.

    Args:
      encoder_input_image: pixels 0 to 255; the page in the top left corner.
      enable_dropout: whether to drop units.
    """
    embeddings, mask = self.image_encoder(
      encoder_input_image, deterministic=not enable_dropout
    )
    if self.config.resnet.width != self.config.decoder.emb_dim:
      embeddings = self.image_projection(embeddings)
    return embeddings.astype(self.config.decoder.dtype), mask

  def other_heads(
    self,
    encoded: Float[Array, "batch cells embed"],
    mask: Bool[Array, "batch cells"],
  ) -> None:
    """Calls the second head, if there is one."""
    if self.config.frame_vocab_size:
      self.frames(encoded, mask)

  def frames(
    self,
    encoded: Float[Array, "batch cells embed"],
    mask: Bool[Array, "batch cells"],
  ) -> tuple[Float[Array, "batch cells vocab"], Bool[Array, "batch cells"]]:
    """Logits, float32, of each cell for CTC, and which of them are on the page.

    Cells stand in reading order: the rows of the grid one after another.
    """
    return self.frame_logits(encoded), mask

  def read_with_frames(
    self,
    encoder_input_image: UInt8[Array, "batch height width channels"],
    decoder_input_tokens: Int[Array, "batch targets"],
    *,
    enable_dropout: bool = True,
  ) -> tuple[
    Float[Array, "batch targets vocab"],
    Float[Array, "batch cells frame_vocab"],
    Bool[Array, "batch cells"],
  ]:
    """Logits of both heads from one encoding, and the mask of the cells."""
    encoded, mask = self.encode(
      encoder_input_image, enable_dropout=enable_dropout
    )
    logits = self.decode(
      encoded, mask, decoder_input_tokens, enable_dropout=enable_dropout
    )
    return logits, *self.frames(encoded, mask)
