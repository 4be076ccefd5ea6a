"""The objective of the VQ-VAE: pictures that their codes give back."""

from typing import Any, cast

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Num

from inksight_jax.models import code_metrics, losses, perception
from inksight_jax.models.sequence_to_sequence import (
  Key,
  Metrics,
  Params,
  SequenceToSequence,
  average,
)
from inksight_jax.networks import decoding, quantizers, vqvae

RECONSTRUCTIONS = ("mse", "l1")
# Pixels that differ from the paper by more than this share of the range of
# brightness are ink.
_INK = 0.25


class VQVAE(SequenceToSequence):
  """Objective of `networks.vqvae.VQVAE`.

  Cells of a canvas that hold nothing of its picture (`encoder_input_tokens` are
  the rows and columns that do) count nowhere.

  Attributes:
    num_codes: entries of the codebook.
    patch: side of the square of pixels that one code stands for.
  """

  def __init__(
    self,
    *args: Any,
    reconstruction: str = "mse",
    ink_weight: float = 1.0,
    paper: float | None = None,
    perceptual_weight: float = 0.0,
    **kwargs: Any,
  ) -> None:
    """Binds the network to its objective.

    Args:
      *args: of `SequenceToSequence`.
      reconstruction: "mse", or "l1" as for photographs: on sparse ink that
        settles on empty paper, the median of every pixel.
      ink_weight: of a pixel of ink in the reconstruction loss, against 1.
      paper: brightness of empty paper, -1 (black) to 1 (white); None where it
        varies: there are no metrics of ink then, and no weight.
      perceptual_weight: of what a reader no longer sees in the pictures
        (`perception.lost`); needs a network with one.
      **kwargs: of `SequenceToSequence`; those of token losses have no meaning.
    """
    super().__init__(*args, **kwargs)
    if reconstruction not in RECONSTRUCTIONS:
      raise ValueError(
        f"`reconstruction` must be one of {', '.join(RECONSTRUCTIONS)}; got "
        f"{reconstruction!r}."
      )
    if paper is None and ink_weight != 1.0:
      raise ValueError(
        f"`ink_weight` {ink_weight} without `paper`: say how bright empty "
        "paper is, -1 to 1."
      )
    if perceptual_weight and self.module.reader_config is None:
      raise ValueError(
        f"`perceptual_weight` {perceptual_weight} without a reader: include "
        "gin/weights/perceptual_reader.gin, or set it to 0."
      )
    self._reconstruction = reconstruction
    self._ink_weight = ink_weight
    self._paper = paper
    self._perceptual_weight = perceptual_weight

  @property
  def num_codes(self) -> int:
    """Entries of the codebook."""
    return self.module.config.quantizer.num_codes

  @property
  def patch(self) -> int:
    """Side of the square of pixels that one code stands for."""
    return self.module.config.patch

  def loss_normalizer(self, batch: losses.Batch) -> Float[Array, ""]:
    """Number of cells that hold some of a picture."""
    cells = self._cells(batch)
    return jnp.maximum(jnp.sum(cells.astype(jnp.float32)), 1.0)

  def loss_fn(
    self,
    params: Params,
    batch: losses.Batch,
    dropout_rng: Key,
    normalizer: Float[Array, ""] | None = None,
  ) -> tuple[Float[Array, ""], Metrics]:
    """Distance of pictures and of encodings from what the codes say.

    Args:
      params: of the network.
      batch: pictures `encoder_input_image`; `encoder_input_tokens` where they
        do not fill their canvases.
      dropout_rng: key of the codes' restarts; None for none of them.
      normalizer: cells of the whole batch where this is a part of it.
    """
    own = self.loss_normalizer(batch)
    total = own if normalizer is None else normalizer
    cells = self._cells(batch)
    pictures = self._pictures(batch)
    made, quantized = cast(
      tuple[Array, quantizers.Quantized],
      self._apply(
        params, pictures, cells, dropout_rng, own / total, method="reconstruct"
      ),
    )
    weights = self._weights(pictures, cells)
    error = made - pictures
    if self._reconstruction == "mse":
      lost = jnp.sum(jnp.square(error) * weights)
    else:
      lost = jnp.sum(jnp.abs(error) * weights)
    # A cell counts once, however large.
    lost = lost / (self.patch**2 * pictures.shape[-1])
    metrics: Metrics = {}
    compared = lost + quantized.loss
    if self._perceptual_weight:
      unseen = perception.lost(
        self.module.reader_config,
        params["reader"],
        jnp.asarray(batch["encoder_input_image"]),
        vqvae.from_range(made),
      )
      compared += self._perceptual_weight * unseen * own
      metrics["perceptual_loss"] = average(unseen * own, own)
    loss = compared / total + quantized.update
    metrics |= {
      "loss": average(compared, own),
      "reconstruction_loss": average(lost, own),
      "quantizer_loss": average(quantized.loss, own),
      "codes_used": code_metrics.CodesUsed.of(
        quantized.ids, cells, self.num_codes
      ),
      "perplexity": code_metrics.Perplexity.of(
        quantized.ids, cells, self.num_codes
      ),
      **self._distances(pictures, jnp.clip(made, -1.0, 1.0), cells),
    }
    return loss, metrics

  def predict_batch(
    self, params: Params, batch: losses.Batch, rng: Key = None
  ) -> Num[Array, "batch height width 3"]:
    """The pictures of a batch as their codes give them back, uint8."""
    del rng
    image = jnp.asarray(batch["encoder_input_image"])
    return self.decode_codes(params, self.encode_pictures(params, image))

  def score_batch(
    self, params: Params, batch: losses.Batch
  ) -> Float[Array, " batch"]:
    """Minus the mean squared error of each picture, pixels -1 to 1."""
    cells, pictures = self._cells(batch), self._pictures(batch)
    made, _ = self._apply(params, pictures, cells, method="reconstruct")
    counted = _pixels(cells, self.patch)
    squares = jnp.where(counted, jnp.square(made - pictures), 0.0)
    count = jnp.sum(counted, axis=(1, 2, 3)) * pictures.shape[-1]
    return -jnp.sum(squares, axis=(1, 2, 3)) / jnp.maximum(count, 1)

  def decode_batch(self, *args: Any, **kwargs: Any) -> decoding.Decoded:
    """Refuses: nothing is read here.

    Raises:
      ValueError: always.
    """
    del args, kwargs
    raise ValueError(
      "A VQ-VAE turns pictures into codes and reads none; tokenise a data set "
      "with it (`inksight-jax data tokenize`) and train a language model on "
      "the codes."
    )

  def encode_pictures(
    self, params: Params, image: Num[Array, "batch height width 3"]
  ) -> Int[Array, "batch rows columns"]:
    """Codes of canvases, pixels 0 to 255."""
    return self._apply(params, image, method="encode_pictures")

  def decode_codes(
    self, params: Params, codes: Int[Array, "batch rows columns"]
  ) -> Num[Array, "batch height width 3"]:
    """Canvases of codes, uint8."""
    return self._apply(params, codes, method="decode_codes")

  def _apply(self, params: Params, *args: Any, **kwargs: Any) -> Any:
    return self.module.apply({"params": params}, *args, **kwargs)

  def _cells(self, batch: losses.Batch) -> Bool[Array, "batch rows columns"]:
    covered = batch.get("encoder_input_tokens")
    return vqvae.covered_cells(
      jnp.asarray(batch["encoder_input_image"]),
      None if covered is None else jnp.asarray(covered),
      self.patch,
    )

  def _pictures(
    self, batch: losses.Batch
  ) -> Float[Array, "batch height width channels"]:
    image = jnp.asarray(batch["encoder_input_image"])
    return vqvae.to_range(image, self.module.config.channels)

  def _ink(
    self, pictures: Float[Array, "batch height width channels"]
  ) -> Bool[Array, "batch height width 1"]:
    """Which pixels are ink."""
    assert self._paper is not None
    grey = jnp.mean(pictures, axis=-1, keepdims=True)
    return jnp.abs(grey - self._paper) > 2.0 * _INK

  def _weights(
    self,
    pictures: Float[Array, "batch height width channels"],
    cells: Bool[Array, "batch rows columns"],
  ) -> Float[Array, "batch height width 1"]:
    """Weight of each pixel in the loss."""
    weights = _pixels(cells, self.patch).astype(jnp.float32)
    if self._paper is not None and self._ink_weight != 1.0:
      weights *= jnp.where(self._ink(pictures), self._ink_weight, 1.0)
    return weights

  def _distances(
    self,
    pictures: Float[Array, "batch height width channels"],
    made: Float[Array, "batch height width channels"],
    cells: Bool[Array, "batch rows columns"],
  ) -> Metrics:
    """Mean distances over all pixels that count, and over those of ink."""
    counted = _pixels(cells, self.patch)
    parts = {"": counted}
    if self._paper is not None:
      parts["_ink"] = counted & self._ink(pictures)
    error = made - pictures
    metrics: Metrics = {}
    for name, part in parts.items():
      count = jnp.sum(part) * pictures.shape[-1]
      metrics[f"l1{name}"] = average(
        jnp.sum(jnp.where(part, jnp.abs(error), 0.0)), count
      )
      metrics[f"psnr{name}"] = code_metrics.Decibels.of(
        jnp.sum(jnp.where(part, jnp.square(error), 0.0)), count
      )
    return metrics


def _pixels(
  cells: Bool[Array, "batch rows columns"], patch: int
) -> Bool[Array, "batch height width 1"]:
  """The pixels of cells."""
  rows = jnp.repeat(cells, patch, axis=1)
  return jnp.repeat(rows, patch, axis=2)[..., None]
