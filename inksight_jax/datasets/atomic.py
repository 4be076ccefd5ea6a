"""Files that are there whole or not at all, whenever the program is killed."""

from __future__ import annotations

import os
import pathlib

import numpy as np

SUFFIX = ".partial"


def write_text(path: str | os.PathLike[str], text: str) -> None:
  """Writes a small file in UTF-8."""
  partial = f"{os.fspath(path)}{SUFFIX}"
  with open(partial, "w", encoding="utf-8") as file:
    file.write(text)
  os.replace(partial, path)


def save_array(path: str | os.PathLike[str], array: np.ndarray) -> None:
  """Writes an array as .npy, which `np.load` can map."""
  partial = f"{os.fspath(path)}{SUFFIX}"
  with open(partial, "wb") as file:
    np.save(file, array)
  os.replace(partial, path)


def remove_partials(directory: str | os.PathLike[str]) -> None:
  """Removes what killed writers left below a folder."""
  for path in pathlib.Path(directory).rglob(f"*{SUFFIX}"):
    path.unlink(missing_ok=True)
