"""Words of a data set composed into lines and pages that nobody wrote.

Singh & Karayev 2021 (arXiv 2103.06450): spans of words that follow each other,
taken at random, in new lines. A split draws from its own words alone, and every
epoch of training draws anew: page and epoch are all that the draw depends on,
so that no worker repeats another.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.record import Record
from inksight_jax.datasets.splits import SPLITS
from inksight_jax.datasets.store import Traits
from inksight_jax.rendering.paragraph import CLOSING, HIGH, line_text

TRAIN = "train"
_MARKS = CLOSING | HIGH
# Draws of a span for each word wanted.
_ATTEMPTS = 100


@dataclasses.dataclass(frozen=True)
class Compose:
  """What the pages are like.

  Attributes:
    lines: least and most lines of a page.
    words: least and most words of a line; the width of the page may allow
      fewer.
    span: least and most words that follow each other as they were written;
      (1, 1) for words at random.
    one_writer: whether all words of a page are of one writer.
    count: pages of an epoch of training.
    held_out_count: pages of each other split; 0 keeps these real.
    grow: curriculum: epochs before pages may have one line more than before,
      beginning with one; 0 for all sizes from the start.
    grow_after: epochs of pages of one line before those of `grow` begin.
    separator: between words; "" for digits that make a number.
    seed: of the draws.
  """

  lines: tuple[int, int] = (1, 1)
  words: tuple[int, int] = (1, 6)
  span: tuple[int, int] = (1, 1)
  one_writer: bool = True
  count: int = 10_000
  held_out_count: int = 500
  grow: int = 0
  grow_after: int = 0
  separator: str = " "
  seed: int = 0

  def __post_init__(self) -> None:
    for name in ("lines", "words", "span"):
      low, high = getattr(self, name)
      object.__setattr__(self, name, (low, high))
      if not 1 <= low <= high:
        raise ValueError(
          f"`{name}` {getattr(self, name)} of a page: give a least and a most, "
          "from 1 on."
        )
    for name in ("count", "held_out_count", "grow", "grow_after"):
      if getattr(self, name) < 0:
        raise ValueError(
          f"`{name}` {getattr(self, name)} of pages must not be negative."
        )

  def lines_of(self, epoch: int) -> tuple[int, int]:
    """Least and most lines of the pages of an epoch of training."""
    if not self.grow:
      return self.lines
    grown = max(0, epoch - self.grow_after) // self.grow
    most = min(self.lines[1], 1 + grown)
    return min(self.lines[0], most), most


class ComposedSplit(Sequence[Record]):
  """Pages drawn from the words of a split.

  A page has its lines as `parts`, a line its words. The page is laid out, and
  its text settled, where the example is built: what has no room is left out.

  Args:
    records: the words; ink or pictures.
    compose: what the pages are like.
    split: a split name; "train" is drawn anew in each epoch.
  """

  def __init__(
    self, records: Sequence[Record], compose: Compose, split: str
  ) -> None:
    self._records = records
    self._compose = compose
    self._split = split
    self._training = split == TRAIN
    self._by_writer, self._next = _index(records)
    self._all = np.concatenate([np.zeros(0, np.int64), *self._by_writer])
    pages = compose.count if self._training else compose.held_out_count
    self._pages = pages if self._by_writer else 0
    weights = np.array([len(words) for words in self._by_writer], np.float64)
    # Writers with many words come more often, but not in proportion: some
    # donors wrote thousands.
    self._chances = np.sqrt(weights) / np.sqrt(weights).sum()

  def __len__(self) -> int:
    return self._pages

  def __getitem__(self, index: Any) -> Any:
    """Page `index` as the first epoch draws it; at its full size."""
    return self.at(index, 0)

  def at(self, index: int, epoch: int) -> Record:
    """Page `index` of an epoch.

    Args:
      index: from 0.
      epoch: pass over the pages; only those of training differ.
    """
    if not 0 <= index < len(self):
      raise IndexError(f"Page {index} of {len(self)}.")
    epoch = epoch if self._training else 0
    compose = self._compose
    place = SPLITS.index(self._split)
    rng = np.random.default_rng((compose.seed, place, epoch, index))
    least, most = compose.lines_of(epoch) if self._training else compose.lines
    counts = rng.integers(
      *compose.words, int(rng.integers(least, most + 1)), endpoint=True
    )
    pool = self._all
    if compose.one_writer:
      writer = int(rng.choice(len(self._by_writer), p=self._chances))
      pool = self._by_writer[writer]
    words = self._spans(int(counts.sum()), pool, rng)
    ends = np.cumsum(counts)
    name = f"page/{self._split}/{index:06d}"
    return compose_record(
      [words[end - n : end] for n, end in zip(counts, ends, strict=True)],
      f"{name}/{epoch}" if self._training else name,
      compose.separator,
    )

  def _spans(
    self, count: int, pool: NDArray[np.int64], rng: np.random.Generator
  ) -> list[Record]:
    """`count` words of a pool, span after span."""
    words: list[Record] = []
    for attempt in range(_ATTEMPTS * count):
      at = int(pool[int(rng.integers(len(pool)))])
      for _ in range(int(rng.integers(*self._compose.span, endpoint=True))):
        record = self._records[at]
        # Two marks never meet where spans do, unless there is nothing else.
        if (
          not words
          or not {words[-1].text, record.text} <= _MARKS
          or attempt > _ATTEMPTS * count // 2
        ):
          words.append(record)
        at = int(self._next[at])
        if len(words) == count:
          return words
        if at < 0:
          break
    raise AssertionError("Half of the attempts take whatever comes.")

  @property
  def traits(self) -> Traits:
    """Pages are pictures with text, whatever their words are kept as."""
    ones = np.ones(len(self), np.int32)
    return Traits(-ones, ones, ones, ones.astype(bool))

  def texts(self) -> Iterator[str]:
    """Texts of all pages in the first epoch, before the layout."""
    return (record.text for record in self)


def compose_record(
  lines: Sequence[Sequence[Record]], name: str, separator: str
) -> Record:
  """A page of lines of words; without a picture until it is laid out."""
  parts = tuple(
    Record(
      id=f"{name}/{number}",
      source=line[0].source,
      text=line_text([word.text for word in line], separator),
      parts=tuple(line),
    )
    for number, line in enumerate(lines)
  )
  return Record(
    id=name,
    source=parts[0].source,
    text="\n".join(part.text for part in parts),
    writer=lines[0][0].writer,
    parts=parts,
  )


def _index(
  records: Sequence[Record],
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
  """Usable words by writer, and the word that follows each; -1 for none."""
  by_writer: dict[str, list[int]] = collections.defaultdict(list)
  follows = np.full(len(records), -1, np.int64)
  last = -1
  for number, record in enumerate(records):
    usable = bool(record.text.strip()) and (
      bool(record.ink) or record.image is not None
    )
    if not usable:
      continue
    if last >= 0 and _sheet(records[last]) == _sheet(record):
      follows[last] = number
    by_writer[record.writer].append(number)
    last = number
  return [np.asarray(words) for words in by_writer.values()], follows


def _sheet(record: Record) -> tuple[str, str]:
  """What two words that follow each other share: writer, and page of IAM."""
  page = record.id.rsplit("-", 2)[0] if record.source == "iam" else ""
  return record.writer, page
