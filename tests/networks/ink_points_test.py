"""Ink read inside a program is the ink that the codec reads."""

import jax
import jax.numpy as jnp
import numpy as np

from inksight_jax.ink.tokens import InkCodec
from inksight_jax.networks.ink_points import ink_points
from inksight_jax.text.codecs import ByteCodec
from inksight_jax.text.vocabulary import Vocabulary


def test_any_tokens_read_as_the_vocabulary_reads_them():
  vocabulary = Vocabulary(ByteCodec(), InkCodec(8))
  first, last = vocabulary.ink_offset, vocabulary.size
  rng = np.random.default_rng(0)
  rows, length = 400, 40
  # Mostly ink, some text, some ids of padded rows, some early ends.
  tokens = rng.integers(first, last, (rows, length))
  kinds = rng.random((rows, length))
  tokens = np.where(kinds < 0.1, rng.integers(0, first, tokens.shape), tokens)
  tokens = np.where(kinds > 0.9, last - 1, tokens)
  tokens = np.where(kinds > 0.97, last + 3, tokens)
  # Well-formed pairs, too, which random ids seldom are.
  x, y = rng.integers(0, 9, (2, rows, length // 2))
  pairs = np.stack([x, y + 9], -1).reshape(rows, length) + first
  tokens = np.where(rng.random((rows, 1)) < 0.5, tokens, pairs)
  tokens[:, 7] = np.where(kinds[:, 0] < 0.2, last - 1, tokens[:, 7])
  lengths = rng.integers(0, length + 1, rows)
  read = jax.jit(ink_points, static_argnums=(2, 3))(
    jnp.asarray(tokens, jnp.int32), jnp.asarray(lengths, jnp.int32), first, 8
  )
  read = jax.tree.map(np.asarray, read)
  points = 0
  for row in range(rows):
    ink = vocabulary.decode(tokens[row, : lengths[row]]).ink
    count = int(read.count[row])
    points += count
    expected = ink.points if ink else np.zeros((0, 2))
    np.testing.assert_array_equal(read.points[row, :count], expected)
    assert not np.any(read.points[row, count:])
    of_point = [i for i, s in enumerate(ink.strokes) for _ in s.points]
    np.testing.assert_array_equal(read.strokes[row, :count], of_point)
    assert np.all(read.strokes[row, count:] == -1)
  assert points > rows  # There was something to read.
