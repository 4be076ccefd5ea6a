"""The data sets by name: what they are and how their splits are read."""

from __future__ import annotations

import dataclasses
import inspect
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from inksight_jax.datasets.generated import LOWER_CASE, read_generated_words
from inksight_jax.datasets.omniglot import read_omniglot
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import DEFAULT_FRACTIONS, SPLITS, split_of
from inksight_jax.datasets.unipen import read_unipen
from inksight_jax.rendering.handwriting import HandwritingConfig

# A few donors wrote thousands of samples each, so a hash may deal them
# unevenly. This seed gives validation and test 8 to 13 % of each of 1a, 1b, 1c
# and 7, from 16 or more unseen writers; chosen by counts alone.
UNIPEN_SPLIT_SEED = 16


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
  """One row of `inksight-jax data list`.

  Attributes:
    name: key in `DATASETS`.
    kind: what the records hold.
    licence: of the data.
    citation: whom to cite.
    access: where it comes from and what `path` is; empty path if generated.
    counts: expected number of samples by part, for checks of a download.
    reader: reader(path, split, report=..., **options).
  """

  name: str
  kind: str
  licence: str
  citation: str
  access: str
  counts: Mapping[str, int]
  reader: Callable[..., Iterator[Record]]

  @property
  def options(self) -> tuple[str, ...]:
    """Names of the options that the reader takes."""
    names = inspect.signature(self.reader).parameters
    return tuple(n for n in names if n not in ("path", "split", "report"))


def _in_split(
  split: str, fractions: Sequence[float], seed: int
) -> Callable[[str], bool]:
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
  return _repeated(records, train_copies or {}) if split == "train" else records


def _repeated(
  records: Iterator[Record], copies: Mapping[str, int]
) -> Iterator[Record]:
  """Repeats records of rare categories; a copy has an id of its own.

  Its id gives it other augmentation, so a copy is no identical example.
  """
  for record in records:
    yield record
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


DATASETS: Mapping[str, DatasetInfo] = {
  info.name: info
  for info in (
    DatasetInfo(
      name="generated_words",
      kind="ink + text, written by the program",
      licence="Apache-2.0 (single-stroke Hershey fonts)",
      citation="Hershey fonts (A. V. Hershey, 1967)",
      access="nothing to download; no path",
      counts={},
      reader=_generated_words,
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
    ),
  )
}


def load_records(
  name: str,
  path: str | pathlib.Path,
  split: str,
  report: SkipReport | None = None,
  **options: Any,
) -> Iterator[Record]:
  """Reads one split of a data set.

  Args:
    name: a key of `DATASETS`.
    path: archive or folder; ignored by generated data.
    split: "train", "validation" or "test"; no writer (no word, for generated
      data) is in two of them.
    report: counts what was left out and why.
    **options: of the data set's reader, see `DatasetInfo.options`.

  Returns:
    Records, read lazily in a fixed order.

  Raises:
    ValueError: unknown data set, split or option, or a missing path.
  """
  if name not in DATASETS:
    raise ValueError(
      f"Unknown data set {name!r}; one of {', '.join(sorted(DATASETS))}."
    )
  if split not in SPLITS:
    raise ValueError(f"Unknown split {split!r}; one of {', '.join(SPLITS)}.")
  info = DATASETS[name]
  unknown = sorted(set(options) - set(info.options))
  if unknown:
    raise ValueError(
      f"{name} has no option {', '.join(unknown)}; it takes "
      f"{', '.join(info.options)}."
    )
  if not str(path) and name != "generated_words":
    raise ValueError(f"{name} needs a path. Access: {info.access}.")
  return info.reader(path, split, report, **options)
