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
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAX_MEMBER_BYTES = 2 * 2**30
# Labels, mostly zeros, shrink a hundredfold; zeros alone a thousandfold.
_MAX_RATIO = 400
_SMALL_BYTES = 32 * 2**20


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


def _array(file: BinaryIO, size: int) -> NDArray[Any]:
  version = np.lib.format.read_magic(file)
  if version == (1, 0):
    header = np.lib.format.read_array_header_1_0(file)
  elif version == (2, 0):
    header = np.lib.format.read_array_header_2_0(file)
  else:
    raise ValueError(f"version {version} of the .npy format is not known")
  shape, fortran, dtype = header
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


def read_npz(path: pathlib.Path) -> dict[str, NDArray[Any]]:
  """Reads all arrays of an .npz file into memory.

  Args:
    path: the file; numbers, strings and objects made of these are read.

  Raises:
    ValueError: absent, no complete .npz, absurdly large, or a pickle that
      asks for anything but arrays.
  """
  if not path.is_file():
    raise ValueError(f"{path}: no such file.")
  arrays: dict[str, NDArray[Any]] = {}
  name = ""
  try:
    with zipfile.ZipFile(path) as archive:
      for info in archive.infolist():
        name = info.filename
        size, packed = info.file_size, max(info.compress_size, 1)
        if size > MAX_MEMBER_BYTES or (
          size > _SMALL_BYTES and size > _MAX_RATIO * packed
        ):
          raise ValueError(f"{packed} bytes would unpack to {size}")
        with archive.open(info) as file:
          arrays[name.removesuffix(".npy")] = _array(file, size)  # pyright: ignore
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
  return arrays
