"""Files that are there whole or not at all, whenever the program is killed."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator

import numpy as np

SUFFIX = ".partial"


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[str]:
  """Gives the name of a file to write, which then takes the place of `path`.

  Whoever fails leaves nothing behind; who is killed, a file that ends in
  SUFFIX.
  """
  partial = f"{os.fspath(path)}{SUFFIX}"
  try:
    yield partial
    os.replace(partial, path)
  except BaseException:
    with contextlib.suppress(FileNotFoundError):
      os.remove(partial)
    raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
  """Writes a small file in UTF-8."""
  with replacing(path) as partial, open(partial, "w", encoding="utf-8") as file:
    file.write(text)


def save_array(path: str | os.PathLike[str], array: np.ndarray) -> None:
  """Writes an array as .npy, which `np.load` can map."""
  with replacing(path) as partial, open(partial, "wb") as file:
    np.save(file, array)


def remove_partials(directory: str | os.PathLike[str]) -> None:
  """Removes what killed writers left below a folder."""
  for path in pathlib.Path(directory).rglob(f"*{SUFFIX}"):
    path.unlink(missing_ok=True)
