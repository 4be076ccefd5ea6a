"""The grammar lets through exactly the sequences that the codec can read."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.networks.picture_grammar import PictureGrammar
from inksight_jax.text.picture_tokens import PictureCodec

FIRST = 6
CODES = 2
LENGTH = 6
VOCAB = FIRST + 3 + CODES + 2
# Rows of the search, at least as many as there are pictures.
MOST = 128


def _sequences(grammar: PictureGrammar, prefix: int = 0) -> set[tuple]:
  """All sequences that can be written, found one token at a time."""
  found = np.zeros((1, LENGTH), np.int32)
  # One shape, one program.
  rules = jax.jit(
    lambda given, rest, index: grammar.picture(
      given if given.shape[1] else None
    )(jnp.zeros((MOST, VOCAB)), rest, index)
  )
  for place in range(LENGTH):
    given = min(place, prefix)
    rows = jnp.asarray(np.resize(found, (MOST, LENGTH)))
    allowed = np.asarray(
      rules(rows[:, :given], rows[:, given:], jnp.int32(place - given))
    )
    rows, tokens = np.nonzero(allowed[: len(found)] == 0)
    # Whatever was begun can be ended.
    assert len(set(rows)) == len(found)
    found = found[rows]
    found[:, place] = tokens
  return set(map(tuple, (found - FIRST).tolist()))


def _pictures(shapes=None) -> set[tuple]:
  """All pictures, written by the codec."""
  codec = PictureCodec(CODES, LENGTH)
  every = itertools.product(range(1, LENGTH), repeat=2)
  return {
    tuple(codec.encode(np.reshape(codes, shape)).tolist())
    for shape in (shapes or every)
    if codec.fits(*shape)
    for codes in itertools.product(range(CODES), repeat=int(np.prod(shape)))
  }


def test_all_pictures_and_nothing_else_can_be_written():
  wanted = _pictures()
  assert len(wanted) == 2 + 4 + 8 + 16 + 32 + 4 + 16 + 8
  assert _sequences(PictureGrammar(FIRST, CODES, LENGTH)) == wanted


@pytest.mark.parametrize("prefix", [1, 3])
def test_what_is_gone_on_with_counts_as_written(prefix: int):
  grammar = PictureGrammar(FIRST, CODES, LENGTH)
  assert _sequences(grammar, prefix) == _pictures()


def test_pictures_may_be_held_to_some_shapes():
  shapes = ((1, 4), (2, 2), (3, 1))
  grammar = PictureGrammar(FIRST, CODES, LENGTH, shapes)
  assert _sequences(grammar) == _pictures(shapes)
  with pytest.raises(ValueError, match="3 x 2 codes is no picture of 6"):
    PictureGrammar(FIRST, CODES, LENGTH, ((3, 2),))


def test_texts_are_characters_and_an_end():
  rules = PictureGrammar(FIRST, CODES, LENGTH).text()
  logits = rules(
    jnp.zeros((2, VOCAB)), jnp.zeros((2, 3), jnp.int32), jnp.int32(1)
  )
  # EOS and three characters; neither PAD nor UNK nor pictures.
  np.testing.assert_array_equal(
    np.asarray(logits) == 0,
    np.isin(np.arange(VOCAB), (1, 3, 4, 5))[None] | [[False]] * 2,
  )
