"""Picture files to model inputs inside a TensorFlow graph.

`rendering.images.read_image` and `rendering.letterbox` again, for JPEG and PNG
bytes: same orientation, same paper below transparency, same padding, same grey
levels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from inksight_jax.interop import graph_resize
from inksight_jax.rendering.images import MAX_PIXELS

Tensor = Any

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112
# Marker bytes of a JPEG file: the segment that holds EXIF, and where the
# compressed picture begins.
_APP1, _SCAN = 0xE1, 0xDA


class Frame(NamedTuple):
  """A picture as the model sees it.

  Attributes:
    image: uint8[height, width, 3] of the model.
    scale: float64 scalar; frame pixels per source pixel.
    offset: float64[2]; where the source's origin lies in the frame (x, y).
  """

  image: Tensor
  scale: Tensor
  offset: Tensor


def read_picture(data: Tensor) -> Tensor:
  """Decodes a JPEG or PNG file as `read_image` does.

  Args:
    data: string scalar.

  Returns:
    uint8[height, width, 3]. InvalidArgumentError while running: neither JPEG
    nor PNG, damaged, cut off, or more than MAX_PIXELS pixels.
  """
  import tensorflow as tf

  is_jpeg = tf.strings.substr(data, 0, len(_JPEG)) == _JPEG
  is_png = tf.strings.substr(data, 0, len(_PNG)) == _PNG
  check = tf.debugging.Assert(
    is_jpeg | is_png,
    [
      "A picture is neither JPEG nor PNG. It has this many bytes:",
      tf.strings.length(data),
    ],
  )
  with tf.control_dependencies([check]):
    is_jpeg = tf.identity(is_jpeg)
  picture = tf.cond(is_jpeg, lambda: _read_jpeg(data), lambda: _read_png(data))
  return tf.ensure_shape(picture, [None, None, 3])


def letterbox(
  image: Tensor, size: tuple[int, int], padding: str, align: str
) -> Frame:
  """`rendering.letterbox.letterbox` in graph operations.

  Args:
    image: uint8[height, width, 3].
    size: (height, width) of the frame.
    padding: "paper", "black" or "white".
    align: "center" or "left".
  """
  import tensorflow as tf

  shape = tf.shape(image)
  lengths = tf.cast(shape[:2], tf.float64)
  frame = tf.constant(size, tf.float64)
  scale = tf.reduce_min(frame / lengths)
  inner = tf.cast(tf.round(lengths * scale), tf.int32)
  inner = tf.minimum(tf.constant(size, tf.int32), tf.maximum(1, inner))
  small = tf.cond(
    scale < 1.0,
    lambda: graph_resize.shrink(image, inner[0], inner[1]),
    lambda: graph_resize.enlarge(image, inner[0], inner[1]),
  )
  room = tf.constant(size, tf.int32) - inner
  top = room[0] // 2
  left = room[1] // 2 if align == "center" else tf.constant(0)
  pad: Any = tf.pad
  inside = pad(
    tf.ones(inner, tf.bool),
    [[top, room[0] - top], [left, room[1] - left]],
  )
  placed = pad(small, [[top, room[0] - top], [left, room[1] - left], [0, 0]])
  color = _padding_color(image, padding)
  whole = tf.where(inside[:, :, None], placed, color[None, None, :])
  corner = tf.cast(tf.stack([left, top]), tf.float64)
  half = tf.cast(inner[::-1], tf.float64) / 2.0
  offset = corner + half - 0.5 - (lengths[::-1] / 2.0 - 0.5) * scale
  return Frame(tf.ensure_shape(whole, [*size, 3]), scale, offset)


def _padding_color(image: Tensor, padding: str) -> Tensor:
  import tensorflow as tf

  if padding != "paper":
    return tf.fill([3], tf.constant(255 if padding == "white" else 0, tf.uint8))
  border = tf.concat(
    [image[0], image[-1], image[1:-1, 0], image[1:-1, -1]], axis=0
  )
  ordered = tf.sort(tf.cast(border, tf.int32), axis=0)
  count = tf.shape(ordered)[0]
  middle = ordered[(count - 1) // 2] + ordered[count // 2]
  return tf.cast(middle // 2, tf.uint8)


def _read_jpeg(data: Tensor) -> Tensor:
  import tensorflow as tf

  shape = tf.io.extract_jpeg_shape(data, output_type=tf.int32)
  with tf.control_dependencies([_check_size(shape[0], shape[1])]):
    # The exact transform is Pillow's too; TensorFlow's default is another.
    image = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
  return _upright(image, _orientation(tf.io.decode_raw(data, tf.uint8)))


def _read_png(data: Tensor) -> Tensor:
  import tensorflow as tf

  # Sides, depth and kind of colour follow the signature and the name of the
  # first chunk; padded, since a file may end anywhere.
  head = tf.strings.substr(tf.strings.join([data, b"\0" * 26]), 16, 10)
  sides = tf.io.decode_raw(
    tf.strings.substr(head, 0, 8), tf.int32, little_endian=False
  )
  kind = tf.cast(
    tf.io.decode_raw(tf.strings.substr(head, 8, 2), tf.uint8), tf.int32
  )
  with tf.control_dependencies([_check_size(sides[1], sides[0])]):
    data = tf.identity(data)
  deep_grey = (kind[0] == 16) & (kind[1] == 0)
  # TensorFlow makes up a wrong alpha where pixels have fewer than 8 bits.
  transparent = (kind[1] == 4) | (kind[1] == 6) | _has_transparent_color(data)
  return tf.cond(
    deep_grey,
    lambda: _read_deep_grey(data),
    lambda: tf.cond(
      transparent,
      lambda: _read_on_white(data),
      lambda: tf.io.decode_png(data, channels=3),
    ),
  )


def _has_transparent_color(data: Tensor) -> Tensor:
  """Whether a PNG file has a chunk tRNS, which comes before the pixels."""
  import tensorflow as tf

  values = tf.cast(tf.io.decode_raw(data, tf.uint8), tf.int32)
  size = tf.shape(values)[0]
  big = tf.constant(False)

  def has_name(place: Tensor, name: bytes) -> Tensor:
    return _number(values, place + 4, 4, big) == int.from_bytes(name, "big")

  def searching(place: Tensor) -> Tensor:
    found = has_name(place, b"tRNS") | has_name(place, b"IDAT")
    return (place >= 0) & (place + 8 < size) & ~found

  def skip(place: Tensor) -> tuple[Tensor]:
    length = _number(values, place, 4, big)
    return (place + 12 + tf.clip_by_value(length, 0, size),)

  place = tf.while_loop(searching, skip, (tf.constant(len(_PNG)),))[0]
  return has_name(place, b"tRNS")


def _read_on_white(data: Tensor) -> Tensor:
  """Lays a PNG on white, rounding as Pillow's `paste` does."""
  import tensorflow as tf

  image = tf.cast(tf.io.decode_png(data, channels=4), tf.int32)
  color, mask = image[:, :, :3], image[:, :, 3:]
  mixed = color * mask + 255 * (255 - mask) + 128
  shifted = tf.bitwise.right_shift(mixed, 8)
  return tf.cast(tf.bitwise.right_shift(shifted + mixed, 8), tf.uint8)


