"""The text codecs of `text.codecs` inside a TensorFlow graph.

Both directions: prompts to ids, ids to text. Bytes and alphabets need no
package beside TensorFlow; SentencePiece needs tensorflow-text where the graph
is made and where it runs.
"""

from __future__ import annotations

import hashlib
from typing import Any

from inksight_jax.ink.tokens import InkCodec
from inksight_jax.text.codecs import (
  NUM_SPECIAL_IDS,
  REPLACEMENT,
  UNK_ID,
  ByteCodec,
  CharacterCodec,
  SentencePieceCodec,
  TextCodec,
)

Tensor = Any

# The canvas of InkSight's published client, whatever that of the model is.
CLIENT_INK = InkCodec(224)


class GraphText:
  """A codec of text in graph operations.

  Attributes:
    resources: tables by name, for a SavedModel to keep.
  """

  def __init__(self, **resources: Any) -> None:
    """Holds its tables."""
    self.resources = resources

  def encode(self, texts: Tensor) -> Tensor:
    """string[batch] to ragged int32[batch, (ids)]; no EOS."""
    raise NotImplementedError

  def decode(self, ids: Tensor) -> Tensor:
    """Ragged int32[batch, (ids)] to string[batch]; skips ids without text."""
    raise NotImplementedError


def graph_text(codec: TextCodec) -> GraphText:
  """The graph counterpart of a codec.

  Raises:
    ValueError: there is none for this type of codec.
  """
  if isinstance(codec, ByteCodec):
    return _Bytes()
  if isinstance(codec, CharacterCodec):
    return _Characters(codec.characters)
  if isinstance(codec, SentencePieceCodec):
    if codec.single_characters:
      return _SingleCharacters(codec)
    return _Pieces(codec)
  raise ValueError(
    f"A {type(codec).__name__} has no counterpart in a TensorFlow graph; "
    "export a model with ByteCodec, CharacterCodec or SentencePieceCodec."
  )


def write_ink(
  points: Tensor, strokes: Tensor, count: Tensor, canvas: int
) -> Tensor:
  """Ink as `<ink_token_i>` of the canvas that InkSight's client knows.

  Args:
    points: int32[batch, points, 2] cells of the model's canvas.
    strokes: int32[batch, points] number of each point's stroke.
    count: int32[batch] points.
    canvas: of the model; its coordinates are scaled to 224 and rounded.

  Returns:
    string[batch].
  """
  import tensorflow as tf

  size = CLIENT_INK.canvas
  scaled = (2 * points * size + canvas) // (2 * canvas)
  names = tf.constant([f"<ink_token_{i}>" for i in range(CLIENT_INK.num_ids)])
  x = tf.gather(names, scaled[:, :, 0])
  y = tf.gather(names, scaled[:, :, 1] + CLIENT_INK.y_offset)
  before = tf.pad(strokes[:, :-1], [[0, 0], [1, 0]], constant_values=-1)
  starts = tf.where(strokes != before, names[CLIENT_INK.stroke_start], "")
  written = tf.range(tf.shape(points)[1])[None] < count[:, None]
  pieces = tf.where(written, tf.strings.join([starts, x, y]), "")
  return tf.strings.reduce_join(pieces, axis=1)


class _Bytes(GraphText):
  def encode(self, texts: Tensor) -> Tensor:
    import tensorflow as tf

    split = tf.strings.bytes_split(texts)
    values = tf.reshape(tf.io.decode_raw(split.flat_values, tf.uint8), [-1])
    ids = tf.cast(values, tf.int32) + NUM_SPECIAL_IDS
    return split.with_flat_values(ids)

  def decode(self, ids: Tensor) -> Tensor:
    import tensorflow as tf

    table = tf.constant([bytes([i]) for i in range(256)])
    values = ids.flat_values - NUM_SPECIAL_IDS
    ids = tf.ragged.boolean_mask(
      ids, ids.with_flat_values((values >= 0) & (values < 256))
    )
    pieces = tf.gather(table, ids.flat_values - NUM_SPECIAL_IDS)
    text = tf.strings.reduce_join(ids.with_flat_values(pieces), axis=1)
    return tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", "replace")


class _Characters(GraphText):
  def __init__(self, characters: str) -> None:
    import tensorflow as tf

    self._pieces = list(characters)
    self._table = tf.lookup.StaticHashTable(
      tf.lookup.KeyValueTensorInitializer(
        tf.constant([c.encode("utf-8", "replace") for c in characters]),
        tf.range(len(characters), dtype=tf.int32) + NUM_SPECIAL_IDS,
      ),
      UNK_ID,
    )
    super().__init__(characters=self._table)

  def encode(self, texts: Tensor) -> Tensor:
    import tensorflow as tf

    split = tf.strings.unicode_split(texts, "UTF-8", errors="replace")
    return split.with_flat_values(self._table.lookup(split.flat_values))

  def decode(self, ids: Tensor) -> Tensor:
    import tensorflow as tf

    table = tf.constant([REPLACEMENT, *self._pieces])
    known = (ids.flat_values >= UNK_ID) & (
      ids.flat_values < NUM_SPECIAL_IDS + len(self._pieces)
    )
    ids = tf.ragged.boolean_mask(ids, ids.with_flat_values(known))
    pieces = tf.gather(table, ids.flat_values - UNK_ID)
    return tf.strings.reduce_join(ids.with_flat_values(pieces), axis=1)


