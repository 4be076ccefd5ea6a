"""Pictures as vectors: what distances between sets of pictures are taken in."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from typing import Any, cast

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.predictor import Predictor

Image = NDArray[np.uint8]
Vectors = NDArray[np.floating[Any]]

# The part of a reader whose output, one vector for each place of the picture,
# says what is seen there.
_ENCODER = "image_encoder"
_THUMBNAIL = (8, 24)
# Directions of edges, and bands of rows that they are counted in.
_DIRECTIONS, _BANDS = 16, 3


@dataclasses.dataclass(frozen=True)
class FeatureSpace:
  """A function from pictures to vectors.

  Attributes:
    name: what it is, for whoever reads numbers taken in it.
    features: uint8[height, width, 3] pictures, each of its own size, to
      float[pictures, features].
  """

  name: str
  features: Callable[[Sequence[Image]], Vectors]


def of_judge(judge: Predictor) -> FeatureSpace:
  """The mean and the spread over the frames that a recogniser encodes.

  Args:
    judge: a reader with an `image_encoder`.
  """
  module = judge.model.module

  def encode(params: Any, images: jax.Array) -> jax.Array:
    _, seen = module.apply(
      {"params": params},
      images,
      capture_intermediates=lambda part, _: part.name == _ENCODER,
      mutable=["intermediates"],
    )
    (found,) = cast(Any, seen)["intermediates"][_ENCODER]["__call__"]
    frames = jnp.asarray(found, jnp.float32)
    return jnp.concatenate([frames.mean(axis=1), frames.std(axis=1)], axis=-1)

  compiled = jax.jit(encode)

  def features(pictures: Sequence[Image]) -> Vectors:
    size = judge.batch_size
    images = [judge.prepare(picture).image for picture in pictures]
    parts = []
    for first in range(0, len(images), size):
      batch = np.stack(images[first : first + size])
      missing = size - len(batch)
      batch = np.pad(batch, ((0, missing), *[(0, 0)] * 3))
      rows = compiled(judge.params, jnp.asarray(batch))
      parts.append(np.asarray(rows, np.float64)[: size - missing])
    return np.concatenate(parts)

  return FeatureSpace(
    f"the judge's {_ENCODER} at step {judge.step}, mean and standard deviation "
    "over its frames",
    features,
  )


def _thumbnails(pictures: Sequence[Image]) -> Vectors:
  rows = [
    cv2.resize(picture, _THUMBNAIL[::-1], interpolation=cv2.INTER_AREA)
    .mean(axis=2)
    .ravel()
    for picture in pictures
  ]
  return np.stack(rows) / 255.0


def _edge_directions(pictures: Sequence[Image]) -> Vectors:
  """How often edges run in each direction, in each band of rows.

  Of the shape of the strokes, whatever the text: slant, roundness, what rises
  above the line and hangs below it. After the contour directions of Bulacu and
  Schomaker (2007), IEEE TPAMI 29 (4), section 3.1, with each edge weighted by
  its strength.
  """
  rows = []
  for picture in pictures:
    grey = picture.mean(axis=2, dtype=np.float32)
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REPLICATE)
    angle = np.arctan2(down, across) % np.pi
    bins = np.minimum(angle / np.pi * _DIRECTIONS, _DIRECTIONS - 1).astype(int)
    band = np.arange(len(grey)) * _BANDS // len(grey)
    counts = np.bincount(
      (band[:, None] * _DIRECTIONS + bins).ravel(),
      np.hypot(across, down).ravel(),
      _BANDS * _DIRECTIONS,
    )
    rows.append(counts / max(float(counts.sum()), 1e-6))
  return np.stack(rows)


def named(name: str, judge: Predictor) -> FeatureSpace:
  """A feature space by name.

  Args:
    name: "judge"; "pixels", grey pictures of 24 x 8 pixels; "edges", how often
      edges run in each direction; or "package.module:function", any function
      from a list of pictures, uint8[height, width, 3], to float[pictures,
      features].
    judge: the recogniser of "judge".

  Raises:
    ValueError: there is no such function.
  """
  if name == "judge":
    return of_judge(judge)
  if name == "pixels":
    return FeatureSpace("grey pictures of 24 x 8 pixels", _thumbnails)
  if name == "edges":
    return FeatureSpace(
      f"directions of edges, {_DIRECTIONS} in each of {_BANDS} bands of rows",
      _edge_directions,
    )
  module, colon, function = name.partition(":")
  try:
    if not colon:
      raise ImportError("no module and function")
    found = getattr(importlib.import_module(module), function)
  except (ImportError, AttributeError) as error:
    raise ValueError(
      f"No feature space {name!r} ({error}); give judge, pixels, edges, or "
      "package.module:function."
    ) from error
  return FeatureSpace(name, found)
