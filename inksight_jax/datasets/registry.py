"""The data sets by name, and how their splits are read."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from inksight_jax.datasets.image_sets import IMAGE_SETS
from inksight_jax.datasets.info import DatasetInfo
from inksight_jax.datasets.ink_sets import INK_SETS
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import ALL, SPLITS, split_of

DATASETS: Mapping[str, DatasetInfo] = {
  info.name: info for info in (*INK_SETS, *IMAGE_SETS)
}


def dataset_info(name: str) -> DatasetInfo:
  """The row of a data set.

  Raises:
    ValueError: there is no such data set.
  """
  if name not in DATASETS:
    raise ValueError(
      f"Unknown data set {name!r}; one of {', '.join(sorted(DATASETS))}."
    )
  return DATASETS[name]


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
  info = dataset_info(name)
  if split not in SPLITS:
    raise ValueError(f"Unknown split {split!r}; one of {', '.join(SPLITS)}.")
  _check(info, path, options)
  return info.reader(path, split=split, report=report, **options)


def load_splits(
  name: str,
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  **options: Any,
) -> Iterator[tuple[str, Record]]:
  """Reads every split of a data set, in one pass where the reader can.

  Args:
    name: a key of `DATASETS`.
    path: archive or folder; ignored by generated data.
    report: counts what was left out and why, over all splits.
    **options: of the data set's reader.

  Yields:
    (split, record); within a split, records come in the order of
    `load_records`.

  Raises:
    ValueError: unknown data set or option, or a missing path.
  """
  info = dataset_info(name)
  settings = _check(info, path, options)
  if not info.by_writer or settings.get("split_by") == "sample":
    for split in SPLITS:
      for record in info.reader(path, split=split, report=report, **options):
        yield split, record
    return
  fractions, seed = settings["fractions"], settings["split_seed"]
  for record in info.reader(path, split=ALL, report=report, **options):
    yield split_of(record.writer, fractions, seed), record


def _check(
  info: DatasetInfo, path: str | pathlib.Path, options: Mapping[str, Any]
) -> dict[str, Any]:
  """The full options; refuses unknown ones and a missing path."""
  settings = info.full_options(options)
  if not str(path) and info.needs_path:
    raise ValueError(f"{info.name} needs a path. Access: {info.access}.")
  return settings
