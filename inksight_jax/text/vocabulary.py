"""The vocabulary of a model: text ids, then those of ink or of pictures."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Iterable
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.tokens import InkCodec
from inksight_jax.ink.types import Ink
from inksight_jax.text.codecs import (
  EOS_ID,
  NUM_SPECIAL_IDS,
  PAD_ID,
  ByteCodec,
  TextCodec,
  codec_from_config,
  id_names,
)
from inksight_jax.text.confidence import character_confidences
from inksight_jax.text.picture_tokens import START, PictureCodec

FILE_NAME = "vocabulary.json"
_SENTENCEPIECE_NAME = "sentencepiece.model"
# Characters that a report names at most.
_NAMED = 20


@dataclasses.dataclass(frozen=True)
class Decoded:
  """What a sequence of model ids says.

  Attributes:
    text: the text ids before EOS, decoded together.
    ink: the ink ids before EOS, decoded together, on the codec's canvas.
    num_text_tokens: text ids before EOS, PAD not counted.
    num_ink_tokens: ink ids before EOS.
    ended: whether EOS came; without it the answer was cut by its length limit.
  """

  text: str
  ink: Ink
  num_text_tokens: int
  num_ink_tokens: int
  ended: bool


@dataclasses.dataclass(frozen=True)
class Vocabulary:
  """Text ids in [0, text.size), then ink ids, then picture ids up to size.

  Attributes:
    text: codec of the text side; it owns PAD 0, EOS 1 and UNK 2.
    ink: codec of the ink side, or None for a model that only reads.
    pictures: codec of pictures made of codes, or None.
  """

  text: TextCodec = dataclasses.field(default_factory=ByteCodec)
  ink: InkCodec | None = dataclasses.field(default_factory=InkCodec)
  pictures: PictureCodec | None = None

  @property
  def ink_offset(self) -> int:
    """Id of the first ink token."""
    return self.text.size

  @property
  def picture_offset(self) -> int:
    """Id of the first picture token."""
    return self.ink_offset + (self.ink.num_ids if self.ink else 0)

  @property
  def start_id(self) -> int:
    """Id of the symbol that begins a text or picture of a token model."""
    return self.picture_offset + START

  @property
  def size(self) -> int:
    """Number of ids in use."""
    return self.picture_offset + (self.pictures.num_ids if self.pictures else 0)

  def padded_size(self, multiple: int = 1) -> int:
    """Size rounded up, so that the embedding divides over devices."""
    if multiple < 1:
      raise ValueError(f"`multiple` must be at least 1; got {multiple}.")
    return -(-self.size // multiple) * multiple

  def encode_text(self, text: str) -> list[int]:
    """Model ids of a text; no EOS."""
    return self.text.encode(text)

  def encode_ink(self, ink: Ink) -> list[int]:
    """Model ids of an ink on the codec's canvas; no EOS.

    Raises:
      ValueError: the vocabulary has no ink ids, or a point is off the canvas.
    """
    if self.ink is None:
      raise ValueError(
        "This vocabulary has no ink ids; build it with ink=InkCodec(canvas)."
      )
    return (self.ink.encode(ink) + self.ink_offset).tolist()

  def encode_picture(self, codes: NDArray[np.integer]) -> NDArray[np.int32]:
    """Model ids of a grid of codes: int[rows, columns] to int32[length].

    Raises:
      ValueError: the vocabulary has no picture ids; see `PictureCodec.encode`.
    """
    return self._pictures.encode(codes) + np.int32(self.picture_offset)

  def decode_picture(self, ids: Iterable[SupportsIndex]) -> NDArray[np.int32]:
    """The grid of codes of model ids; see `PictureCodec.decode`.

    Raises:
      ValueError: the ids are no picture.
    """
    offset = self.picture_offset
    return self._pictures.decode([int(i) - offset for i in ids])

  @property
  def _pictures(self) -> PictureCodec:
    if self.pictures is None:
      raise ValueError(
        "This vocabulary has no picture ids; build it with "
        "pictures=PictureCodec(num_codes, length)."
      )
    return self.pictures

  def decode(self, ids: Iterable[SupportsIndex]) -> Decoded:
    """Reads any ids up to EOS; never raises.

    Text and ink are told apart by range, wherever they stand. PAD, picture ids
    and ids beyond the vocabulary (rows of a padded embedding) are skipped.
    """
    text_ids, ink_ids = [], []
    ended = False
    for i in map(int, ids):
      if i == EOS_ID:
        ended = True
        break
      if self.ink_offset <= i < self.picture_offset:
        ink_ids.append(i - self.ink_offset)
      elif self._is_text(i):
        text_ids.append(i)
    return Decoded(
      text=self.text.decode(text_ids),
      ink=self.ink.decode(ink_ids) if self.ink else Ink(),
      num_text_tokens=len(text_ids),
      num_ink_tokens=len(ink_ids),
      ended=ended,
    )

  def _is_text(self, i: int) -> bool:
    return PAD_ID < i < self.ink_offset and i != EOS_ID

  def character_confidences(
    self, ids: Iterable[SupportsIndex], log_probs: Iterable[float]
  ) -> tuple[float, ...]:
    """How sure each code point of `decode(ids).text` is, 0 to 1.

    Args:
      ids: model ids.
      log_probs: log-probability of each.
    """
    text: list[tuple[int, float]] = []
    for i, log_prob in zip(map(int, ids), log_probs, strict=True):
      if i == EOS_ID:
        break
      if self._is_text(i):
        text.append((i, float(log_prob)))
    return character_confidences(
      self.text, [i for i, _ in text], [log_prob for _, log_prob in text]
    )

  def shared_ids(self, other: Vocabulary) -> list[tuple[int, int]]:
    """(id here, id there) of all that two vocabularies have in common.

    Special ids, characters or pieces, ids of ink or pictures of the same codec,
    and the id behind the last, which CTC takes for its blank.

    Args:
      other: for example that of a model whose weights are taken over.
    """
    pairs = [(i, i) for i in range(NUM_SPECIAL_IDS)]
    there = {name: i for i, name in enumerate(id_names(other.text))}
    pairs += [
      (here + NUM_SPECIAL_IDS, there[name] + NUM_SPECIAL_IDS)
      for here, name in enumerate(id_names(self.text))
      if name in there
    ]
    if self.ink is not None and self.ink == other.ink:
      pairs += [
        (self.ink_offset + i, other.ink_offset + i)
        for i in range(self.ink.num_ids)
      ]
    if self.pictures is not None and self.pictures == other.pictures:
      pairs += [
        (self.picture_offset + i, other.picture_offset + i)
        for i in range(self.pictures.num_ids)
      ]
    return [*pairs, (self.size, other.size)]

  def changes(self, before: Vocabulary) -> str:
    """One line: what is kept, new and gone since another vocabulary."""
    here, there = id_names(self.text), id_names(before.text)
    new = sorted(set(here) - set(there))
    gone = sorted(set(there) - set(here))
    parts = [f"another vocabulary; {len(set(here) & set(there))} ids are kept"]
    for word, names in (("new", new), ("gone", gone)):
      if names:
        shown = " ".join(map(repr, names[:_NAMED]))
        more = f" and {len(names) - _NAMED} more" if names[_NAMED:] else ""
        parts.append(f"{len(names)} {word}: {shown}{more}")
    if (self.ink, self.pictures) != (before.ink, before.pictures):
      parts.append("ink or pictures of another codec begin at random")
    return "; ".join(parts)

  def save(self, directory: str | os.PathLike[str]) -> None:
    """Writes `vocabulary.json`, and a copy of the SentencePiece model if any.

    Args:
      directory: made if absent; it then no longer needs the original model.
    """
    folder = pathlib.Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    text = self.text.to_config()
    if "path" in text:
      target = folder / _SENTENCEPIECE_NAME
      if not (target.exists() and target.samefile(text["path"])):
        shutil.copyfile(text["path"], target)
      text["path"] = _SENTENCEPIECE_NAME
    config = {
      "text": text,
      "ink": {"canvas": self.ink.canvas} if self.ink else None,
      "pictures": dataclasses.asdict(self.pictures) if self.pictures else None,
      "size": self.size,
    }
    # Whole or not at all: a run may be killed in here.
    partial = folder / f"{FILE_NAME}.partial"
    partial.write_text(
      json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    partial.replace(folder / FILE_NAME)

  @classmethod
  def load(cls, directory: str | os.PathLike[str]) -> Vocabulary:
    """Reads what `save` wrote.

    Raises:
      ValueError: the file is absent, unreadable, or describes a vocabulary of
        another size than the one it was written for.
    """
    path = pathlib.Path(directory) / FILE_NAME
    if not path.is_file():
      raise ValueError(
        f"There is no {FILE_NAME} in {os.fspath(directory)!r}; "
        "is it a model directory?"
      )
    try:
      config = json.loads(path.read_text(encoding="utf-8"))
      text, ink, size = dict(config["text"]), config["ink"], config["size"]
      ink_codec = InkCodec(**ink) if ink else None
      # Vocabularies were written before there were pictures of codes.
      pictures = config.get("pictures")
      picture_codec = PictureCodec(**pictures) if pictures else None
    except (KeyError, TypeError, json.JSONDecodeError) as error:
      raise ValueError(f"{path} is not a vocabulary file: {error!r}") from error
    if "path" in text:
      text["path"] = os.fspath(path.parent / text["path"])
    vocabulary = cls(codec_from_config(text), ink_codec, picture_codec)
    if vocabulary.size != size:
      raise ValueError(
        f"{path} was written for {size} ids but now builds "
        f"{vocabulary.size}; restore the text model beside it."
      )
    return vocabulary


def vocabulary_size(vocabulary: Vocabulary, multiple: int = 1) -> int:
  """`vocabulary.padded_size(multiple)` as a function, for gin macros."""
  return vocabulary.padded_size(multiple)


def size_with_blank(vocabulary: Vocabulary, multiple: int = 1) -> int:
  """Rows for the vocabulary and the blank of CTC, rounded up."""
  return -(-(vocabulary.size + 1) // multiple) * multiple


def blank_id(vocabulary: Vocabulary) -> int:
  """Id of CTC's blank: the first one behind the vocabulary."""
  return vocabulary.size


def first_ink_id(vocabulary: Vocabulary) -> int:
  """`vocabulary.ink_offset` as a function, for gin macros."""
  return vocabulary.ink_offset


def first_picture_id(vocabulary: Vocabulary) -> int:
  """`vocabulary.picture_offset` as a function, for gin macros."""
  return vocabulary.picture_offset


def limited(vocabulary: Vocabulary, size: int) -> Vocabulary:
  """The vocabulary, once it is sure that a model of `size` rows holds it.

  For models whose size is fixed before the vocabulary's file is at hand.

  Raises:
    ValueError: the vocabulary has more ids.
  """
  if vocabulary.size > size:
    raise ValueError(
      f"The vocabulary has {vocabulary.size} ids ({vocabulary.text.size} of "
      f"text), the model rows for {size}; set VOCAB_SIZE to a multiple of 128 "
      "that holds them, or another vocabulary."
    )
  return vocabulary
