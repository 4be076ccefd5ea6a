"""What the prediction of a whole page is."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.outputs import (
  Outputs,
  geometric_mean,
  rounded,
  strokes_to_lists,
)
from inksight_jax.inference.results import Result, inkml_annotations
from inksight_jax.ink.inkml import write_inkml_page
from inksight_jax.ink.page import Box, Polygon, Word, join_lines
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
class PageResult(Outputs):
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
    return geometric_mean([word.result.confidence for word in self.words])

  @property
  def truncated(self) -> bool:
    """Whether the answer of any word hit the length limit."""
    return any(word.result.truncated for word in self.words)

  @property
  def empty(self) -> bool:
    """Whether there is no word, or none has what the task asks for."""
    return all(word.result.empty for word in self.words)

  @property
  def line_width(self) -> float:
    """Pen width in pixels that suits the size of the words."""
    heights = [word.box[3] - word.box[1] for word in self.words]
    return max(1.5, float(np.median(heights)) / 25) if heights else 1.5

  def to_words(self) -> tuple[tuple[Word, ...], ...]:
    """The neutral form of the words of each line."""
    return tuple(
      tuple(word.result.to_word(word.box, word.polygon) for word in line)
      for line in self.lines
    )

  def to_inkml(self, example_id: str = "") -> str:
    """InkML with a trace group per line and word, and InkSight's annotations.

    Args:
      example_id: name of the page, left out when empty.
    """
    return write_inkml_page(
      self.to_page(), inkml_annotations(self.task, example_id, self.text)
    )

  def to_dict(self) -> dict[str, Any]:
    """Values that JSON can hold; boxes and strokes in page pixels."""
    return {
      "task": self.task,
      "text": self.text,
      "confidence": round(self.confidence, 6),
      "truncated": self.truncated,
      "empty": self.empty,
      "width": self.width,
      "height": self.height,
      "lines": [[_word(word) for word in line] for line in self.lines],
    }


def _word(word: PageWord) -> dict[str, Any]:
  result = word.result
  return {
    "text": result.text,
    "confidence": round(result.confidence, 6),
    "character_confidences": rounded(result.character_confidences),
    "truncated": result.truncated,
    "empty": result.empty,
    "box": [round(value, 2) for value in word.box],
    "polygon": [[round(x, 2), round(y, 2)] for x, y in word.polygon],
    "strokes": strokes_to_lists(result.ink),
  }
