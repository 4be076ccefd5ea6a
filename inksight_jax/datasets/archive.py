"""Text files of a data set, out of a tar archive or an unpacked folder."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pathlib
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

# A member of UNIPEN is at most a few MB, the whole set half a GB; more than
# this is a broken or hostile archive.
MAX_MEMBER_BYTES = 128 * 2**20
MAX_TOTAL_BYTES = 4 * 2**30
# Pen data packed with xz takes a sixth; zeros take a thousandth and less.
_MAX_RATIO = 40
_SMALL_BYTES = 32 * 2**20


class FolderFiles(Mapping[str, bytes]):
  """Files below a folder by relative path, read when asked for."""

  def __init__(
    self,
    root: pathlib.Path,
    wanted: Callable[[str], bool],
    max_bytes: int = MAX_MEMBER_BYTES,
  ) -> None:
    self._max_bytes = max_bytes
    self._root = root.resolve()
    self._paths = {
      relative: path
      for path in sorted(self._root.rglob("*"))
      if wanted(relative := path.relative_to(self._root).as_posix())
      and path.is_file()
      # A link out of the folder is no file of the data set.
      and path.resolve().is_relative_to(self._root)
    }

  def __getitem__(self, name: str) -> bytes:
    path = self._paths[name]
    size = path.stat().st_size
    if size > self._max_bytes:
      raise ValueError(
        f"{path} holds {size} bytes; at most {self._max_bytes} are read."
      )
    return path.read_bytes()

  def __iter__(self) -> Iterator[str]:
    return iter(self._paths)

  def __len__(self) -> int:
    return len(self._paths)


class _Ending:
  """Reads from a stream, remembers its last bytes and stops at bombs."""

  def __init__(self, stream: BinaryIO, path: pathlib.Path) -> None:
    self.stream = stream
    self.last = b""
    self._path = path
    self._room = max(_SMALL_BYTES, _MAX_RATIO * path.stat().st_size)

  def read(self, size: int) -> bytes:
    data = self.stream.read(size)
    self.last = (self.last + data)[-tarfile.BLOCKSIZE :]
    self._room -= len(data)
    if self._room < 0:
      raise ValueError(
        f"{self._path} unpacks to more than {_MAX_RATIO} times its size, as no "
        "pen data does. Is this the right archive? If so, unpack it and give "
        "the folder."
      )
    return data


def _open(path: pathlib.Path) -> Any:
  """Opens a possibly compressed file by its first bytes.

  `tarfile` does this too, but takes a compressed file that was cut off for a
  short one; these readers raise EOFError.
  """
  with path.open("rb") as file:
    magic = file.read(6)
  for prefix, opener in (
    (b"\xfd7zXZ\0", lzma.open),
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
  ):
    if magic.startswith(prefix):
      return opener(path, "rb")
  return path.open("rb")


def _read_archive(
  path: pathlib.Path, wanted: Callable[[str], bool], max_bytes: int
) -> dict[str, bytes]:
  files: dict[str, bytes] = {}
  total = 0
  with _open(path) as compressed:
    stream: Any = _Ending(compressed, path)
    # Streamed once: seeking in an xz archive would decompress it per member.
    with tarfile.open(fileobj=stream, mode="r|") as archive:
      for member in archive:
        # As tar does: what claims to lie at the root lies below the folder.
        name = posixpath.normpath(member.name).lstrip("/")
        if not member.isfile() or not wanted(name):
          continue
        total += member.size
        if member.size > max_bytes or total > MAX_TOTAL_BYTES:
          raise ValueError(
            f"{path}: {member.name} would take {member.size} bytes, {total} in "
            f"all; at most {max_bytes} a file and {MAX_TOTAL_BYTES} in all are "
            "read. Is this the right archive? If so, unpack it and give the "
            "folder."
          )
        content = archive.extractfile(member)
        assert content is not None
        files[name] = content.read()
    # To the end: only there does a cut-off compressed file show.
    while stream.read(tarfile.RECORDSIZE):
      pass
  if stream.last != bytes(tarfile.BLOCKSIZE):
    raise EOFError("the zeros that end a tar archive are missing")
  return files


def read_files(
  path: str | pathlib.Path,
  wanted: Callable[[str], bool],
  max_bytes: int | None = None,
) -> Mapping[str, bytes]:
  """Opens a tar archive (plain, gz, bz2, xz) or an unpacked folder.

  Args:
    path: the archive or folder.
    wanted: says by relative path which files to keep.
    max_bytes: limit for one file; MAX_MEMBER_BYTES where not given.

  Returns:
    File contents by relative path with `/`. An archive is streamed once into
    memory; a folder is read file by file on access, where a file beyond the
    limit raises ValueError.

  Raises:
    ValueError: nothing there, no archive, truncated, or absurdly large.
  """
  max_bytes = MAX_MEMBER_BYTES if max_bytes is None else max_bytes
  path = pathlib.Path(path).expanduser()
  if path.is_dir():
    return FolderFiles(path, wanted, max_bytes)
  if not path.is_file():
    raise ValueError(
      f"{path}: no such file or folder; give the archive of the data set or "
      "the folder it was unpacked to."
    )
  try:
    return _read_archive(path, wanted, max_bytes)
  except (tarfile.TarError, lzma.LZMAError, EOFError, OSError, zlib.error) as e:
    raise ValueError(
      f"{path}: not a complete tar archive ({e}). Download it again; a "
      f"truncated copy has this size: {path.stat().st_size} bytes."
    ) from None
