"""NumPy archives with arrays of objects, read without running what they say.

`numpy.load(allow_pickle=True)` executes whatever a file asks for. Here only
the few functions that rebuild arrays, strings and numbers are known.
"""

from __future__ import annotations

import math
import pathlib
import pickle
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Collection
from typing import Any, BinaryIO, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

MAX_MEMBER_BYTES = 2 * 2**30
# Labels, mostly zeros, shrink a hundredfold; zeros alone a thousandfold.
_MAX_RATIO = 400
_SMALL_BYTES = 32 * 2**20

_Read = TypeVar("_Read")


class _Array(np.ndarray):
  """Takes a pickled state only if it is as large as it says."""

  def __setstate__(self, state: Any) -> None:  # pyright: ignore
    _, shape, dtype, _, content = state
    size = math.prod(shape)
    if not isinstance(content, list):
      size *= dtype.itemsize
    if len(content) != size:
      raise ValueError(f"{len(content)} values for an array {shape}")
    super().__setstate__(state)


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
  del kind, shape, code  # the state that follows has the true ones
  return _Array((0,), np.int8)


def _encode(text: str, encoding: str = "latin1") -> bytes:
  del encoding  # bytes in Python 2's pickles are always Latin-1
  return text.encode("latin1")


class _Marker:
  """Stands for `numpy.ndarray`, which `_reconstruct` gets as an argument."""


_KNOWN: dict[tuple[str, str], Any] = {
  ("numpy", "dtype"): np.dtype,
  ("numpy", "ndarray"): _Marker,
  ("_codecs", "encode"): _encode,
  **{
    (f"numpy.{core}.multiarray", name): function
    for core in ("core", "_core")
    for name, function in (
      ("_reconstruct", _reconstruct),
      ("scalar", lambda dtype, data: np.frombuffer(data, dtype)[0]),
    )
  },
}


class _Unpickler(pickle.Unpickler):
  def find_class(self, module: str, name: str) -> Any:
    try:
      return _KNOWN[module, name]
    except KeyError:
      raise pickle.UnpicklingError(
        f"it asks for {module}.{name}, which no array needs"
      ) from None


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
  """Shape, whether columns come first, and type of a .npy file's array."""
  version = np.lib.format.read_magic(file)
  if version == (1, 0):
    return np.lib.format.read_array_header_1_0(file)
  if version == (2, 0):
    return np.lib.format.read_array_header_2_0(file)
  raise ValueError(f"version {version} of the .npy format is not known")


def _array(file: BinaryIO, size: int) -> NDArray[Any]:
  shape, fortran, dtype = _header(file)
  if dtype.hasobject:
    found = _Unpickler(file, encoding="latin1").load()
    if not isinstance(found, np.ndarray) or found.shape != shape:
      raise ValueError(f"no array of shape {shape} inside")
    return found.view(np.ndarray)
  count = math.prod(shape)
  if count * dtype.itemsize > size:
    raise ValueError(f"too short for its shape {shape}")
  flat = np.frombuffer(file.read(count * dtype.itemsize), dtype)
  if len(flat) != count:
    raise ValueError(f"too short for its shape {shape}")
  return flat.reshape(shape, order="F" if fortran else "C")


def _shape(file: BinaryIO, size: int) -> tuple[int, ...]:
  del size  # says nothing about a header
  return _header(file)[0]


def _read_members(
  path: pathlib.Path,
  read: Callable[[BinaryIO, int], _Read],
  names: Collection[str] | None,
) -> dict[str, _Read]:
  """Reads the members of an archive, or those of the names given."""
  if not path.is_file():
    raise ValueError(f"{path}: no such file.")
  found: dict[str, _Read] = {}
  name = ""
  try:
    with zipfile.ZipFile(path) as archive:
      for info in archive.infolist():
        name = info.filename
        key = name.removesuffix(".npy")
        if names is not None and key not in names:
          continue
        size, packed = info.file_size, max(info.compress_size, 1)
        if size > MAX_MEMBER_BYTES or (
          size > _SMALL_BYTES and size > _MAX_RATIO * packed
        ):
          raise ValueError(f"{packed} bytes would unpack to {size}")
        with archive.open(info) as file:
          found[key] = read(cast(BinaryIO, file), size)
  except (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
  ) as error:
    # A hostile pickle fails in many ways, all of them meaning the same.
    raise ValueError(
      f"{path}: {name or 'the archive'} cannot be read ({error}); download it "
      "again."
    ) from None
  return found


def array_shapes(path: pathlib.Path) -> dict[str, tuple[int, ...]]:
  """Shapes of all arrays of an .npz file, from their headers alone.

  A reader that compares them with what it wants before it calls `read_npz`
  does not unpack a gigabyte of zeros first.

  Args:
    path: the file.

  Raises:
    ValueError: absent, no complete .npz, or absurdly large.
  """
  return _read_members(path, _shape, None)


def read_npz(
  path: pathlib.Path, names: Collection[str] | None = None
) -> dict[str, NDArray[Any]]:
  """Reads arrays of an .npz file into memory.

  Args:
    path: the file; numbers, strings and objects made of these are read.
    names: of the arrays that are wanted; all where not given.

  Raises:
    ValueError: absent, no complete .npz, absurdly large, or a pickle that
      asks for anything but arrays.
  """
  return _read_members(path, _array, names)
