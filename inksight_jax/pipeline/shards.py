"""Array shards: examples on disk as plain arrays, read by memory mapping.

    DIR/spec.json  DIR/vocabulary.json
    DIR/<task>/<split>/report.json          counts, lengths, what was skipped
    DIR/<task>/<split>/shard-00000.json     ids and counts; written last
    DIR/<task>/<split>/shard-00000.image.npy    uint8[examples, S, S, 3]
    DIR/<task>/<split>/shard-00000.tokens.npy   int32[tokens]
    DIR/<task>/<split>/shard-00000.offsets.npy  int64[2 * examples + 1]

Inputs of example i are tokens[offsets[2i]:offsets[2i+1]], its targets
tokens[offsets[2i+1]:offsets[2i+2]].
"""

from __future__ import annotations

import functools
import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.pipeline.examples import Example

ARRAYS = ("image", "tokens", "offsets")


def split_directory(directory: str, task: str, split: str) -> str:
  """Folder of the shards of one task and split."""
  return os.path.join(directory, task, split)


def shard_path(directory: str, index: int) -> str:
  """Path of a shard without its ending."""
  return os.path.join(directory, f"shard-{index:05d}")


def read_description(directory: str, index: int) -> dict[str, Any]:
  """The description of a shard: ids of its examples, counts, skips."""
  path = f"{shard_path(directory, index)}.json"
  with open(path, encoding="utf-8") as file:
    return json.load(file)


def read_report(directory: str, task: str, split: str) -> dict[str, Any]:
  """The report of a task and split.

  Raises:
    ValueError: the task or split is not cached, or not to its end.
  """
  path = os.path.join(split_directory(directory, task, split), "report.json")
  if not os.path.exists(path):
    raise ValueError(
      f"{directory} holds no finished shards of {task!r} {split!r}; run "
      "`inksight-jax data cache` (again: it goes on where it stopped)."
    )
  with open(path, encoding="utf-8") as file:
    return json.load(file)


class ShardReader:
  """Random access to the examples of one task and split.

  Args:
    directory: root of the cache.
    task: a task name.
    split: a split name.

  Raises:
    ValueError: not cached, or not to its end.
  """

  def __init__(self, directory: str, task: str, split: str) -> None:
    counts = read_report(directory, task, split)["shards"]
    self._directory = split_directory(directory, task, split)
    self._ends = np.cumsum(counts, dtype=np.int64)
    # An operating system allows some ten thousand maps per process, and the
    # largest caches have more shards than that.
    self._arrays = functools.lru_cache(maxsize=1024)(self._open)

  def __len__(self) -> int:
    return int(self._ends[-1]) if len(self._ends) else 0

  def _open(self, shard: int) -> tuple[NDArray, NDArray, NDArray]:
    """Maps the arrays of a shard."""
    path = shard_path(self._directory, shard)
    image, tokens, offsets = (
      np.load(f"{path}.{name}.npy", mmap_mode="r") for name in ARRAYS
    )
    return image, tokens, offsets

  def _locate(self, index: int) -> tuple[int, int]:
    """(shard, row) of an example."""
    if not 0 <= index < len(self):
      raise IndexError(f"Example {index} of {len(self)} in {self._directory}.")
    shard = int(np.searchsorted(self._ends, index, side="right"))
    return shard, index - (int(self._ends[shard - 1]) if shard else 0)

  def __getitem__(self, index: int) -> Example:
    """Example `index`; its arrays are views of the mapped files."""
    shard, row = self._locate(index)
    image, tokens, offsets = self._arrays(shard)
    start, middle, end = offsets[2 * row : 2 * row + 3]
    return Example(image[row], tokens[start:middle], tokens[middle:end])

  def target_length(self, index: int) -> int:
    """Target tokens of an example, without reading the rest of it."""
    shard, row = self._locate(index)
    offsets = self._arrays(shard)[2]
    return int(offsets[2 * row + 2] - offsets[2 * row + 1])

  def record_id(self, index: int) -> str:
    """Id of the record that an example was built from."""
    shard, row = self._locate(index)
    return read_description(self._directory, shard)["ids"][row]
