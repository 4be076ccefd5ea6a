"""From vectors to a finite set of codes: three ways to learn the set.

All stand between an encoder and a decoder, pass the decoder's gradient on to
the encoder as if nothing had been rounded, and leave padding out of what they
learn from. Codes of the two codebooks lie on the unit sphere (ViT-VQGAN, Yu et
al. 2022, arXiv 2110.04627).
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from inksight_jax.networks import layers

# So that the outermost levels of `FiniteScalar` are reached at all.
_FSQ_MARGIN = 1e-3


@dataclasses.dataclass(frozen=True)
class GradientCodebookConfig:
  """Codes that are parameters like any other.

  Attributes:
    num_codes: entries of the book.
    width: numbers of a code.
    commitment: weight of what pulls encodings to their codes; what pulls codes
      to their encodings has weight 1 (VQ-VAE, van den Oord et al. 2017, beta).
    stop_gradients: False for one distance that pulls both at equal weight: a
      control, which leaves most of a large book unused.
  """

  num_codes: int = 16384
  width: int = 32
  commitment: float = 0.25
  stop_gradients: bool = True

  def build(self) -> nn.Module:
    """The quantizer."""
    return GradientCodebook(self)


@dataclasses.dataclass(frozen=True)
class AverageCodebookConfig:
  """Codes that are moving averages of the encodings that they stand for.

  Attributes:
    num_codes: entries of the book.
    width: numbers of a code.
    commitment: weight of what pulls encodings to their codes.
    decay: of the averages; the optimiser of the book must be
      `optimizers.follow` with the same decay.
    restart_below: a code whose averaged count falls below this share of the
      mean becomes a random encoding of the batch; 0 for never, not even to
      begin with.
  """

  num_codes: int = 16384
  width: int = 32
  commitment: float = 0.25
  decay: float = 0.99
  restart_below: float = 0.1

  def __post_init__(self) -> None:
    if not 0.0 < self.decay < 1.0 or not 0.0 <= self.restart_below < 1.0:
      raise ValueError(
        f"`decay` {self.decay} must lie in (0, 1) and `restart_below` "
        f"{self.restart_below} in [0, 1)."
      )

  def build(self) -> nn.Module:
    """The quantizer."""
    return AverageCodebook(self)


@dataclasses.dataclass(frozen=True)
class FiniteScalarConfig:
  """Codes that are the points of a fixed grid (FSQ).

  Attributes:
    levels: values of each number of a code; their product is the number of
      codes.
  """

  levels: tuple[int, ...] = (8, 8, 8, 6, 5)

  def __post_init__(self) -> None:
    object.__setattr__(self, "levels", tuple(self.levels))
    if not self.levels or min(self.levels) < 2:
      raise ValueError(
        f"`levels` {self.levels}: give each number of a code 2 values or more."
      )

  @property
  def num_codes(self) -> int:
    """Points of the grid."""
    return math.prod(self.levels)

  @property
  def width(self) -> int:
    """Numbers of a code."""
    return len(self.levels)

  def build(self) -> nn.Module:
    """The quantizer."""
    return FiniteScalar(self)


QuantizerConfig = (
  GradientCodebookConfig | AverageCodebookConfig | FiniteScalarConfig
)


class Quantized(NamedTuple):
  """What a quantizer makes of encodings.

  Attributes:
    vectors: float32[batch, rows, columns, width] of the codes; their gradient
      is passed on to the encodings.
    ids: int32[batch, rows, columns].
    loss: sum over the cells that count of the squared distances, averaged over
      the width, each weighted as configured.
    update: 0, with the gradient that moves the averages of a codebook.
  """

  vectors: Array
  ids: Array
  loss: Array
  update: Array


class GradientCodebook(nn.Module):
  """See `GradientCodebookConfig`."""

  config: GradientCodebookConfig

  def setup(self) -> None:
    cfg = self.config
    self.codes = layers.param_with_axes(
      "codes",
      nn.initializers.normal(stddev=1.0),
      (cfg.num_codes, cfg.width),
      jnp.float32,
      axes=("codes", "code_width"),
    )

  def __call__(
    self,
    encodings: Float[Array, "batch rows columns width"],
    mask: Bool[Array, "batch rows columns"],
    key: PRNGKeyArray | Array | None = None,
    share: Float[Array, ""] | float = 1.0,
  ) -> Quantized:
    """Quantizes.

    Args:
      encodings: any length; only their direction counts.
      mask: cells that hold some of a picture; the others do not count.
      key: not read.
      share: not read.
    """
    del key, share
    cfg = self.config
    codes = unit(self.codes)
    encodings = unit(encodings)
    ids = nearest(encodings, codes)
    chosen = codes[ids]
    fixed = jax.lax.stop_gradient
    if cfg.stop_gradients:
      loss = _distance(fixed(encodings), chosen, mask)
      loss += cfg.commitment * _distance(encodings, fixed(chosen), mask)
    else:
      loss = _distance(encodings, chosen, mask)
    return Quantized(
      straight_through(encodings, chosen), ids, loss, jnp.float32(0.0)
    )

  def lookup(
    self, ids: Int[Array, "batch rows columns"]
  ) -> Float[Array, "batch rows columns width"]:
    """Vectors of codes."""
    return unit(self.codes)[ids]


class AverageCodebook(nn.Module):
  """See `AverageCodebookConfig`.

  Parameters `counts` and `sums` are averages over batches of how many encodings
  a code got and of their sum (VQ-VAE, appendix A.1). They follow the batches
  through their gradients: `update` gives each the gradient "own value minus
  that of this batch", and gradient descent with rate 1 - decay is the average.
  So they are parameters like any other to the loop, to checkpoints and to T5X,
  add up over microbatches, and are reduced over devices as gradients are.

  All counts begin at zero: in the first step the whole book is restarted, that
  is, becomes encodings of the first batch.
  """

  config: AverageCodebookConfig

  def setup(self) -> None:
    cfg = self.config
    self.counts = layers.param_with_axes(
      "counts",
      nn.initializers.zeros_init(),
      (cfg.num_codes,),
      jnp.float32,
      axes=("codes",),
    )
    self.sums = layers.param_with_axes(
      "sums",
      nn.initializers.normal(stddev=1.0),
      (cfg.num_codes, cfg.width),
      jnp.float32,
      axes=("codes", "code_width"),
    )

  def __call__(
    self,
    encodings: Float[Array, "batch rows columns width"],
    mask: Bool[Array, "batch rows columns"],
    key: PRNGKeyArray | Array | None = None,
    share: Float[Array, ""] | float = 1.0,
  ) -> Quantized:
    """Quantizes, and counts.

    Args:
      encodings: any length; only their direction counts.
      mask: cells that hold some of a picture; the others do not count.
      key: of the restarts; None for none of them.
      share: of the whole batch, by cells, where this is a part of it.
    """
    fixed = jax.lax.stop_gradient
    codes = unit(fixed(self.sums))
    encodings = unit(encodings)
    ids = nearest(encodings, codes)
    chosen = codes[ids]
    loss = self.config.commitment * _distance(encodings, chosen, mask)
    update = self._update(fixed(encodings), ids, mask, key, share)
    return Quantized(straight_through(encodings, chosen), ids, loss, update)

  def lookup(
    self, ids: Int[Array, "batch rows columns"]
  ) -> Float[Array, "batch rows columns width"]:
    """Vectors of codes."""
    return unit(self.sums)[ids]

  def _update(
    self,
    encodings: Float[Array, "batch rows columns width"],
    ids: Int[Array, "batch rows columns"],
    mask: Bool[Array, "batch rows columns"],
    key: PRNGKeyArray | Array | None,
    share: Float[Array, ""] | float,
  ) -> Float[Array, ""]:
    cfg = self.config
    counts, sums = (jax.lax.stop_gradient(x) for x in (self.counts, self.sums))
    flat = encodings.reshape(-1, cfg.width)
    weights = mask.reshape(-1).astype(jnp.float32)
    places = ids.reshape(-1)
    got = jnp.zeros_like(counts).at[places].add(weights)
    added = jnp.zeros_like(sums).at[places].add(weights[:, None] * flat)
    slope, slopes = share * counts - got, share * sums - added
    if key is not None and cfg.restart_below > 0:
      mean = jnp.sum(weights) / share / cfg.num_codes
      dead = counts <= cfg.restart_below * mean
      fresh = mean * _draw(flat, weights, key, cfg.num_codes)
      # Undone by the rate 1 - decay: a restarted code is at once where it goes.
      factor = share / (1.0 - cfg.decay)
      slope = jnp.where(dead, factor * (counts - mean), slope)
      slopes = jnp.where(dead[:, None], factor * (sums - fresh), slopes)
    return _pull(self.counts, slope) + _pull(self.sums, slopes)


class FiniteScalar(nn.Module):
  """See `FiniteScalarConfig`; has no parameters and no loss of its own.

  Source: Mentzer et al. (2023), arXiv 2309.15505.
  """

  config: FiniteScalarConfig

  def __call__(
    self,
    encodings: Float[Array, "batch rows columns width"],
    mask: Bool[Array, "batch rows columns"],
    key: PRNGKeyArray | Array | None = None,
    share: Float[Array, ""] | float = 1.0,
  ) -> Quantized:
    """Rounds each number to one of its levels.

    Args:
      encodings: unbounded.
      mask: not read, as nothing is learned.
      key: not read.
      share: not read.
    """
    del mask, key, share
    levels = jnp.asarray(self.config.levels, jnp.float32)
    half = (levels - 1.0) * (1.0 + _FSQ_MARGIN) / 2.0
    # An even number of levels is not symmetric around a level.
    offset = jnp.where(levels % 2 == 0, 0.5, 0.0)
    shift = jnp.arctanh(offset / half)
    bounded = jnp.tanh(encodings + _along(shift)) * _along(half) - _along(
      offset
    )
    digits = jnp.round(bounded)
    radius = levels // 2
    ids = jnp.einsum(
      "brcw,w->brc",
      (digits + _along(radius)).astype(jnp.int32),
      jnp.asarray(self._basis, jnp.int32),
    )
    vectors = straight_through(bounded, digits) / _along(radius)
    zero = jnp.float32(0.0)
    return Quantized(vectors, ids, zero, zero)

  def lookup(
    self, ids: Int[Array, "batch rows columns"]
  ) -> Float[Array, "batch rows columns width"]:
    """Vectors of codes."""
    levels = jnp.asarray(self.config.levels, jnp.int32)
    basis = jnp.asarray(self._basis, jnp.int32)
    digits = ids[..., None] // _along(basis) % _along(levels)
    radius = levels // 2
    return (digits - _along(radius)) / _along(radius).astype(jnp.float32)

  @property
  def _basis(self) -> tuple[int, ...]:
    """Value of one step of each number in an id."""
    levels = self.config.levels
    return tuple(math.prod(levels[:place]) for place in range(len(levels)))


def unit(x: Float[Array, "... width"]) -> Float[Array, "... width"]:
  """Vectors at length 1."""
  return x * jax.lax.rsqrt(jnp.sum(jnp.square(x), -1, keepdims=True) + 1e-12)


def nearest(
  encodings: Float[Array, "batch rows columns width"],
  codes: Float[Array, "codes width"],
) -> Int[Array, "batch rows columns"]:
  """The code with the greatest cosine; both of length 1. No gradient."""
  encodings, codes = jax.lax.stop_gradient((encodings, codes))
  cosines = jnp.einsum("brcw,kw->brck", encodings, codes)
  return jnp.argmax(cosines, axis=-1).astype(jnp.int32)


def straight_through(
  x: Float[Array, "batch rows columns width"],
  rounded: Float[Array, "batch rows columns width"],
) -> Float[Array, "batch rows columns width"]:
  """`rounded`, with the gradient of `x` (Bengio et al. 2013)."""
  return x + jax.lax.stop_gradient(rounded - x)


def _distance(
  one: Float[Array, "batch rows columns width"],
  other: Float[Array, "batch rows columns width"],
  mask: Bool[Array, "batch rows columns"],
) -> Float[Array, ""]:
  """Mean square over the width, summed over the cells that count."""
  squares = jnp.mean(jnp.square(one - other), axis=-1)
  return jnp.sum(jnp.where(mask, squares, 0.0))


def _draw(
  vectors: Float[Array, "cells width"],
  weights: Float[Array, " cells"],
  key: PRNGKeyArray | Array,
  count: int,
) -> Float[Array, "count width"]:
  """Random vectors among those with a weight."""
  # Those with a weight come first.
  order = jnp.argsort(weights <= 0)
  places = jax.random.uniform(key, (count,)) * jnp.sum(weights > 0)
  return vectors[order[places.astype(jnp.int32)]]


def _pull(parameter: Array, slope: Array) -> Float[Array, ""]:
  """0, with this gradient."""
  fixed = jax.lax.stop_gradient
  return jnp.sum((parameter - fixed(parameter)) * fixed(slope))


def _along(values: Array) -> Any:
  """One value for each number of a code, ready to meet grids of codes."""
  return values[None, None, None, :]
