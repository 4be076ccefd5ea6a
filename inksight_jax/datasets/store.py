"""Prepared records on disk: any data set in one shape, read by memory mapping.

    DIR/settings.json   data set, reader's options, size of the input
    DIR/<split>/part-00000.json        number of records; written last
    DIR/<split>/part-00000.<array>.npy the arrays named below
    DIR/skipped.tsv     every sample left out: reason, place
    DIR/store.json      records per part, counts, skips; written last of all

Arrays of a part with n records (see `PART_ARRAYS`):

    index      int64[n + 1, 9]  where each record starts in the arrays below,
                                in the order of `COLUMNS`
    traits     int32[n, 3]      strokes (-1: no ink), height, width of the
                                picture (0: none)
    strokes    int32[., 2]      points; 1 if with times, + 2 if with pressures
    points     number[., 2]     x, y; the smallest type that loses nothing
    times, pressures  number[.]
    image      uint8[.]         PNG
    id, text, writer  uint8[.]  UTF-8
    lines             uint8[.]  of a page: [[text, left, top, right, bottom],
                                ...] as JSON; nothing where there are none
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.record import PageLine, Record
from inksight_jax.ink.types import Ink, Stroke

FORMAT = 2
SETTINGS_FILE = "settings.json"
STORE_FILE = "store.json"
SKIPPED_FILE = "skipped.tsv"
COLUMNS = (
  "strokes", "points", "times", "pressures", "image", "id", "text", "writer",
  "lines",
)  # fmt: skip
PART_ARRAYS = ("index", "traits", *COLUMNS)
HAS_TIMES, HAS_PRESSURES = 1, 2


@dataclasses.dataclass(frozen=True, eq=False)
class Traits:
  """What decides, without reading a record, which tasks it can serve.

  Attributes:
    strokes: int32[records], -1 for a record without ink.
    height, width: int32[records] of the picture, 0 without one.
    has_text: bool[records].
  """

  strokes: NDArray[np.int32]
  height: NDArray[np.int32]
  width: NDArray[np.int32]
  has_text: NDArray[np.bool_]

  @classmethod
  def of(cls, records: Sequence[Record]) -> Traits:
    """Traits of records in memory."""
    rows = np.array(
      [
        (-1 if r.ink is None else len(r.ink), *image_size(r), bool(r.text))
        for r in records
      ],
      np.int32,
    ).reshape(-1, 4)
    strokes, height, width, has_text = rows.T
    return cls(strokes, height, width, has_text.astype(bool))


def image_size(record: Record) -> tuple[int, int]:
  """(height, width) of a record's picture; zeros without one.

  In codes, where the picture is kept as those.
  """
  if record.codes is not None:
    return record.codes.shape[0], record.codes.shape[1]
  if record.image is None:
    return 0, 0
  return record.image.shape[0], record.image.shape[1]


def part_path(directory: str, index: int) -> str:
  """Path of a part without its ending."""
  return os.path.join(directory, f"part-{index:05d}")


def is_store(path: str) -> bool:
  """Whether a path is a store, finished or not."""
  return os.path.isfile(os.path.join(path, SETTINGS_FILE))


def read_store(directory: str) -> dict[str, Any]:
  """The description of a finished store: its settings, counts and skips.

  Raises:
    ValueError: no store, or one that is not finished, or of another format.
  """
  path = os.path.join(directory, STORE_FILE)
  if not os.path.isfile(path):
    state = "not finished" if is_store(directory) else "no prepared data set"
    raise ValueError(
      f"{directory} is {state}; run `inksight-jax data prepare` (again: it "
      "goes on where it stopped)."
    )
  with open(path, encoding="utf-8") as file:
    found = json.load(file)
  if found.get("format") != FORMAT:
    raise ValueError(
      f"{directory} is a store of format {found.get('format')}, this version "
      f"reads {FORMAT}; prepare the data set again."
    )
  return found


class StoreSplit(Sequence[Record]):
  """The records of one split of a store; a record is read when asked for.

  Pickles as a path, so worker processes get it for nothing.

  Args:
    directory: of the store.
    split: a split name.

  Raises:
    ValueError: the store is missing or not finished.
  """

  def __init__(self, directory: str, split: str) -> None:
    self.directory = directory
    self.split = split
    self._folder = os.path.join(directory, split)
    counts = read_store(directory)["splits"][split]
    self._ends = np.cumsum(counts, dtype=np.int64)
    self._parts = functools.lru_cache(maxsize=512)(self._open)

  def __reduce__(self) -> tuple[Any, ...]:
    return open_split, (self.directory, self.split)

  def __len__(self) -> int:
    return int(self._ends[-1]) if len(self._ends) else 0

  def _open(self, part: int) -> dict[str, NDArray]:
    path = part_path(self._folder, part)
    return {
      name: np.load(f"{path}.{name}.npy", mmap_mode="r") for name in PART_ARRAYS
    }

  def _locate(self, index: int) -> tuple[dict[str, NDArray], int]:
    """(arrays of the part, row) of a record."""
    if not 0 <= index < len(self):
      raise IndexError(f"Record {index} of {len(self)} in {self._folder}.")
    part = int(np.searchsorted(self._ends, index, side="right"))
    row = index - (int(self._ends[part - 1]) if part else 0)
    return self._parts(part), row

  def __getitem__(self, index: Any) -> Any:
    """Record `index`, or the list of a slice."""
    if isinstance(index, slice):
      return [self[i] for i in range(*index.indices(len(self)))]
    arrays, row = self._locate(index)
    start, end = arrays["index"][row : row + 2].tolist()
    piece = {
      name: arrays[name][first:last]
      for name, first, last in zip(COLUMNS, start, end, strict=True)
    }
    return Record(
      id=_string(piece["id"]),
      source=self._source,
      text=_string(piece["text"]),
      writer=_string(piece["writer"]),
      image=_decode_image(piece["image"]),
      ink=_decode_ink(piece) if arrays["traits"][row, 0] >= 0 else None,
      lines=decode_lines(piece["lines"].tobytes()),
    )

  @functools.cached_property
  def _source(self) -> str:
    return read_store(self.directory)["name"]

  def texts(self) -> Iterator[str]:
    """The texts of all records, without reading anything else."""
    return self._strings("text")

  def writers(self) -> Iterator[str]:
    """The writers of all records, without reading anything else."""
    return self._strings("writer")

  def _strings(self, column: str) -> Iterator[str]:
    for part in range(len(self._ends)):
      arrays = self._parts(part)
      blob = arrays[column][:].tobytes()
      bounds = arrays["index"][:, COLUMNS.index(column)].tolist()
      for first, last in itertools.pairwise(bounds):
        yield blob[first:last].decode("utf-8")

  @functools.cached_property
  def traits(self) -> Traits:
    """Traits of all records."""
    parts = [self._parts(part) for part in range(len(self._ends))]
    traits = np.concatenate(
      [np.zeros((0, 3), np.int32), *(part["traits"] for part in parts)]
    )
    column = COLUMNS.index("text")
    lengths = [np.diff(part["index"][:, column]) for part in parts]
    has_text = np.concatenate([np.zeros(0, np.int64), *lengths]) > 0
    return Traits(traits[:, 0], traits[:, 1], traits[:, 2], has_text)


@functools.cache
def open_split(directory: str, split: str) -> StoreSplit:
  """A split of a finished store; one object per process, its files open."""
  return StoreSplit(directory, split)


def _string(data: NDArray[np.uint8]) -> str:
  return data.tobytes().decode("utf-8")


def encode_lines(lines: Sequence[PageLine]) -> bytes:
  """The lines of a page as JSON; nothing for none."""
  rows = [[line.text, *map(float, line.box)] for line in lines]
  return json.dumps(rows, ensure_ascii=False).encode("utf-8") if rows else b""


def decode_lines(data: bytes) -> tuple[PageLine, ...]:
  """The inverse of `encode_lines`."""
  if not data:
    return ()
  return tuple(
    PageLine(text, (left, top, right, bottom))
    for text, left, top, right, bottom in json.loads(data)
  )


def _decode_image(data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
  if not len(data):
    return None
  import cv2

  image = cv2.imdecode(np.asarray(data), cv2.IMREAD_COLOR)
  assert image is not None, "A part holds a picture that this program wrote."
  return image.astype(np.uint8, copy=False)


def _decode_ink(piece: dict[str, NDArray]) -> Ink:
  points = np.asarray(piece["points"], np.float64)
  times = np.asarray(piece["times"], np.float64)
  pressures = np.asarray(piece["pressures"], np.float64)
  strokes = []
  point = time = pressure = 0
  for count, flags in piece["strokes"].tolist():
    timed, pressed = bool(flags & HAS_TIMES), bool(flags & HAS_PRESSURES)
    strokes.append(
      Stroke(
        points[point : point + count],
        times[time : time + count] if timed else None,
        pressures[pressure : pressure + count] if pressed else None,
      )
    )
    point += count
    time += count * timed
    pressure += count * pressed
  return Ink(tuple(strokes))
