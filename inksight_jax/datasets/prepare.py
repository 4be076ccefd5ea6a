"""Writes a data set as a store; see `store` for the layout.

A part is a fixed run of the reader's records, so a run that was killed goes on
behind the parts that are there and ends byte for byte as one run.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets import atomic, store
from inksight_jax.datasets.info import DatasetInfo
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.registry import dataset_info, load_splits
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import SPLITS

# Few files for two million characters, little memory for whole pages.
PART_RECORDS = 4096
PART_BYTES = 64 << 20
# Fast to write; a higher level saves a few per cent of handwriting.
_PNG_LEVEL = 2
_TYPES = (np.int16, np.int32, np.float32)


class SkipLog(SkipReport):
  """Counts and keeps every sample that was left out, each once."""

  def __init__(self) -> None:
    super().__init__()
    self.places: dict[tuple[str, str], None] = {}

  def skip(self, reason: str, where: str) -> None:
    """Counts one sample; a reader of three passes meets some thrice."""
    if (reason, where) not in self.places:
      self.places[reason, where] = None
      super().skip(reason, where)

  def lines(self) -> str:
    """One line per sample: reason, tab, place."""
    return "".join(
      "\t".join(re.sub(r"\s+", " ", part) for part in place) + "\n"
      for place in self.places
    )


def prepare(
  name: str,
  path: str,
  directory: str,
  options: Mapping[str, Any] | None = None,
  progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
  """Reads, checks and counts a data set, and writes it as a store.

  Args:
    name: of the data set in the registry.
    path: what its reader takes: archive or folder; empty if generated.
    directory: of the store; made if needed. Run again, it goes on where it
      stopped.
    options: of the reader.
    progress: called after each record with the number read so far.

  Returns:
    What store.json says: "splits" (records per part of each split), "seen"
    (records by part of the data set), "skipped" (counts by reason).

  Raises:
    ValueError: unknown data set or option, unreadable data, a wrong checksum,
      a folder that holds another store, or records that a store cannot hold.
  """
  info = dataset_info(name)
  if "codes" in info.holds:
    raise ValueError(
      f"{name} is written by `inksight-jax data tokenize` in the shape that "
      f"recipes read; there is nothing to prepare. Give {path or 'its folder'} "
      "itself as DATA_PATH."
    )
  options = dict(options or {})
  settings = {
    "format": store.FORMAT,
    "name": name,
    "options": plain(info.full_options(options)),
    "input": _input_size(path),
  }
  if _open(directory, settings):
    return store.read_store(directory)
  check_sums(info, path)
  writers = {
    split: _SplitWriter(os.path.join(directory, split)) for split in SPLITS
  }
  log = SkipLog()
  seen: collections.Counter[str] = collections.Counter()
  ids: set[bytes] = set()
  for count, (split, record) in enumerate(
    load_splits(name, path, log, **options), 1
  ):
    key = hashlib.blake2b(record.id.encode(), digest_size=10).digest()
    if key in ids:
      log.skip("id that another sample has", record.id)
    else:
      ids.add(key)
      seen[part_of(info, record, settings["options"])] += 1
      writers[split].add(record)
    if progress is not None:
      progress(count)
  splits = {split: writer.close() for split, writer in writers.items()}
  if not sum(map(sum, splits.values())):
    raise ValueError(
      f"{path or name} holds no sample of {name}. {log.table()}. Access: "
      f"{info.access}."
    )
  description = {
    **settings,
    "splits": splits,
    "seen": dict(sorted(seen.items())),
    "skipped": dict(log.counts.most_common()),
  }
  atomic.write_text(os.path.join(directory, store.SKIPPED_FILE), log.lines())
  text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
  atomic.write_text(os.path.join(directory, store.STORE_FILE), text)
  return description


def plain(value: Any) -> Any:
  """Options as JSON gives them back, so that they compare."""
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    value = dataclasses.asdict(value)
  if isinstance(value, Mapping):
    return {str(k): plain(v) for k, v in sorted(value.items())}
  if isinstance(value, list | tuple | set | frozenset):
    return [plain(v) for v in value]
  return os.fspath(value) if isinstance(value, os.PathLike) else value


def part_of(
  info: DatasetInfo, record: Record, options: Mapping[str, Any]
) -> str:
  """The part of the data set (key of `counts`) that a record belongs to.

  The first piece of its id, or an option's value, where these are keys of the
  table of counts; else "all".
  """
  first = record.id.split("/", 1)[0]
  if first in info.counts:
    return first
  for value in options.values():
    if isinstance(value, str) and value in info.counts:
      return value
  return "all"


def check_sums(info: DatasetInfo, path: str) -> list[str]:
  """Compares files with the checksums they were published with.

  Returns:
    Names of the files that were compared.

  Raises:
    ValueError: a file differs.
  """
  root = pathlib.Path(path)
  checked = []
  for name, wanted in sorted(info.checksums.items()):
    file = root if root.is_file() and root.name == name else root / name
    if not path or not file.is_file():
      continue
    kind, _, digest = wanted.partition(":")
    with file.open("rb") as stream:
      found = hashlib.file_digest(stream, kind).hexdigest()
    if found != digest:
      raise ValueError(
        f"{file}: its {kind} is {found}, published was {digest}; the file was "
        "cut off or changed. Download it again."
      )
    checked.append(name)
  return checked


def _input_size(path: str) -> dict[str, int]:
  """Number and bytes of the input's files: enough to notice another input."""
  if not path:
    return {"files": 0, "bytes": 0}
  root = pathlib.Path(path)
  if not root.exists():
    raise ValueError(
      f"{path}: no such file or folder; give the archive of the data set or "
      "the folder it was unpacked to."
    )
  files = [root] if root.is_file() else list(root.rglob("*"))
  sizes = [p.stat().st_size for p in files if p.is_file()]
  return {"files": len(sizes), "bytes": sum(sizes)}


