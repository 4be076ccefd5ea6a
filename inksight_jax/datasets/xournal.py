"""Folders of Xournal++ notes, a record per page."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping, Sequence

from inksight_jax.datasets.archive import read_files
from inksight_jax.datasets.inkml_files import visible
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import (
  DEFAULT_FRACTIONS,
  check_split,
  in_split,
)
from inksight_jax.ink.safe_xml import MAX_BYTES
from inksight_jax.ink.xopp import read_xopp

SOURCE = "xournal"
SUFFIXES = (".xopp", ".xoj")


def _texts(files: Mapping[str, bytes], stem: str) -> list[str]:
  """Texts of the pages from the file beside, form feeds between pages."""
  data = files.get(f"{stem}.txt", b"")
  try:
    return [page.strip() for page in data.decode("utf-8-sig").split("\f")]
  except UnicodeDecodeError as error:
    raise ValueError(
      f"{stem}.txt: byte {error.start + 1} is not UTF-8 ({error.reason})."
    ) from None


def read_xournal(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = "",
  keep_without_text: bool = False,
  fractions: Sequence[float] = DEFAULT_FRACTIONS,
  split_seed: int = 0,
) -> Iterator[Record]:
  """Reads the pages of all .xopp and .xoj files below a folder.

  What a page says stands in `<name>.txt` beside `<name>.xopp`, the pages
  separated by form feeds. Typed boxes in the notes are not what the pen wrote.

  Args:
    path: folder or tar archive.
    report: counts what was left out and why.
    split: "train", "validation", "test"; "" reads everything. By the folder
      below `path`, for files at the top by the file.
    keep_without_text: whether pages without text are read.
    fractions: expected shares of the folders in the splits.
    split_seed: another seed deals the folders anew.

  Yields:
    Records with ids `<file>:<page>`, pages from 1; ink in points of 1/72
    inch, with the pressures as widths in points.

  Raises:
    ValueError: unknown split, or no notes there.
  """
  check_split(split)
  report = report or SkipReport()
  files = read_files(
    path,
    lambda name: visible(name) and name.endswith((*SUFFIXES, ".txt")),
    MAX_BYTES,
  )
  notes = sorted(name for name in files if name.endswith(SUFFIXES))
  if not notes:
    raise ValueError(f"{path}: no .xopp or .xoj files inside.")
  for name in notes:
    stem = name.rsplit(".", 1)[0]
    writer = stem.split("/")[0]
    if not in_split(writer, split, fractions, split_seed):
      continue
    try:
      pages = read_xopp(files[name], name=name)
      texts = _texts(files, stem)
    except ValueError as error:
      report.skip("unreadable notes", str(error))
      continue
    for number, page in enumerate(pages, 1):
      identity = f"{name}:{number}"
      text = texts[number - 1] if number <= len(texts) else ""
      if not page.ink:
        report.skip("no pen strokes", identity)
      elif not text and not keep_without_text:
        report.skip("no text", identity)
      else:
        yield Record(identity, SOURCE, text, writer, ink=page.ink)
