"""Tests of the vocabulary that SeqIO sees."""

import numpy as np
import pytest

from inksight_jax.ink.tokens import InkCodec
from inksight_jax.text.codecs import CharacterCodec
from inksight_jax.text.vocabulary import Vocabulary

pytest.importorskip("seqio")

from inksight_jax.pipeline.vocabularies import SeqioVocabulary


def test_text_and_ink_read_as_inksight_writes_them():
  vocabulary = SeqioVocabulary(Vocabulary())
  # The first ids of the figure in InkSight's repository: 450, 6, 257.
  ids = [3 + ord("a"), 259 + 450, 259 + 6, 259 + 257, 1, 7]
  text = "a<ink_token_450><ink_token_6><ink_token_257>"
  assert vocabulary.decode(ids) == text
  assert vocabulary.encode(text) == ids[:4]


@pytest.mark.parametrize("text", ["", "é漢🙂", "a <ink_token_3>b<ink_token_0>"])
def test_tensorflow_agrees_with_python(text):
  vocabulary = SeqioVocabulary(Vocabulary())
  ids = vocabulary.encode(text)
  assert vocabulary.encode_tf(text).numpy().tolist() == ids
  if ids:
    assert vocabulary.decode_tf(np.asarray(ids)).numpy().decode() == text
  assert vocabulary.decode(ids) == text


def test_any_ids_decode():
  vocabulary = SeqioVocabulary(Vocabulary(CharacterCodec("ab"), InkCodec(4)))
  rng = np.random.default_rng(0)
  for _ in range(200):
    ids = rng.integers(0, vocabulary.vocab_size + 9, 20).tolist()
    known = [i for i in ids[: ([*ids, 1]).index(1)] if i > 2]
    known = [i for i in known if i < vocabulary.vocab_size]
    text = vocabulary.decode(ids).replace("�", "")
    assert vocabulary.encode(text) == known


def test_equal_vocabularies_are_equal():
  one = SeqioVocabulary(Vocabulary(ink=InkCodec(4)))
  assert one == SeqioVocabulary(Vocabulary(ink=InkCodec(4)))
  assert one != SeqioVocabulary(Vocabulary(ink=InkCodec(5)))
  assert hash(one) == hash(SeqioVocabulary(Vocabulary(ink=InkCodec(4))))
  assert one.vocab_size == 259 + 11
