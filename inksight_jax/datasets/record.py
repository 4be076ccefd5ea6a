"""The one shape in which every data set hands over its samples."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.types import Ink


@dataclasses.dataclass(frozen=True)
class PageLine:
  """One line of a page.

  Attributes:
    text: what was written.
    box: left, top, right, bottom in pixels of the record's image.
  """

  text: str
  box: tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
  """One handwritten sample.

  Attributes:
    id: unique within the data set.
    source: registry name of the data set.
    text: what was written; empty where unknown. Of a page: its lines, in
      reading order, joined by line breaks.
    writer: key of the person who wrote it; splits are made by it.
    image: uint8[height, width, 3] picture, or None.
    ink: pen strokes in pixels, y down, or None.
    lines: the lines of a page in reading order; empty for a word or line.
    parts: the records that stand side by side in this one, left to right;
      empty where it was not put together.
    codes: int32[rows, columns], the picture as entries of a codebook, or None.
  """

  id: str
  source: str
  text: str = ""
  writer: str = ""
  image: NDArray[np.uint8] | None = None
  ink: Ink | None = None
  lines: tuple[PageLine, ...] = ()
  parts: tuple[Record, ...] = ()
  codes: NDArray[np.int32] | None = None
