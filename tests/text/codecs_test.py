"""Text codecs: round trips, fixed ids, and any id sequence decodes."""

import pathlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inksight_jax.text.codecs import (
  EOS_ID,
  PAD_ID,
  UNK_ID,
  ByteCodec,
  CharacterCodec,
  SentencePieceCodec,
  codec_from_config,
)

SENTENCES = [
  "the quick brown fox jumps over the lazy dog",
  "pack my box with five dozen liquor jugs",
  "how vexingly quick daft zebras jump",
] * 20


@pytest.fixture(scope="module")
def model_path(tmp_path_factory) -> str:
  sentencepiece = pytest.importorskip("sentencepiece")
  path = tmp_path_factory.mktemp("sentencepiece") / "tiny.model"
  with path.open("wb") as file:
    sentencepiece.SentencePieceTrainer.train(
      sentence_iterator=iter(SENTENCES),
      model_writer=file,
      vocab_size=340,
      byte_fallback=True,
      pad_id=0,
      eos_id=1,
      unk_id=2,
      bos_id=-1,
      minloglevel=2,
      hard_vocab_limit=False,
    )
  return str(path)


def test_byte_ids_are_those_of_byt5():
  # ByT5 (arXiv 2105.13626): three special ids, then the 256 byte values.
  assert ByteCodec().size == 259
  assert ByteCodec().encode("a") == [ord("a") + 3]
  assert ByteCodec().encode("é手") == [b + 3 for b in "é手".encode()]
  assert (PAD_ID, EOS_ID, UNK_ID) == (0, 1, 2)


@settings(deadline=None)
@given(st.text())
def test_bytes_hold_any_text(text):
  assert ByteCodec().decode(ByteCodec().encode(text)) == text


def test_bytes_replace_a_lone_surrogate():
  codec = ByteCodec()
  assert codec.decode(codec.encode("a\ud800b")) == "a?b"


@settings(deadline=None)
@given(st.lists(st.integers(-5, 400) | st.integers()))
def test_any_ids_decode_and_foreign_ones_are_skipped(ids):
  inside = bytes(i - 3 for i in ids if 3 <= i < 259)
  assert ByteCodec().decode(ids) == inside.decode("utf-8", errors="replace")
  # "\ufffd" for UNK, the character for its id, nothing for the rest.
  expected = "".join({2: "\ufffd", 3: "x", 4: "手"}.get(i, "") for i in ids)
  assert CharacterCodec("x手").decode(ids) == expected


def test_characters_are_numbered_in_order_and_strangers_are_unknown():
  codec = CharacterCodec("0123456789")
  assert codec.size == 13
  assert codec.encode("907") == [12, 3, 10]
  assert codec.encode("4x2") == [7, UNK_ID, 5]
  assert codec.decode([7, UNK_ID, 5]) == "4\ufffd2"


@pytest.mark.parametrize("characters", ["", "abca"])
def test_an_alphabet_needs_distinct_characters(characters):
  with pytest.raises(ValueError, match="each character once"):
    CharacterCodec(characters)


def test_a_t5_model_keeps_its_ids(model_path):
  import sentencepiece

  processor = sentencepiece.SentencePieceProcessor(model_file=model_path)
  codec = SentencePieceCodec(model_path)
  assert codec.size == len(processor)
  for text in SENTENCES[:3]:
    assert codec.encode(text) == processor.encode(text)
    assert codec.decode(codec.encode(text)) == text
  # Byte fallback reaches what the model never saw.
  assert codec.decode(codec.encode("手")) == "手"


def test_single_characters_drop_words_and_bytes(model_path):
  whole = SentencePieceCodec(model_path)
  codec = SentencePieceCodec(model_path, single_characters=True)
  letters = set("".join(SENTENCES)) - {" "}
  # One id per letter and one for the space.
  assert codec.size == 3 + len(letters) + 1 < whole.size
  text = "brown zebras jump"
  ids = codec.encode(text)
  assert len(ids) == len(text)
  assert codec.decode(ids) == text
  assert len({codec.encode(c)[0] for c in letters}) == len(letters)
  assert codec.encode("a手") == [*codec.encode("a"), UNK_ID]
  assert codec.encode("") == []


@pytest.mark.parametrize("single", [False, True])
def test_any_ids_decode_with_sentencepiece(model_path, single):
  codec = SentencePieceCodec(model_path, single)
  ids = [-7, 0, 1, *range(3, codec.size), codec.size, 10**12]
  assert isinstance(codec.decode(ids), str)
  assert codec.decode([PAD_ID, EOS_ID, -1, codec.size, 2**40]) == ""
  fox = codec.encode("fox")
  assert codec.decode([*fox, UNK_ID, *fox]) == "fox\ufffdfox"


def test_a_config_builds_the_same_codec(model_path):
  for codec in (
    ByteCodec(),
    CharacterCodec("手ab"),
    SentencePieceCodec(model_path, True),
  ):
    assert codec_from_config(codec.to_config()) == codec


def test_unknown_configs_are_refused():
  with pytest.raises(ValueError, match=r"'byte'; known: bytes, characters"):
    codec_from_config({"type": "byte"})
  with pytest.raises(ValueError, match=r"'bytes' does not take \['path'\]"):
    codec_from_config({"type": "bytes", "path": "x"})


def test_a_missing_or_broken_model_is_named(tmp_path: pathlib.Path):
  pytest.importorskip("sentencepiece")
  with pytest.raises(ValueError, match=r"no SentencePiece model at .*absent"):
    SentencePieceCodec(str(tmp_path / "absent.model")).encode("a")
  broken = tmp_path / "broken.model"
  broken.write_bytes(b"not a model")
  with pytest.raises(ValueError, match=r"broken\.model' cannot be read"):
    SentencePieceCodec(str(broken)).encode("a")
