"""Confidences of characters are those of their tokens, none lost."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inksight_jax.text.codecs import (
  ByteCodec,
  CharacterCodec,
  SentencePieceCodec,
)
from inksight_jax.text.confidence import (
  character_confidences,
  word_confidences,
)


def test_bytes_of_a_character_are_multiplied():
  codec = ByteCodec()
  ids = codec.encode("a漢é")
  probs = [0.5, 0.9, 0.8, 0.7, 0.6, 0.5]
  found = character_confidences(codec, ids, np.log(probs).tolist())
  np.testing.assert_allclose(found, [0.5, 0.9 * 0.8 * 0.7, 0.6 * 0.5])


def test_a_token_of_the_alphabet_is_a_character():
  codec = CharacterCodec("ab c")
  found = character_confidences(
    codec, codec.encode("ab c"), np.log([0.1, 0.2, 0.3, 0.4]).tolist()
  )
  np.testing.assert_allclose(found, [0.1, 0.2, 0.3, 0.4])
  assert character_confidences(codec, [], []) == ()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 300), st.floats(-20, 0)), max_size=30))
def test_nothing_is_lost_whatever_the_ids(pairs):
  ids, log_probs = [p[0] for p in pairs], [p[1] for p in pairs]
  for codec in (ByteCodec(), CharacterCodec("abc")):
    found = character_confidences(codec, ids, log_probs)
    assert len(found) == len(codec.decode(ids))
    assert all(0 <= value <= 1 for value in found)
    if found:
      total = sum(map(math.log, found))
      assert total == pytest.approx(sum(log_probs), abs=1e-6)


def test_a_piece_is_shared_out(tmp_path):
  sentencepiece = pytest.importorskip("sentencepiece")
  sentences = ["the quick brown fox", "hello there world"] * 20
  sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(sentences),
    model_prefix=str(tmp_path / "tiny"),
    vocab_size=330,
    byte_fallback=True,
    hard_vocab_limit=False,
    pad_id=0,
    eos_id=1,
    unk_id=2,
    bos_id=-1,
    minloglevel=2,
  )
  codec = SentencePieceCodec(str(tmp_path / "tiny.model"))
  text = "hello quick 漢"
  ids = codec.encode(text)
  log_probs = -np.arange(1.0, len(ids) + 1) / 100
  found = character_confidences(codec, ids, log_probs.tolist())
  assert len(found) == len(codec.decode(ids)) == len(text)
  np.testing.assert_allclose(np.log(found).sum(), log_probs.sum())
  # The three bytes of the last character are the last three tokens.
  np.testing.assert_allclose(np.log(found[-1]), log_probs[-3:].sum())
  generator = np.random.default_rng(0)
  for _ in range(50):
    ids = generator.integers(0, codec.size + 5, 12).tolist()
    found = character_confidences(codec, ids, [-0.1] * 12)
    assert len(found) == len(codec.decode(ids))


def test_words_are_split_at_blanks():
  found = word_confidences(" ab  c\n", [0.9, 0.5, 0.4, 0.9, 0.9, 0.3, 0.9])
  assert [word for word, _ in found] == ["ab", "c"]
  np.testing.assert_allclose([sure for _, sure in found], [0.2, 0.3])
  assert word_confidences("  ", [0.5, 0.5]) == []


def test_every_id_needs_its_log_probability():
  with pytest.raises(ValueError, match="2 ids, 1 log-prob"):
    character_confidences(ByteCodec(), [5, 6], [-0.1])
