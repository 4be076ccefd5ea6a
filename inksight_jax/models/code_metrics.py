"""How much of a codebook is used, and how good pictures are, as clu metrics."""

from typing import Any

import jax.numpy as jnp
from clu import metrics as clu_metrics
from flax import struct
from jaxtyping import Array, Bool, Float, Int


@struct.dataclass
class CodeCounts(clu_metrics.Metric):
  """How often each code came; merges over batches, steps and processes.

  Attributes:
    counts: float32[codes].
  """

  counts: Any

  @classmethod
  def of(
    cls,
    ids: Int[Array, "batch rows columns"],
    mask: Bool[Array, "batch rows columns"],
    num_codes: int,
  ) -> "CodeCounts":
    """Counts codes of the cells that hold some of a picture."""
    counts = jnp.zeros((num_codes,), jnp.float32)
    weights = mask.reshape(-1).astype(jnp.float32)
    # Checkers cannot see the fields that `flax.struct` declares.
    make: Any = cls
    return make(counts=counts.at[ids.reshape(-1)].add(weights))

  def merge(self, other: Any) -> Any:
    """Counts of both."""
    make: Any = type(self)
    return make(counts=self.counts + other.counts)

  def compute(self) -> Float[Array, ""]:
    """See the subclasses."""
    raise NotImplementedError


@struct.dataclass
class CodesUsed(CodeCounts):
  """Share of the codes that came at all."""

  def compute(self) -> Float[Array, ""]:
    """0 to 1."""
    return jnp.mean((jnp.asarray(self.counts) > 0).astype(jnp.float32))


@struct.dataclass
class Perplexity(CodeCounts):
  """How many codes, all equally frequent, would be as hard to guess."""

  def compute(self) -> Float[Array, ""]:
    """1 to the number of codes."""
    counts = jnp.asarray(self.counts)
    shares = counts / jnp.maximum(jnp.sum(counts), 1.0)
    logs = jnp.log(jnp.where(shares > 0, shares, 1.0))
    return jnp.exp(-jnp.sum(shares * logs))


@struct.dataclass
class Decibels(clu_metrics.Metric):
  """Peak signal-to-noise ratio, from the mean square of the error.

  Pixels are -1 to 1, so the peak is 2.

  Attributes:
    total: sum of squares.
    count: how many.
  """

  total: Any
  count: Any

  @classmethod
  def of(cls, total: Array, count: Array) -> "Decibels":
    """From a sum of squares and how many there were."""
    make: Any = cls
    return make(
      total=jnp.asarray(total, jnp.float32),
      count=jnp.asarray(count, jnp.float32),
    )

  def merge(self, other: Any) -> Any:
    """Of both."""
    make: Any = type(self)
    return make(total=self.total + other.total, count=self.count + other.count)

  def compute(self) -> Float[Array, ""]:
    """10 log10(peak^2 / mean square), dB."""
    mean = self.total / jnp.maximum(self.count, 1.0)
    return 10.0 * jnp.log10(4.0 / jnp.maximum(mean, 1e-10))
