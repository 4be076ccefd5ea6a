"""Where the lines stand of a page that was read as a whole."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.results import Result
from inksight_jax.inference.segmentation.order import reading_order
from inksight_jax.inference.segmentation.types import Segmenter
from inksight_jax.ink.page import bounding_box


def place_lines(
  result: Result, image: NDArray[np.uint8], segmenter: Segmenter
) -> Result:
  """The result with a box for each line of its text, if it can be told.

  The reader gives no places. A segmenter finds lines of writing; where they are
  as many as those of the text, they are taken one after the other.

  Args:
    result: of a reader of pages.
    image: uint8[height, width, 3], what was read.
    segmenter: finds the words of a page.

  Returns:
    The result as it was where the numbers differ.
  """
  texts = result.text.split("\n")
  regions = [
    region
    for region in segmenter(image)
    if region.width >= 1 and region.height >= 1
  ]
  lines = reading_order(regions)
  if not result.text or len(lines) != len(texts):
    return result
  boxes = tuple(bounding_box([word.box for word in line]) for line in lines)
  return dataclasses.replace(result, line_boxes=boxes)
