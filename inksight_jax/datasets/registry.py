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
from inksight_jax.datasets.splits import SPLITS

DATASETS: Mapping[str, DatasetInfo] = {
  info.name: info for info in (*INK_SETS, *IMAGE_SETS)
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
  return info.reader(path, split=split, report=report, **options)
