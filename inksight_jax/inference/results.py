"""What a prediction is, and the forms it is handed on in."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inksight_jax.ink.inkml import write_inkml
from inksight_jax.ink.svg import write_svg
from inksight_jax.ink.types import Ink
from inksight_jax.rendering.animation import ink_frames, write_gif
from inksight_jax.rendering.strokes import draw_ordered

# The words of InkSight's published InkML files where they have one.
INFERENCE_MODES = {
  "derender": "Vanilla Derender",
  "derender_with_text": "Derender with Text",
  "recognize_and_derender": "Recognize and Derender",
  "recognize_ink": "Recognize Ink",
  "recognize_image": "Recognize Image",
}
# Longer side of an overlay, pixels; photos are shrunk to it.
OVERLAY_SIZE = 2048
GIF_SIZE = 480


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
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

  def to_inkml(self, example_id: str = "") -> str:
    """InkML document with InkSight's annotations.

    Args:
      example_id: name of the sample, left out when empty.
    """
    annotations = {
      "application": "inksight-jax",
      "inferenceMode": INFERENCE_MODES[self.task],
    }
    if example_id:
      annotations["exampleId"] = example_id
    annotations["textField"] = self.text
    return write_inkml(self.ink, annotations)

  def to_svg(self, color_by_order: bool = False) -> str:
    """SVG document of the size of the source image.

    Args:
      color_by_order: colours the ink from first to last point.
    """
    size = float(self.width), float(self.height)
    return write_svg(self.ink, *size, self.line_width, color_by_order)

  def to_dict(self) -> dict[str, Any]:
    """Values that JSON can hold; strokes as lists of [x, y] pixels."""
    return {
      "task": self.task,
      "text": self.text,
      "confidence": round(self.confidence, 6),
      "truncated": self.truncated,
      "empty": self.empty,
      "width": self.width,
      "height": self.height,
      "strokes": [
        np.round(stroke.points, 2).tolist() for stroke in self.ink.strokes
      ],
    }

  def to_json(self) -> str:
    """`to_dict` as text."""
    return json.dumps(self.to_dict(), ensure_ascii=False) + "\n"

  @property
  def line_width(self) -> float:
    """Pen width in pixels that suits the size of the image."""
    return max(1.5, max(self.width, self.height) / 150)

  def overlay(
    self, image: NDArray[np.uint8] | None = None
  ) -> NDArray[np.uint8]:
    """Draws the ink over the faded source image, coloured by writing order.

    Args:
      image: uint8[height, width, 3]; the kept one by default.

    Returns:
      uint8[h, w, 3], shrunk to at most OVERLAY_SIZE on its longer side.

    Raises:
      ValueError: no image was kept and none is given, or of another size.
    """
    image = self.image if image is None else image
    if image is None:
      raise ValueError(
        "This result keeps no image; pass the source image to `overlay`."
      )
    if image.shape[:2] != (self.height, self.width):
      raise ValueError(
        f"The result is of an image of {self.height} x {self.width} pixels; "
        f"got one of {image.shape[0]} x {image.shape[1]}."
      )
    ink, height, width, scale = self._shrunk(OVERLAY_SIZE)
    if scale < 1:
      resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
      image = np.asarray(resized, np.uint8)
    # Faded, so that the ink on top is told from the ink below.
    faded = 255 - (255 - image) // 2
    return draw_ordered(
      ink, height, width, self.line_width * scale, background=faded
    )

  def save_gif(self, path: str | os.PathLike[str]) -> None:
    """Writes a GIF in which the strokes appear in order, on white.

    Args:
      path: file to write; its pictures have at most GIF_SIZE pixels a side.
    """
    ink, height, width, scale = self._shrunk(GIF_SIZE)
    line_width = self.line_width * scale
    write_gif(path, ink_frames(ink, height, width, line_width))

  def _shrunk(self, longest: int) -> tuple[Ink, int, int, float]:
    """Ink, height, width and scale of the image with a limited longer side."""
    scale = min(1.0, longest / max(self.width, self.height))
    height = max(1, round(self.height * scale))
    width = max(1, round(self.width * scale))
    # Pixel centres are whole numbers, so a resize by s maps x to
    # (x + 0.5) s - 0.5.
    offset = 0.5 * scale - 0.5
    return self.ink.scaled(scale, (offset, offset)), height, width, scale

  def show(self) -> Image.Image:
    """The overlay as a Pillow image, which notebooks display.

    In a script, call `.show()` or `.save(path)` on what this returns.

    Raises:
      ValueError: no image was kept.
    """
    return Image.fromarray(self.overlay())
