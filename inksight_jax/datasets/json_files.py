"""JSON that strangers wrote: small files whole, large ones item by item."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import pathlib
import re
import zlib
from collections.abc import Iterator
from typing import Any

from inksight_jax.ink.safe_xml import read_limited

# Of one file read whole, or of one item of a streamed file: labels of one
# page of a few hundred words take a tenth of it.
MAX_ITEM_BYTES = 2 * 2**20
_CHUNK = 2**16
_OF_NUMBERS = "0123456789+-.eE"
_SPACE = re.compile(r"[ \t\n\r]*")


def _no_number(word: str) -> float:
  raise ValueError(f"{word} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def load_json(path: pathlib.Path, max_bytes: int = MAX_ITEM_BYTES) -> Any:
  """Reads a small JSON file, UTF-8 with or without a byte order mark.

  Raises:
    ValueError: absent, too large, not UTF-8 or not JSON; it names the file.
  """
  data, name = read_limited(path, max_bytes)
  try:
    return parse_json(data.decode("utf-8-sig"))
  except ValueError as error:
    raise ValueError(f"{name}: not JSON in UTF-8 ({error}).") from None


def parse_json(text: str) -> Any:
  """Parses JSON; `ValueError` whatever is wrong with it."""
  try:
    return json.loads(text, parse_constant=_no_number)
  except RecursionError:
    raise ValueError("nested too deeply") from None


class _Stream:
  """Values one after another out of a file that need not fit in memory."""

  def __init__(self, file: io.TextIOBase, name: str) -> None:
    self.file = file
    self.name = name
    self.text = ""
    self.at = 0
    self.passed = 0  # characters dropped from `text`
    self.ended = False

  def error(self, problem: str) -> ValueError:
    return ValueError(
      f"{self.name}: {problem} at character {self.passed + self.at}."
    )

  def more(self) -> None:
    """Reads on; holds four times as much, so that retries stay cheap."""
    self.passed += self.at
    self.text, self.at = self.text[self.at :], 0
    if len(self.text) > MAX_ITEM_BYTES:
      raise self.error(
        f"one item is larger than {MAX_ITEM_BYTES} bytes or not JSON"
      )
    try:
      room = MAX_ITEM_BYTES + 1 - len(self.text)
      piece = self.file.read(min(max(_CHUNK, 3 * len(self.text)), room))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
      raise self.error(f"damaged or cut off ({error}) after the data") from None
    self.ended = not piece
    self.text += piece

  def peek(self) -> str:
    """The next character that is no space; "" at the end."""
    while True:
      match = _SPACE.match(self.text, self.at)
      end = match.end() if match else self.at
      if end < len(self.text):
        self.at = end
        return self.text[end]
      if self.ended:
        return ""
      self.more()

  def take(self, wanted: str) -> str:
    found = self.peek()
    if not found or found not in wanted:
      what = repr(found) if found else "the end of the file"
      raise self.error(f"{what} where one of {wanted!r} should be")
    self.at += 1
    return found

  def value(self) -> Any:
    self.peek()
    while True:
      problem = "a number that may go on"
      try:
        value, end = _DECODER.raw_decode(self.text, self.at)
        # A number may go on in the next piece, as "0." and "1e-" do.
        if self.ended or self.text[end:].lstrip(_OF_NUMBERS):
          self.at = end
          return value
      except RecursionError:
        raise self.error("nested too deeply") from None
      except ValueError as error:
        problem = str(error)
      if self.ended:
        raise self.error(f"not JSON, or cut off ({problem}),")
      self.more()

  def members(self) -> Iterator[tuple[str, None]]:
    """Stops before each value of the container that begins here."""
    opening = self.take("{[")
    closing = "}" if opening == "{" else "]"
    if self.peek() == closing:
      self.at += 1
      return
    for index in itertools.count():
      key = str(index)
      if opening == "{":
        if self.peek() != '"':
          raise self.error("a key should be")
        key = self.value()
        self.take(":")
      yield key, None
      if self.take("," + closing) == closing:
        return

  def skip(self) -> None:
    """Passes over a value; only its members need fit in memory."""
    if self.peek() not in "{[":
      self.value()
      return
    for _ in self.members():
      self.value()


def json_members(
  path: pathlib.Path, key: str | None
) -> Iterator[tuple[str, Any]]:
  """Yields the members of one container of a JSON file, plain or gzipped.

  Args:
    path: the file, of any size; one member is held in memory at a time.
    key: which value of the outermost object to go through; None for the
      outermost value itself.

  Yields:
    (key, value) of an object, (index as text, value) of an array.

  Raises:
    ValueError: absent, damaged, not JSON, without `key`, or with a member
      larger than `MAX_ITEM_BYTES`; it names the file and the place.
  """
  if not path.is_file():
    raise ValueError(f"{path}: no such file.")
  with path.open("rb") as plain:
    packed = plain.read(2) == b"\x1f\x8b"
  with (
    gzip.open(path, "rb") if packed else path.open("rb") as binary,
    io.TextIOWrapper(binary, "utf-8-sig") as file,  # type: ignore[arg-type]
  ):
    stream = _Stream(file, str(path))
    if key is None:
      for name, _ in stream.members():
        yield name, stream.value()
      return
    # A list has no keys, and walking through a long one takes its time.
    pairs = stream.members() if stream.peek() != "[" else ()
    for name, _ in pairs:
      if name != key:
        stream.skip()
        continue
      for inner, _ in stream.members():
        yield inner, stream.value()
      return
  raise ValueError(
    f"{path}: the object has no {key!r}; is this the right file?"
  )


def numbers(values: Any, count: int) -> tuple[float, ...]:
  """Checks that `values` is a list of `count` finite numbers.

  Raises:
    ValueError: it is not.
  """
  if (
    not isinstance(values, list)
    or len(values) != count
    or not all(type(v) in (int, float) and abs(v) < 1e9 for v in values)
  ):
    raise ValueError(f"{str(values)[:60]} is not {count} numbers")
  return tuple(map(float, values))


def polygon(values: Any) -> list[tuple[float, float]]:
  """Checks a polygon, [[x, y], ...] or [{"x": x, "y": y}, ...].

  Raises:
    ValueError: it is none, or has fewer than 3 or more than 1,000 corners.
  """
  if not isinstance(values, list) or not 3 <= len(values) <= 1000:
    raise ValueError(f"{str(values)[:60]} is not a polygon")
  points = []
  for value in values:
    if isinstance(value, dict):
      value = [value.get("x"), value.get("y")]
    x, y = numbers(value, 2)
    points.append((x, y))
  return points
