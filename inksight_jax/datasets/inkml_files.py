"""Folders and archives of InkML files, file by file."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from inksight_jax.datasets.archive import read_files
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.ink.inkml import Document, read_document
from inksight_jax.ink.safe_xml import MAX_BYTES


def visible(name: str) -> bool:
  """Whether no part of a path is hidden or left behind by macOS."""
  return not any(
    part.startswith(".") or part == "__MACOSX" for part in name.split("/")
  )


def inkml_files(
  path: str | pathlib.Path,
  what: str,
  wanted: Callable[[str], bool] = lambda name: False,
) -> Mapping[str, bytes]:
  """Finds the InkML files of a set, and other files it needs.

  Args:
    path: folder or tar archive.
    what: name of the set for messages.
    wanted: says by relative path which other files to keep.

  Raises:
    ValueError: nothing there, a damaged archive, or no InkML inside.
  """
  files = read_files(
    path,
    lambda name: visible(name) and (name.endswith(".inkml") or wanted(name)),
    MAX_BYTES,
  )
  if not any(name.endswith(".inkml") for name in files):
    raise ValueError(f"{path}: no .inkml files inside; is this {what}?")
  return files


def read_documents(
  files: Mapping[str, bytes],
  names: Iterable[str],
  report: SkipReport,
  groups: bool = False,
) -> Iterator[tuple[str, Document]]:
  """Parses files in the order given; a broken one is counted and left out.

  Args:
    files: contents by path.
    names: which of them.
    report: counts broken files.
    groups: whether to resolve trace groups.

  Yields:
    (path, document).
  """
  for name in names:
    try:
      document = read_document(files[name], name=name, groups=groups)
    except ValueError as error:
      report.skip("unreadable InkML", str(error))
      continue
    yield name, document


def stem(name: str) -> str:
  """Path without the suffix `.inkml`."""
  return name.removesuffix(".inkml")
