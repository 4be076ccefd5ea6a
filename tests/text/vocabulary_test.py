"""Text ids then ink ids, told apart by range; saved with the model."""

import json
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inksight_jax.ink.tokens import InkCodec
from inksight_jax.ink.types import Ink
from inksight_jax.text.codecs import (
  ByteCodec,
  CharacterCodec,
  SentencePieceCodec,
)
from inksight_jax.text.picture_tokens import PictureCodec
from inksight_jax.text.vocabulary import Vocabulary, limited, vocabulary_size

VOCABULARY = Vocabulary(ByteCodec(), InkCodec(224))


def test_sizes_and_offsets():
  assert VOCABULARY.ink_offset == 259
  assert VOCABULARY.size == 259 + 451
  assert VOCABULARY.padded_size() == 710
  assert VOCABULARY.padded_size(128) == 768
  assert VOCABULARY.padded_size(71) == 710
  assert vocabulary_size(VOCABULARY, 128) == 768
  assert Vocabulary(ByteCodec(), None).size == 259
  with pytest.raises(ValueError, match="at least 1; got 0"):
    VOCABULARY.padded_size(0)


def test_a_vocabulary_may_not_outgrow_the_rows_of_its_model():
  assert limited(VOCABULARY, 710) is VOCABULARY
  with pytest.raises(ValueError, match=r"710 ids \(259 of text\).* 709"):
    limited(VOCABULARY, 709)


def test_a_target_reads_back_as_its_text_and_ink():
  ink = Ink.from_arrays([[[6, 32], [7, 40]], [[100, 224]]])
  ids = [*VOCABULARY.encode_text("vin"), *VOCABULARY.encode_ink(ink)]
  assert ids[3:6] == [259 + 450, 259 + 6, 259 + 225 + 32]
  decoded = VOCABULARY.decode(np.array([*ids, 1, 0, 0, 70], np.int32))
  assert decoded.text == "vin"
  np.testing.assert_array_equal(decoded.ink.points, ink.points)
  assert len(decoded.ink) == 2
  assert (decoded.num_text_tokens, decoded.num_ink_tokens) == (3, 8)
  assert decoded.ended
  assert not VOCABULARY.decode(ids).ended


def test_empty_text_and_ink_are_no_ids():
  assert VOCABULARY.encode_text("") == []
  assert VOCABULARY.encode_ink(Ink()) == []
  decoded = VOCABULARY.decode([])
  assert (decoded.text, len(decoded.ink), decoded.ended) == ("", 0, False)


@settings(deadline=None)
@given(st.lists(st.integers(-5, 800) | st.integers()))
def test_any_ids_decode_to_their_two_sides(ids):
  decoded = VOCABULARY.decode(ids)
  before = ids[: ids.index(1)] if 1 in ids else ids
  text = [i for i in before if 0 < i < 259]
  ink = [i - 259 for i in before if 259 <= i < 710]
  assert decoded.ended == (1 in ids)
  assert decoded.num_text_tokens == len(text)
  assert decoded.num_ink_tokens == len(ink)
  assert decoded.text == ByteCodec().decode(text)
  expected = InkCodec(224).decode(ink)
  np.testing.assert_array_equal(decoded.ink.points, expected.points)


def test_a_reader_without_ink_ids():
  reader = Vocabulary(CharacterCodec("abc"), None)
  assert reader.decode([3, 6, 700, 5, 1]).text == "ac"
  assert not reader.decode([3]).ink
  with pytest.raises(ValueError, match="no ink ids"):
    reader.encode_ink(Ink())


@pytest.mark.parametrize(
  "vocabulary",
  [
    VOCABULARY,
    Vocabulary(CharacterCodec('手"\\a'), InkCodec(64)),
    Vocabulary(ByteCodec(), None),
  ],
)
def test_saved_is_loaded(vocabulary, tmp_path):
  vocabulary.save(tmp_path / "model")
  assert Vocabulary.load(tmp_path / "model") == vocabulary


