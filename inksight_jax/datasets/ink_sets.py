"""Registry entries of the data sets with pen strokes."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from inksight_jax.datasets.generated import LOWER_CASE, read_generated_words
from inksight_jax.datasets.info import DatasetInfo
from inksight_jax.datasets.omniglot import read_omniglot
from inksight_jax.datasets.pen_sets import PEN_SETS
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import ALL, DEFAULT_FRACTIONS, split_of
from inksight_jax.datasets.unipen import read_unipen
from inksight_jax.rendering.handwriting import HandwritingConfig

# A few donors wrote thousands of samples each, so a hash may deal them
# unevenly. This seed gives validation and test 8 to 13 % of each of 1a, 1b, 1c
# and 7, from 16 or more unseen writers; chosen by counts alone.
UNIPEN_SPLIT_SEED = 16


def _in_split(
  split: str, fractions: Sequence[float], seed: int
) -> Callable[[str], bool]:
  if split == ALL:
    return lambda writer: True
  return lambda writer: split_of(writer, fractions, seed) == split


def _generated_words(
  path: str | pathlib.Path,
  split: str,
  report: SkipReport | None = None,
  *,
  count: int = 20_000,
  held_out_count: int = 1_000,
  seed: int = 0,
  alphabet: str = LOWER_CASE,
  min_length: int = 2,
  max_length: int = 8,
  words: str = "random",
  handwriting: HandwritingConfig | Mapping[str, Any] | None = None,
) -> Iterator[Record]:
  del path, report  # nothing to read, nothing to skip
  return read_generated_words(
    count if split == "train" else held_out_count,
    seed,
    alphabet,
    min_length,
    max_length,
    words,
    split,
    handwriting,
  )


def _unipen(
  path: str | pathlib.Path,
  split: str,
  report: SkipReport | None = None,
  *,
  categories: Sequence[str] = ("1a", "1c"),
  y_down_donors: Sequence[str] = (),
  fractions: Sequence[float] = DEFAULT_FRACTIONS,
  split_seed: int = UNIPEN_SPLIT_SEED,
  train_copies: Mapping[str, int] | None = None,
) -> Iterator[Record]:
  records = read_unipen(
    path,
    categories,
    report,
    y_down_donors,
    _in_split(split, fractions, split_seed),
  )
  if not train_copies or split not in ("train", ALL):
    return records
  deal = _in_split("train", fractions, split_seed)
  in_train = deal if split == ALL else lambda writer: True
  return _repeated(records, train_copies, in_train)


def _repeated(
  records: Iterator[Record],
  copies: Mapping[str, int],
  in_train: Callable[[str], bool],
) -> Iterator[Record]:
  """Repeats training records of rare categories; a copy has its own id.

  Its id gives it other augmentation, so a copy is no identical example.
  """
  for record in records:
    yield record
    if not in_train(record.writer):
      continue
    category = record.id.split("/", 1)[0]
    for copy in range(1, copies.get(category, 1)):
      yield dataclasses.replace(record, id=f"{record.id}+{copy}")


def _omniglot(
  path: str | pathlib.Path,
  split: str,
  report: SkipReport | None = None,
  *,
  part: str = "background_small1",
  images: bool = False,
  fractions: Sequence[float] = DEFAULT_FRACTIONS,
  split_seed: int = 0,
) -> Iterator[Record]:
  folder = pathlib.Path(path)
  return read_omniglot(
    folder / f"strokes_{part}.zip",
    folder / f"images_{part}.zip" if images else None,
    report,
    _in_split(split, fractions, split_seed),
  )


INK_SETS = (
  DatasetInfo(
    name="generated_words",
    needs_path=False,
    kind="ink + text, written by the program",
    licence="Apache-2.0 (single-stroke Hershey fonts)",
    citation="Hershey fonts (A. V. Hershey, 1967)",
    access="nothing to download; no path",
    counts={},
    reader=_generated_words,
    holds=("ink",),
    splits="by a hash of the word",
  ),
  DatasetInfo(
    name="unipen",
    kind="ink + text: characters, words, lines; hundreds of writers",
    licence="CC BY 4.0",
    citation=(
      "I. Guyon, L. Schomaker, R. Plamondon, M. Liberman, S. Janet, UNIPEN "
      "project of on-line data exchange and recognizer benchmarks, ICPR 1994"
    ),
    access=(
      "Zenodo record 1195803 (train_r01_v07); path: the .tgz or .tar.xz "
      "archive or the unpacked folder"
    ),
    # unipen.org, whole train_r01_v07.
    counts={
      "1a": 15_953,
      "1b": 28_069,
      "1c": 61_351,
      "1d": 17_286,
      "2": 122_628,
      "3": 67_352,
      "6": 75_529,
      "7": 85_213,
      "8": 14_544,
    },
    reader=_unipen,
    by_writer=True,
    holds=("ink",),
  ),
  DatasetInfo(
    name="omniglot",
    kind="ink + picture of characters of 50 alphabets, no text",
    licence="MIT",
    citation=(
      "B. Lake, R. Salakhutdinov, J. Tenenbaum, Human-level concept learning "
      "through probabilistic program induction, Science 2015"
    ),
    access=(
      "github.com/brendenlake/omniglot, python/strokes_*.zip and "
      "images_*.zip; path: the folder of the zips"
    ),
    counts={
      "background": 19_280,
      "evaluation": 13_180,
      "background_small1": 2_720,
      "background_small2": 3_120,
    },
    reader=_omniglot,
    by_writer=True,
    holds=("ink", "image"),
  ),
  *PEN_SETS,
)
