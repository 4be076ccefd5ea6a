"""What strangers do to a file: cut off, misdeclared, bombs, ways out."""

from __future__ import annotations

import functools
import gzip
import io
import json
import pathlib
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence

import hostile_sets
import numpy as np

Damage = tuple[str, Callable[[], bytes]]
# No member of a test set comes near it; a bomb holds more than the limit.
BOMB_BYTES = 300 << 20
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
# In place of every number; the last is longer than Python reads.
_NUMBERS = (b"1000000000", b"-1", b"0", b"1e999", b"nan", b"9" * 20_000)


def damages(
  name: str, data: bytes, siblings: Sequence[str], rng: np.random.Generator
) -> Iterator[Damage]:
  """All damages that make sense for a file.

  Args:
    name: its path; says with its content what format it has.
    data: the valid content.
    siblings: names of the set's other files, for ways out of the folder.
    rng: of the random ones.

  Yields:
    (what was done, function that returns the damaged content).
  """
  yield "empty", lambda: b""
  for share in (0.3, 0.53, 0.9):
    yield f"cut at {share}", lambda s=share: data[: int(len(data) * s)]
  yield "random bytes", lambda: rng.bytes(1 << 16)
  for number in range(4):
    yield f"altered bytes {number}", lambda: altered(data, rng)
  if data[:2] == b"\x1f\x8b":
    yield "gzip bomb", lambda: _gzip_bomb(b"\0")
    yield "gzip bomb of spaces", lambda: _gzip_bomb(b" ")
    inner = gzip.decompress(data)
    for what, make in damages(name, inner, siblings, rng):
      yield f"{what}, gzipped", lambda m=make: gzip.compress(m(), 1)
  elif name.lower().endswith(PICTURES):
    yield from _picture_damages(data)
  elif data[:4] == b"PK\3\4":
    yield from _zip_damages(data, name.endswith(".npz"))
  elif b"\0" in data:
    yield from _binary_damages(data)
  else:
    yield from _text_damages(data, siblings)
    if data.lstrip()[:1] == b"<":
      yield from _xml_damages(data.decode("utf-8", "replace"))
    elif data.lstrip()[:1] in (b"{", b"["):
      yield from _json_damages(data)


def is_plain(data: bytes) -> bool:
  """Whether a file is a text of lines, neither XML nor JSON nor binary."""
  return b"\0" not in data and data.lstrip()[:1] not in (b"<", b"{", b"[", b"")


