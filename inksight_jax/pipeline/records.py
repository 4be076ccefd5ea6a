"""The records of a mixture's data sets, by split, each data set read once.

A prepared store (`inksight-jax data prepare`) is read record by record when
asked for. Anything else is read in one pass and kept in memory, once per
process however many batches draw from it. Imports no TensorFlow.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.prepare import plain
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.registry import (
  dataset_info,
  load_records,
  load_splits,
)
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import SPLITS
from inksight_jax.datasets.store import (
  StoreSplit,
  Traits,
  is_store,
  read_store,
)
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.composed import ComposedSplit
from inksight_jax.pipeline.filters import usable
from inksight_jax.pipeline.joined import JoinedSplit, record_at
from inksight_jax.pipeline.mixture import Component, Source
from inksight_jax.pipeline.task_set import TaskSet


class MemorySplit(list[Record]):
  """Records kept in memory."""

  _traits: Traits | None = None

  @property
  def traits(self) -> Traits:
    """What each record has."""
    if self._traits is None:
      self._traits = Traits.of(self)
    return self._traits

  def texts(self) -> Iterator[str]:
    """Texts of all records."""
    return (record.text for record in self)

  def writers(self) -> Iterator[str]:
    """Writers of all records."""
    return (record.writer for record in self)


SplitRecords = MemorySplit | StoreSplit | JoinedSplit | ComposedSplit


class SourceRecords:
  """One data set: its splits and what its reader left out.

  Args:
    source: the data set.

  Raises:
    ValueError: nothing lies at its path, or a store of other options.
  """

  def __init__(self, source: Source) -> None:
    self.source = source
    self.report = SkipReport()
    self._splits: dict[str, MemorySplit] | None = None
    self._stores: dict[str, StoreSplit] = {}
    self._joined: dict[str, JoinedSplit | ComposedSplit] = {}
    # SeqIO calls from several threads.
    self._lock = threading.Lock()
    self._store = _find(source)
    if self._store:
      found = read_store(source.location)
      for reason, count in found["skipped"].items():
        self.report.counts[reason] = count

  def split(self, split: str) -> SplitRecords:
    """The records of a split, joined or composed as the source says.

    Raises:
      ValueError: the data set cannot be read.
    """
    records = self._single(split)
    join, compose = self.source.join, self.source.compose
    if join is None and compose is None:
      return records
    with self._lock:
      if split not in self._joined:
        if compose is not None:
          self._joined[split] = ComposedSplit(records, compose, split)
        elif join is not None:
          self._joined[split] = JoinedSplit(records, join, split)
      return self._joined[split]

  def _single(self, split: str) -> MemorySplit | StoreSplit:
    """The records of a split as they were read."""
    with self._lock:
      if self._store:
        if split not in self._stores:
          self._stores[split] = StoreSplit(self.source.location, split)
        return self._stores[split]
      if self._splits is None:
        splits = {name: MemorySplit() for name in SPLITS}
        for name, record in self._stream(self.report):
          splits[name].append(record)
        self._splits = splits
      return self._splits[split]

  def blocks(
    self, split: str, size: int, report: SkipReport
  ) -> Iterator[Sequence[Record]]:
    """Runs of `size` records without keeping them; the last may be shorter.

    Args:
      split: a split name.
      size: records per run.
      report: counts what the reader left out.
    """
    joined = self._joins
    if self._store or joined or self._splits is not None:
      records = self.split(split)
      report.counts.update(self.report.counts)
      for start in range(0, len(records), size):
        stop = min(start + size, len(records))
        yield (
          Slice(records, start, stop)
          if self._store or joined
          else records[start:stop]
        )
      return
    stream = load_records(
      self.source.name,
      self.source.location,
      split,
      report,
      **self.source.options,
    )
    while block := list(itertools.islice(stream, size)):
      yield block

  def all_blocks(
    self, sizes: Mapping[str, int], reports: Mapping[str, SkipReport]
  ) -> Iterator[tuple[str, Sequence[Record]]]:
    """`blocks` of several splits, in one pass where the reader can.

    Args:
      sizes: records per run of each split.
      reports: by split, count what the reader left out; of a reader that
        deals writers to splits, and so meets all samples in one pass, each
        counts the whole data set, as that of a store does.

    Yields:
      (split, run); the runs of one split in the order of `blocks`.
    """
    if not self._one_pass or len(sizes) == 1:
      for split, size in sizes.items():
        for block in self.blocks(split, size, reports[split]):
          yield split, block
      return
    report = SkipReport()
    waiting: dict[str, list[Record]] = {split: [] for split in sizes}
    for split, record in self._stream(report):
      if split not in sizes:
        continue
      waiting[split].append(record)
      if len(waiting[split]) == sizes[split]:
        yield split, waiting[split]
        waiting[split] = []
    for split, block in waiting.items():
      if block:
        yield split, block
      reports[split].counts.update(report.counts)
      reports[split].examples.update(report.examples)

  @property
  def _joins(self) -> bool:
    """Whether several records of the data set make one."""
    return self.source.join is not None or self.source.compose is not None

  @property
  def _one_pass(self) -> bool:
    """Whether one pass over what has not been read yet gives all splits."""
    ready = self._store or self._joins
    read = self._splits is not None
    return not ready and not read and dataset_info(self.source.name).by_writer

  def _stream(self, report: SkipReport | None) -> Iterator[tuple[str, Record]]:
    """(split, record) of everything, as the reader meets it."""
    source = self.source
    return load_splits(source.name, source.location, report, **source.options)

  def pool(self, split: str, count: int) -> list[Ink]:
    """The first `count` inks of a split, for clutter around the words.

    A fixed pool, not the inks at hand, keeps an example independent of how
    the work was shared out.
    """
    if not count:
      return []
    if not self._store and self._splits is None:
      stream = load_records(
        self.source.name,
        self.source.location,
        split,
        **self.source.options,
      )
      return list(itertools.islice((r.ink for r in stream if r.ink), count))
    records = self.split(split)
    with_ink = np.flatnonzero(records.traits.strokes > 0)[:count]
    inks = (records[index].ink for index in with_ink.tolist())
    return [ink for ink in inks if ink]

  def pools(self, splits: Sequence[str], count: int) -> dict[str, list[Ink]]:
    """`pool` of several splits, in one pass where the reader can."""
    if not count or not self._one_pass or len(splits) == 1:
      return {split: self.pool(split, count) for split in splits}
    found: dict[str, list[Ink]] = {split: [] for split in splits}
    for split, record in self._stream(None):
      if record.ink and split in found and len(found[split]) < count:
        found[split].append(record.ink)
        if all(len(inks) == count for inks in found.values()):
          break
    return found


class Slice(Sequence[Record]):
  """A run of records; of a store it travels to workers as three numbers."""

  def __init__(self, records: Any, start: int, stop: int) -> None:
    self._records, self._start, self._stop = records, start, stop

  def __len__(self) -> int:
    return self._stop - self._start

  def __getitem__(self, index: Any) -> Any:
    """Record `index` of the run."""
    if not 0 <= index < len(self):
      raise IndexError(f"Record {index} of a run of {len(self)}.")
    return self._records[self._start + index]

  def at(self, index: int, epoch: int) -> Record:
    """Record `index` as an epoch deals it."""
    return record_at(self._records, self._start + index, epoch)


def _find(source: Source) -> bool:
  """Whether the source is a prepared store; checks that it can be used."""
  info = dataset_info(source.name)
  wanted = plain(info.full_options(source.options))
  path = source.location
  if path and not os.path.exists(path):
    raise ValueError(
      f"Nothing lies at {path}, the path of {source.key}. Prepare it with "
      f"`inksight-jax data prepare {source.name} --manual_dir=...` (access: "
      f"{info.access}), give another path, or leave it out with path None."
    )
  if not path or not is_store(path):
    return False
  found = read_store(path)
  if (found["name"], found["options"]) != (source.name, wanted):
    differ = {
      key: (found["options"].get(key), wanted.get(key))
      for key in sorted({*found["options"], *wanted})
      if found["options"].get(key) != wanted.get(key)
    }
    raise ValueError(
      f"{path} was prepared from {found['name']} with other options than "
      f"{source.key} asks for (stored, asked): {differ}. Prepare it into "
      "another folder, or use the same options."
    )
  return True


_shared: weakref.WeakValueDictionary[str, SourceRecords] = (
  weakref.WeakValueDictionary()
)


def open_source(source: Source) -> SourceRecords:
  """The records of a source; the same object for all who hold one at a time.

  Raises:
    ValueError: see `SourceRecords`.
  """
  key = json.dumps(
    [
      source.name,
      os.path.abspath(source.location),
      plain(source.options),
      repr((source.join, source.compose)),
    ],
    default=repr,
  )
  found = _shared.get(key)
  if found is None:
    found = _shared[key] = SourceRecords(source)
  return found


class MixtureRecords:
  """Which records serve which component of a split.

  Args:
    tasks: the tasks and their sources.
    split: a split name.

  Attributes:
    indices: of the usable records, by component; empty ones stay out.
    skipped: records by reason, by component.

  Raises:
    ValueError: a source cannot be read.
  """

  def __init__(self, tasks: TaskSet, split: str) -> None:
    self.tasks = tasks
    self.split = split
    self._tables = {s.key: open_source(s) for s in tasks.all_sources}
    self.components: dict[str, Component] = {}
    self.indices: dict[str, NDArray[np.int64]] = {}
    self.skipped: dict[str, dict[str, int]] = {}
    for component in tasks.components:
      traits = self.of(component).traits
      found = usable(traits, tasks.info(component.task), component.source)
      self.indices[component.name], self.skipped[component.name] = found
      self.components[component.name] = component

  @property
  def sizes(self) -> dict[str, int]:
    """Usable records by component."""
    return {name: len(found) for name, found in self.indices.items()}

  def table(self, source: Source) -> SourceRecords:
    """All splits of a source."""
    return self._tables[source.key]

  def of(self, component: Component) -> SplitRecords:
    """All records of a component's source in this split."""
    return self._tables[component.source.key].split(self.split)

  def writers(self, names: Iterable[str]) -> dict[str, NDArray[np.int64]]:
    """Which usable records of components are of one writer.

    Args:
      names: of the components.

    Returns:
      int64[usable records] for each, equal for equal writers.

    Raises:
      ValueError: the records of one are made of several.
    """
    found = {}
    for name in names:
      records = self.of(self.components[name])
      if not isinstance(records, MemorySplit | StoreSplit):
        raise ValueError(
          f"{name} makes one record of several, so pairs of one writer cannot "
          "be found; give no `join` and no `compose`, or set `pairs` to False."
        )
      numbers = np.unique(list(records.writers()), return_inverse=True)[1]
      found[name] = numbers[self.indices[name]]
    return found

  def pools(self) -> dict[str, list[Ink]]:
    """Neighbours' inks by key of the source, see `SourceRecords.pool`."""
    return {
      key: table.pool(self.split, self.tasks.pool_size)
      for key, table in self._tables.items()
    }
