"""Pictures and texts as one sequence of tokens, predicted one by one.

The second stage of DALL-E (Ramesh et al. 2021, arXiv 2102.12092), with the text
behind the picture or before it: a decoder without an encoder, as large as GPT-2
(Radford et al. 2019) if wished. What is given stands in front, `prompt`, what
is to be written behind it.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int, Num

from inksight_jax.networks import layers, picture_places, transformer_decoder
from inksight_jax.networks.picture_grammar import PictureGrammar
from inksight_jax.networks.vqvae import VQVAE, VQVAEConfig


@dataclasses.dataclass(frozen=True)
class PictureLanguageModelConfig:
  """Sizes and choices of the whole network.

  Attributes:
    decoder: the language model.
    vqvae: what made the codes of the pictures, to be kept with the model: it is
      not trained here, and needed only where there are pixels. None for none.
    ids: which ids are those of pictures; needed for what follows.
    grid_positions: adds learned vectors of row and column to the tokens of
      pictures; the published model knows their place in the sequence alone.
    code_vectors: adds a linear map of the codebook's vectors, so that codes
      that look alike begin alike; the published model has to learn that.
  """

  decoder: transformer_decoder.DecoderConfig
  vqvae: VQVAEConfig | None = None
  ids: PictureGrammar | None = None
  grid_positions: bool = False
  code_vectors: bool = False

  def __post_init__(self) -> None:
    if self.decoder.cross_attention:
      raise ValueError(
        "A language model has nothing to attend to but its own sequence; set "
        "DecoderConfig.cross_attention to False."
      )
    if self.ids is None and (self.grid_positions or self.code_vectors):
      raise ValueError(
        "Rows, columns and vectors of codes need to know which ids are those "
        "of pictures; set PictureLanguageModelConfig.ids."
      )
    if self.vqvae is None and self.code_vectors:
      raise ValueError(
        "Vectors of codes come from the VQ-VAE that made them; set "
        "PictureLanguageModelConfig.vqvae, or `code_vectors` to False."
      )


class PictureLanguageModel(nn.Module):
  """The network; top-level parameters `decoder` and, if there is one, `vqvae`.

  Attributes:
    config: sizes and choices.
  """

  config: PictureLanguageModelConfig

  def setup(self) -> None:
    self.decoder = transformer_decoder.Decoder(self.config.decoder)
    if self.config.vqvae is not None:
      self.vqvae = VQVAE(self.config.vqvae)
    width = self.config.decoder.emb_dim
    if self.config.grid_positions and self.config.ids is not None:
      self.places = picture_places.PicturePlaces(
        self.config.ids, width, self.cache_batch_axis
      )
    if self.config.code_vectors:
      self.code_map = layers.Dense(
        width,
        ("code_width", "embed"),
        # Codes lie on the unit sphere: as large as the embeddings.
        kernel_init=nn.initializers.normal(stddev=0.02),
      )

  @property
  def cache_batch_axis(self) -> int:
    """Axis of the batch in the cache; scanned layers put theirs in front."""
    return 1 if self.config.decoder.scan_layers else 0

  def __call__(
    self,
    encoder_input_tokens: Int[Array, "batch prompt"],
    decoder_input_tokens: Int[Array, "batch targets"],
    decoder_target_tokens: Int[Array, "batch targets"] | None = None,
    *,
    enable_dropout: bool = True,
  ) -> Float[Array, "batch length vocab"]:
    """Logits of the token after each one of the whole sequence.

    Args:
      encoder_input_tokens: the prompt; T5X's name for what is given.
      decoder_input_tokens: the start symbol, then what is to be written but its
        last token.
      decoder_target_tokens: not read; T5X-shaped models hand it to every
        network.
      enable_dropout: whether to drop units; needs a `dropout` RNG.

    Returns:
      Logits, float32: as many as prompt and targets have tokens. The last one
      of the prompt is before the start symbol.
    """
    del decoder_target_tokens
    if self.is_initializing() and self.config.vqvae is not None:
      side = self.config.vqvae.patch
      self.vqvae(jnp.zeros((1, side, side, 3), jnp.uint8))
    sequence = jnp.concatenate(
      [encoder_input_tokens, decoder_input_tokens], axis=1
    )
    return self.decoder(
      None,
      None,
      sequence,
      deterministic=not enable_dropout,
      added=self._added(sequence, False),
    )

  def encode_pictures(
    self, image: Num[Array, "batch height width 3"]
  ) -> Int[Array, "batch rows columns"]:
    """Codes of pictures with pixels 0 to 255, each on its canvas."""
    return self._tokenizer().encode_pictures(image)

  def decode_codes(
    self, codes: Int[Array, "batch rows columns"]
  ) -> Num[Array, "batch height width 3"]:
    """Pictures of grids of codes, uint8."""
    return self._tokenizer().decode_codes(codes)

  def _tokenizer(self) -> VQVAE:
    if self.config.vqvae is None:
      raise ValueError(
        "This model was trained without the VQ-VAE that made its codes, so it "
        "knows no pixels; set PictureLanguageModelConfig.vqvae, and "
        "INITIAL_WEIGHTS to its parameters."
      )
    return self.vqvae

  def encode(
    self,
    encoder_input_tokens: Int[Array, "batch prompt"],
    *,
    enable_dropout: bool = False,
  ) -> tuple[Int[Array, "batch prompt"], Bool[Array, "batch prompt"]]:
    """The prompt as it is, and which of it is no padding: nothing to encode."""
    del enable_dropout
    return encoder_input_tokens, encoder_input_tokens != 0

  def decode(
    self,
    encoded: Int[Array, "batch prompt"] | None,
    encoder_mask: Bool[Array, "batch prompt"] | None,
    decoder_input_tokens: Int[Array, "batch targets"],
    decoder_target_tokens: Int[Array, "batch targets"] | None = None,
    *,
    enable_dropout: bool = False,
    decode: bool = False,
    max_decode_length: int | None = None,
  ) -> Float[Array, "batch targets vocab"]:
    """Logits of the token after each input token; see `InkSight.decode`.

    Args:
      encoded: the prompt, which is read in one pass; None to go on from the
        cache.
      encoder_mask: not read; the decoder knows padding by its id.
      decoder_input_tokens: tokens behind the prompt, or the newest.
      decoder_target_tokens: not read.
      enable_dropout: whether to drop units.
      decode: keep keys and values in the collection `cache`.
      max_decode_length: tokens to make room for behind the prompt.
    """
    del encoder_mask, decoder_target_tokens
    sequence, room = decoder_input_tokens, max_decode_length
    if encoded is not None:
      sequence = jnp.concatenate([encoded, decoder_input_tokens], axis=1)
      if room is not None:
        room += encoded.shape[1]
    return self.decoder(
      None,
      None,
      sequence,
      deterministic=not enable_dropout,
      decode=decode,
      max_decode_length=room,
      num_logits=decoder_input_tokens.shape[1],
      added=self._added(sequence, decode),
    )

  def _added(
    self, tokens: Int[Array, "batch length"], decode: bool
  ) -> Float[Array, "batch length embed"] | None:
    """What is known of tokens of pictures beside their ids."""
    cfg, added = self.config, None
    if cfg.grid_positions:
      added = self.places(tokens, decode=decode)
    if cfg.code_vectors and cfg.ids is not None:
      codes = jnp.clip(tokens - cfg.ids.first_code, 0, cfg.ids.num_codes - 1)
      vectors = self._tokenizer().code_vectors(codes[:, None])[:, 0]
      mapped = self.code_map(jax.lax.stop_gradient(vectors))
      known = picture_places.is_code(cfg.ids, tokens)
      mapped = jnp.where(known[..., None], mapped, 0.0)
      added = mapped if added is None else added + mapped
    return added