def _open(directory: str, settings: dict[str, Any]) -> bool:
  """Makes the folder, or checks it; returns whether the store is finished."""
  path = os.path.join(directory, store.SETTINGS_FILE)
  os.makedirs(directory, exist_ok=True)
  atomic.remove_partials(directory)
  if os.path.exists(path):
    with open(path, encoding="utf-8") as file:
      found = json.load(file)
    if found != settings:
      raise ValueError(
        f"{directory} holds a store of {found}; asked for {settings}. Choose "
        "another folder or remove that one."
      )
  atomic.write_text(path, json.dumps(settings, indent=2) + "\n")
  return os.path.exists(os.path.join(directory, store.STORE_FILE))


class _SplitWriter:
  """Cuts the records of one split into parts and writes those not there."""

  def __init__(self, directory: str) -> None:
    self._directory = directory
    os.makedirs(directory, exist_ok=True)
    self._counts: list[int] = []
    while os.path.exists(self._description(len(self._counts))):
      with open(self._description(len(self._counts)), "rb") as file:
        self._counts.append(json.load(file)["records"])
    self._written = sum(self._counts)
    self._records: list[Record] = []
    self._bytes = 0

  def _description(self, part: int) -> str:
    return store.part_path(self._directory, part) + ".json"

  def add(self, record: Record) -> None:
    """Takes the next record of the split."""
    if self._written:
      self._written -= 1
      return
    self._records.append(record)
    self._bytes += 0 if record.image is None else record.image.nbytes
    self._bytes += 16 * (record.ink.num_points if record.ink else 0)
    if len(self._records) >= PART_RECORDS or self._bytes >= PART_BYTES:
      self._flush()

  def _flush(self) -> None:
    part = len(self._counts)
    path = store.part_path(self._directory, part)
    for name, array in part_arrays(self._records).items():
      atomic.save_array(f"{path}.{name}.npy", array)
    text = json.dumps({"records": len(self._records)}) + "\n"
    atomic.write_text(self._description(part), text)
    self._counts.append(len(self._records))
    self._records, self._bytes = [], 0

  def close(self) -> list[int]:
    """Writes the last part; returns the records of each part.

    Raises:
      ValueError: the input has fewer records than were written before.
    """
    if self._written:
      raise ValueError(
        f"{self._directory} was written from other data: the input now has "
        f"{self._written} records fewer. Remove the folder and prepare again."
      )
    if self._records:
      self._flush()
    return self._counts


def part_arrays(records: list[Record]) -> dict[str, NDArray]:
  """The arrays of one part, by the names of `store.PART_ARRAYS`."""
  columns: dict[str, list[NDArray]] = {name: [] for name in store.COLUMNS}
  index = np.zeros((len(records) + 1, len(store.COLUMNS)), np.int64)
  for row, record in enumerate(records):
    pieces = _pieces(record)
    for column, name in enumerate(store.COLUMNS):
      columns[name] += pieces[name]
      index[row + 1, column] = sum(map(len, pieces[name]))
  traits = store.Traits.of(records)
  arrays = {
    "index": index.cumsum(axis=0),
    "traits": np.stack([traits.strokes, traits.height, traits.width], axis=1),
    "strokes": _joined(columns["strokes"], (0, 2), np.int32),
    "points": compact(_joined(columns["points"], (0, 2), np.float64)),
  }
  for name in ("times", "pressures"):
    arrays[name] = compact(_joined(columns[name], (0,), np.float64))
  for name in ("image", "id", "text", "writer", "lines"):
    arrays[name] = _joined(columns[name], (0,), np.uint8)
  return arrays


def _joined(pieces: list[NDArray], shape: Any, dtype: Any) -> NDArray:
  return np.concatenate([np.zeros(shape, dtype), *pieces])


def _pieces(record: Record) -> dict[str, list[NDArray]]:
  """What a record adds to each column."""
  strokes = record.ink.strokes if record.ink else ()
  shapes = [
    (
      len(s),
      (s.times is not None) * store.HAS_TIMES
      + (s.pressures is not None) * store.HAS_PRESSURES,
    )
    for s in strokes
  ]
  return {
    "strokes": [np.array(shapes, np.int32).reshape(-1, 2)],
    "points": [s.points for s in strokes],
    "times": [s.times for s in strokes if s.times is not None],
    "pressures": [s.pressures for s in strokes if s.pressures is not None],
    "image": [] if record.image is None else [_encode_image(record.image)],
    **{
      name: [np.frombuffer(getattr(record, name).encode("utf-8"), np.uint8)]
      for name in ("id", "text", "writer")
    },
    "lines": [np.frombuffer(store.encode_lines(record.lines), np.uint8)],
  }


def _encode_image(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
  """PNG of a picture, with one channel where all three are equal."""
  import cv2

  grey = (image[:, :, :1] == image).all()
  ok, data = cv2.imencode(
    ".png",
    image[:, :, 0] if grey else image,
    [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL],
  )
  assert ok, "OpenCV refused to encode a valid picture."
  return data.reshape(-1).astype(np.uint8, copy=False)


def compact(values: NDArray[np.float64]) -> NDArray:
  """The same numbers, to the bit, in the smallest type that holds them."""
  for dtype in _TYPES:
    with np.errstate(all="ignore"):
      small = values.astype(dtype)
    if (small.astype(np.float64).view(np.int64) == values.view(np.int64)).all():
      return small
  return values
