"""What the prediction of a whole page is."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.results import Result
from inksight_jax.ink.page import Box, Polygon, join_lines
from inksight_jax.ink.types import Ink


@dataclasses.dataclass(frozen=True, eq=False)
class PageWord:
  """One word of a page.

  Attributes:
    box: left, top, right, bottom in page pixels: edges of pixels, right and
      bottom exclusive, as in `image[top:bottom, left:right]`.
    result: what was predicted, its ink ALREADY in page pixels; `width` and
      `height` of the result are those of the page, its `image` is None.
    line: index of its line.
    polygon: outline in page pixels where the segmenter gives one.
  """

  box: Box
  result: Result
  line: int = 0
  polygon: Polygon = ()


@dataclasses.dataclass(frozen=True, eq=False)
class PageResult:
  """Prediction for a page.

  Attributes:
    task: name of the task that was asked for.
    width: of the source image, pixels.
    height: of the source image, pixels.
    lines: words of each line, both in reading order; no line is empty.
    image: the source image, uint8[height, width, 3], where it was kept.
  """

  task: str
  width: int
  height: int
  lines: tuple[tuple[PageWord, ...], ...]
  image: NDArray[np.uint8] | None = None

  @property
  def words(self) -> tuple[PageWord, ...]:
    """All words in reading order."""
    return tuple(word for line in self.lines for word in line)

  @property
  def text(self) -> str:
    """Words joined by blanks, lines by newlines."""
    return join_lines(
      [[word.result.text for word in line] for line in self.lines]
    )

  @property
  def ink(self) -> Ink:
    """All strokes in page pixels, word after word."""
    words = self.words
    return Ink(tuple(s for word in words for s in word.result.ink.strokes))

  @property
  def confidence(self) -> float:
    """Geometric mean of the confidences of the words; 0 without words."""
    values = [word.result.confidence for word in self.words]
    if not values or min(values) <= 0:
      return 0.0
    return float(np.exp(np.mean(np.log(values))))

  @property
  def truncated(self) -> bool:
    """Whether the answer of any word hit the length limit."""
    return any(word.result.truncated for word in self.words)

  @property
  def empty(self) -> bool:
    """Whether there is no word, or none has what the task asks for."""
    return all(word.result.empty for word in self.words)
