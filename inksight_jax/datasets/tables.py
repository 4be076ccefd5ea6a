"""Tables of pictures and texts that people keep: CSV, TSV, plain lines."""

from __future__ import annotations

import csv
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence

from inksight_jax.datasets.pictures import SUFFIXES
from inksight_jax.datasets.text_files import read_lines

# Names under which the columns are known, lower case.
COLUMNS: Mapping[str, frozenset[str]] = {
  "image": frozenset(["image", "img", "img_path", "image_path", "path", "name"])
  | {"file", "filename", "file_name"},
  "text": frozenset(["text", "transcription", "transcript", "label", "words"])
  | {"gt", "ground_truth"},
  "writer": frozenset(["writer", "writer_id", "author"]),
  "id": frozenset(["id", "key"]),
  "split": frozenset(["split", "set", "subset"]),
  **{side: frozenset([side]) for side in ("x0", "y0", "x1", "y1")},
}

_MAX_COLUMNS = 1_000


def read_table(
  path: pathlib.Path, encoding: str = "utf-8"
) -> Iterator[tuple[str, dict[str, str]]]:
  """Reads rows of a CSV, a TSV, or lines `picture text`.

  A CSV or TSV has a header that names at least an image and a text column, in
  any order, or no header and the image before the text. Fields may be quoted.
  Values stay text, so that `007` and `NA` come through unchanged.

  Args:
    path: .csv (separated by comma, semicolon or tab), .tsv, or other.
    encoding: of the file; a byte order mark of UTF-8 is dropped.

  Yields:
    (file:line, values by the keys of `COLUMNS`); "image" and "text" are there.

  Raises:
    ValueError: absent, of another encoding, without the columns, or with a
      row that is no row; it names file and line.
  """
  if path.suffix.lower() in (".csv", ".tsv"):
    yield from _separated(path, encoding)
    return
  for number, line in read_lines(path, encoding):
    if not line.strip():
      continue
    yield f"{path}:{number}", _plain(line, f"{path}:{number}")


def _plain(line: str, where: str) -> dict[str, str]:
  """Splits after the name of the picture, which may hold blanks."""
  if "\t" in line:
    image, _, text = line.partition("\t")
    return {"image": image.strip(), "text": text.strip()}
  for match in re.finditer(r"(\.\w{3,4})(?:[ ,;:]\s*|$)", line):
    if match[1].lower() in SUFFIXES:
      text = line[match.end() :].strip()
      return {"image": line[: match.end(1)].strip(), "text": text}
  raise ValueError(
    f"{where}: {line[:60]!r} does not begin with the name of a picture; write "
    "`picture.png text`, with a tab or a blank between them."
  )


def _separated(
  path: pathlib.Path, encoding: str
) -> Iterator[tuple[str, dict[str, str]]]:
  lines = (line + "\n" for _, line in read_lines(path, encoding))
  first = next(lines, "")
  rows = csv.reader(
    _chained(first, lines),
    delimiter="\t" if path.suffix.lower() == ".tsv" else _delimiter(first),
    strict=True,
  )
  columns: list[str] | None = None
  while True:
    try:
      row = next(rows, None)
    except csv.Error as error:
      raise ValueError(f"{path}:{rows.line_num}: {error}.") from None
    if row is None:
      return
    where = f"{path}:{rows.line_num}"
    if not any(field.strip() for field in row):
      continue
    if len(row) > _MAX_COLUMNS:
      raise ValueError(
        f"{where}: {len(row)} fields; this is no table of texts."
      )
    if columns is None:
      columns = _header(row, where)
      if columns != ["image", "text"] or not _is_picture(row[0]):
        continue
    if len(row) < len(columns):
      raise ValueError(
        f"{where}: {len(row)} fields where the header has {len(columns)}."
      )
    values = zip(columns, row, strict=False)
    yield where, {name: value.strip() for name, value in values if name}


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
  yield first
  yield from rest


def _delimiter(first: str) -> str:
  return max("\t;,", key=first.count) if first else ","


def _is_picture(name: str) -> bool:
  return pathlib.PurePosixPath(name.strip()).suffix.lower() in SUFFIXES


def _header(row: Sequence[str], where: str) -> list[str]:
  """Keys of `COLUMNS` for each column, "" for those that are not read."""
  if _is_picture(row[0]) and len(row) >= 2:
    return ["image", "text"]  # no header
  columns = []
  for name in row:
    clean = name.strip().lower()
    known = (key for key, names in COLUMNS.items() if clean in names)
    key = next(known, "")
    columns.append("" if key in columns else key)
  if "image" not in columns or "text" not in columns:
    raise ValueError(
      f"{where}: the header {', '.join(row)[:80]!r} names no image and text "
      "columns; call them `image` and `text`."
    )
  return columns
