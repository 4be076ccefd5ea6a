"""Pictures that a trained tokeniser has turned into codes, with their texts.

    DIR/tokens.json          num_codes, length, records by split; written last
    DIR/<split>.json         {"ids": [...], "texts": [...], "writers": [...]}
    DIR/<split>.shapes.npy   int32[records, 2]  rows and columns of the grids
    DIR/<split>.codes.npy    int32[codes]       the grids, one after the other

Splits are those of the data set that was tokenised.
"""

from __future__ import annotations

import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.atomic import save_array, write_text
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import ALL, expand

SOURCE = "picture_tokens"
DESCRIPTION = "tokens.json"
_LISTS = ("ids", "texts", "writers")


def write_picture_tokens(
  directory: str | os.PathLike[str],
  splits: Mapping[str, Iterable[Record]],
  *,
  num_codes: int,
  length: int,
  **extra: Any,
) -> dict[str, Any]:
  """Writes a tokenised data set.

  Args:
    directory: made if needed; what it holds of the same splits is replaced.
    splits: records with `codes`, by split.
    num_codes: entries of the codebook.
    length: tokens of a picture, its budget.
    **extra: what else describes it, as JSON values.

  Returns:
    The description, as tokens.json has it.

  Raises:
    ValueError: a record without codes, or with codes outside the book.
  """
  folder = pathlib.Path(directory)
  folder.mkdir(parents=True, exist_ok=True)
  counts = {}
  for split, records in splits.items():
    lists: dict[str, list[str]] = {name: [] for name in _LISTS}
    grids: list[NDArray[np.int32]] = []
    for record in records:
      grids.append(_checked(record, num_codes))
      for name, value in zip(
        _LISTS, (record.id, record.text, record.writer), strict=True
      ):
        lists[name].append(value)
    shapes = np.array([grid.shape for grid in grids], np.int32).reshape(-1, 2)
    flat = [grid.reshape(-1) for grid in grids]
    save_array(folder / f"{split}.shapes.npy", shapes)
    save_array(
      folder / f"{split}.codes.npy",
      np.concatenate([np.zeros(0, np.int32), *flat]).astype(np.int32),
    )
    write_text(
      folder / f"{split}.json", json.dumps(lists, ensure_ascii=False) + "\n"
    )
    counts[split] = len(grids)
  description = {
    "num_codes": num_codes, "length": length, "records": counts, **extra
  }  # fmt: skip
  write_text(folder / DESCRIPTION, json.dumps(description, indent=2) + "\n")
  return description


def read_description(directory: str | os.PathLike[str]) -> dict[str, Any]:
  """What tokens.json says of a tokenised data set.

  Raises:
    ValueError: there is none, or it is damaged.
  """
  path = pathlib.Path(directory) / DESCRIPTION
  found = _json(path)
  if not isinstance(found, dict) or not {
    "num_codes", "length", "records"
  } <= set(found):  # fmt: skip
    raise ValueError(f"{path} does not describe pictures made of codes.")
  return found


def read_picture_tokens(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = ALL,
  count: int = 0,
) -> Iterator[Record]:
  """Reads a tokenised data set.

  Args:
    path: the folder.
    report: not used, nothing is left out.
    split: "train", "validation" or "test"; "all".
    count: most records of a split, the first ones; 0 for all.

  Yields:
    Records with codes, and without a picture.

  Raises:
    ValueError: the folder holds none, or files that do not fit together.
  """
  del report
  folder = pathlib.Path(path)
  description = read_description(folder)
  for name in expand(split):
    if name not in description["records"]:
      continue
    lists = _json(folder / f"{name}.json")
    if not isinstance(lists, dict) or set(lists) != set(_LISTS):
      raise ValueError(f"{folder / name}.json lacks one of {_LISTS}.")
    shapes = _array(folder / f"{name}.shapes.npy").reshape(-1, 2)
    codes = _array(folder / f"{name}.codes.npy")
    ends = np.cumsum(np.prod(shapes.astype(np.int64), axis=1))
    total = int(ends[-1]) if len(ends) else 0
    sizes = {len(lists[key]) for key in _LISTS} | {len(shapes)}
    if len(sizes) != 1 or total != len(codes):
      raise ValueError(
        f"{folder}: the files of {name!r} do not fit together ({sorted(sizes)} "
        f"records, {len(codes)} codes of {total}); tokenise it again."
      )
    rows = zip(*(lists[key] for key in _LISTS), shapes, ends, strict=True)
    for identity, text, writer, shape, end in itertools.islice(
      rows, count or None
    ):
      grid = np.asarray(codes[end - int(np.prod(shape)) : end], np.int32)
      yield Record(
        id=identity,
        source=SOURCE,
        text=text,
        writer=writer,
        codes=grid.reshape(tuple(shape)),
      )


def _checked(record: Record, num_codes: int) -> NDArray[np.int32]:
  """The codes of a record."""
  codes = record.codes
  if codes is None or codes.ndim != 2 or not codes.size:
    raise ValueError(f"{record.id}: a record without a grid of codes.")
  if codes.min() < 0 or codes.max() >= num_codes:
    raise ValueError(
      f"{record.id}: codes from {codes.min()} to {codes.max()}, the book has "
      f"{num_codes}."
    )
  return codes.astype(np.int32)


def _json(path: pathlib.Path) -> Any:
  if not path.is_file():
    raise ValueError(
      f"{path}: no such file; give the folder of a tokenised data set."
    )
  try:
    return json.loads(path.read_text(encoding="utf-8"))
  except ValueError as error:
    raise ValueError(f"{path} cannot be read: {error}.") from error


def _array(path: pathlib.Path) -> NDArray[Any]:
  try:
    return np.load(path, mmap_mode="r", allow_pickle=False)
  except (OSError, ValueError) as error:
    raise ValueError(f"{path} cannot be read: {error}.") from error
