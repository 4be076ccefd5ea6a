"""Multi-head attention with a key/value cache.

Keys and values are cached as [batch * heads, length, kv]: batch and heads lead,
so that a decode step is a batch of plain matrix-vector products on every
backend, and no copy of the cache is made to reorder it. They are one axis
because XLA drops a batch of one on the way to such a product, and then writes
and copies each cache once for either form.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Initializer
from jaxtyping import Array, Bool, Float, Int

from inksight_jax.networks import attention_kernels, fused_attention, layers

Bias = Float[Array, "#batch heads queries keys"] | Float[Array, "heads offsets"]


def dot_product_attention(
  query: Float[Array, "batch heads queries kv"],
  key: Float[Array, "*batch keys kv"],
  value: Float[Array, "*batch keys kv"],
  mask: Bool[Array, "#batch #heads #queries keys"] | None,
  bias: Bias | None,
  dropout: nn.Dropout,
  *,
  causal: bool = False,
  fused: bool = False,
) -> Float[Array, "batch heads queries kv"]:
  """Attention of Vaswani et al. (2017), logits and softmax in float32.

  Args:
    query: queries, already scaled where scaling is wanted.
    key: keys, [batch, heads, keys, kv], or as caches are, [batch * heads, keys,
      kv].
    value: values, in either form, averaged in their own type.
    mask: True where a query may look, None for everywhere; the same for all
      heads where `fused`.
    bias: float32 added to the logits before masking, by query and key, or
      where `fused` by their offset alone.
    dropout: applied to the attention weights; one mask for all queries.
    causal: whether queries see no key behind their own position.
    fused: whether to run as one kernel; see `fused_attention.usable`.
  """
  # One number per key: all queries drop the same.
  kept = None
  if dropout.rate and not dropout.deterministic:
    ones = jnp.ones((*value.shape[:-2], 1, value.shape[-2]), jnp.float32)
    kept = dropout(ones)
  if fused:
    joined = fused_attention.attend(
      _join_heads(query),
      _join_heads(key),
      _join_heads(value),
      None if mask is None else mask[:, 0],
      bias,
      None if kept is None else kept[:, :, 0],
      head_dim=query.shape[-1],
      causal=causal,
    )
    return _split_heads(joined, query.shape[1])
  if kept is not None:
    # A weight that all queries drop is a value that nobody reads: the same
    # numbers for a product with keys instead of one with queries times keys.
    value = (value * jnp.swapaxes(kept, -1, -2)).astype(value.dtype)
  logits = jnp.einsum(
    "...qd,...kd->...qk",
    query.reshape(*key.shape[:-2], *query.shape[2:]),
    key,
    preferred_element_type=jnp.float32,
  ).reshape(*query.shape[:3], key.shape[-2])
  if bias is not None:
    logits += bias
  if causal:
    past = _past(*logits.shape[2:])
    mask = past if mask is None else mask & past
  if mask is not None:
    logits = jnp.where(mask, logits, attention_kernels.MASKED)
  weights = jax.nn.softmax(logits, axis=-1).astype(value.dtype)
  weights = weights.reshape(*value.shape[:-2], *weights.shape[2:])
  attended = jnp.einsum("...qk,...kd->...qd", weights, value)
  return attended.reshape(query.shape)


def _past(queries: int, keys: int) -> Bool[Array, "1 1 queries keys"]:
  past = jnp.arange(keys)[None, :] <= jnp.arange(queries)[:, None]
  return past[None, None]


def _split_heads(
  joined: Float[Array, "batch length joined"], num_heads: int
) -> Float[Array, "batch heads length kv"]:
  heads = joined.reshape(*joined.shape[:2], num_heads, -1)
  return jnp.swapaxes(heads, 1, 2)


def _join_heads(
  heads: Float[Array, "batch heads length kv"],
) -> Float[Array, "batch length joined"]:
  swapped = jnp.swapaxes(heads, 1, 2)
  return swapped.reshape(*swapped.shape[:2], -1)


class _Attention(nn.Module):
  """Projections common to self- and cross-attention.

  Attributes:
    num_heads: number of heads.
    head_dim: size of each head.
    dropout_rate: dropout of the attention weights, one mask for all queries.
    deterministic: disables dropout.
    use_bias: biases on all four projections.
    query_scale: multiplies the queries; 1 in T5, which puts it in the init.
    query_init: initializer of the query kernel.
    kernel_init: initializer of the other kernels.
    dtype: computation type.
    causal: whether queries see no key behind their own position, besides what a
      mask hides; for whole sequences, without a cache.
    fused: whether to run as one kernel; see `fused_attention.usable`.
  """

  num_heads: int
  head_dim: int
  dropout_rate: float
  deterministic: bool
  use_bias: bool = False
  query_scale: float = 1.0
  query_init: Initializer = nn.initializers.xavier_uniform()
  kernel_init: Initializer = nn.initializers.xavier_uniform()
  dtype: str = "float32"
  causal: bool = False
  fused: bool = False

  def _project(
    self, names: Sequence[str], inputs: Float[Array, "batch length embed"]
  ) -> list[Float[Array, "batch heads length kv"]]:
    """Queries, keys or values of `inputs`, in the order of their names."""
    projections = [
      layers.Dense(
        self.num_heads * self.head_dim,
        ("embed", "joined_kv"),
        use_bias=self.use_bias,
        dtype=self.dtype,
        kernel_init=self.query_init if name == "query" else self.kernel_init,
        name=name,
      )
      for name in names
    ]
    return [
      _split_heads(projected, self.num_heads)
      for projected in layers.project(self, projections, inputs)
    ]

  def _attend(
    self,
    query: Float[Array, "batch heads queries kv"],
    key: Float[Array, "*batch keys kv"],
    value: Float[Array, "*batch keys kv"],
    mask: Bool[Array, "#batch #heads #queries keys"] | None,
    bias: Bias | None,
    features: int,
  ) -> Float[Array, "batch queries embed"]:
    """Attends, and maps what the heads found to `features`."""
    dropout = layers.broadcast_dropout(self.dropout_rate, self.deterministic)
    attended = dot_product_attention(
      query * self.query_scale,
      key,
      value,
      mask,
      bias,
      dropout,
      causal=self.causal,
      fused=self.fused,
    )
    return layers.Dense(
      features,
      ("joined_kv", "embed"),
      use_bias=self.use_bias,
      dtype=self.dtype,
      kernel_init=self.kernel_init,
      name="out",
    )(_join_heads(attended))


class SelfAttention(_Attention):
  """Attention of a sequence to itself, optionally through a cache."""

  @nn.compact
  def __call__(
    self,
    inputs: Float[Array, "batch queries embed"],
    mask: Bool[Array, "#batch #heads #queries keys"] | None = None,
    bias: Bias | None = None,
    *,
    cache_index: Int[Array, ""] | None = None,
    cache_length: int | None = None,
  ) -> Float[Array, "batch queries embed"]:
    """Attends; with `cache_index`, writes to and reads from the cache.

    Args:
      inputs: the sequence, or its newest positions when cached.
      mask: True where a query may look; over the whole cache when cached.
      bias: added to the logits, by query and key, or where `fused` by offset.
      cache_index: position of the first of `inputs` in the cache. Positions
        before it must have been written, those after must be masked.
      cache_length: size of the cache; needed only where it is created.
    """
    query, key, value = self._project(("query", "key", "value"), inputs)
    if cache_index is not None:
      key = self._write("cached_key", key, cache_index, cache_length)
      value = self._write("cached_value", value, cache_index, cache_length)
    return self._attend(query, key, value, mask, bias, inputs.shape[-1])

  def _write(
    self,
    name: str,
    new: Float[Array, "batch heads new kv"],
    index: Int[Array, ""],
    cache_length: int | None,
  ) -> Float[Array, "entries length kv"]:
    if not self.has_variable("cache", name):
      if cache_length is None or cache_length < new.shape[2]:
        raise ValueError(
          f"A cache for {new.shape[2]} positions cannot be created with length "
          f"{cache_length}; pass a `max_decode_length` that holds the prompt "
          "and everything decoded after it."
        )
      shape = (new.shape[0] * new.shape[1], cache_length, new.shape[3])
      self.put_variable("cache", name, jnp.zeros(shape, new.dtype))
    cached = jax.lax.dynamic_update_slice_in_dim(
      self.get_variable("cache", name),
      new.reshape(-1, *new.shape[2:]),
      index,
      axis=1,
    )
    self.put_variable("cache", name, cached)
    return cached


class CrossAttention(_Attention):
  """Attention of a sequence to another, whose keys and values are kept."""

  @nn.compact
  def __call__(
    self,
    inputs: Float[Array, "batch queries embed"],
    encoded: Float[Array, "batch keys features"] | None,
    encoded_mask: Bool[Array, "batch *queries keys"] | None,
    *,
    decode: bool = False,
  ) -> Float[Array, "batch queries embed"]:
    """Attends to `encoded`; with `decode`, its projections are cached.

    Args:
      inputs: queries.
      encoded: what is attended to; None to use what an earlier call cached.
      encoded_mask: True where `encoded` holds something, or, with an axis of
        queries, where it holds something for that query.
      decode: stores keys, values and mask in the collection `cache`, under
        names starting with `cross_`: equal for all hypotheses of an example.
    """
    if encoded is not None and encoded_mask is not None:
      key, value = self._project(("key", "value"), encoded)
      if decode:
        self.put_variable("cache", "cross_key", key)
        self.put_variable("cache", "cross_value", value)
        self.put_variable("cache", "cross_mask", encoded_mask)
    elif decode and self.has_variable("cache", "cross_key"):
      key = self.get_variable("cache", "cross_key")
      value = self.get_variable("cache", "cross_value")
      encoded_mask = self.get_variable("cache", "cross_mask")
    else:
      raise ValueError(
        "`encoded` or its mask is None and nothing is cached; the first call "
        "with decode=True must be given the encoded inputs."
      )
    mask = jnp.asarray(encoded_mask)
    mask = mask[:, None] if mask.ndim == 3 else mask[:, None, None]
    (query,) = self._project(("query",), inputs)
    return self._attend(query, key, value, mask, None, inputs.shape[-1])


class CachedDecoder(nn.Module):
  """What decoders with a key/value cache share: where they are in the text.

  Their layers, named `layers_0` and so on or, scanned, `layers`, each have a
  `SelfAttention` named `self_attention`.
  """

  def positions(
    self,
    num_new: int,
    starts: bool,
    decode: bool,
    max_decode_length: int | None,
  ) -> tuple[Int[Array, ""], int]:
    """Position of the first new token, and number of keys it may look at.

    Args:
      num_new: tokens of this call.
      starts: whether the call is given the encoded inputs, and so starts anew.
      decode: whether to count in the collection `cache`; without, all tokens
        come at once.
      max_decode_length: positions to make room for where a text starts.

    Raises:
      ValueError: a text goes on and none was started.
    """
    first = jnp.zeros((), jnp.int32)
    if not decode:
      return first, num_new
    if starts:
      num_keys = max_decode_length or num_new
    elif not self.has_variable("cache", "cache_index"):
      raise ValueError(
        "`encoded` is None and nothing is cached; the first call with "
        "decode=True must be given the encoded inputs."
      )
    else:
      first = self.get_variable("cache", "cache_index")
      num_keys = self._cached_length()
    self.put_variable("cache", "cache_index", first + num_new)
    return first, num_keys

  def _cached_length(self) -> int:
    cache = self.variables["cache"]
    layer = cache["layers" if "layers" in cache else "layers_0"]
    return layer["self_attention"]["cached_key"].shape[-2]
