"""What the prediction of one image is."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.outputs import (
  INFERENCE_MODES,
  Outputs,
  rounded,
  strokes_to_lists,
)
from inksight_jax.ink.inkml import write_inkml
from inksight_jax.ink.page import Box, Word
from inksight_jax.ink.types import Ink
from inksight_jax.text.confidence import word_confidences


@dataclasses.dataclass(frozen=True, eq=False)
class Result(Outputs):
  """Prediction for one image.

  Attributes:
    task: name of the task that was asked for.
    text: recognised text, or the text that was given; empty where the task
      has none.
    ink: strokes in pixels of the source image; empty where the task has none.
    confidence: geometric mean of the probabilities of all tokens, 0 to 1.
    tokens: int32[tokens] model ids, EOS included if there was one.
    log_probs: float32[tokens] log-probability of each token.
    truncated: whether the answer hit the length limit before it ended.
    empty: whether the task's answer is missing: no ink, or no text.
    width: of the source image, pixels.
    height: of the source image, pixels.
    image: the source image, uint8[height, width, 3], where it was kept.
    character_confidences: probability of each code point of `text`, its bytes
      multiplied; empty where the text was given.
    line_boxes: where each line of `text` stands, left, top, right, bottom in
      pixels; empty where nobody knows.
    candidates: texts that several views of the image were read as, with their
      shares of the confidence, best first; empty where there was one view.
  """

  task: str
  text: str
  ink: Ink
  confidence: float
  tokens: NDArray[np.int32]
  log_probs: NDArray[np.float32]
  truncated: bool
  empty: bool
  width: int
  height: int
  image: NDArray[np.uint8] | None = None
  character_confidences: tuple[float, ...] = ()
  line_boxes: tuple[Box, ...] = ()
  candidates: tuple[tuple[str, float], ...] = ()

  @property
  def word_confidences(self) -> list[tuple[str, float]]:
    """Words of the text, split at blanks, with the product of their characters.

    Empty where the text was given.
    """
    if not self.character_confidences:
      return []
    return word_confidences(self.text, self.character_confidences)

  @property
  def line_width(self) -> float:
    """Pen width in pixels that suits the size of the image."""
    return max(1.5, max(self.width, self.height) / 150)

  @property
  def line_confidences(self) -> list[tuple[str, float | None]]:
    """Lines of the text, with the product of their characters.

    None instead of it where the text was given.
    """
    return [(word.text, word.text_confidence) for (word,) in self.to_words()]

  @property
  def lines_placed(self) -> bool:
    """Whether it is known where the lines stand: one has the whole image."""
    return bool(self.line_boxes) or "\n" not in self.text

  def to_words(self) -> tuple[tuple[Word, ...], ...]:
    """Each line of the text as one word.

    A reader of pages does not say where on them a line stands: without
    `line_boxes` each is as large as the image.
    """
    whole = (0.0, 0.0, float(self.width), float(self.height))
    texts = self.text.split("\n")
    boxes = self.line_boxes or (whole,) * len(texts)
    if len(texts) == 1:
      return ((self.to_word(boxes[0]),),)
    lines, start = [], 0
    for text, box in zip(texts, boxes, strict=True):
      characters = self.character_confidences[start : start + len(text)]
      lines.append((Word(box, text, characters=characters),))
      start += len(text) + 1
    return tuple(lines)

  def to_word(
    self,
    box: tuple[float, float, float, float],
    polygon: tuple[tuple[float, float], ...] = (),
  ) -> Word:
    """The neutral form of this word.

    Args:
      box: left, top, right, bottom in pixels.
      polygon: its outline, if it is known.
    """
    return Word(
      box,
      self.text,
      self.ink,
      self.confidence,
      self.character_confidences,
      polygon,
    )

  def to_inkml(self, example_id: str = "") -> str:
    """InkML document with InkSight's annotations.

    Args:
      example_id: name of the sample, left out when empty.
    """
    return write_inkml(
      self.ink, inkml_annotations(self.task, example_id, self.text)
    )

  def to_dict(self) -> dict[str, Any]:
    """Values that JSON can hold; strokes as lists of [x, y] pixels."""
    return {
      "task": self.task,
      "text": self.text,
      "confidence": round(self.confidence, 6),
      "words": [
        {"text": word, "confidence": round(sure, 4)}
        for word, sure in self.word_confidences
      ],
      "lines": self._lines(),
      "character_confidences": rounded(self.character_confidences),
      **(
        {
          "candidates": [
            {"text": text, "confidence": round(sure, 6)}
            for text, sure in self.candidates
          ]
        }
        if self.candidates
        else {}
      ),
      "truncated": self.truncated,
      "empty": self.empty,
      "width": self.width,
      "height": self.height,
      "strokes": strokes_to_lists(self.ink),
    }

  def _lines(self) -> list[dict[str, Any]]:
    """Lines for JSON; with boxes where these are known."""
    lines: list[dict[str, Any]] = [
      {"text": line, "confidence": None if sure is None else round(sure, 4)}
      for line, sure in self.line_confidences
    ]
    for line, box in zip(lines, self.line_boxes, strict=False):
      line["box"] = [round(value, 2) for value in box]
    return lines


def inkml_annotations(task: str, example_id: str, text: str) -> dict[str, str]:
  """What InkSight's published InkML files say about themselves."""
  annotations = {
    "application": "inksight-jax",
    "inferenceMode": INFERENCE_MODES.get(task, task),
  }
  if example_id:
    annotations["exampleId"] = example_id
  return annotations | {"textField": text}