def test_the_sentencepiece_model_travels_along(tmp_path: pathlib.Path):
  sentencepiece = pytest.importorskip("sentencepiece")
  original = tmp_path / "original.model"
  with original.open("wb") as file:
    sentencepiece.SentencePieceTrainer.train(
      sentence_iterator=iter(["ab ba aab abba bab"] * 9),
      model_writer=file,
      vocab_size=9,
      pad_id=0,
      eos_id=1,
      unk_id=2,
      bos_id=-1,
      minloglevel=2,
      hard_vocab_limit=False,
    )
  vocabulary = Vocabulary(SentencePieceCodec(str(original)), InkCodec(8))
  ids = vocabulary.encode_text("abba bab")
  vocabulary.save(tmp_path / "first")
  original.unlink()
  moved = (tmp_path / "first").rename(tmp_path / "moved")
  loaded = Vocabulary.load(moved)
  assert loaded.encode_text("abba bab") == ids
  assert loaded.size == vocabulary.size
  # Saving into its own folder must not empty the model file.
  loaded.save(moved)
  assert Vocabulary.load(moved).encode_text("abba bab") == ids


def test_a_vocabulary_of_another_size_is_refused(tmp_path):
  VOCABULARY.save(tmp_path)
  path = tmp_path / "vocabulary.json"
  config = json.loads(path.read_text())
  config["ink"]["canvas"] = 64
  path.write_text(json.dumps(config))
  with pytest.raises(ValueError, match=r"written for 710 ids .* 390"):
    Vocabulary.load(tmp_path)


@pytest.mark.parametrize(
  "content", ["", "[]", "{}", "3", '{"text": 3, "ink": null, "size": 1}']
)
def test_a_broken_file_is_named(content, tmp_path):
  (tmp_path / "vocabulary.json").write_text(content)
  with pytest.raises(ValueError, match=r"vocabulary\.json is not a vocabulary"):
    Vocabulary.load(tmp_path)


def test_a_folder_without_vocabulary_is_named(tmp_path):
  with pytest.raises(ValueError, match=r"is it a model directory\?"):
    Vocabulary.load(tmp_path)


def test_picture_ids_follow_those_of_ink(tmp_path: pathlib.Path):
  pictures = PictureCodec(num_codes=7, length=9)
  both = Vocabulary(CharacterCodec("ab"), InkCodec(4), pictures)
  assert both.picture_offset == 5 + 11
  assert both.size == 16 + 10
  codes = np.array([[6, 0], [3, 3]])
  ids = both.encode_picture(codes)
  assert ids.tolist() == [17, 25, 19, 17, 22, 22, 18, 18, 18]
  np.testing.assert_array_equal(both.decode_picture(ids), codes)
  # Pictures are neither text nor ink.
  decoded = both.decode([3, *ids, 4, 1])
  assert (decoded.text, decoded.num_ink_tokens) == ("ab", 0)
  both.save(tmp_path)
  assert Vocabulary.load(tmp_path) == both
  with pytest.raises(ValueError, match="no picture ids"):
    VOCABULARY.encode_picture(codes)


def test_vocabularies_from_before_there_were_pictures_are_read(
  tmp_path: pathlib.Path,
):
  VOCABULARY.save(tmp_path)
  path = tmp_path / "vocabulary.json"
  config = json.loads(path.read_text(encoding="utf-8"))
  del config["pictures"]
  path.write_text(json.dumps(config), encoding="utf-8")
  assert Vocabulary.load(tmp_path) == VOCABULARY


def test_what_two_vocabularies_share_keeps_its_ids():
  before = Vocabulary(CharacterCodec("abz"), None)
  now = Vocabulary(CharacterCodec("\nbac"), None)
  # Special ids, b and a, and the id behind the last.
  assert now.shared_ids(before) == [
    (0, 0),
    (1, 1),
    (2, 2),
    (4, 4),
    (5, 3),
    (7, 6),
  ]
  assert now.changes(before) == (
    r"another vocabulary; 2 ids are kept; 2 new: '\n' 'c'; 1 gone: 'z'"
  )
  # A byte below 128 is its character.
  pairs = dict(Vocabulary(ByteCodec(), None).shared_ids(before))
  assert pairs[ord("z") + 3] == 5 and 200 + 3 not in pairs
  same = VOCABULARY.shared_ids(Vocabulary(ByteCodec(), InkCodec(224)))
  assert same == [(i, i) for i in range(VOCABULARY.size + 1)]
  smaller = Vocabulary(ByteCodec(), InkCodec(64))
  assert len(VOCABULARY.shared_ids(smaller)) == 259 + 1
  assert "another codec" in VOCABULARY.changes(smaller)
  pictures = Vocabulary(CharacterCodec("ab"), None, PictureCodec(7, 9))
  longer = Vocabulary(CharacterCodec("cab"), None, PictureCodec(7, 9))
  assert longer.shared_ids(pictures)[5] == (6, 5)
  assert len(longer.shared_ids(pictures)) == 3 + 2 + 10 + 1
