"""Text codecs: strings to ids and back, with T5's three special ids first."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, SupportsIndex, runtime_checkable

PAD_ID = 0
EOS_ID = 1
UNK_ID = 2
NUM_SPECIAL_IDS = 3

# What an id without text (UNK) reads as.
REPLACEMENT = "\ufffd"
# SentencePiece's visible stand-in for a space.
_SPACE_PIECE = "\u2581"


@runtime_checkable
class TextCodec(Protocol):
  """Maps text to ids in [0, size); 0, 1, 2 are PAD, EOS and UNK."""

  @property
  def size(self) -> int:
    """Number of ids, specials included."""
    ...

  def encode(self, text: str) -> list[int]:
    """Ids of a text; no EOS."""
    ...

  def decode(self, ids: Iterable[SupportsIndex]) -> str:
    """Text of ids; never raises, ids that stand for no text are skipped."""
    ...

  def to_config(self) -> dict[str, Any]:
    """JSON values from which `codec_from_config` builds the codec again."""
    ...


@dataclasses.dataclass(frozen=True)
class ByteCodec:
  """UTF-8 bytes, id = byte + 3, as ByT5 (arXiv 2105.13626): any language."""

  @property
  def size(self) -> int:
    """Number of ids, specials included."""
    return NUM_SPECIAL_IDS + 256

  def encode(self, text: str) -> list[int]:
    """Ids of the UTF-8 bytes of a text; no EOS.

    Lone surrogates, which UTF-8 cannot hold, are encoded as `?`.
    """
    return [b + NUM_SPECIAL_IDS for b in text.encode("utf-8", "replace")]

  def decode(self, ids: Iterable[SupportsIndex]) -> str:
    """Text of ids; broken UTF-8 reads as U+FFFD, other ids are skipped."""
    values = (int(i) - NUM_SPECIAL_IDS for i in ids)
    return bytes(v for v in values if 0 <= v < 256).decode("utf-8", "replace")

  def to_config(self) -> dict[str, Any]:
    """JSON values from which `codec_from_config` builds the codec again."""
    return {"type": "bytes"}


@dataclasses.dataclass(frozen=True)
class CharacterCodec:
  """A fixed alphabet, one id per code point in the order given.

  Attributes:
    characters: the alphabet; ids start at 3. Anything else encodes as UNK.
  """

  characters: str

  def __post_init__(self) -> None:
    if not self.characters or len(set(self.characters)) != len(self.characters):
      raise ValueError(
        "The alphabet must hold each character once and at least one; "
        f"got {self.characters!r}."
      )

  @functools.cached_property
  def _id_of(self) -> dict[str, int]:
    return {c: i + NUM_SPECIAL_IDS for i, c in enumerate(self.characters)}

  @property
  def size(self) -> int:
    """Number of ids, specials included."""
    return NUM_SPECIAL_IDS + len(self.characters)

  def encode(self, text: str) -> list[int]:
    """Ids of a text, UNK for characters outside the alphabet; no EOS."""
    return [self._id_of.get(c, UNK_ID) for c in text]

  def decode(self, ids: Iterable[SupportsIndex]) -> str:
    """Text of ids; UNK reads as U+FFFD, other ids are skipped."""
    return _join_characters(ids, self.characters)

  def to_config(self) -> dict[str, Any]:
    """JSON values from which `codec_from_config` builds the codec again."""
    return {"type": "characters", "characters": self.characters}


@dataclasses.dataclass(frozen=True)
class SentencePieceCodec:
  """Pieces of a SentencePiece model, renumbered behind the special ids.

  Pieces keep the model's order, so a model that already starts with PAD, EOS
  and UNK (T5, mT5) keeps its ids.

  Attributes:
    path: the `.model` file.
    single_characters: keep only pieces of one character, as InkSight does to
      shrink the embedding; byte-fallback pieces go too.
  """

  path: str
  single_characters: bool = False

  @functools.cached_property
  def _processor(self) -> Any:
    try:
      import sentencepiece
    except ImportError as error:
      raise ValueError(
        "A SentencePiece vocabulary needs the package `sentencepiece`; "
        "install it or use ByteCodec."
      ) from error
    if not os.path.isfile(self.path):
      raise ValueError(f"There is no SentencePiece model at {self.path!r}.")
    try:
      return sentencepiece.SentencePieceProcessor(model_file=self.path)
    except (RuntimeError, OSError) as error:
      raise ValueError(
        f"{self.path!r} cannot be read as a SentencePiece model: {error}"
      ) from error

  @functools.cached_property
  def kept_pieces(self) -> list[int]:
    """Ids in the model's own numbering, by our id minus 3."""
    processor = self._processor
    special = {processor.pad_id(), processor.eos_id(), processor.unk_id()}
    pieces = [i for i in range(len(processor)) if i not in special]
    if not self.single_characters:
      return pieces
    return [
      i
      for i in pieces
      if len(processor.id_to_piece(i)) == 1
      and not processor.is_control(i)
      and not processor.is_byte(i)
      and not processor.is_unused(i)
    ]

  @functools.cached_property
  def _id_of(self) -> dict[int, int]:
    return {p: i + NUM_SPECIAL_IDS for i, p in enumerate(self.kept_pieces)}

  @functools.cached_property
  def pieces(self) -> list[str]:
    """What the model calls each id, specials left out."""
    return list(map(self._processor.id_to_piece, self.kept_pieces))

  @functools.cached_property
  def characters(self) -> str:
    """The pieces, where all are single characters, in the order of ids."""
    return "".join(self.pieces)

  @functools.cached_property
  def _character_ids(self) -> dict[str, int]:
    return {c: i + NUM_SPECIAL_IDS for i, c in enumerate(self.characters)}

  @property
  def size(self) -> int:
    """Number of ids, specials included."""
    return NUM_SPECIAL_IDS + len(self.kept_pieces)

  def encode(self, text: str) -> list[int]:
    """Ids of a text after the model's own normalisation; no EOS."""
    if not self.single_characters:
      return [self._id_of.get(i, UNK_ID) for i in self._processor.encode(text)]
    pieces = self._processor.normalize(text).replace(" ", _SPACE_PIECE)
    # The model puts a space before the first word; a character needs none.
    if not text.startswith(" "):
      pieces = pieces.removeprefix(_SPACE_PIECE)
    return [self._character_ids.get(c, UNK_ID) for c in pieces]

  def decode(self, ids: Iterable[SupportsIndex]) -> str:
    """Text of ids; UNK reads as U+FFFD, ids outside the model are skipped."""
    if self.single_characters:
      text = _join_characters(ids, self.characters)
      return text.replace(_SPACE_PIECE, " ")
    # UNK splits the sequence, since the model would write it as " ⁇ ".
    runs: list[list[int]] = [[]]
    for i in map(int, ids):
      if i == UNK_ID:
        runs.append([])
      elif NUM_SPECIAL_IDS <= i < self.size:
        runs[-1].append(self.kept_pieces[i - NUM_SPECIAL_IDS])
    return REPLACEMENT.join(self._processor.decode(run) for run in runs)

  def to_config(self) -> dict[str, Any]:
    """JSON values from which `codec_from_config` builds the codec again."""
    return {
      "type": "sentencepiece",
      "path": self.path,
      "single_characters": self.single_characters,
    }


