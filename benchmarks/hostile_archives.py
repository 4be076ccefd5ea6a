"""What strangers do to a tar archive."""

from __future__ import annotations

import gzip
import io
import pathlib
import tarfile
from collections.abc import Iterator

import hostile_damage
import numpy as np


def archive_damages(
  files: dict[str, bytes], packed: bytes, rng: np.random.Generator
) -> Iterator[hostile_damage.Damage]:
  """Damages of a tar archive.

  Args:
    files: what is in it.
    packed: the valid archive, compressed with gzip or xz.
    rng: of the random ones.
  """
  for share in (0.2, 0.5, 0.9, 0.99):
    yield f"cut at {share}", lambda s=share: packed[: int(len(packed) * s)]
  yield "random bytes", lambda: rng.bytes(1 << 16)
  for number in range(4):
    yield f"altered bytes {number}", lambda: hostile_damage.altered(packed, rng)
  largest = max(files, key=lambda name: len(files[name]))
  beside = pathlib.PurePosixPath(largest)
  yield (
    "member bomb",
    lambda: _tar({**files, largest: bytes(hostile_damage.BOMB_BYTES)}),
  )
  yield (
    "eight bombs of 60 MB",
    lambda: _tar(
      files
      | {
        beside.with_name(f"b{i}{beside.suffix}").as_posix(): bytes(60 << 20)
        for i in range(8)
      }
    ),
  )
  yield (
    "bombs nobody wants",
    lambda: _tar(files | {f"junk{i}.bin": bytes(200 << 20) for i in range(4)}),
  )
  yield (
    "tail of zeros",
    lambda: gzip.compress(
      _plain_tar(files) + bytes(2 * hostile_damage.BOMB_BYTES), 1
    ),
  )
  yield (
    "many members",
    lambda: _tar(files | {f"x/{i}{beside.suffix}": b"" for i in range(5_000)}),
  )
  for way in ("../../secret/", "/etc/"):
    yield (
      f"members in {way}",
      lambda w=way: _tar(
        {w + name: content for name, content in files.items()}
      ),
    )
  for kind, what in (
    (tarfile.SYMTYPE, "symbolic links"),
    (tarfile.LNKTYPE, "hard links"),
    (tarfile.CHRTYPE, "devices"),
  ):
    yield f"{what} out of it", lambda k=kind: _tar(files, k)
  yield "declared 1 TB", lambda: _tar(files, size=10**12)


def _plain_tar(
  files: dict[str, bytes], kind: bytes = tarfile.REGTYPE, size: int = -1
) -> bytes:
  stream = io.BytesIO()
  with tarfile.open(fileobj=stream, mode="w") as archive:
    for name, content in files.items():
      info = tarfile.TarInfo(name)
      info.type, info.linkname = kind, "../secret.txt"
      info.size = len(content) if kind == tarfile.REGTYPE else 0
      if size < 0:
        archive.addfile(info, io.BytesIO(content))
      else:
        info.size = size
        stream.write(info.tobuf() + content)
  return stream.getvalue()


def _tar(
  files: dict[str, bytes], kind: bytes = tarfile.REGTYPE, size: int = -1
) -> bytes:
  return gzip.compress(_plain_tar(files, kind, size), 1)