def _read_deep_grey(data: Tensor) -> Tensor:
  """Scales 16 bits to 8; a scanner may have filled the lower 8 alone."""
  import tensorflow as tf

  image = tf.io.decode_png(data, channels=1, dtype=tf.uint16)
  values = tf.cast(image, tf.float32)
  top = tf.where(tf.reduce_max(values) <= 255.0, 255.0, 65535.0)
  factor = tf.where(top == 255.0, 1.0, tf.constant(255.0 / 65535.0))
  grey = tf.clip_by_value(values * factor, 0.0, 255.0)
  return tf.repeat(tf.cast(grey, tf.uint8), 3, axis=2)


def _check_size(height: Tensor, width: Tensor) -> Tensor:
  import tensorflow as tf

  pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
  return tf.debugging.Assert(
    (pixels <= MAX_PIXELS) & (height >= 0) & (width >= 0),
    [
      f"A picture is too large; {MAX_PIXELS} pixels at most. Height, width:",
      height,
      width,
    ],
  )


def _upright(image: Tensor, orientation: Tensor) -> Tensor:
  """Undoes an EXIF orientation, 1 to 8."""
  import tensorflow as tf

  def among(*numbers: int) -> Tensor:
    return tf.reduce_any(orientation == tf.constant(numbers))

  image = tf.cond(
    among(5, 6, 7, 8),
    lambda: tf.transpose(image, [1, 0, 2]),
    lambda: image,
  )
  image = tf.cond(
    among(2, 3, 6, 7), lambda: tf.reverse(image, [1]), lambda: image
  )
  return tf.cond(
    among(3, 4, 7, 8), lambda: tf.reverse(image, [0]), lambda: image
  )


def _orientation(data: Tensor) -> Tensor:
  """EXIF orientation of a JPEG file's bytes; 1 where it says none."""
  import tensorflow as tf

  data = tf.cast(data, tf.int32)
  size = tf.shape(data)[0]

  def number(place: Tensor, count: int, little: Tensor) -> Tensor:
    return _number(data, place, count, little)

  big = tf.constant(False)

  def is_exif(place: Tensor) -> Tensor:
    places = tf.minimum(place + 4 + tf.range(len(_EXIF)), size - 1)
    name = tf.reduce_all(tf.gather(data, places) == list(_EXIF))
    return (number(place, 2, big) == 0xFF00 + _APP1) & name

  def searching(place: Tensor) -> Tensor:
    marker = number(place, 2, big)
    segment = (marker > 0xFF00) & (marker != 0xFF00 + _SCAN)
    return (place + 10 < size) & segment & ~is_exif(place)

  place = tf.while_loop(
    searching,
    lambda place: (place + 2 + tf.maximum(number(place + 2, 2, big), 2),),
    (tf.constant(2),),
  )[0]
  found = (place + 10 < size) & is_exif(place)
  base = place + 4 + len(_EXIF)
  little = number(base, 1, big) == ord("I")
  table = base + number(base + 4, 4, little)
  # An entry: tag, type, count, value. Clipped where the file is damaged.
  entries = tf.minimum(number(table, 2, little), 512)
  value = tf.constant(1)

  def look(index: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    entry = table + 2 + 12 * index
    hit = (number(entry, 2, little) == _ORIENTATION) & (entry + 12 <= size)
    return index + 1, tf.where(hit, number(entry + 8, 2, little), value)

  _, value = tf.while_loop(
    lambda index, _: found & (index < entries),
    look,
    (tf.constant(0), value),
  )
  return value


def _number(data: Tensor, place: Tensor, count: int, little: Tensor) -> Tensor:
  """A number of some bytes; of other bytes where it lies outside."""
  import tensorflow as tf

  places = place + tf.range(count)
  values = tf.gather(data, tf.clip_by_value(places, 0, tf.size(data) - 1))
  values = tf.where(little, values[::-1], values)
  return tf.reduce_sum(values * [256**i for i in reversed(range(count))])
