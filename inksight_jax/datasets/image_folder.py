"""A plain folder of pictures and their texts: one's own data."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator, Sequence

from inksight_jax.datasets.pictures import SUFFIXES, Pictures, crop_box
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import (
  ALL,
  DEFAULT_FRACTIONS,
  check_split_by,
  expand,
  named_split,
  split_of,
)
from inksight_jax.datasets.tables import read_table
from inksight_jax.datasets.text_files import read_lines

SOURCE = "image_folder"
# Looked for in this order.
LABEL_FILES = tuple(
  f"{stem}.{suffix}"
  for stem in ("labels", "metadata", "transcriptions", "gt", "text")
  for suffix in ("csv", "tsv", "txt")
)
_MAX_TEXT_LINES = 1_000


def read_image_folder(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = ALL,
  labels: str = "",
  encoding: str = "utf-8",
  split_by: str = "writer",
  fractions: Sequence[float] = DEFAULT_FRACTIONS,
  split_seed: int = 0,
) -> Iterator[Record]:
  """Reads pictures with texts from wherever the texts are.

  Accepted, in this order:
  1. `labels` as named, or `path` itself, if it is a file: see `read_table`.
     Columns writer, id, split and x0, y0, x1, y1 (a box to cut out) are used
     where the header names them.
  2. A file of `LABEL_FILES` in the folder.
  3. `word.txt`, `word.gt.txt` or `word.gt` beside `word.png`; several lines
     make a page, joined by line breaks.
  4. `labels="names"`: pictures called `<text> <number>.png` or `<text>.png`.

  The split is the column's; else that of a folder called train, validation
  (val, dev) or test in the picture's path; else by a hash of the writer or,
  where there is none, of the picture's path.

  Args:
    path: the folder, or a table in it.
    report: counts what was left out and why.
    split: "train", "validation", "test" or "all".
    labels: name of the table within the folder, or "names".
    encoding: of tables and texts.
    split_by: "sample" deals by picture although there is a writer, for
      samples of one hand.
    fractions: shares of the three splits where a hash deals them.
    split_seed: another seed deals anew.

  Yields:
    Records with the picture's path as id, in the order of the table or sorted.

  Raises:
    ValueError: nothing to read, or a broken table; it names file and line.
  """
  wanted = expand(split)
  check_split_by(split_by)
  report = report or SkipReport()
  folder = pathlib.Path(path).expanduser()
  table: pathlib.Path | None = None
  if folder.is_file():
    folder, table = folder.parent, folder
  elif not folder.is_dir():
    raise ValueError(f"{folder}: no such file or folder.")
  elif labels and labels != "names":
    table = folder / labels
  elif not labels:
    tables = (folder / name for name in LABEL_FILES)
    table = next((file for file in tables if file.is_file()), None)
  if table is not None:
    rows = read_table(table, encoding)
  elif labels == "names":
    rows = _named(folder)
  else:
    rows = _beside(folder, encoding, report)
  pictures = Pictures(folder, report)
  seen: set[str] = set()
  already_skipped, empty = report.total, True
  for where, row in rows:
    empty = False
    identity = row.get("id") or row["image"].replace("\\", "/")
    if "x0" in row and not row.get("id"):
      identity += ":" + ",".join(row.get(s, "") for s in ("x0", "y0"))
    if identity in seen:
      report.skip("id given twice", where)
      continue
    seen.add(identity)
    writer = row.get("writer", "") if split_by == "writer" else ""
    if _split(row, identity, writer, fractions, split_seed) in wanted:
      yield from _record(pictures, row, identity, where)
  if empty and report.total == already_skipped:
    raise ValueError(
      f"{table or folder}: no picture with a text. Wanted: a table such as "
      "labels.csv with the columns image and text, a .txt beside each picture, "
      "or labels='names' for pictures named by their texts."
    )


def _split(
  row: dict[str, str],
  identity: str,
  writer: str,
  fractions: Sequence[float],
  seed: int,
) -> str:
  parts = pathlib.PurePosixPath(row["image"].replace("\\", "/")).parts[:-1]
  if named := named_split((row.get("split", ""), *parts)):
    return named
  # Of a page cut into words, all words go together.
  key = writer or (row["image"] if "x0" in row else identity)
  return split_of(key or "-", fractions, seed)


def _record(
  pictures: Pictures, row: dict[str, str], identity: str, where: str
) -> Iterator[Record]:
  report = pictures.report
  if not row["text"]:
    report.skip("empty text", where)
    return
  path = pictures.find(row["image"], where) if row["image"] else None
  if not row["image"]:
    report.skip("no picture named", where)
  image = pictures.read(path, where) if path else None
  if image is None:
    return
  if "x0" in row:
    try:
      x0, y0, x1, y1 = (float(row.get(s, "")) for s in ("x0", "y0", "x1", "y1"))
    except ValueError:
      report.skip("malformed box", where)
      return
    image = crop_box(image, (x0, y0, x1, y1))
    if image is None:
      report.skip("box outside the picture", where)
      return
  yield Record(
    id=identity,
    source=SOURCE,
    text=row["text"],
    writer=row.get("writer", ""),
    image=image,
  )


def _images(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  for path in sorted(folder.rglob("*")):
    hidden = any(
      part.startswith((".", "__MACOSX"))
      for part in path.relative_to(folder).parts
    )
    if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
      yield path


def _named(folder: pathlib.Path) -> Iterator[tuple[str, dict[str, str]]]:
  for path in _images(folder):
    text = re.sub(r" \d+$", "", path.stem)
    name = path.relative_to(folder).as_posix()
    yield str(path), {"image": name, "text": text.strip()}


def _beside(
  folder: pathlib.Path, encoding: str, report: SkipReport
) -> Iterator[tuple[str, dict[str, str]]]:
  for path in _images(folder):
    stem = path.with_suffix("")
    file = next(
      (
        text
        for suffix in (".txt", ".gt.txt", ".gt")
        if (text := stem.with_name(stem.name + suffix)).is_file()
      ),
      None,
    )
    if file is None:
      report.skip("picture without a text", str(path))
      continue
    lines = []
    try:
      for number, line in read_lines(file, encoding):
        if number > _MAX_TEXT_LINES:
          raise ValueError(f"{file}: more than {_MAX_TEXT_LINES} lines.")
        lines.append(line.strip())
    except ValueError as error:
      report.skip("unreadable text", str(error))
      continue
    name = path.relative_to(folder).as_posix()
    yield str(file), {"image": name, "text": "\n".join(lines).strip()}
