"""Pictures in a TensorFlow graph equal those that training and prediction see.

The reference is Pillow with OpenCV, through `read_image` and `letterbox`.
"""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from inksight_jax.interop import graph_pictures, graph_resize
from inksight_jax.rendering.images import read_image
from inksight_jax.rendering.letterbox import letterbox

tf = pytest.importorskip("tensorflow")

FRAMES = [
  ((32, 32), "paper", "center"),
  ((48, 48), "black", "center"),
  ((224, 224), "white", "center"),
  ((32, 200), "paper", "left"),
]


@pytest.fixture(scope="module")
def fit():
  """`graph_pictures.letterbox` compiled for each frame and padding."""
  compiled = {}

  def call(image, size, padding, align):
    key = size, padding, align
    if key not in compiled:
      compiled[key] = tf.function(
        lambda x: graph_pictures.letterbox(x, *key),
        input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)],
        autograph=False,
      )
    return compiled[key](image)

  return call


@pytest.fixture(scope="module")
def read():
  return tf.function(
    graph_pictures.read_picture,
    input_signature=[tf.TensorSpec([], tf.string)],
    autograph=False,
  )


def encoded(image: Image.Image, kind: str, **options) -> bytes:
  stream = io.BytesIO()
  image.save(stream, kind, **options)
  return stream.getvalue()


def noise(rng: np.random.Generator, *shape: int) -> np.ndarray:
  return rng.integers(0, 256, shape, np.uint8)


def test_letterbox_is_the_rule_of_training_to_the_last_bit(fit):
  rng = np.random.default_rng(0)
  for number in range(160):
    size, padding, align = FRAMES[number % len(FRAMES)]
    height, width = rng.integers(1, 400, 2)
    if number % 5 == 0:  # Whole factors have a path of their own.
      height, width = size[0] * rng.integers(1, 6), size[1] * rng.integers(1, 4)
    if number % 7 == 0:
      height, width = rng.integers(1, 33, 2)
    image = noise(rng, height, width, 3)
    expected, placement = letterbox(image, size, padding, align)
    frame = fit(image, size, padding, align)
    np.testing.assert_array_equal(
      frame.image, expected, f"{height} x {width} into {size}"
    )
    assert float(frame.scale) == placement.scale
    np.testing.assert_allclose(frame.offset, placement.offset, atol=1e-9)


def test_halving_rounds_up_and_other_averages_to_even():
  # 0 and 1 average to 1/2: OpenCV's two rules differ only here.
  two = np.zeros((2, 2, 3), np.uint8)
  two[0] = 1
  assert graph_resize.shrink(two, 1, 1)[0, 0, 0] == 1
  four = np.zeros((4, 4, 3), np.uint8)
  four[:2] = 1
  assert graph_resize.shrink(four, 1, 1)[0, 0, 0] == 0
  for image in (two, four):
    np.testing.assert_array_equal(
      graph_resize.shrink(image, 1, 1),
      cv2.resize(image, (1, 1), interpolation=cv2.INTER_AREA),
    )


@pytest.mark.parametrize(
  ("mode", "kind", "options"),
  [
    ("RGB", "JPEG", {"quality": 90}),
    ("RGB", "JPEG", {"quality": 40, "subsampling": 2, "progressive": True}),
    ("L", "JPEG", {"quality": 75}),
    ("RGB", "PNG", {}),
    ("RGBA", "PNG", {}),
    ("LA", "PNG", {}),
    ("L", "PNG", {}),
    ("P", "PNG", {}),
    ("1", "PNG", {}),
    ("I;16", "PNG", {}),
  ],
)
def test_files_decode_as_in_prediction(read, mode, kind, options):
  rng = np.random.default_rng(1)
  for height, width in ((1, 1), (7, 19), (64, 33), (90, 120)):
    channels = {"RGBA": 4, "LA": 2, "RGB": 3, "P": 3}.get(mode, 1)
    pixels = noise(rng, height, width, channels)
    if mode == "I;16":
      image = Image.fromarray(
        rng.integers(0, 65536, (height, width), np.uint16)
      )
    elif mode in ("P", "1"):
      image = Image.fromarray(noise(rng, height, width, 3)).convert(mode)
    else:
      image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    assert image.mode == mode
    data = encoded(image, kind, **options)
    expected = read_image(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(read(data), expected)


def test_transparent_palettes_lie_on_white(read):
  image = Image.fromarray(noise(np.random.default_rng(2), 9, 9, 3)).quantize(8)
  data = encoded(image, "PNG", transparency=3)
  expected = read_image(Image.open(io.BytesIO(data)))
  np.testing.assert_array_equal(read(data), expected)


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("order", ["<", ">"])
def test_photos_stand_upright(read, orientation, order):
  image = Image.fromarray(noise(np.random.default_rng(3), 16, 40, 3))
  exif = Image.Exif()
  exif.endian = order
  exif[0x010F] = "A camera"  # Another entry, before the orientation.
  exif[0x0112] = orientation
  data = encoded(image, "JPEG", exif=exif, comment=b"a segment before")
  expected = read_image(Image.open(io.BytesIO(data)))
  np.testing.assert_array_equal(read(data), expected)
  # What the camera says may be cut anywhere.
  start = data.index(b"Exif\0\0")
  broken = bytearray(data)
  broken[start + 10 : start + 14] = b"\xff\xff\xff\x7f"
  assert read(bytes(broken)).shape == (16, 40, 3)


def test_files_that_are_no_pictures_are_refused(read):
  image = Image.fromarray(noise(np.random.default_rng(4), 30, 30, 3))
  jpeg, png = encoded(image, "JPEG"), encoded(image, "PNG")
  bad = [b"", b"\xff", b"hello", jpeg[:20], jpeg[: len(jpeg) // 2]]
  bad += [png[:10], png[: len(png) // 2], encoded(image, "BMP")]
  for data in bad:
    with pytest.raises(tf.errors.InvalidArgumentError):
      read(data)
  huge = encoded(Image.new("1", (30000, 3000)), "PNG")
  with pytest.raises(tf.errors.InvalidArgumentError, match="too large"):
    read(huge)