class _SingleCharacters(GraphText):
  """The model's normalisation, then an alphabet."""

  _SPACE = "\u2581"

  def __init__(self, codec: SentencePieceCodec) -> None:
    self._alphabet = _Characters(codec.characters)
    self._normalizer = _tokenizer(_normalizer_model(codec.path), string=True)
    super().__init__(**self._alphabet.resources, normalizer=self._normalizer)

  def encode(self, texts: Tensor) -> Tensor:
    import tensorflow as tf

    pieces = self._normalizer.tokenize(texts)
    text = tf.strings.reduce_join(pieces, axis=1)
    # As the codec does: a character needs no space before the first word.
    spaced = tf.strings.substr(texts, 0, 1) == " "
    plain = tf.strings.regex_replace(text, "^" + self._SPACE, "")
    return self._alphabet.encode(tf.where(spaced, text, plain))

  def decode(self, ids: Tensor) -> Tensor:
    import tensorflow as tf

    text = self._alphabet.decode(ids)
    return tf.strings.regex_replace(text, self._SPACE, " ")


class _Pieces(GraphText):
  """All pieces of a model, renumbered as the codec does."""

  def __init__(self, codec: SentencePieceCodec) -> None:
    with open(codec.path, "rb") as file:
      self._tokenizer = _tokenizer(file.read(), string=False)
    self._kept = codec.kept_pieces
    super().__init__(tokenizer=self._tokenizer)

  def encode(self, texts: Tensor) -> Tensor:
    import tensorflow as tf

    ids = tf.cast(self._tokenizer.tokenize(texts), tf.int32)
    ours = [UNK_ID] * (max(self._kept) + 1)
    for number, piece in enumerate(self._kept):
      ours[piece] = number + NUM_SPECIAL_IDS
    table = tf.constant(ours, tf.int32)
    values = ids.flat_values
    known = values < len(ours)
    values = tf.gather(table, tf.where(known, values, 0))
    return ids.with_flat_values(tf.where(known, values, UNK_ID))

  def decode(self, ids: Tensor) -> Tensor:
    import tensorflow as tf

    size = NUM_SPECIAL_IDS + len(self._kept)
    known = (ids.flat_values >= UNK_ID) & (ids.flat_values < size)
    ids = tf.ragged.boolean_mask(ids, ids.with_flat_values(known))
    # An unknown piece parts the text in two that are decoded by themselves.
    is_unknown = tf.cast(ids.flat_values == UNK_ID, tf.int32)
    rows = ids.value_rowids()
    unknowns = tf.math.segment_sum(is_unknown, rows)
    count = tf.cast(ids.nrows(), tf.int32)
    unknowns = tf.pad(unknowns, [[0, count - tf.shape(unknowns)[0]]])
    runs_before = tf.cumsum(unknowns + 1, exclusive=True)
    place = tf.cumsum(is_unknown) - tf.gather(
      tf.cumsum(unknowns, exclusive=True), rows
    )
    run = tf.gather(runs_before, rows) + place
    table = tf.constant(self._kept, tf.int32)
    written = is_unknown == 0
    ragged: Any = tf.RaggedTensor
    runs = ragged.from_value_rowids(
      tf.gather(table, ids.flat_values[written] - NUM_SPECIAL_IDS),
      tf.cast(run[written], tf.int64),
      nrows=tf.cast(tf.reduce_sum(unknowns + 1), tf.int64),
    )
    run_counts = unknowns + 1
    number = tf.ragged.range(run_counts).flat_values
    between = tf.where(number > 0, REPLACEMENT, "")
    texts = ragged.from_row_lengths(
      tf.strings.join([between, self._tokenizer.detokenize(runs)]),
      tf.cast(run_counts, tf.int64),
    )
    return tf.strings.reduce_join(texts, axis=1)


def _tokenizer(model: bytes, string: bool) -> Any:
  import tensorflow as tf

  try:
    import tensorflow_text
  except ImportError as error:
    raise ValueError(
      "The model's vocabulary is SentencePiece: its SavedModel needs the "
      "package `tensorflow-text`; install it."
    ) from error
  # Two tokenizers of one name would share one vocabulary once loaded
  # (tensorflow/text issue 1304).
  name = f"sp_{hashlib.sha1(model).hexdigest()[:12]}"
  make: Any = tensorflow_text.SentencepieceTokenizer
  return make(model, out_type=tf.string if string else tf.int32, name=name)


def _normalizer_model(path: str) -> bytes:
  """A model that only normalises: its pieces are single characters."""
  from sentencepiece import sentencepiece_model_pb2

  model: Any = sentencepiece_model_pb2
  proto = model.ModelProto()
  with open(path, "rb") as file:
    proto.ParseFromString(file.read())
  kinds = model.ModelProto.SentencePiece
  kept = [
    (piece.piece, piece.type, piece.score)
    for piece in proto.pieces
    if piece.type in (kinds.UNKNOWN, kinds.CONTROL) or len(piece.piece) == 1
  ]
  del proto.pieces[:]
  for text, kind, score in kept:
    proto.pieces.add(piece=text, type=kind, score=score)
  spec = proto.trainer_spec
  spec.model_type = spec.CHAR
  spec.byte_fallback = False
  spec.vocab_size = len(proto.pieces)
  return proto.SerializeToString()
