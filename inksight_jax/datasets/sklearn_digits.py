"""The handwritten digits that are bundled with scikit-learn.

E. Alpaydin, C. Kaynak 1998; 1,797 digits of 8 x 8 pixels and 17 levels, the
test part of the original: for machines without MNIST.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import numpy as np

from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import ALL, expand

SOURCE = "sklearn_digits"
LEVELS = 16
# Where validation and test begin; the rest is for training.
VALIDATION, TEST = 1_300, 1_400


def read_sklearn_digits(
  path: str | pathlib.Path = "",
  report: SkipReport | None = None,
  *,
  split: str = ALL,
  size: int = 28,
  margin: int = 2,
) -> Iterator[Record]:
  """Reads the digits, enlarged to the size of MNIST's.

  Args:
    path: not used, the data comes with the library.
    report: not used, nothing is left out.
    split: "train", "validation" or "test"; "all".
    size: side of the pictures, pixels.
    margin: black pixels around the digit, as MNIST has them.

  Yields:
    Records with bright ink on black and one digit as text.

  Raises:
    ValueError: scikit-learn is not installed, or no room for the digit.
  """
  del path, report
  if size - 2 * margin < 8:
    raise ValueError(
      f"size={size} with margin={margin} leaves less than the 8 pixels that a "
      "digit has."
    )
  import cv2

  images, labels = _bundled()
  inner = size - 2 * margin
  ranges = {
    "train": range(VALIDATION),
    "validation": range(VALIDATION, TEST),
    "test": range(TEST, len(labels)),
  }
  for name in expand(split):
    for number in ranges[name]:
      large = cv2.resize(
        images[number].astype(np.float32),
        (inner, inner),
        interpolation=cv2.INTER_CUBIC,
      )
      picture = np.zeros((size, size), np.uint8)
      picture[margin : margin + inner, margin : margin + inner] = np.clip(
        np.rint(large * (255 / LEVELS)), 0, 255
      )
      yield Record(
        id=f"{name}/{number:04d}",
        source=SOURCE,
        text=str(labels[number]),
        image=np.repeat(picture[:, :, None], 3, axis=2),
      )


def _bundled() -> tuple[np.ndarray, np.ndarray]:
  """(float[1797, 8, 8] from 0 to 16, labels)."""
  try:
    from sklearn.datasets import load_digits
  except ImportError as error:
    raise ValueError(
      "The bundled digits need scikit-learn: pip install scikit-learn, or take "
      "MNIST (gin/recipes/sequence_mnist_parallel.gin)."
    ) from error
  rows, labels = load_digits(return_X_y=True)
  return np.asarray(rows).reshape(-1, 8, 8), np.asarray(labels)
