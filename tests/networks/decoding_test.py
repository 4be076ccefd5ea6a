"""Decoding against enumeration of every sequence of toy models."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.networks import decoding

EOS = 1
VOCAB = 4


def _toy(seed: int, batch: int = 2):
  """A model whose next token depends on the last two, per example.

  The cache holds the example's number, the newest token and a step counter, so
  that reordering it wrongly changes the logits.
  """
  table = np.random.default_rng(seed).normal(
    scale=1.5, size=(batch, VOCAB, VOCAB, VOCAB)
  )
  table = jnp.asarray(table, jnp.float32)
  cache = {
    "example": jnp.arange(batch),
    "previous": jnp.zeros(batch, jnp.int32),
    "index": jnp.int32(0),
  }

  def step(tokens, cache):
    token = tokens[:, 0]
    logits = table[cache["example"], cache["previous"], token]
    cache = {
      "example": cache["example"],
      "previous": token,
      "index": cache["index"] + 1,
    }
    return logits, cache

  return np.asarray(table), step, table[:, 0, 0], cache


def _decode(step, logits, cache, config, **options) -> decoding.Decoded:
  """Compiled as a whole, as in use."""

  @jax.jit
  def run(logits, cache):
    return decoding.decode(step, logits, cache, config, **options)

  return jax.tree.map(np.asarray, run(logits, cache))


def _log_probs(table: np.ndarray, example: int, tokens) -> list[float]:
  """Log-probability of each token of a sequence, from the table alone."""
  result, past = [], (0, 0)
  for token in tokens:
    logits = table[example, past[0], past[1]]
    result.append(float(logits[token] - np.logaddexp.reduce(logits)))
    past = (past[1], token)
  return result


def _all_sequences(length: int):
  """Every hypothesis: ends with its only EOS, or is `length` long."""
  for n in range(1, length + 1):
    for tokens in itertools.product(range(VOCAB), repeat=n):
      if EOS not in tokens[:-1] and (tokens[-1] == EOS or n == length):
        yield tokens


def _strip(decoded: decoding.Decoded, example: int, which: int) -> tuple:
  length = int(decoded.lengths[example, which])
  return tuple(decoded.tokens[example, which, :length].tolist())


def test_greedy_takes_the_best_token_each_time():
  table, step, logits, cache = _toy(0, batch=6)
  decoded = _decode(step, logits, cache, decoding.DecodeConfig(max_length=6))
  for example in range(6):
    tokens, past = [], (0, 0)
    while len(tokens) < 6 and (not tokens or tokens[-1] != EOS):
      tokens.append(int(table[example, past[0], past[1]].argmax()))
      past = (past[1], tokens[-1])
    assert _strip(decoded, example, 0) == tuple(tokens)
    want = _log_probs(table, example, tokens)
    got = decoded.log_probs[example, 0]
    np.testing.assert_allclose(got[: len(tokens)], want, rtol=1e-4)
    assert not decoded.tokens[example, 0, len(tokens) :].any()
    assert not got[len(tokens) :].any()
    np.testing.assert_allclose(decoded.scores[example, 0], sum(want), rtol=1e-4)


def test_greedy_takes_the_first_of_equals():
  rows = [[0.0, 2.0, 5.0, 5.0], [7.0, 7.0, 7.0, 7.0], [0.0, -1.0, 3.0, 4.0]]
  logits = jnp.asarray(rows)
  decoded = _decode(
    lambda tokens, cache: (logits, cache),
    logits,
    {"index": jnp.int32(0)},
    decoding.DecodeConfig(max_length=1),
  )
  assert decoded.tokens[:, 0, 0].tolist() == np.argmax(rows, axis=1).tolist()


@pytest.mark.parametrize("alpha", [0.0, 0.6])
def test_wide_beam_finds_the_best_of_all_sequences(alpha):
  length, beams = 3, 40  # 27 + 9 + 3 + 1 = 40 hypotheses of at most 3 tokens.
  config = decoding.DecodeConfig(
    length, "beam", num_decodes=beams, length_penalty=alpha
  )
  table, step, logits, cache = _toy(5)
  decoded = _decode(step, logits, cache, config)
  for example in range(2):
    scored = sorted(
      (
        sum(_log_probs(table, example, tokens))
        / ((5 + len(tokens)) / 6) ** alpha,
        tokens,
      )
      for tokens in _all_sequences(length)
    )[::-1]
    assert [_strip(decoded, example, k) for k in range(8)] == [
      tokens for _, tokens in scored[:8]
    ]
    np.testing.assert_allclose(
      decoded.scores[example, :8], [s for s, _ in scored[:8]], rtol=1e-4
    )


def test_narrow_beam_equals_a_search_in_plain_python():
  length, beams = 6, 2
  config = decoding.DecodeConfig(
    length, "beam", num_decodes=beams, length_penalty=0.0
  )
  table, step, logits, cache = _toy(0, batch=4)
  decoded = _decode(step, logits, cache, config)
  for example in range(4):
    beam = [()]
    for _ in range(length):
      extended = []
      for tokens in beam:
        if tokens and tokens[-1] == EOS:
          extended.append(tokens)
        else:
          extended.extend((*tokens, token) for token in range(VOCAB))
      extended.sort(key=lambda t: -sum(_log_probs(table, example, t)))
      beam = extended[:beams]
    assert [_strip(decoded, example, k) for k in range(beams)] == beam


def test_beam_of_one_is_greedy():
  _, step, logits, cache = _toy(7)
  greedy = _decode(step, logits, cache, decoding.DecodeConfig(6))
  beam = _decode(
    step, logits, cache, decoding.DecodeConfig(6, "beam", num_decodes=1)
  )
  np.testing.assert_array_equal(greedy.tokens, beam.tokens)


def test_samples_have_the_models_frequencies_at_a_temperature():
  table, step, logits, cache = _toy(3, batch=1)
  draws, temperature = 4000, 2.0
  config = decoding.DecodeConfig(
    2, "sample", num_decodes=draws, temperature=temperature
  )
  decoded = _decode(step, logits, cache, config, rng=jax.random.key(0))
  seen = [_strip(decoded, 0, k) for k in range(draws)]
  weights = np.exp(table[0] / temperature)
  weights /= weights.sum(-1, keepdims=True)
  for tokens in _all_sequences(2):
    want = weights[0, 0, tokens[0]]
    if len(tokens) == 2:
      want *= weights[0, tokens[0], tokens[1]]
    # Four standard deviations of a binomial share.
    slack = 4 * np.sqrt(want * (1 - want) / draws)
    assert abs(seen.count(tokens) / draws - want) < slack
  # Probabilities are the model's own, whatever the temperature.
  np.testing.assert_allclose(
    decoded.scores[0, 0], sum(_log_probs(table, 0, seen[0])), rtol=1e-4
  )
  assert (np.diff(decoded.scores[0]) <= 0).all()


def test_sampling_among_the_single_best_is_greedy():
  _, step, logits, cache = _toy(2)
  greedy = _decode(step, logits, cache, decoding.DecodeConfig(6))
  config = decoding.DecodeConfig(6, "sample", top_k=1)
  sampled = _decode(step, logits, cache, config, rng=jax.random.key(0))
  np.testing.assert_array_equal(greedy.tokens, sampled.tokens)


def test_stops_as_soon_as_all_rows_have_ended():
  calls = []

  def step(tokens, cache):
    jax.debug.callback(lambda: calls.append(1))
    # Row r ends at its third or fourth token.
    ends = cache["left"] <= 0
    is_eos = (jnp.arange(VOCAB) == EOS)[None, :]
    logits = jnp.where(ends[:, None] == is_eos, 5.0, 0.0)
    return logits, {"left": cache["left"] - 1}

  logits = jnp.zeros((2, VOCAB)).at[:, 2].set(5.0)
  decoded = _decode(
    step, logits, {"left": jnp.array([1, 2])}, decoding.DecodeConfig(50)
  )
  jax.effects_barrier()
  assert decoded.lengths[:, 0].tolist() == [3, 4]
  assert len(calls) == 3


def test_transform_sees_the_past_and_forbids_tokens():
  _, step, logits, cache = _toy(4)

  def no_repeats(logits, tokens, index):
    rows = jnp.arange(logits.shape[0])
    newest = tokens[rows, index - 1]
    banned = logits.at[rows, newest].set(-1e9)
    banned = jnp.where(index > 0, banned, logits)
    return banned.at[:, EOS].set(-1e9)

  decoded = _decode(
    step,
    logits,
    cache,
    decoding.DecodeConfig(8, "beam", num_decodes=2),
    logit_transform=no_repeats,
  )
  tokens = decoded.tokens
  assert (tokens[..., 1:] != tokens[..., :-1]).all()
  assert (tokens != EOS).all()


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"method": "best"}, "method.*'best'.*beam.*greedy.*sample"),
    ({"max_length": 0}, "max_length >= 1"),
    ({"method": "sample", "temperature": 0.0}, "temperature.*greedy"),
    ({"num_decodes": 2}, "Greedy.*beam"),
  ],
)
def test_bad_configurations_are_refused(fields, message):
  with pytest.raises(ValueError, match=message):
    decoding.DecodeConfig(**{"max_length": 4, **fields})


def test_sampling_without_a_key_is_refused():
  _, step, logits, cache = _toy(0)
  with pytest.raises(ValueError, match="needs `rng`"):
    _decode(step, logits, cache, decoding.DecodeConfig(4, "sample"))
