"""The bundled digits: splits, sizes, and what the pictures show."""

import numpy as np
import pytest

from inksight_jax.datasets.registry import load_records
from inksight_jax.datasets.sklearn_digits import read_sklearn_digits


def test_splits_cover_the_digits_and_pictures_show_them():
  sklearn = pytest.importorskip("sklearn.datasets")
  bundled = sklearn.load_digits()
  records = {
    split: list(load_records("sklearn_digits", "", split))
    for split in ("train", "validation", "test")
  }
  assert [len(found) for found in records.values()] == [1300, 100, 397]
  every = [record for found in records.values() for record in found]
  assert "".join(r.text for r in every) == "".join(map(str, bundled.target))
  assert len({record.id for record in every}) == 1797
  image = every[0].image
  assert image is not None and image.shape == (28, 28, 3)
  assert not image[:2].any() and not image[:, -2:].any() and image.max() > 200
  # Averaged over its 3 x 3 blocks a digit is the small one again.
  small = image[2:26, 2:26, 0].reshape(8, 3, 8, 3).mean((1, 3))
  correlation = np.corrcoef(small.ravel(), bundled.images[0].ravel())[0, 1]
  assert correlation > 0.95


def test_no_room_for_the_digit_is_refused():
  with pytest.raises(ValueError, match="less than the 8 pixels"):
    next(read_sklearn_digits(size=10))
