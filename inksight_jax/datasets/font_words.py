"""Generated pictures of words in the fonts of this machine, Korean by default.

Across and downwards, in any colours, as on signs and book covers: for trying
out what needs the pictures of AI-Hub, which registered users get only.
"""

from __future__ import annotations

import glob
import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from inksight_jax.datasets.generated import split_of_word
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import SPLITS

SOURCE = "font_words"
# Where Debian's fonts-nanum and fonts-noto-cjk put theirs.
FONT_PLACES = (
  "/usr/share/fonts/truetype/nanum/Nanum*.ttf",
  "/usr/share/fonts/opentype/noto/NotoSansCJK-*.ttc",
  "/usr/share/fonts/opentype/noto/NotoSerifCJK-*.ttc",
)
_ENDINGS = (".ttf", ".otf", ".ttc")
# Of the collections of Noto CJK, the one for Korean.
_KOREAN = 1
_MAX_DRAWS = 10_000
# Least difference of ink and paper in the mean of the colours.
_CONTRAST = 90


def hangul_syllables() -> str:
  """The 2,350 syllables of KS X 1001, in its order: nearly all Korean text."""
  rows, columns = range(0xB0, 0xC9), range(0xA1, 0xFF)
  return bytes(byte for r in rows for c in columns for byte in (r, c)).decode(
    "euc_kr"
  )


def find_fonts(path: str | os.PathLike[str] = "") -> list[str]:
  """Font files.

  Args:
    path: a font, a folder of fonts, or "" for those of FONT_PLACES.

  Raises:
    ValueError: there is none.
  """
  folder = os.fspath(path)
  if not folder:
    found = [file for place in FONT_PLACES for file in glob.glob(place)]
  elif os.path.isdir(folder):
    found = [
      os.path.join(root, name)
      for root, _, names in os.walk(folder)
      for name in names
      if name.lower().endswith(_ENDINGS)
    ]
  else:
    found = [folder] if os.path.isfile(folder) else []
  if not found:
    raise ValueError(
      f"No font in {folder or ', '.join(FONT_PLACES)}. On Debian: apt install "
      "fonts-nanum; elsewhere give a font, or a folder of fonts, as path."
    )
  return sorted(found)


def read_font_words(
  path: str | pathlib.Path = "",
  report: SkipReport | None = None,
  *,
  split: str = "train",
  count: int = 20_000,
  held_out_count: int = 1_000,
  alphabet: str = "hangul",
  min_length: int = 1,
  max_length: int = 6,
  vertical: float = 0.5,
  size: tuple[int, int] = (24, 40),
  seed: int = 0,
) -> Iterator[Record]:
  """Writes random words in random fonts.

  A word belongs to one split by its hash, as those of `generated_words` do.

  Args:
    path: see `find_fonts`.
    report: not used, nothing is left out.
    split: "train", "validation" or "test"; "all" for all of them.
    count: words of the training split.
    held_out_count: words of each other split.
    alphabet: letters, or "hangul" for `hangul_syllables`.
    min_length, max_length: letters of a word.
    vertical: share of the words that are written downwards.
    size: least and greatest size of letters, pixels.
    seed: another seed gives other words.

  Yields:
    Records with pictures.

  Raises:
    ValueError: no font, letters that it lacks, or an option out of range.
  """
  from inksight_jax.rendering.typeset import lacks

  del report
  letters = hangul_syllables() if alphabet == "hangul" else alphabet
  if not letters or not 1 <= min_length <= max_length or min(size) < 8:
    raise ValueError(
      f"alphabet={alphabet!r}, min_length={min_length}, "
      f"max_length={max_length}, size={size}: wanted letters, 1 <= min_length "
      "<= max_length, and letters of 8 pixels or more."
    )
  fonts = [(file, _index(file)) for file in find_fonts(path)]
  for file, index in fonts:
    missing = lacks(file, letters, index)
    if missing:
      raise ValueError(
        f"{file} lacks {missing[:20]!r}; take other fonts, or these letters "
        "out of the alphabet."
      )
  for name in (split,) if split in SPLITS else SPLITS:
    number = count if name == SPLITS[0] else held_out_count
    for place in range(number):
      rng = np.random.default_rng((seed, SPLITS.index(name), place))
      word = _word(rng, name, letters, (min_length, max_length))
      yield _written(
        f"{name}/{seed}/{place:07d}", word, fonts, rng, vertical, size
      )


def _index(file: str) -> int:
  return _KOREAN if file.lower().endswith(".ttc") else 0


def _word(
  rng: np.random.Generator, split: str, letters: str, lengths: tuple[int, int]
) -> str:
  for _ in range(_MAX_DRAWS):
    length = int(rng.integers(lengths[0], lengths[1] + 1))
    places = rng.integers(0, len(letters), length).tolist()
    word = "".join(letters[place] for place in places)
    if word == word.strip() and split_of_word(word) == split:
      return word
  raise ValueError(
    f"No word of {lengths[0]} to {lengths[1]} of these {len(letters)} letters "
    f"falls in the {split} split; allow longer words or more letters."
  )


def _written(
  name: str,
  word: str,
  fonts: Sequence[tuple[str, int]],
  rng: np.random.Generator,
  vertical: float,
  size: tuple[int, int],
) -> Record:
  """A word in a font, size, direction and colours drawn at random."""
  from inksight_jax.rendering.typeset import open_font, typeset

  file, index = fonts[int(rng.integers(len(fonts)))]
  pixels = int(rng.integers(min(size), max(size) + 1))
  while True:
    ink, paper = rng.integers(0, 256, (2, 3)).tolist()
    if abs(sum(ink) - sum(paper)) >= 3 * _CONTRAST:
      break
  image = typeset(
    word,
    open_font(file, pixels, index),
    bool(rng.random() < vertical),
    tuple(ink),
    tuple(paper),
    float(rng.uniform(0.05, 0.3)),
  )
  return Record(id=name, source=SOURCE, text=word, writer=name, image=image)
