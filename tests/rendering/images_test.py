"""Pictures in every state: read right, or refused in clear words."""

import pathlib
import warnings

import numpy as np
import pytest
from PIL import Image

from inksight_jax.rendering import images


@pytest.fixture
def picture() -> np.ndarray:
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (5, 7, 3), np.uint8)


@pytest.mark.parametrize("ending", ["png", "bmp", "tiff", "webp"])
def test_lossless_formats_come_back_unchanged(
  tmp_path: pathlib.Path, picture: np.ndarray, ending: str
):
  path = tmp_path / f"a.{ending}"
  Image.fromarray(picture).save(path, lossless=True)
  np.testing.assert_array_equal(images.read_image(path), picture)
  np.testing.assert_array_equal(images.read_image(str(path)), picture)


def test_arrays_and_pillow_images_are_the_same_picture(picture: np.ndarray):
  np.testing.assert_array_equal(images.read_image(picture), picture)
  pillow = Image.fromarray(picture)
  np.testing.assert_array_equal(images.read_image(pillow), picture)
  grey = images.read_image(picture[:, :, 0])
  np.testing.assert_array_equal(grey, np.stack([picture[:, :, 0]] * 3, -1))


@pytest.mark.parametrize(
  ("orientation", "turned"),
  [
    (3, lambda a: a[::-1, ::-1]),
    (6, lambda a: np.rot90(a, -1)),
    (8, lambda a: np.rot90(a, 1)),
  ],
)
def test_the_cameras_orientation_is_applied(
  tmp_path: pathlib.Path, picture: np.ndarray, orientation: int, turned
):
  exif = Image.Exif()
  exif[0x0112] = orientation
  Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
  read = images.read_image(tmp_path / "a.png")
  np.testing.assert_array_equal(read, turned(picture))


def test_transparent_pixels_become_white_paper(
  tmp_path: pathlib.Path, picture: np.ndarray
):
  alpha = np.zeros((5, 7, 1), np.uint8)
  alpha[2:] = 255
  rgba = np.concatenate([picture, alpha], axis=2)
  expected = np.where(alpha > 0, picture, 255)
  np.testing.assert_array_equal(images.read_image(rgba), expected)
  Image.fromarray(rgba).save(tmp_path / "a.png")
  np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), expected)
  palette = Image.new("P", (4, 3), 1)
  palette.putpalette([0, 0, 0, 9, 9, 9])
  palette.save(tmp_path / "b.png", transparency=1)
  assert (images.read_image(tmp_path / "b.png") == 255).all()


def test_sixteen_bits_are_scaled_not_cut(tmp_path: pathlib.Path):
  values = np.asarray([[0, 257, 32896, 65535]], np.uint16)
  Image.fromarray(values).save(tmp_path / "a.png")
  read = images.read_image(tmp_path / "a.png")
  np.testing.assert_array_equal(read[0, :, 0], [0, 1, 128, 255])


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "YCbCr", "HSV", "LA"])
def test_any_mode_gives_rgb(mode: str):
  read = images.read_image(Image.new("RGB", (3, 2), "white").convert(mode))
  assert read.shape == (2, 3, 3)
  assert (read >= 250).all()


def test_a_very_wide_picture_is_read(tmp_path: pathlib.Path):
  Image.new("L", (40_000, 12), 200).save(tmp_path / "wide.png")
  assert images.read_image(tmp_path / "wide.png").shape == (12, 40_000, 3)


def test_what_is_no_picture_is_refused(
  tmp_path: pathlib.Path, picture: np.ndarray
):
  for name, content, message in [
    ("empty.png", b"", r"empty \(0 bytes\)"),
    ("text.jpg", b"hello, this is text", "not a picture in a known format"),
  ]:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
      images.read_image(tmp_path / name)
  with pytest.raises(ValueError, match="absent"):
    images.read_image(tmp_path / "nowhere.png")
  with pytest.raises(ValueError, match="folder"):
    images.read_image(tmp_path)
  large = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
  for ending in ("jpg", "png", "tiff"):
    path = tmp_path / f"cut.{ending}"
    Image.fromarray(large).save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match=r"cut\.\w+ is damaged or cut off"):
      images.read_image(path)


def test_too_many_pixels_are_refused_before_they_are_decoded(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  # A header alone: decoding it would fail in another way.
  path = tmp_path / "huge.png"
  Image.new("1", (1, 1)).save(path)
  data = bytearray(path.read_bytes())
  for width in (9_000, 12_000, 60_000):
    data[16:24] = width.to_bytes(4, "big") + (10_000).to_bytes(4, "big")
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)
    with (
      warnings.catch_warnings(),
      pytest.raises(ValueError, match=r"too large.*80 megapixels"),
    ):
      warnings.simplefilter("error")
      images.read_image(path)


@pytest.mark.parametrize(
  ("array", "message"),
  [
    (np.zeros((2, 2, 3)), "must be uint8.*float64"),
    (np.zeros((2, 2, 2), np.uint8), "3 .RGB. or 4"),
    (np.zeros((0, 2, 3), np.uint8), "not empty"),
    (np.zeros((2,), np.uint8), "height, width"),
  ],
)
def test_arrays_of_another_kind_are_refused(array: np.ndarray, message: str):
  with pytest.raises(ValueError, match=message):
    images.read_image(array)


@pytest.mark.parametrize("ending", ["jpg", "png", "gif", "tiff"])
def test_no_damage_escapes_as_another_error(
  tmp_path: pathlib.Path, ending: str
):
  rng = np.random.default_rng(1)
  path = tmp_path / f"a.{ending}"
  Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8)).save(path)
  whole = np.frombuffer(path.read_bytes(), np.uint8)
  read = 0
  for _ in range(60):
    data = whole.copy()
    places = rng.integers(0, len(data), 8)
    data[places] = rng.integers(0, 256, 8)
    path.write_bytes(data[: rng.integers(1, len(data) + 1)].tobytes())
    try:
      assert images.read_image(path).dtype == np.uint8
      read += 1
    except ValueError:
      continue
  assert read < 60
