"""Words of ink or in pictures, each character given its width.

What a generator of words learns from (a picture as wide as its characters), and
its recognisers, which also read words as they are found. Imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from inksight_jax.datasets.record import Record
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import Example, Skip, Tokens, text_ids
from inksight_jax.pipeline.filters import lack
from inksight_jax.pipeline.mixture import Source
from inksight_jax.pipeline.reading import ReadingTasks
from inksight_jax.pipeline.task_set import TaskInfo
from inksight_jax.rendering.draws import between
from inksight_jax.rendering.letterbox import Padding
from inksight_jax.rendering.warp import warp
from inksight_jax.rendering.words import (
  draw_found,
  draw_spread,
  spread_picture,
)
from inksight_jax.text.codecs import EOS_ID


@dataclasses.dataclass(frozen=True)
class WordTasks(ReadingTasks):
  """Tasks over single words, written or read.

  A word is spread, `character_width` pixels to each of its characters, or lies
  as it is found: a crop with its aspect kept. Prediction only knows the latter.

  Attributes:
    rendered: whether words are drawn from ink; else their pictures are used.
    character_width: of spread words, pixels; longer words than the frame holds
      are left out.
    spread: chance of a word to be spread while training.
    held_out_spread: the same in the other splits.
    letter: height of small letters of spread ink, as a share of the frame's.
    pen: least and greatest width of drawn lines, pixels; in between where
      nothing is drawn at random.
    hands: whether the prompt of an example is the number of its writer, above
      0; 0 is nobody known.
  """

  FAMILY: ClassVar[str] = "words"

  padding: Padding = "white"
  rendered: bool = False
  character_width: int = 16
  spread: float = 1.0
  held_out_spread: float = 1.0
  letter: float = 0.36
  pen: tuple[float, float] = (1.4, 2.2)
  hands: bool = False

  def __post_init__(self) -> None:
    super().__post_init__()
    object.__setattr__(self, "pen", tuple(self.pen))
    if self.character_width < 1 or self.join is not None:
      raise ValueError(
        f"Words of {self.character_width} px for a character, joined: "
        f"{self.join is not None}? Give a positive width, and no `join`."
      )

  def identity(self) -> dict[str, Any]:
    """As `ReadingTasks`; tasks without writers are named as ever."""
    values = super().identity()
    if not self.hands:
      del values["hands"]
    return values

  @property
  def prompt_length(self) -> int:
    """Room for the number of the writer, where that is asked for."""
    return int(self.hands)

  def info(self, task: str) -> TaskInfo:
    """The row of a task."""
    return dataclasses.replace(super().info(task), rendered=self.rendered)

  def build(
    self,
    record: Record,
    task: str,
    rng: np.random.Generator,
    training: bool,
    neighbours: Sequence[Ink] = (),
    source: Source | None = None,
  ) -> Example | Skip:
    """Builds one example of a task; see `examples.build_example`."""
    del neighbours
    tokens = self.measure(record, task, rng, training, source)
    if isinstance(tokens, Skip):
      return tokens
    spread = rng.random() < (self.spread if training else self.held_out_spread)
    width = len(record.text) * self.character_width
    if self.rendered:
      assert record.ink is not None, "`lack` has checked it."
      image = self._draw(record.ink, width if spread else 0, rng, training)
    else:
      assert record.image is not None, "`lack` has checked it."
      image = record.image
      if spread:
        image = spread_picture(image, self.image_size, width)
      else:
        image, _ = self.fit(image)
    augment = self.augment if training else self.evaluation_augment
    return Example(warp(image, rng, augment), tokens.inputs, tokens.targets)

  def measure(
    self,
    record: Record,
    task: str,
    rng: np.random.Generator,
    training: bool,
    source: Source | None = None,
  ) -> Tokens | Skip:
    """The tokens of an example, without drawing it."""
    del rng, training
    reason = lack(record, self.info(task), source)
    if reason:
      return Skip(reason)
    ids = text_ids(record.text, self)
    if isinstance(ids, Skip):
      return ids
    # Spread or not: the same words, however they lie.
    if len(record.text) * self.character_width > self.image_size[1]:
      return Skip("text too long")
    targets = np.asarray([*ids, EOS_ID], np.int32)
    inputs = [_number_of(record)] if self.hands else []
    return Tokens(np.asarray(inputs, np.int32), targets, 0, None)

  def _draw(
    self, ink: Ink, width: int, rng: np.random.Generator, training: bool
  ) -> Any:
    """The word in its frame; as it is found where `width` is 0."""
    pen = between(rng, *self.pen) if training else sum(self.pen) / 2
    if width:
      return draw_spread(ink, self.image_size, width, self.letter, pen)
    fill, sink = 1.0, 0.5
    if training:
      fill, sink = between(rng, 0.7, 1.0), between(rng, 0.0, 1.0)
    return draw_found(ink, self.image_size, pen, fill, sink)


def _number_of(record: Record) -> int:
  """The same for all that a person wrote, wherever it is made; 0 for nobody."""
  if not record.writer:
    return 0
  name = f"{record.source}/{record.writer}".encode()
  return 1 + zlib.crc32(name) % (2**31 - 1)
