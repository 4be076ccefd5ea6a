"""The one interface of all segmenters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.page import Box, Polygon

Image = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, eq=False)
class WordRegion:
  """Where a word lies on a page.

  Attributes:
    box: left, top, right, bottom in page pixels: edges of pixels, right and
      bottom exclusive, as in `image[top:bottom, left:right]`.
    line: which words stand on one line; None where the segmenter does not say.
    text: what the segmenter read, a guess; may be empty.
    angle: of the line of writing, degrees, positive where it falls to the
      right (y grows downwards).
    polygon: outline in page pixels where the segmenter gives one.
    mask: bool[rows, columns], which parts of the box hold the word's ink; one
      cell is `mask_cell` page pixels wide and high, the first one lies at
      `mask_origin`. None where the segmenter gives boxes only.
    mask_origin: (x, y) page pixels of the left and upper edge of the mask.
    mask_cell: page pixels.
  """

  box: Box
  line: int | None = None
  text: str = ""
  angle: float = 0.0
  polygon: Polygon = ()
  mask: NDArray[np.bool_] | None = None
  mask_origin: tuple[float, float] = (0.0, 0.0)
  mask_cell: float = 1.0

  @property
  def width(self) -> float:
    """Page pixels."""
    return self.box[2] - self.box[0]

  @property
  def height(self) -> float:
    """Page pixels."""
    return self.box[3] - self.box[1]


# Finds the words of a page, uint8[height, width, 3] RGB, in any order; none
# where there is no writing.
Segmenter = Callable[[Image], Sequence[WordRegion]]
