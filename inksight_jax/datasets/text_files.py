"""Line by line through text files of any length."""

from __future__ import annotations

import codecs
import pathlib
from collections.abc import Iterator

# Transcripts are short; a longer line is no transcript.
MAX_LINE_BYTES = 2**20


def read_lines(
  path: pathlib.Path, encoding: str = "utf-8"
) -> Iterator[tuple[int, str]]:
  """Yields numbered lines without their ends; a byte order mark is dropped.

  Args:
    path: the file; at most one line of it is held in memory.
    encoding: one in which a line feed is the byte 10.

  Yields:
    (number from 1, line).

  Raises:
    ValueError: no such file, a line that is not `encoding`, or too long; it
      names file and line.
  """
  if not path.is_file():
    raise ValueError(f"{path}: no such file.")
  with path.open("rb") as file:
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
      number += 1
      if len(line) > MAX_LINE_BYTES:
        raise ValueError(
          f"{path}:{number}: a line of more than {MAX_LINE_BYTES} bytes; this "
          "is not the text file that was expected."
        )
      if number == 1:
        line = line.removeprefix(codecs.BOM_UTF8)
      try:
        text = line.decode(encoding)
      except UnicodeDecodeError as error:
        raise ValueError(
          f"{path}:{number}: byte {error.start + 1} is not {encoding} "
          f"({error.reason}); convert the file to {encoding}."
        ) from None
      if "\0" in text:
        raise ValueError(
          f"{path}:{number}: zero bytes, so this is no {encoding} text "
          f"(UTF-16?); convert the file to {encoding}."
        )
      yield number, text.rstrip("\r\n")
