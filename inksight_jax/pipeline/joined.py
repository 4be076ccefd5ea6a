"""Several records side by side as one: digits to numbers.

Each epoch of training deals the records anew, so that every record comes once
an epoch and hardly ever beside the same neighbours; the other splits are dealt
once and for all.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.record import Record
from inksight_jax.datasets.store import Traits

TRAIN = "train"


@dataclasses.dataclass(frozen=True)
class Join:
  """How many records make one.

  Attributes:
    least, most: records in a row; the number is drawn anew for each row.
    deals: how often the records of a split other than "train" are dealt, each
      time in another order but the first: more rows from few records.
    seed: of numbers and orders.
  """

  least: int = 1
  most: int = 1
  deals: int = 1
  seed: int = 0

  def __post_init__(self) -> None:
    if not 1 <= self.least <= self.most or self.deals < 1:
      raise ValueError(
        f"Records can be joined {self.least} to {self.most} at a time, dealt "
        f"{self.deals} times? Give 1 <= least <= most and deals >= 1."
      )


def join_records(records: Sequence[Record]) -> Record:
  """One record of several: pictures side by side, texts one after the other.

  Args:
    records: at least one; with pictures, all of one height.

  Raises:
    ValueError: pictures are missing or differ in height.
  """
  images = [record.image for record in records if record.image is not None]
  heights = {image.shape[0] for image in images}
  if len(images) != len(records) or len(heights) != 1:
    raise ValueError(
      f"Records {records[0].id} to {records[-1].id} cannot stand side by side: "
      f"{len(images)} of {len(records)} have pictures, of heights "
      f"{sorted(heights)}."
    )
  return Record(
    id="+".join(record.id for record in records),
    source=records[0].source,
    text="".join(record.text for record in records),
    image=np.concatenate(images, axis=1),
    parts=tuple(records),
  )


def stacked(record: Record, share: float) -> bool:
  """Whether the parts of a record stand below each other, not side by side.

  Args:
    record: a joined one; its id decides, so that it is always the same.
    share: of the records that do, 0 to 1.
  """
  chance = zlib.crc32(record.id.encode()) / 2**32
  return len(record.parts) > 1 and chance < share


class JoinedSplit(Sequence[Record]):
  """The records of a split, several to a row.

  Args:
    records: the single records, all with pictures of one size.
    join: how many make one.
    split: a split name; "train" is dealt anew in each epoch.
  """

  def __init__(self, records: Sequence[Record], join: Join, split: str) -> None:
    self._records = records
    self._join = join
    self._training = split == TRAIN
    rng = np.random.default_rng((join.seed, 0))
    deals = 1 if self._training else join.deals
    # Columns: number of the deal, first record, one past the last.
    self._rows = np.concatenate(
      [_rows(deal, len(records), join, rng) for deal in range(deals)]
    )
    self._order: tuple[int, NDArray[np.int64]] = -1, np.zeros(0, np.int64)

  def __len__(self) -> int:
    return len(self._rows)

  def __getitem__(self, index: Any) -> Any:
    """Row `index` as the first epoch deals it."""
    return self.at(index, 0)

  def at(self, index: int, epoch: int) -> Record:
    """Row `index` of an epoch.

    Args:
      index: from 0.
      epoch: pass over the rows; only those of training differ.
    """
    if not 0 <= index < len(self):
      raise IndexError(f"Row {index} of {len(self)}.")
    deal, start, end = self._rows[index].tolist()
    members = np.arange(start, end)
    if self._training:
      deal = epoch + 1
    if deal:
      members = self._permutation(deal)[members]
    return join_records([self._records[i] for i in members.tolist()])

  def _permutation(self, deal: int) -> NDArray[np.int64]:
    """Order of a deal; the first is the reader's own."""
    kept = self._order
    if kept[0] != deal:
      rng = np.random.default_rng((self._join.seed, deal))
      # Replaced as a pair: threads that ask for two deals do no harm.
      kept = self._order = deal, rng.permutation(len(self._records))
    return kept[1]

  @property
  def traits(self) -> Traits:
    """What each row has, after the first record, which all are like."""
    rows = len(self)
    found = Traits.of([self._records[0]] if rows else [])
    numbers = (self._rows[:, 2] - self._rows[:, 1]).astype(np.int32)
    return Traits(
      np.resize(found.strokes, rows),
      np.resize(found.height, rows),
      np.resize(found.width, rows) * numbers,
      np.resize(found.has_text, rows),
    )

  def texts(self) -> Iterator[str]:
    """Texts of all rows in the first epoch."""
    return (record.text for record in self)


def record_at(records: Sequence[Record], index: int, epoch: int) -> Record:
  """Record `index` as an epoch deals it; most splits are always the same."""
  at = getattr(records, "at", None)
  return records[index] if at is None else at(index, epoch)


def _rows(
  deal: int, count: int, join: Join, rng: np.random.Generator
) -> NDArray[np.int64]:
  """int64[rows, 3] of one deal; a remainder below `least` is left over."""
  most_rows = count // join.least
  numbers = rng.integers(join.least, join.most + 1, most_rows)
  ends = np.cumsum(numbers)
  ends = ends[ends <= count]
  last = int(ends[-1]) if len(ends) else 0
  if join.least <= count - last <= join.most:
    ends = np.append(ends, count)
  starts = np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1]])
  return np.stack([np.full_like(ends, deal), starts, ends], axis=1).astype(
    np.int64
  )
