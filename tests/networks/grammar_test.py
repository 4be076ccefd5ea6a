"""The grammar of answers, against a regular expression and real ink."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.datasets.registry import load_records
from inksight_jax.ink.normalize import fit_placement
from inksight_jax.ink.simplify import simplify
from inksight_jax.ink.tokens import InkCodec
from inksight_jax.networks import decoding, grammar

CANVAS = 20
FIRST_INK = 10
START = FIRST_INK + 2 * CANVAS + 2
# Two rows of the table are padding.
VOCAB = START + 3
GRAMMAR = grammar.InkGrammar(FIRST_INK, CANVAS)


def _classes(tokens) -> str:
  """T text, S stroke start, X, Y, E end, ? whatever must not come."""

  def one(i):
    if i == 1:
      return "E"
    if 2 <= i < FIRST_INK:
      return "T"
    if FIRST_INK <= i <= FIRST_INK + CANVAS:
      return "X"
    if FIRST_INK + CANVAS < i < START:
      return "Y"
    return "S" if i == START else "?"

  return "".join(map(one, tokens))


def _decode(step_logits, text, ink, length=60, grammar_=GRAMMAR):
  rows = len(text)

  def step(tokens, cache):
    return step_logits[cache + 1], cache + 1

  return decoding.decode(
    step,
    step_logits[0],
    jnp.int32(0),
    decoding.DecodeConfig(max_length=length),
    logit_transform=grammar_.transform(jnp.array(text), jnp.array(ink)),
  ).tokens.reshape(rows, -1)


@pytest.mark.parametrize("seed", range(3))
def test_random_models_write_well_formed_answers(seed):
  text = [True, True, False, False] * 8
  ink = [True, False, True, False] * 8
  logits = jax.random.normal(jax.random.key(seed), (61, len(text), VOCAB)) * 3
  # An end now and then, and lifted pens.
  logits = logits.at[..., 1].add(1.0).at[..., START].add(3.0)
  tokens = np.asarray(_decode(logits, text, ink))
  shapes = {
    (True, True): r"T*(S(XY)+)*",
    (True, False): r"T*",
    (False, True): r"(S(XY)+)*",
    (False, False): r"",
  }
  ended = 0
  for row, kind in zip(tokens, zip(text, ink, strict=True), strict=True):
    written = _classes(row[row != 0])
    whole = shapes[kind]
    if written.endswith("E"):
      ended += 1
      assert re.fullmatch(f"{whole}E", written), written
    else:
      # Cut by the length, perhaps within a stroke.
      assert re.fullmatch(f"{whole}(SX?)?((S|)(XY)*X)?", written), written
  assert ended > len(text) // 2


def test_the_best_allowed_token_is_taken_and_others_keep_their_logits():
  logits = jax.random.normal(jax.random.key(0), (1, VOCAB))
  tokens = jnp.zeros((1, 8), jnp.int32).at[0, 0].set(START)
  yes = jnp.array([True])
  found = GRAMMAR.transform(yes, yes)(logits, tokens, jnp.int32(1))
  x = slice(FIRST_INK, FIRST_INK + CANVAS + 1)
  np.testing.assert_array_equal(found[0, x], logits[0, x])
  assert (np.delete(np.asarray(found[0]), np.r_[x]) == -1e9).all()


def _cycle(points, length=400):
  """Logits of a model that draws the same points for ever."""
  cycle = [START]
  while len(cycle) < length + 1:
    for x, y in points:
      cycle += [FIRST_INK + x, FIRST_INK + CANVAS + 1 + y]
  wanted = jnp.array(cycle[: length + 1])
  return 9.0 * jax.nn.one_hot(wanted, VOCAB)[:, None, :]


@pytest.mark.parametrize(
  "points",
  [
    [(5, 6), (5, 7)],
    [(5, 6)],
    [(1, 1), (19, 19)],
    [(1, 1), (9, 1), (9, 9)],
    [(1, 1), (9, 1), (9, 9), (1, 9)],
  ],
)
def test_going_round_in_circles_ends(points):
  logits = _cycle(points)
  tokens = np.asarray(_decode(logits, [False], [True], 400))[0]
  written = _classes(tokens[tokens != 0])
  assert written.endswith("E")
  assert len(written) < 150
  free = grammar.InkGrammar(FIRST_INK, CANVAS, stop_cycles=False)
  tokens = np.asarray(_decode(logits, [False], [True], 400, free))[0]
  assert "E" not in _classes(tokens)


def test_ink_of_people_is_never_held_up():
  codec = InkCodec(224)
  whole = grammar.InkGrammar(FIRST_INK, 224)
  yes = jnp.array([True])
  check = jax.jit(jax.vmap(whole.transform(yes, yes), in_axes=(None, None, 0)))
  records = load_records("generated_words", "", "test", alphabet="abcdefgh")
  for _, record in zip(range(6), records, strict=False):
    placed = fit_placement(record.ink.bounds, 224).apply(record.ink)
    # Much denser than training ink.
    ids = codec.encode(simplify(placed, 0.1)) + FIRST_INK
    tokens = np.zeros((1, 1024), np.int32)
    tokens[0, : len(ids)] = ids
    steps = jnp.arange(len(ids))
    logits = check(jnp.zeros((1, FIRST_INK + codec.num_ids)), tokens, steps)
    taken = np.asarray(logits)[np.arange(len(ids)), 0, ids]
    assert (taken == 0).all()
