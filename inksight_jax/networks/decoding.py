"""Greedy, sampled and beam decoding: one loop over one step function."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from inksight_jax.networks import decoding_cache, layers
from inksight_jax.networks.decoding_cache import Cache, Size

PAD_ID = 0

# Score of hypotheses that must not be chosen; finite, so that differences and
# products with it never give NaN.
_IMPOSSIBLE = -1e9

# Positions of the cache to begin with. Most answers are short: InkSight's words
# have 150 tokens and may have 1,024.
_FIRST_CACHE_LENGTH = 256

Step = Callable[[Array, Cache], tuple[Array, Cache]]
LogitTransform = Callable[[Array, Array, Array], Array]


@dataclasses.dataclass(frozen=True)
class DecodeConfig:
  """How to decode.

  Attributes:
    max_length: tokens to decode at most, EOS included.
    method: "greedy", "sample" or "beam".
    num_decodes: samples or beams per example; 1 for greedy.
    temperature: divides the logits of sampling.
    top_k: sample among this many best tokens; 0 for all.
    length_penalty: alpha of Wu et al. (2016), equation 14: beams are compared
      by log-probability / ((5 + length) / 6) ** alpha.
    eos_id: token that ends a hypothesis.
  """

  max_length: int
  method: str = "greedy"
  num_decodes: int = 1
  temperature: float = 1.0
  top_k: int = 0
  length_penalty: float = 0.6
  eos_id: int = 1

  def __post_init__(self) -> None:
    layers.check_choice("method", self.method, _SELECT)
    if self.max_length < 1 or self.num_decodes < 1 or self.top_k < 0:
      raise ValueError(
        f"Decoding needs max_length >= 1, num_decodes >= 1 and top_k >= 0; got "
        f"{self.max_length}, {self.num_decodes} and {self.top_k}."
      )
    if self.temperature <= 0:
      raise ValueError(
        f"`temperature` must be positive; got {self.temperature}. For the "
        'limit of 0 set method="greedy".'
      )
    if self.method == "greedy" and self.num_decodes != 1:
      raise ValueError(
        f"Greedy decoding gives one result, num_decodes is {self.num_decodes}; "
        'set method="beam" or "sample".'
      )

  @property
  def cache_lengths(self) -> tuple[int, ...]:
    """Tokens that the cache has room for, one length after the other.

    A step reads all of the cache, so `decode` lets it grow with the texts. Each
    length is a loop to compile.
    """
    lengths, length = [], _FIRST_CACHE_LENGTH
    while 3 * length <= 2 * self.max_length:
      lengths.append(length)
      length *= 2
    return (*lengths, self.max_length)


def forbid_end(min_length: int, eos_id: int = 1) -> LogitTransform:
  """A `logit_transform` without EOS before `min_length` other tokens."""

  def transform(logits: Array, tokens: Array, index: Array) -> Array:
    del tokens
    is_end = (jnp.arange(logits.shape[-1]) == eos_id)[None, :]
    return jnp.where(is_end & (index < min_length), _IMPOSSIBLE, logits)

  return transform


class Decoded(NamedTuple):
  """Decoded hypotheses, the best of each example first.

  Attributes:
    tokens: ids, EOS included where there is one, then PAD (0).
    log_probs: log-probability of each token under the model (untempered,
      after `logit_transform`); 0 at padding.
    scores: sum of log_probs, for beams divided by the length penalty.
    lengths: tokens, EOS included.
  """

  tokens: Int[Array, "batch decodes length"]
  log_probs: Float[Array, "batch decodes length"]
  scores: Float[Array, "batch decodes"]
  lengths: Int[Array, "batch decodes"]


class _Hypotheses(NamedTuple):
  """Loop state of all hypotheses, [batch, decodes, ...]."""

  tokens: Array
  log_probs: Array
  total: Array
  lengths: Array
  done: Array


# Hypotheses, their cache, and how many tokens each has.
_State = tuple[_Hypotheses, Cache, Array]


class _Choice(NamedTuple):
  """What each hypothesis becomes, all [batch, decodes]."""

  parents: Array | None
  tokens: Array


def decode(
  step: Step,
  prompt_logits: Float[Array, "batch vocab"],
  cache: Cache,
  config: DecodeConfig,
  *,
  rng: PRNGKeyArray | UInt32[Array, "2"] | None = None,
  cache_batch_axis: int = 0,
  logit_transform: LogitTransform | None = None,
) -> Decoded:
  """Decodes until every hypothesis has ended or is `max_length` long.

  Args:
    step: maps int32[batch * decodes, 1] newest tokens and the cache to
      float[batch * decodes, vocab] logits of the next ones and the new cache.
    prompt_logits: logits after the prompt.
    cache: after the prompt, one row per example, see `decoding_cache`; with
      positions for `config.cache_lengths[0]` tokens, to which more are added
      as they come.
    config: how to decode.
    rng: key for sampling.
    cache_batch_axis: axis of the rows in the cache's leaves.
    logit_transform: given logits [rows, vocab], tokens so far [rows, length]
      (PAD from `index` on) and `index`, returns logits; to forbid tokens.

  Raises:
    ValueError: if sampling without `rng`.
  """
  if config.method == "sample" and rng is None:
    raise ValueError('Decoding with method="sample" needs `rng`; pass a key.')
  batch, num_decodes = prompt_logits.shape[0], config.num_decodes
  cache = decoding_cache.repeat_rows(
    cache, cache_batch_axis, batch, num_decodes
  )

  def extend(
    logits: Array, hypotheses: _Hypotheses, cache: Cache, index: Array
  ) -> tuple[_Hypotheses, Cache]:
    if logit_transform is not None:
      flat_tokens = hypotheses.tokens.reshape(batch * num_decodes, -1)
      logits = logit_transform(logits, flat_tokens, index)
    logits = logits.astype(jnp.float32).reshape(batch, num_decodes, -1)
    log_probs = _end(jax.nn.log_softmax(logits, axis=-1), hypotheses.done)
    key = None if rng is None else jax.random.fold_in(rng, index)
    choice = _SELECT[config.method](log_probs, hypotheses, config, key)
    if choice.parents is not None:
      hypotheses, log_probs = _reorder((hypotheses, log_probs), choice.parents)
      cache = decoding_cache.reorder_rows(
        cache, cache_batch_axis, choice.parents
      )
    return _append(hypotheses, choice.tokens, log_probs, index, config), cache

  def body(state: _State) -> _State:
    hypotheses, cache, index = state
    newest = jax.lax.dynamic_slice_in_dim(
      hypotheses.tokens, index - 1, 1, axis=2
    )
    logits, cache = step(newest.reshape(-1, 1), cache)
    hypotheses, cache = extend(logits, hypotheses, cache, index)
    return hypotheses, cache, index + 1

  first_logits = jnp.repeat(prompt_logits, num_decodes, axis=0)
  hypotheses, cache = extend(
    first_logits, _start(batch, config), cache, jnp.int32(0)
  )
  state = (hypotheses, cache, jnp.int32(1))
  hypotheses = _loop(body, state, config, cache_batch_axis)
  return _finish(hypotheses, config)


def _loop(
  body: Callable[[_State], _State],
  state: _State,
  config: DecodeConfig,
  cache_batch_axis: int,
) -> _Hypotheses:
  """Extends hypotheses to their ends, one loop for each length of the cache."""

  def goes_on(state: _State, length: int) -> Array:
    hypotheses, _, index = state
    return (index < length) & ~jnp.all(hypotheses.done)

  room = config.cache_lengths[0]
  for length in config.cache_lengths:
    hypotheses, cache, index = state
    cache = decoding_cache.add_positions(cache, cache_batch_axis, length - room)
    state = jax.lax.while_loop(
      functools.partial(goes_on, length=length),
      body,
      (hypotheses, cache, index),
    )
    room = length
  return state[0]


def _start(batch: Size, config: DecodeConfig) -> _Hypotheses:
  shape = (batch, config.num_decodes)
  total = jnp.zeros(shape, jnp.float32)
  if config.method == "beam":
    # All beams start equal: only the first may be extended at first.
    total = total.at[:, 1:].set(_IMPOSSIBLE)
  return _Hypotheses(
    tokens=jnp.full((*shape, config.max_length), PAD_ID, jnp.int32),
    log_probs=jnp.zeros((*shape, config.max_length), jnp.float32),
    total=total,
    lengths=jnp.zeros(shape, jnp.int32),
    done=jnp.zeros(shape, jnp.bool_),
  )


def _end(log_probs: Array, done: Array) -> Array:
  """Makes PAD, at no cost, the only continuation of what has ended."""
  is_pad = jnp.arange(log_probs.shape[-1]) == PAD_ID
  only_pad = jnp.where(is_pad, 0.0, _IMPOSSIBLE)
  return jnp.where(done[..., None], only_pad[None, None, :], log_probs)


def _append(
  hypotheses: _Hypotheses,
  tokens: Array,
  log_probs: Array,
  index: Array,
  config: DecodeConfig,
) -> _Hypotheses:
  """Writes one token per hypothesis."""
  done = hypotheses.done
  # Not `take_along_axis`, whose gather the StableHLO of TensorFlow 2.17 and
  # 2.18 lacks: exported models run there.
  ids = jnp.arange(log_probs.shape[-1])[None, None, :]
  is_chosen = ids == tokens[..., None]
  chosen = jnp.sum(jnp.where(is_chosen, log_probs, 0.0), axis=-1)
  return _Hypotheses(
    tokens=jax.lax.dynamic_update_slice_in_dim(
      hypotheses.tokens, tokens[..., None], index, axis=2
    ),
    log_probs=jax.lax.dynamic_update_slice_in_dim(
      hypotheses.log_probs, chosen[..., None], index, axis=2
    ),
    total=hypotheses.total + chosen,
    lengths=hypotheses.lengths + jnp.where(done, 0, 1),
    done=done | (tokens == config.eos_id),
  )


def _penalise(total: Array, lengths: Array, config: DecodeConfig) -> Array:
  if config.method != "beam":
    return total
  return total / ((5.0 + lengths) / 6.0) ** config.length_penalty


def _finish(hypotheses: _Hypotheses, config: DecodeConfig) -> Decoded:
  scores = _penalise(hypotheses.total, hypotheses.lengths, config)
  decoded = Decoded(
    hypotheses.tokens, hypotheses.log_probs, scores, hypotheses.lengths
  )
  if config.num_decodes == 1:
    return decoded
  return _reorder(decoded, jnp.argsort(scores, axis=1, descending=True))


def _select_greedy(
  log_probs: Array,
  hypotheses: _Hypotheses,
  config: DecodeConfig,
  key: Array | None,
) -> _Choice:
  del hypotheses, config, key  # Only the newest logits matter.
  # `argmax` carries values and places through one reduction, which XLA's CPU
  # compiler does one by one; these two it does in vectors.
  best = jnp.max(log_probs, axis=-1, keepdims=True)
  ids = jnp.arange(log_probs.shape[-1], dtype=jnp.int32)
  first = jnp.min(jnp.where(log_probs == best, ids, ids[-1]), axis=-1)
  return _Choice(None, first)


def _select_sample(
  log_probs: Array,
  hypotheses: _Hypotheses,
  config: DecodeConfig,
  key: Array,
) -> _Choice:
  del hypotheses  # Samples are independent of each other and of the past.
  logits = log_probs / config.temperature
  top_k = min(config.top_k, logits.shape[-1])
  if not top_k:
    tokens = jax.random.categorical(key, logits, axis=-1)
    return _Choice(None, tokens.astype(jnp.int32))
  best, ids = jax.lax.top_k(logits, top_k)
  drawn = jax.random.categorical(key, best, axis=-1)
  tokens = jnp.take_along_axis(ids, drawn[..., None], axis=-1)[..., 0]
  return _Choice(None, tokens.astype(jnp.int32))


def _select_beam(
  log_probs: Array,
  hypotheses: _Hypotheses,
  config: DecodeConfig,
  key: Array | None,
) -> _Choice:
  """Best extensions of all beams; an ended beam competes as it is."""
  del key  # Deterministic.
  batch, _, vocab = log_probs.shape
  totals = hypotheses.total[..., None] + log_probs
  lengths = hypotheses.lengths + jnp.where(hypotheses.done, 0, 1)
  scores = _penalise(totals, lengths[..., None], config)
  _, flat = jax.lax.top_k(scores.reshape(batch, -1), config.num_decodes)
  return _Choice(flat // vocab, (flat % vocab).astype(jnp.int32))


_SELECT: dict[str, Callable[..., _Choice]] = {
  "greedy": _select_greedy,
  "sample": _select_sample,
  "beam": _select_beam,
}


def _reorder(tree: Any, parents: Array) -> Any:
  """Takes hypotheses [batch, decodes, ...] in the order of `parents`."""

  def take(x: Array) -> Array:
    index = parents.reshape(parents.shape + (1,) * (x.ndim - 2))
    return jnp.take_along_axis(x, index, axis=1)

  return jax.tree.map(take, tree)
