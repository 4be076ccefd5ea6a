"""Text in a TensorFlow graph is what the codecs make of it."""

import numpy as np
import pytest

from inksight_jax.interop import graph_text
from inksight_jax.text.codecs import (
  ByteCodec,
  CharacterCodec,
  SentencePieceCodec,
)

tf = pytest.importorskip("tensorflow")

TEXTS = [
  "",
  " ",
  "Derender the ink.",
  "Derender the ink: hello",
  "  two  blanks ",
  "naïve café, 手書き",
  "ﬁne Å ①",  # The normalisation of SentencePiece changes these.
  "Zz?!#~ unknown ЖЖ",
  "tab\tand\nline",
]


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> str:
  pytest.importorskip("tensorflow_text")
  sentencepiece = pytest.importorskip("sentencepiece")
  path = tmp_path_factory.mktemp("sentencepiece") / "tiny.model"
  sentences = [
    "the quick brown fox jumps over the lazy dog",
    "derender the ink and recognize the ink",
    "pack my box with five dozen liquor jugs",
  ] * 20
  with path.open("wb") as file:
    sentencepiece.SentencePieceTrainer.train(
      sentence_iterator=iter(sentences),
      model_writer=file,
      vocab_size=80,
      pad_id=0,
      eos_id=1,
      unk_id=2,
      bos_id=-1,
      minloglevel=2,
      hard_vocab_limit=False,
    )
  return str(path)


def codecs(model_path: str):
  yield ByteCodec()
  yield CharacterCodec("abcdehiknprt手 .é")
  yield SentencePieceCodec(model_path)
  yield SentencePieceCodec(model_path, single_characters=True)


def test_both_directions_equal_the_codecs(model_path: str):
  rng = np.random.default_rng(0)
  letters = list("abcdefghijklmno .:é手\u2581")
  texts = TEXTS + ["".join(rng.choice(letters, 12)) for _ in range(60)]
  for codec in codecs(model_path):
    graph = graph_text.graph_text(codec)
    encode = tf.function(graph.encode, autograph=False)
    decode = tf.function(graph.decode, autograph=False)
    expected = [codec.encode(text) for text in texts]
    assert encode(tf.constant(texts)).to_list() == expected, codec
    # What was encoded, and any ids, unknown and foreign ones too.
    ids = expected + [
      rng.integers(0, codec.size + 4, rng.integers(0, 20)).tolist()
      for _ in range(200)
    ]
    ragged = tf.ragged.constant(ids, tf.int32, ragged_rank=1)
    decoded = [b.decode("utf-8") for b in decode(ragged).numpy()]
    assert decoded == [codec.decode(i) for i in ids], codec
    none = tf.RaggedTensor.from_row_lengths(tf.zeros([0], tf.int32), [0, 0])
    assert decode(none).numpy().tolist() == [b"", b""]


def test_ink_is_written_for_the_canvas_of_the_client():
  points = np.array([[[0, 48], [24, 12], [48, 0], [0, 0]]], np.int32)
  strokes = np.array([[0, 0, 1, -1]], np.int32)
  written = graph_text.write_ink(points, strokes, np.array([3], np.int32), 48)
  assert written.numpy().tolist() == [
    b"<ink_token_450><ink_token_0><ink_token_449>"
    b"<ink_token_112><ink_token_281>"
    b"<ink_token_450><ink_token_224><ink_token_225>"
  ]


def test_a_foreign_codec_is_refused():
  class Shouting:
    size = 4

    def encode(self, text):
      return [len(text)]

    def decode(self, ids):
      return "!" * len(list(ids))

    def to_config(self):
      return {}

  with pytest.raises(ValueError, match="A Shouting has no counterpart"):
    graph_text.graph_text(Shouting())
