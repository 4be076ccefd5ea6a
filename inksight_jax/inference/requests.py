"""What a predictor is asked: an image as the model sees it, and a task."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.normalize import Placement


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
  """An image as the model sees it.

  Attributes:
    image: uint8[height, width, 3], of the tasks' `image_shape`.
    placement: maps pixels of the source to pixels of `image`.
    width: of the source, pixels.
    height: of the source, pixels.
    source: the source image where it is kept.
  """

  image: NDArray[np.uint8]
  placement: Placement
  width: int
  height: int
  source: NDArray[np.uint8] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Request:
  """What is asked of one image; `Predictor.request` makes and checks it.

  Attributes:
    prepared: the image.
    task: a task that the model was trained for.
    text: what is written, where the task is told it.
    inputs: ids of the prompt.
  """

  prepared: Prepared
  task: str
  text: str
  inputs: Sequence[int]
