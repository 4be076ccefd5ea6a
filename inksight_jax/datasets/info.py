"""What the registry says about a data set."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping

from inksight_jax.datasets.record import Record


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
    reader: reader(path, split=..., report=..., **options).
    holds: which of "image" and "ink" the records have.
    splits: how train, validation and test are told apart.
  """

  name: str
  kind: str
  licence: str
  citation: str
  access: str
  counts: Mapping[str, int]
  reader: Callable[..., Iterator[Record]]
  holds: tuple[str, ...] = ("image",)
  splits: str = "by a hash of the writer"

  @property
  def options(self) -> tuple[str, ...]:
    """Names of the options that the reader takes."""
    names = inspect.signature(self.reader).parameters
    return tuple(n for n in names if n not in ("path", "split", "report"))
