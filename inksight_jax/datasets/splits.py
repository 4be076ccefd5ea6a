"""Splits by writer: a hand seen in training never turns up in a test."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

SPLITS = ("train", "validation", "test")
# What readers take instead of a split to hand over every record.
ALL = ""
DEFAULT_FRACTIONS = (0.8, 0.1, 0.1)
# What a reader may deal: whole writers, or the samples of one.
SPLIT_BY = ("writer", "sample")

_SPLIT_NAMES = {
  "train": "train",
  "training": "train",
  "validation": "validation",
  "valid": "validation",
  "val": "validation",
  "dev": "validation",
  "test": "test",
  "testing": "test",
}


def hash_fraction(key: str, seed: int = 0) -> float:
  """Maps a key to [0, 1), the same on every machine and Python version."""
  digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
  return int.from_bytes(digest[:8], "big") / 2**64


def split_of(
  writer: str,
  fractions: Sequence[float] = DEFAULT_FRACTIONS,
  seed: int = 0,
) -> str:
  """Says to which split all samples of a writer belong.

  Args:
    writer: the writer's key; must not be empty.
    fractions: expected share of the writers in train, validation and test,
      summing to 1.
    seed: another seed deals the writers anew.

  Returns:
    "train", "validation" or "test".

  Raises:
    ValueError: no writer, or fractions that do not sum to 1.
  """
  if not writer:
    raise ValueError("A sample without a writer cannot be split by writer.")
  if (
    len(fractions) != len(SPLITS)
    or min(fractions) < 0
    or abs(sum(fractions) - 1) > 1e-6
  ):
    raise ValueError(
      f"Split fractions {tuple(fractions)}; wanted three shares, for "
      f"{', '.join(SPLITS)}, that sum to 1."
    )
  position = hash_fraction(writer, seed)
  if position < fractions[0]:
    return SPLITS[0]
  return SPLITS[1] if position < fractions[0] + fractions[1] else SPLITS[2]


def in_split(
  key: str,
  split: str,
  fractions: Sequence[float] = DEFAULT_FRACTIONS,
  seed: int = 0,
) -> bool:
  """Whether samples of `key` belong to `split`; "" and ALL mean all of them.

  Raises:
    ValueError: unknown split, or as `split_of`.
  """
  check_split(split)
  if split in ("", ALL):
    return True
  return split_of(key, fractions, seed) == split


def check_split(split: str) -> None:
  """Refuses a name that is no split and neither "" nor ALL.

  Raises:
    ValueError: unknown split.
  """
  if split not in ("", ALL, *SPLITS):
    raise ValueError(f"Unknown split {split!r}; one of {', '.join(SPLITS)}.")


def expand(split: str) -> tuple[str, ...]:
  """The splits that a reader has to read: all of them for "" and ALL.

  Raises:
    ValueError: unknown split.
  """
  check_split(split)
  return SPLITS if split in ("", ALL) else (split,)


def named_split(names: Sequence[str]) -> str:
  """The split that a folder or a column names, val and dev included; or ""."""
  known = (_SPLIT_NAMES[n.lower()] for n in names if n.lower() in _SPLIT_NAMES)
  return next(known, "")


def check_split_by(split_by: str) -> None:
  """Refuses what is not in SPLIT_BY.

  Raises:
    ValueError: naming it.
  """
  if split_by not in SPLIT_BY:
    raise ValueError(
      f"`split_by` is {split_by!r}; it must be one of {', '.join(SPLIT_BY)}."
    )


def split_of_sample(
  name: str,
  fractions: Sequence[float] = DEFAULT_FRACTIONS,
  seed: int = 0,
) -> str:
  """The split of one file, for sets of one hand.

  Args:
    name: its path with `/`; a folder called train, validation (val, dev) or
      test in it says the split, else a hash of the path does.
    fractions: expected shares of the splits.
    seed: another seed deals anew.
  """
  folders = name.split("/")[:-1]
  return named_split(folders) or split_of(name, fractions, seed)
