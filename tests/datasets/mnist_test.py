"""MNIST: idx files written by hand, and the real test digits."""

import gzip
import pathlib

import numpy as np
import pytest

from inksight_jax.datasets.mnist import read_mnist
from inksight_jax.datasets.skipped import SkipReport


def idx(sizes: tuple[int, ...], data: bytes, kind: int = 8) -> bytes:
  header = bytes((0, 0, kind, len(sizes)))
  return header + b"".join(s.to_bytes(4, "big") for s in sizes) + data


def write_mnist(root: pathlib.Path) -> pathlib.Path:
  pictures = np.arange(7 * 6, dtype=np.uint8)
  (root / "train-images-idx3-ubyte.gz").write_bytes(
    gzip.compress(idx((7, 2, 3), pictures.tobytes()))
  )
  (root / "train-labels-idx1-ubyte").write_bytes(
    idx((7,), bytes([5, 0, 4, 1, 9, 2, 1]))
  )
  (root / "t10k-images-idx3-ubyte").write_bytes(
    idx((1, 2, 3), bytes(range(100, 106)))
  )
  (root / "t10k-labels-idx1-ubyte.gz").write_bytes(
    gzip.compress(idx((1,), b"\x07"))
  )
  return root


@pytest.fixture
def mnist(tmp_path: pathlib.Path) -> pathlib.Path:
  return write_mnist(tmp_path)


def test_digits_and_splits(mnist: pathlib.Path):
  train = list(read_mnist(mnist, split="train", validation_count=2))
  assert "".join(r.text for r in train) == "50419"
  assert train[1].image is not None
  np.testing.assert_array_equal(
    train[1].image[:, :, 0], [[6, 7, 8], [9, 10, 11]]
  )
  assert train[1].image.shape == (2, 3, 3)
  validation = read_mnist(mnist, split="validation", validation_count=2)
  assert "".join(r.text for r in validation) == "21"
  (test,) = read_mnist(mnist, split="test", invert=True, transposed=True)
  assert test.id == "test/00000" and test.text == "7"
  assert test.image is not None
  np.testing.assert_array_equal(
    test.image[:, :, 0], 255 - np.array([[100, 103], [101, 104], [102, 105]])
  )
  assert len(list(read_mnist(mnist))) == 8


def test_sequences_use_each_digit_once(mnist: pathlib.Path):
  report = SkipReport()
  options = {"split": "train", "validation_count": 0, "sequence_length": 3}
  first, second = read_mnist(mnist, report, **options)
  assert (first.text, second.text) == ("504", "192")
  assert second.image is not None and second.image.shape == (2, 9, 3)
  assert second.image[0, 3, 0] == 4 * 6
  assert report.counts == {"digit left over from the last sequence": 1}


@pytest.mark.parametrize(
  ("content", "message"),
  [
    (idx((10**9, 2, 3), b"\0" * 60), "declares 1000000000 pictures"),
    (idx((7, 2**31, 2**31), b""), "at most 1024 a side"),
    (idx((7, 0, 3), b""), "at most 1024 a side"),
    (idx((7, 2, 3), b"\0" * 20), "ends early; 6 more bytes"),
    (idx((7,), b"\0" * 7), "begins with 00 00 08 01"),
    (idx((7, 2, 3), b"\0" * 999, kind=13), "begins with 00 00 0d 03"),
    (b"", "ends early"),
    (gzip.compress(idx((7, 2, 3), b"\0" * 42))[:-12], "cut off"),
  ],
  ids=range(8),
)
def test_broken_files(mnist: pathlib.Path, limits, content, message):
  (mnist / "train-images-idx3-ubyte.gz").write_bytes(content)
  with limits(), pytest.raises(ValueError, match=message) as caught:
    list(read_mnist(mnist, split="train", validation_count=0))
  assert "train-images-idx3-ubyte.gz" in str(caught.value)


def test_ten_to_the_nine_in_both_files(mnist: pathlib.Path, limits):
  (mnist / "train-images-idx3-ubyte.gz").write_bytes(
    idx((10**9, 2, 3), b"\0" * 12)
  )
  (mnist / "train-labels-idx1-ubyte").write_bytes(idx((10**9,), b"\0" * 2))
  with limits(), pytest.raises(ValueError, match="ends early"):
    list(read_mnist(mnist, split="train"))


def test_mistakes_name_the_way_out(mnist: pathlib.Path):
  with pytest.raises(ValueError, match=r"no t10k-images-idx3-ubyte\.gz"):
    list(read_mnist(mnist / "nothing", split="test"))
  with pytest.raises(ValueError, match="at least 1"):
    list(read_mnist(mnist, sequence_length=0))


def test_borders_are_cut_off_on_every_side(tmp_path: pathlib.Path):
  digits = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5)
  (tmp_path / "t10k-images-idx3-ubyte").write_bytes(
    idx(digits.shape, digits.tobytes())
  )
  (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx((2,), b"\1\2"))
  (row,) = read_mnist(tmp_path, split="test", crop=1, sequence_length=2)
  assert row.image is not None
  np.testing.assert_array_equal(
    row.image[:, :, 0],
    [[6, 7, 8, 26, 27, 28], [11, 12, 13, 31, 32, 33]],
  )
  with pytest.raises(
    ValueError, match="crop=2 leaves nothing of digits of 5 x"
  ):
    list(read_mnist(tmp_path, split="test", crop=2))


def test_the_real_test_digits(shared_data: pathlib.Path):
  """Class counts as published for t10k; ink bright, mean as published."""
  counts = np.zeros(10, int)
  total = 0.0
  for record in read_mnist(shared_data / "mnist", split="test"):
    assert record.image is not None and record.image.shape == (28, 28, 3)
    counts[int(record.text)] += 1
    total += float(record.image[:, :, 0].mean())
  assert counts.tolist() == [
    980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
  ]  # fmt: skip
  assert total / 10_000 / 255 == pytest.approx(0.1325, abs=1e-4)


def test_test_digits_take_the_place_of_absent_training_digits(
  tmp_path: pathlib.Path,
):
  (tmp_path / "t10k-images-idx3-ubyte").write_bytes(
    idx((9, 2, 2), bytes(range(36)))
  )
  (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx((9,), bytes(range(9))))
  options = {"train_from_test": 6, "validation_count": 2}

  def read(split: str) -> str:
    records = read_mnist(tmp_path, split=split, **options)
    return "".join(record.text for record in records)

  assert (read("train"), read("validation"), read("test")) == (
    "0123", "45", "678",
  )  # fmt: skip
  # With training files the option has no effect.
  (tmp_path / "train-images-idx3-ubyte").write_bytes(idx((3, 2, 2), bytes(12)))
  (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx((3,), b"\7\7\7"))
  assert (read("train"), read("validation"), read("test")) == (
    "7", "77", "012345678",
  )  # fmt: skip
