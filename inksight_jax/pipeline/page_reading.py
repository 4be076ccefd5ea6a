"""Reading words, lines and pages: a picture in, its lines of text out.

Singh & Karayev 2021 (arXiv 2103.06450). Pictures come as they are, or are
composed of words; either lies in the top left of its frame, at one scale.
Imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.record import Record
from inksight_jax.ink.normalize import Placement
from inksight_jax.pipeline.composed import Compose
from inksight_jax.pipeline.examples import Skip
from inksight_jax.pipeline.filters import lack
from inksight_jax.pipeline.mixture import Source, tuples
from inksight_jax.pipeline.reading import ReadingTasks
from inksight_jax.pipeline.task_set import Shape
from inksight_jax.rendering.letterbox import Align, letterbox
from inksight_jax.rendering.paragraph import (
  ParagraphStyle,
  Piece,
  set_paragraph,
  shrink,
)


@dataclasses.dataclass(frozen=True)
class PageTasks(ReadingTasks):
  """Tasks that read pages; a word or a line is a small page.

  Attributes:
    align: "corner", the only place at which padding changes nothing.
    scale: greatest factor from pixels of a picture to those of the frame:
      0.5 for scans of 300 dpi. Larger pictures are shrunk further.
    frames: smaller (height, width) than `image_size` for pages of few lines or
      small pictures; a batch has one shape, so that these cost less. A composed
      page of n lines of at most m gets n + 1 of the m + 1 parts of the height.
    frame_lengths: room for target tokens beside each of `frames`, no more than
      `target_length`; a longer text, one token a character, gets a larger
      frame. Empty for `target_length` everywhere.
    lower_case: whether texts are read in small letters only.
    compose: how records, words, make the pages of the one data set in
      `source`; of a mixture each source says so itself.
    style: how composed pages look.
    evaluation_style: the same for the other splits; `style` by default.
  """

  FAMILY: ClassVar[str] = "pages"

  rates: Mapping[str, float] = dataclasses.field(
    default_factory=lambda: {"recognize_page": 1.0}
  )
  image_size: tuple[int, int] = (256, 512)
  align: Align = "corner"
  scale: float = 1.0
  frames: Sequence[Shape] = ()
  frame_lengths: Sequence[int] = ()
  lower_case: bool = False
  compose: Compose | None = None
  style: ParagraphStyle = dataclasses.field(default_factory=ParagraphStyle)
  evaluation_style: ParagraphStyle | None = None

  def __post_init__(self) -> None:
    super().__post_init__()
    if self.align != "corner":
      raise ValueError(
        f"`align` of pages is 'corner', not {self.align!r}: padding must be to "
        "the right and below for it to be told from the page."
      )
    object.__setattr__(self, "frames", tuples(self.frames))
    height, width = self.image_size
    if any(h > height or w > width for h, w in self.frames):
      raise ValueError(
        f"`frames` {self.frames} must lie within `image_size` "
        f"{self.image_size}: the largest one."
      )
    object.__setattr__(self, "frame_lengths", tuple(self.frame_lengths))
    lengths = self.frame_lengths
    if lengths and (
      len(lengths) != len(self.frames) or max(lengths) > self.target_length
    ):
      raise ValueError(
        f"`frame_lengths` {lengths} must be as many as `frames` "
        f"{self.frames}, none greater than `target_length` "
        f"{self.target_length}."
      )
    if self.scale <= 0:
      raise ValueError(f"`scale` must be positive; got {self.scale}.")
    if self.sources and (self.compose or self.join):
      raise ValueError(
        "`compose` is of the one data set in `source`; of a mixture set "
        "`compose` of each mixture.Source."
      )

  @property
  def all_sources(self) -> tuple[Source, ...]:
    """The data sets; a single one too, composed as `compose` says."""
    return tuple(
      source
      if self.compose is None
      else dataclasses.replace(source, compose=self.compose)
      for source in super().all_sources
    )

  def _may_serve(self, source: Source, task: str) -> bool:
    # Composed words become a picture whatever they were.
    return source.compose is not None or super()._may_serve(source, task)

  @property
  def image_shapes(self) -> tuple[Shape, ...]:
    """The frames, the largest too."""
    return tuple(sorted({*self.frames, self.image_size}))

  @property
  def target_lengths(self) -> Mapping[Shape, int]:
    """As `frame_lengths` says."""
    if not self.frame_lengths:
      return {}
    return dict(zip(self.frames, self.frame_lengths, strict=True))

  def shape_of(self, record: Record, task: str) -> Shape:
    """The smallest frame that a page, and its text, has room in."""
    del task
    if not self.frames:
      return self.image_size
    if record.parts:
      composed = [s.compose.lines[1] for s in self.all_sources if s.compose]
      share = (len(record.parts) + 1) / (max(composed) + 1)
      wanted = self.image_size[0] * share, float(self.image_size[1])
    elif record.image is not None:
      wanted = _scaled(record.image, self.scale)
    else:
      return self.image_size
    most = self.target_lengths
    fitting = [
      (height * width, (height, width))
      for height, width in self.frames
      if height >= wanted[0]
      and width >= wanted[1]
      and len(record.text) < most.get((height, width), math.inf)
    ]
    return min(fitting)[1] if fitting else self.image_size

  def on_largest(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """More padding to the right and below: it changes nothing."""
    frame = np.empty((*self.image_size, 3), np.uint8)
    frame[:] = image[-1, -1]
    frame[: image.shape[0], : image.shape[1]] = image
    return frame

  def fit(
    self, image: NDArray[np.uint8]
  ) -> tuple[NDArray[np.uint8], Placement]:
    """The picture in the top left of its frame; see `letterbox`."""
    return letterbox(
      image, self.image_size, self.padding, self.align, self.scale
    )

  def _show(
    self,
    record: Record,
    task: str,
    rng: np.random.Generator,
    training: bool,
    source: Source | None,
  ) -> tuple[list[NDArray[np.uint8]], str] | Skip:
    """The page, as large as it is in its frame, and its text."""
    if record.parts:
      page, text = self._lay_out(record, source, rng, training)
    else:
      reason = lack(record, self.info(task), source)
      if reason or record.image is None:
        return Skip(reason or "no image")
      framed, placement = self.fit(record.image)
      height, width = _scaled(record.image, placement.scale)
      page, text = framed[:height, :width], record.text
    if not text:
      return Skip("no room for a word")
    return [page], text.lower() if self.lower_case else text

  def _frame(
    self, pictures: Sequence[NDArray[np.uint8]], shape: Shape
  ) -> NDArray[np.uint8]:
    """The page in its frame; it has its scale already."""
    (page,) = pictures
    return letterbox(page, shape, self.padding, self.align, 1.0)[0]

  def _lay_out(
    self,
    record: Record,
    source: Source | None,
    rng: np.random.Generator,
    training: bool,
  ) -> tuple[NDArray[np.uint8], str]:
    """The picture of a composed page, and what found room on it."""
    compose = source.compose if source is not None else self.compose
    style = self.style if training else self.evaluation_style or self.style
    lines = [
      [
        Piece(
          word.text,
          word.ink,
          None
          if word.ink or word.image is None
          else shrink(word.image, self.scale),
          word.writer,
        )
        for word in line.parts
      ]
      for line in record.parts
    ]
    separator = " " if compose is None else compose.separator
    size = self.shape_of(record, "")
    page, texts = set_paragraph(lines, size, style, rng, separator)
    return page, "\n".join(texts)

  def to_dict(self) -> dict[str, Any]:
    """All fields as JSON values; `frames` where there are any."""
    values = super().to_dict()
    # Caches from before there were several keep their names.
    for name in ("frames", "frame_lengths"):
      if not values[name]:
        del values[name]
    return values

  @classmethod
  def _restored(cls, values: dict[str, Any]) -> dict[str, Any]:
    """Builds the configurations again."""
    values = super()._restored(values)
    if values["compose"] is not None:
      values["compose"] = Compose(**tuples(values["compose"]))
    for key in ("style", "evaluation_style"):
      if values[key] is not None:
        values[key] = ParagraphStyle(**tuples(values[key]))
    return values


def _scaled(image: NDArray[np.uint8], scale: float) -> tuple[int, int]:
  """(height, width) of a picture in its frame, as `letterbox` rounds them."""
  height, width = image.shape[:2]
  return max(1, round(height * scale)), max(1, round(width * scale))
