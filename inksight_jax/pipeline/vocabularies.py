"""The model vocabulary in the shape that SeqIO and T5X ask for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

import seqio
import tensorflow as tf

from inksight_jax.text.codecs import EOS_ID, UNK_ID
from inksight_jax.text.vocabulary import Vocabulary

_INK_TOKEN = re.compile(r"<ink_token_(\d+)>")


class SeqioVocabulary(seqio.Vocabulary):
  """Text as itself, ink ids as `<ink_token_i>`, in any order.

  Args:
    vocabulary: the vocabulary of the model.
  """

  def __init__(self, vocabulary: Vocabulary) -> None:
    super().__init__()
    self.vocabulary = vocabulary

  @property
  def bos_id(self) -> int:
    """PAD starts the decoder, as in T5."""
    return self.pad_id

  @property
  def eos_id(self) -> int:
    """Id that ends a target."""
    return EOS_ID

  @property
  def unk_id(self) -> int:
    """Id of characters outside the text vocabulary."""
    return UNK_ID

  @property
  def _base_vocab_size(self) -> int:
    return self.vocabulary.size

  def _encode(self, s: str) -> list[int]:
    ink = self.vocabulary.ink
    ids: list[int] = []
    # With one group, `split` alternates text and the number of an ink token.
    for place, piece in enumerate(_INK_TOKEN.split(s)):
      if place % 2 == 0:
        ids += self.vocabulary.encode_text(piece)
      elif ink is not None and int(piece) < ink.num_ids:
        ids.append(self.vocabulary.ink_offset + int(piece))
      else:
        ids.append(UNK_ID)
    return ids

  def _decode(self, ids: Sequence[int]) -> str:
    pieces: list[str] = []
    text: list[int] = []
    offset = self.vocabulary.ink_offset
    for i in ids:
      if i < offset:
        text.append(int(i))
        continue
      # A run of text ids is decoded together: a character may take several.
      pieces += [self.vocabulary.text.decode(text), f"<ink_token_{i - offset}>"]
      text = []
    return "".join([*pieces, self.vocabulary.text.decode(text)])

  def _encode_tf(self, s: tf.Tensor) -> tf.Tensor:
    def encode(value: tf.Tensor) -> tf.Tensor:
      # The stub knows no string tensors, whose value is bytes.
      text = cast(bytes, value.numpy()).decode()
      return tf.constant(self._encode(text), tf.int32)

    ids = tf.py_function(encode, [s], tf.int32)
    ids.set_shape([None])
    return ids

  def _decode_tf(self, ids: tf.Tensor) -> tf.Tensor:
    def decode(values: tf.Tensor) -> tf.Tensor:
      return tf.constant(self._decode(values.numpy().tolist()))

    if len(ids.shape) > 1:
      return tf.map_fn(self._decode_tf, ids, fn_output_signature=tf.string)
    text = tf.py_function(decode, [ids], tf.string)
    text.set_shape([])
    return text

  def __eq__(self, other: object) -> bool:
    return (
      isinstance(other, SeqioVocabulary) and self.vocabulary == other.vocabulary
    )

  def __hash__(self) -> int:
    return hash(self.vocabulary)