def _join_characters(ids: Iterable[SupportsIndex], characters: str) -> str:
  pieces = []
  for i in map(int, ids):
    if i == UNK_ID:
      pieces.append(REPLACEMENT)
    elif NUM_SPECIAL_IDS <= i < NUM_SPECIAL_IDS + len(characters):
      pieces.append(characters[i - NUM_SPECIAL_IDS])
  return "".join(pieces)


def id_names(codec: TextCodec) -> list[str]:
  """What each id stands for, special ids left out; equal across codecs.

  Args:
    codec: any codec of this module.

  Returns:
    Of id `i` the entry `i - NUM_SPECIAL_IDS`: the character, the piece with a
    blank for its mark of one, or `<0xE4>` for a byte that is no character.
  """
  if isinstance(codec, ByteCodec):
    return [chr(b) if b < 128 else f"<0x{b:02X}>" for b in range(256)]
  if isinstance(codec, CharacterCodec):
    return list(codec.characters)
  assert isinstance(codec, SentencePieceCodec), "There are three codecs."
  return [piece.replace(_SPACE_PIECE, " ") for piece in codec.pieces]


_CODECS = {
  "bytes": ByteCodec,
  "characters": CharacterCodec,
  "sentencepiece": SentencePieceCodec,
}


def codec_from_config(config: Mapping[str, Any]) -> TextCodec:
  """Builds the codec that `to_config` described.

  Raises:
    ValueError: the type is unknown or an argument does not fit it.
  """
  arguments = dict(config)
  kind = arguments.pop("type", None)
  if kind not in _CODECS:
    raise ValueError(
      f"Unknown text codec {kind!r}; known: {', '.join(sorted(_CODECS))}."
    )
  try:
    return _CODECS[kind](**arguments)
  except TypeError as error:
    raise ValueError(
      f"The text codec {kind!r} does not take {sorted(arguments)}."
    ) from error
