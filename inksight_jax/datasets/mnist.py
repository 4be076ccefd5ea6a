"""MNIST digits from idx files, one by one or several in a row.

Y. LeCun, C. Cortes, C. Burges. Also EMNIST and KMNIST digits, which come in
the same format.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import pathlib
import struct
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import ALL, expand

SOURCE = "mnist"
MAX_SIDE = 1024
_UINT8 = 8
_TRAIN_IMAGES = "train-images-idx3-ubyte"


class _Idx:
  """An idx file of unsigned bytes, item by item."""

  def __init__(self, file: IO[bytes], path: pathlib.Path, rank: int) -> None:
    self.file = file
    self.path = path
    header = self.read(4)
    if header[:2] != b"\0\0" or header[2:] != bytes((_UINT8, rank)):
      raise ValueError(
        f"{path}: begins with {header.hex(' ')}; an idx file of bytes of rank "
        f"{rank} begins with 00 00 08 {rank:02x}."
      )
    sizes = struct.unpack(f">{rank}I", self.read(4 * rank))
    self.count, self.shape = sizes[0], sizes[1:]
    if any(not 1 <= side <= MAX_SIDE for side in self.shape):
      raise ValueError(
        f"{path}: declares pictures of {self.shape}; at most {MAX_SIDE} a side."
      )

  def read(self, size: int) -> bytes:
    """Reads exactly `size` bytes."""
    try:
      data = self.file.read(size)
    except (OSError, EOFError, zlib.error) as error:
      raise ValueError(f"{self.path}: damaged or cut off ({error}).") from None
    if len(data) != size:
      raise ValueError(
        f"{self.path}: ends early; {size} more bytes were declared, "
        f"{len(data)} are there."
      )
    return data


@contextlib.contextmanager
def _open(folder: pathlib.Path, name: str, rank: int) -> Iterator[_Idx]:
  """Opens an idx file, plain or gzipped."""
  path = _find(folder, name)
  if path is None:
    raise ValueError(f"{folder}: no {name}.gz; is this the folder of MNIST?")
  with path.open("rb") as plain:
    packed = plain.read(2) == b"\x1f\x8b"
    plain.seek(0)
    if not packed:
      yield _Idx(plain, path, rank)
      return
    with gzip.GzipFile(fileobj=plain) as unpacked:
      yield _Idx(unpacked, path, rank)  # type: ignore[arg-type]


def _find(folder: pathlib.Path, name: str) -> pathlib.Path | None:
  # As torchvision, TFDS and the original site store them.
  for parent in (folder, folder / "raw", folder / "MNIST" / "raw"):
    for suffix in ("", ".gz"):
      for form in (name, name.replace("-idx", ".idx")):
        path = parent / (form + suffix)
        if path.is_file():
          return path
  return None


def _digits(
  folder: pathlib.Path, part: str, transposed: bool
) -> Iterator[tuple[NDArray[np.uint8], int]]:
  """Pictures uint8[height, width], ink bright, and labels."""
  with (
    _open(folder, f"{part}-images-idx3-ubyte", 3) as images,
    _open(folder, f"{part}-labels-idx1-ubyte", 1) as labels,
  ):
    if images.count != labels.count:
      raise ValueError(
        f"{images.path} declares {images.count} pictures, {labels.path} "
        f"{labels.count} labels; they do not belong together."
      )
    height, width = images.shape
    for _ in range(images.count):
      data = np.frombuffer(images.read(height * width), np.uint8)
      digit = data.reshape(height, width)
      yield digit.T if transposed else digit, labels.read(1)[0]


def read_mnist(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = ALL,
  validation_count: int = 5_000,
  train_from_test: int = 0,
  sequence_length: int = 1,
  crop: int = 0,
  invert: bool = False,
  transposed: bool = False,
) -> Iterator[Record]:
  """Reads digits, or sequences of them set side by side.

  Sequence k holds the digits k * n to k * n + n - 1 of its split: each digit
  is used once, and what is left over at the end is counted as skipped.

  Args:
    path: the folder of train-images-idx3-ubyte.gz and its like.
    report: counts what was left out and why.
    split: "train", "validation" (the last of the training digits) or "test";
      "all".
    validation_count: training digits kept for validation; 0 for none.
    train_from_test: without training files, so many of the first digits of the
      test files take their place; the others remain the test.
    sequence_length: digits in a row.
    crop: pixels cut off on every side; a digit is 20 of the 28 wide and high,
      by its centre of mass, not of its box, in the middle.
    invert: dark ink on white; the files have bright ink on black.
    transposed: the files store columns, as those of EMNIST do.

  Yields:
    Records with ids <split>/<number> and the digits as text.

  Raises:
    ValueError: files are absent, cut off, or of another type.
  """
  if sequence_length < 1 or min(validation_count, train_from_test, crop) < 0:
    raise ValueError(
      f"sequence_length={sequence_length}, validation_count="
      f"{validation_count}, train_from_test={train_from_test}, crop={crop}; "
      "wanted at least 1, 0, 0 and 0."
    )
  report = report or SkipReport()
  folder = pathlib.Path(path).expanduser()
  if _find(folder, _TRAIN_IMAGES) is not None:
    train_from_test = 0
  for name in expand(split):
    pictures: list[NDArray[np.uint8]] = []
    text, number = "", 0
    digits = _split(folder, name, validation_count, train_from_test, transposed)
    for picture, label in digits:
      height, width = picture.shape
      if 2 * crop >= min(height, width):
        raise ValueError(
          f"crop={crop} leaves nothing of digits of {width} x {height} pixels."
        )
      picture = picture[crop : height - crop, crop : width - crop]
      pictures.append(255 - picture if invert else picture)
      text += str(label)
      if len(pictures) < sequence_length:
        continue
      row = np.concatenate(pictures, axis=1)
      yield Record(
        id=f"{name}/{number:05d}",
        source=SOURCE,
        text=text,
        image=np.repeat(row[:, :, None], 3, axis=2),
      )
      pictures, text, number = [], "", number + 1
    for _ in pictures:
      report.skip("digit left over from the last sequence", name)


def _split(
  folder: pathlib.Path,
  split: str,
  validation_count: int,
  train_from_test: int,
  transposed: bool,
) -> Iterator[tuple[NDArray[np.uint8], int]]:
  if split == "test":
    test = _digits(folder, "t10k", transposed)
    yield from itertools.islice(test, train_from_test, None)
    return
  if train_from_test:
    count = train_from_test
    digits = _digits(folder, "t10k", transposed)
  else:
    with _open(folder, _TRAIN_IMAGES, 3) as images:
      count = images.count
    digits = _digits(folder, "train", transposed)
  start = max(0, count - validation_count)
  for number, digit in enumerate(itertools.islice(digits, count)):
    if (number >= start) == (split == "validation"):
      yield digit
