"""What the registry says about a data set."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

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
    holds: which of "image", "ink" and "codes" the records have.
    splits: how train, validation and test are told apart.
    by_writer: whether splits are dealt by `split_of` with the options
      `fractions` and `split_seed`, and `reader` also takes the split `ALL`:
      then one pass over the data reads every split.
    checksums: "md5:..." or "sha256:..." by file name, of the files as they are
      published.
    needs_path: whether there is something to download; else the data is made
      by the program or comes with a library.
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
  by_writer: bool = False
  checksums: Mapping[str, str] = dataclasses.field(default_factory=dict)
  needs_path: bool = True

  @property
  def options(self) -> tuple[str, ...]:
    """Names of the options that the reader takes."""
    names = inspect.signature(self.reader).parameters
    return tuple(n for n in names if n not in ("path", "split", "report"))

  def full_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, and the defaults of those that are not given.

    Raises:
      ValueError: the reader has no such option.
    """
    unknown = sorted(set(options) - set(self.options))
    if unknown:
      raise ValueError(
        f"{self.name} has no option {', '.join(unknown)}; it takes "
        f"{', '.join(self.options) or 'none'}."
      )
    parameters = inspect.signature(self.reader).parameters
    return {
      name: options.get(name, parameters[name].default) for name in self.options
    }
