"""OpenCV's two resizing rules in TensorFlow operations, bit for bit.

`rendering.letterbox` shrinks with INTER_AREA and enlarges with INTER_LINEAR; a
graph must do the same to the last grey level, or a model answers otherwise
than it did in training. Sums are formed in OpenCV's order, in its precision.
Source of the rules: modules/imgproc/src/resize.cpp of OpenCV 4 and 5.
"""

from __future__ import annotations

from typing import Any

# Weights of INTER_LINEAR are whole 2048ths.
_ONE = 2048
# A sliver of a pixel below this share is left out.
_SLIVER = 1e-3
# Of float64.
_EPSILON = 2.0**-52

Tensor = Any


def shrink(image: Tensor, height: Tensor, width: Tensor) -> Tensor:
  """INTER_AREA: each new pixel is the average of what it covers.

  Args:
    image: uint8[rows, columns, 3].
    height: int32 scalar, at most `rows`.
    width: int32 scalar, at most `columns`.

  Returns:
    uint8[height, width, 3].
  """
  import tensorflow as tf

  rows, columns = tf.shape(image)[0], tf.shape(image)[1]
  # OpenCV asks this of its rounded quotients, so 3 may not be whole.
  whole = _is_whole(rows, height) & _is_whole(columns, width)
  return tf.cond(
    whole,
    lambda: _shrink_by_whole_factor(image, height, width),
    lambda: _shrink_by_any_factor(image, height, width),
  )


def enlarge(image: Tensor, height: Tensor, width: Tensor) -> Tensor:
  """INTER_LINEAR in the fixed-point arithmetic that bytes are given.

  Args:
    image: uint8[rows, columns, 3].
    height: int32 scalar.
    width: int32 scalar.

  Returns:
    uint8[height, width, 3].
  """
  import tensorflow as tf

  rows, columns = tf.shape(image)[0], tf.shape(image)[1]
  left, share = _linear_places(columns, width)
  inside = (left >= 0) & (left < columns - 1)
  share = tf.where(inside, share, 0.0)
  left = tf.clip_by_value(left, 0, columns - 1)
  right = tf.minimum(left + 1, columns - 1)
  first, second = _linear_weights(share)
  values = tf.cast(image, tf.int32)
  wide = (
    tf.gather(values, left, axis=1) * first[None, :, None]
    + tf.gather(values, right, axis=1) * second[None, :, None]
  )
  top, share = _linear_places(rows, height)
  first, second = _linear_weights(share)
  above = tf.gather(wide, tf.clip_by_value(top, 0, rows - 1))
  below = tf.gather(wide, tf.clip_by_value(top + 1, 0, rows - 1))
  total = _product_high(first, above) + _product_high(second, below)
  return tf.cast(tf.bitwise.right_shift(total + 2, 2), tf.uint8)


def _scale(length: Tensor, cells: Tensor) -> Tensor:
  import tensorflow as tf

  return 1.0 / (tf.cast(cells, tf.float64) / tf.cast(length, tf.float64))


def _is_whole(length: Tensor, cells: Tensor) -> Tensor:
  import tensorflow as tf

  scale = _scale(length, cells)
  return tf.abs(scale - tf.round(scale)) < _EPSILON


def _shrink_by_whole_factor(
  image: Tensor, height: Tensor, width: Tensor
) -> Tensor:
  import tensorflow as tf

  down, across = tf.shape(image)[0] // height, tf.shape(image)[1] // width
  parts = tf.reshape(
    tf.cast(image, tf.int32), tf.stack([height, down, width, across, 3])
  )
  total = tf.reduce_sum(parts, axis=[1, 3])
  # Two by two rounds half up, all others half to even.
  halves = tf.bitwise.right_shift(total + 2, 2)
  factor = tf.cast(1.0 / tf.cast(down * across, tf.float32), tf.float32)
  average = tf.cast(tf.round(tf.cast(total, tf.float32) * factor), tf.int32)
  two = (down == 2) & (across == 2)
  return tf.cast(tf.where(two, halves, average), tf.uint8)


def _shrink_by_any_factor(
  image: Tensor, height: Tensor, width: Tensor
) -> Tensor:
  import tensorflow as tf

  values = tf.cast(image, tf.float32)
  narrow = _weighted_sum(values, width, axis=1)
  small = _weighted_sum(narrow, height, axis=0)
  return tf.cast(tf.clip_by_value(tf.round(small), 0.0, 255.0), tf.uint8)


def _weighted_sum(values: Tensor, cells: Tensor, axis: int) -> Tensor:
  """Adds up, source by source in their order, what each cell covers."""
  import tensorflow as tf

  sources, weights = _area_places(tf.shape(values)[axis], cells)
  shape = [None, None, 3]
  start = tf.zeros_like(tf.gather(values, sources[0], axis=axis))

  def add(tap: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    weight = weights[tap]
    weight = weight[:, None, None] if axis == 0 else weight[None, :, None]
    return tap + 1, total + tf.gather(values, sources[tap], axis=axis) * weight

  _, total = tf.while_loop(
    lambda tap, _: tap < tf.shape(sources)[0],
    add,
    (tf.constant(0), start),
    shape_invariants=(tf.TensorShape([]), tf.TensorShape(shape)),
  )
  return total


def _area_places(length: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
  """Sources int32[taps, cells] of each cell and their weights, float32."""
  import tensorflow as tf

  size = tf.cast(length, tf.float64)
  scale = _scale(length, cells)
  low = tf.cast(tf.range(cells), tf.float64) * scale
  high = low + scale
  covered = tf.minimum(scale, size - low)
  last = tf.minimum(tf.cast(tf.floor(high), tf.int32), length - 1)
  first = tf.minimum(tf.cast(tf.math.ceil(low), tf.int32), last)
  tap = tf.range(tf.cast(tf.math.ceil(scale), tf.int32) + 2)[:, None]
  source = first[None] - 1 + tap
  before = tf.cast(first, tf.float64) - low
  after = high - tf.cast(last, tf.float64)
  before_weight = tf.where(before > _SLIVER, before / covered, 0.0)
  after_weight = tf.where(
    after > _SLIVER,
    tf.minimum(tf.minimum(after, 1.0), covered) / covered,
    0.0,
  )
  inside = (source >= first[None]) & (source < last[None])
  weights = tf.where(
    tap == 0,
    before_weight[None],
    tf.where(
      inside,
      (1.0 / covered)[None],
      tf.where(source == last[None], after_weight[None], 0.0),
    ),
  )
  sources = tf.clip_by_value(source, 0, length - 1)
  return sources, tf.cast(weights, tf.float32)


def _linear_places(length: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
  """The source left of each new pixel, and how far beyond it that lies."""
  import tensorflow as tf

  scale = _scale(length, cells)
  places = (tf.cast(tf.range(cells), tf.float64) + 0.5) * scale - 0.5
  places = tf.cast(places, tf.float32)
  left = tf.floor(places)
  return tf.cast(left, tf.int32), places - left


def _linear_weights(share: Tensor) -> tuple[Tensor, Tensor]:
  import tensorflow as tf

  return (
    tf.cast(tf.round((1.0 - share) * _ONE), tf.int32),
    tf.cast(tf.round(share * _ONE), tf.int32),
  )


def _product_high(weight: Tensor, values: Tensor) -> Tensor:
  """Upper half of the products of 16-bit numbers."""
  import tensorflow as tf

  shifted = tf.bitwise.right_shift(values, 4)
  return tf.bitwise.right_shift(weight[:, None, None] * shifted, 16)