def altered(data: bytes, rng: np.random.Generator) -> bytes:
  """Some bytes replaced, one of fifty or at least two."""
  array = np.frombuffer(data, np.uint8).copy()
  if len(array):
    places = rng.integers(0, len(array), max(2, len(array) // 50))
    array[places] = rng.integers(0, 256, len(places))
  return array.tobytes()


def _text_damages(data: bytes, siblings: Sequence[str]) -> Iterator[Damage]:
  half = len(data) // 2
  yield "UTF-16", lambda: data.decode("utf-8", "replace").encode("utf-16")
  yield "no UTF-8", lambda: data[:half] + b"caf\xe9\xff" + data[half:]
  yield "zero bytes", lambda: data[:half] + bytes(100) + data[half:]
  yield "long line", lambda: data[:half] + b"x" * (8 << 20) + data[half:]
  yield "200,000 lines", lambda: data + b"\n" * 200_000
  yield "a million words", lambda: data[:half] + b" 1 2" * 10**6 + data[half:]
  for number in _NUMBERS:
    what = number.decode() if len(number) < 20 else "20,000 digits"
    yield (
      f"every number {what}",
      lambda n=number: _NUMBER.sub(n, data)[: 16 << 20],
    )
  for way in ("../secret", "/etc/passwd#", "..\\secret", "a\0b", "x" * 9999):
    out = data
    for sibling in siblings:
      path = pathlib.PurePosixPath(sibling)
      place = way + path.suffix if "#" not in way else "/etc/passwd"
      for known in (sibling, path.name):
        out = out.replace(known.encode(), place.encode())
    if out != data:
      yield f"reference {way[:12]!r}", lambda o=out: o


def _xml_damages(text: str) -> Iterator[Damage]:
  start = re.search(r"<[A-Za-z]", text)
  assert start is not None
  good = text[start.start() :]
  if "</" not in good:
    return
  # Names only: the contents are made anew, as some hold many megabytes.
  module = hostile_sets.tests("conftest")
  for what in module.damaged_xml(good):
    yield f"XML {what}", lambda w=what: module.damaged_xml(good)[w]
  opening, closing = good.index(">") + 1, good.rindex("</")
  inner = good[opening:closing]
  nodes = max(1, inner.count("<") + inner.count("="))
  copies = min(390_000 // nodes, (15 << 20) // max(1, len(inner.encode())))
  yield (
    "XML large but within the limits",
    lambda: (good[:opening] + inner * copies + good[closing:]).encode(),
  )
  yield (
    "XML parameter entity",
    lambda: (
      f'<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd">%p;]>{good}'
    ).encode(),
  )
  yield (
    "XML long attribute",
    lambda: good.replace("=", '="' + "1 " * (4 << 20) + '" b=', 1).encode(),
  )
  # The longest text between two tags: points, or a transcription.
  inside = max(re.findall(r">([^<]+)<", good), key=len, default="")
  attribute = max(re.findall(r'"([^"<]+)"', good), key=len, default="")
  for what, old in (("text", inside), ("attribute", attribute)):
    if old:
      yield (
        f"XML a million points in a {what}",
        lambda o=old: good.replace(o, "1,2 " * 10**6, 1).encode(),
      )


def _json_damages(data: bytes) -> Iterator[Damage]:
  yield "JSON nested lists", lambda: b"[" * 100_000
  yield "JSON nested objects", lambda: b'{"a":' * 100_000
  yield "JSON long list", lambda: b"[" + b"1," * 400_000 + b"1]"
  value = re.compile(rb': ?("[^"]*"|-?\d+(?:\.\d+)?|true|null)')
  deep = b"[" * 100_000 + b"]" * 100_000
  for what, new in (
    ("nested values", deep),
    ("a long text", b'"' + b"x" * (4 << 20) + b'"'),
    ("NaN", b"NaN"),
    ("a large number", b"1e999"),
    ("null", b"null"),
    ("a list", b"[[1]]"),
    ("an object", b'{"a": {}}'),
  ):
    yield (
      f"JSON {what} within",
      lambda n=new: value.sub(lambda _: b":" + n, data, 1),
    )
    if len(new) < 100:
      yield (
        f"JSON {what} everywhere",
        lambda n=new: value.sub(lambda _: b":" + n, data),
      )
  yield (
    "JSON every list long",
    lambda: data.replace(b"]", b"," + b"[1, 2]," * 300_000 + b"[1, 2]]", 1),
  )
  yield (
    "JSON of many equal keys",
    lambda: json.dumps({f"k{i}": {} for i in range(100_000)}).encode(),
  )


def _chunk(kind: bytes, data: bytes) -> bytes:
  body = kind + data
  return (
    struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
  )


def _png(width: int, height: int, *extra: bytes, packed: bytes = b"") -> bytes:
  header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
  return b"".join(
    (
      b"\x89PNG\r\n\x1a\n",
      _chunk(b"IHDR", header),
      *extra,
      _chunk(b"IDAT", packed),
      _chunk(b"IEND", b""),
    )
  )


@functools.cache
def _bomb() -> bytes:
  return zlib.compress(bytes(BOMB_BYTES), 9)


@functools.cache
def _gzip_bomb(filling: bytes) -> bytes:
  return gzip.compress(filling * BOMB_BYTES, 1)


def _picture_damages(data: bytes) -> Iterator[Damage]:
  for side in (10_000, 31_623, 50_000, 2**31 - 1):
    yield f"PNG of {side} x {side}", lambda s=side: _png(s, s)
  yield "PNG of 1 x 1e9", lambda: _png(1, 10**9)
  yield "PNG with too many pixels", lambda: _png(100, 100, packed=_bomb())
  small = zlib.compress(bytes(28 * 9))
  for kind in (b"zTXt", b"iCCP"):
    yield (
      f"PNG with a bomb in {kind.decode()}",
      lambda k=kind: _png(9, 9, _chunk(k, b"a\0\0" + _bomb()), packed=small),
    )
  jpeg = bytes.fromhex("ffd8ffc00011 08 ffdcffdc 03 012200 021101 031101")
  yield "JPEG of 65,500 x 65,500", lambda: jpeg + b"\xff\xd9"
  yield (
    "GIF of 65,535 x 65,535",
    lambda: (
      b"GIF89a" + b"\xff" * 4 + b"\0\0\0," + bytes(4) + b"\xff" * 4 + b"\0\2\0;"
    ),
  )
  yield "BMP of 1e9 pixels", lambda: (
    b"BM" + struct.pack("<IHHI", 54, 0, 0, 54)
    + struct.pack("<IiiHHIIiiII", 40, 31_623, 31_623, 1, 24, 0, 0, 0, 0, 0, 0)
  )  # fmt: skip
  yield "TIFF of 1e9 x 1e9", lambda: _tiff(10**9, 10**9)
  yield "TIFF of 1e9 samples", lambda: _tiff(9, 9, 10**9)


def _tiff(width: int, height: int, samples: int = 1) -> bytes:
  tags = (
    (256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8),
    (277, samples), (278, height), (279, 1),
  )  # fmt: skip
  entries = b"".join(struct.pack("<HHII", tag, 4, 1, v) for tag, v in tags)
  count = struct.pack("<H", len(tags))
  return b"II*\0" + struct.pack("<I", 8) + count + entries + bytes(4)


def _binary_damages(data: bytes) -> Iterator[Damage]:
  """10^9, or all ones, in every field that might be a count."""
  for place in range(0, min(len(data) - 2, 32)):
    for what, field in (
      ("ff ff", b"\xff\xff"),
      ("ff ff ff ff", b"\xff" * 4),
      ("1e9 little-endian", struct.pack("<I", 10**9)),
      ("1e9 big-endian", struct.pack(">I", 10**9)),
    ):
      end = place + len(field)
      yield (
        f"{what} at byte {place}",
        lambda p=place, f=field, e=end: data[:p] + f + data[e:],
      )


def _npy(shape: str, dtype: str, data: bytes = b"") -> bytes:
  text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}\n"
  head = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little")
  return head + text.encode() + data


def _zip_damages(data: bytes, npz: bool) -> Iterator[Damage]:
  with zipfile.ZipFile(io.BytesIO(data)) as archive:
    names = archive.namelist()
  contents: dict[str, Callable[[], bytes]] = {
    "bomb": lambda: bytes(BOMB_BYTES),
    "empty": lambda: b"",
    "noise": lambda: bytes(range(256)) * 100,
  }
  if npz:
    contents |= {
      "1e9 numbers": lambda: _npy("(1000000000,)", "<f8"),
      "1e9 objects": lambda: _npy("(1000000000,)", "|O", b"\x80\x04]."),
      "a nested header": lambda: _npy("(" * 9000, "<f8"),
      "numbers of 1e9 bytes": lambda: _npy("(1,)", "<U250000000"),
      "a nested pickle": lambda: _npy("(1,)", "|O", b"]" + b"(l" * 10**5),
      "array bomb": lambda: _npy("(39000000,)", "<f8", bytes(39_000_000 * 8)),
    }
  else:
    contents |= {
      "a picture of 31,623 x 31,623": lambda: _png(31_623, 31_623),
      "a picture of 1e9 x 1": lambda: _png(10**9, 1),
      "many lines": lambda: b"START\n" + b"1,2,3\n" * 10**6 + b"BREAK\n",
    }
  for name in names:
    for what, make in contents.items():
      yield (
        f"{name}: {what}",
        lambda n=name, m=make: _rezip(data, {n: m()}),
      )
  for way in ("../../secret/", "/etc/"):
    yield f"members in {way}", lambda w=way: _rezip(data, {}, w)
  yield (
    "many members",
    lambda: _rezip(data, {f"x/{number}": b"" for number in range(5_000)}),
  )
  # Flags: encrypted; an unknown method of compression; sizes of 4 GB.
  for what, place, field in (
    ("encrypted", 8, b"\1\0"),
    ("unknown method", 10, b"\x62\0"),
    ("declared 4 GB", 24, b"\xfe\xff\xff\xff"),
  ):
    central = data.rindex(b"PK\1\2") + place
    yield (
      what,
      lambda c=central, f=field: data[:c] + f + data[c + len(f) :],
    )


def _rezip(data: bytes, changed: dict[str, bytes], before: str = "") -> bytes:
  stream = io.BytesIO()
  with (
    zipfile.ZipFile(io.BytesIO(data)) as old,
    zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
  ):
    for name in dict.fromkeys((*old.namelist(), *changed)):
      content = changed[name] if name in changed else old.read(name)
      new.writestr(before + name, content)
  return stream.getvalue()
