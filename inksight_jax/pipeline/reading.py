"""Reading tasks: a picture in, its characters out.

One family for digits, words, lines and pages: no prompt, no ink, and names of
tasks that the recipe gives. Imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.record import Record
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import Example, Skip, text_ids
from inksight_jax.pipeline.filters import lack
from inksight_jax.pipeline.joined import Join, stacked
from inksight_jax.pipeline.mixture import Source, tuples
from inksight_jax.pipeline.task_set import Shape, TaskInfo, TaskSet
from inksight_jax.rendering.letterbox import (
  ALIGNMENTS,
  PADDINGS,
  Align,
  Padding,
)
from inksight_jax.rendering.warp import WarpConfig, warp
from inksight_jax.text.codecs import EOS_ID
from inksight_jax.text.vocabulary import Vocabulary

_INFO = TaskInfo("", False, True, False, False)
# Names become names of folders and of SeqIO's tasks.
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclasses.dataclass(frozen=True)
class ReadingTasks(TaskSet):
  """Tasks that read pictures of text.

  Attributes:
    rates: share of each task, under any name, e.g. {"read_digits": 1.0}.
    image_size: (height, width) of the picture that the network sees, pixels.
    padding: what fills the rest of it: "paper", "black" or "white".
    align: where the picture stands in it: "left" or "center".
    join: how many records of the source, side by side, make one picture; of a
      mixture each source says so itself.
    vertical: share of joined records that stand below each other instead, see
      `joined.stacked`.
    augment: what happens to the pictures of the training split, to each part
      of a joined one by itself.
    evaluation_augment: the same for the other splits; nothing by default.
  """

  FAMILY: ClassVar[str] = "reading"

  vocabulary: Vocabulary = dataclasses.field(
    default_factory=lambda: Vocabulary(ink=None)
  )
  rates: Mapping[str, float] = dataclasses.field(
    default_factory=lambda: {"recognize_line": 1.0}
  )
  target_length: int = 128
  image_size: tuple[int, int] = (32, 512)
  padding: Padding = "paper"
  align: Align = "left"
  join: Join | None = None
  vertical: float = 0.0
  augment: WarpConfig = dataclasses.field(default_factory=WarpConfig)
  evaluation_augment: WarpConfig = dataclasses.field(default_factory=WarpConfig)

  def __post_init__(self) -> None:
    super().__post_init__()
    object.__setattr__(self, "image_size", tuple(self.image_size))
    for name, choices in (("padding", PADDINGS), ("align", ALIGNMENTS)):
      if getattr(self, name) not in choices:
        raise ValueError(
          f"`{name}` must be one of {', '.join(choices)}; got "
          f"{getattr(self, name)!r}."
        )
    if self.join is not None and self.sources:
      raise ValueError(
        "`join` is of the one data set in `source`; of a mixture set `join` of "
        "each mixture.Source."
      )

  def info(self, task: str) -> TaskInfo:
    """The row of a task; all read."""
    if task not in self.rates or not _NAME.fullmatch(task):
      raise ValueError(
        f"Unknown task {task!r}; one of {', '.join(self.rates)} (names are "
        "small letters, digits and `_`)."
      )
    return _INFO

  @property
  def image_shape(self) -> tuple[int, int]:
    """(height, width) of the pictures that the network sees, pixels."""
    return self.image_size

  @property
  def all_sources(self) -> tuple[Source, ...]:
    """The data sets; a single one too, joined as `join` says."""
    return tuple(
      source
      if self.join is None
      else dataclasses.replace(source, join=self.join)
      for source in super().all_sources
    )

  @property
  def fitting(self) -> tuple[Padding, Align]:
    """As the fields say."""
    return self.padding, self.align

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
    shown = self._show(record, task, rng, training, source)
    if isinstance(shown, Skip):
      return shown
    pictures, text = shown
    ids = text_ids(text, self)
    if isinstance(ids, Skip):
      return ids
    shape = self.shape_of(record, task)
    if len(ids) >= self.target_lengths.get(shape, self.target_length):
      return Skip("text too long")
    augment = self.augment if training else self.evaluation_augment
    warped = [warp(picture, rng, augment) for picture in pictures]
    if stacked(record, self.vertical):
      warped = [np.concatenate(warped)]
    image = self._frame(warped, shape)
    return Example(
      image, np.zeros(0, np.int32), np.asarray([*ids, EOS_ID], np.int32)
    )

  def _show(
    self,
    record: Record,
    task: str,
    rng: np.random.Generator,
    training: bool,
    source: Source | None,
  ) -> tuple[list[NDArray[np.uint8]], str] | Skip:
    """The pictures that are warped each by itself, and the text to be read."""
    del rng, training
    reason = lack(record, self.info(task), source)
    if reason:
      return Skip(reason)
    parts = record.parts or (record,)
    return [p.image for p in parts if p.image is not None], record.text

  def _frame(
    self, pictures: Sequence[NDArray[np.uint8]], shape: Shape
  ) -> NDArray[np.uint8]:
    """What the network sees of the warped pictures: side by side, fitted."""
    del shape
    return self.fit(np.concatenate(pictures, axis=1))[0]

  def identity(self) -> dict[str, Any]:
    """As `TaskSet`; tasks without vertical pictures are named as ever."""
    values = super().identity()
    if not self.vertical:
      del values["vertical"]
    return values

  @classmethod
  def _restored(cls, values: dict[str, Any]) -> dict[str, Any]:
    """Builds the configurations again."""
    for key in ("augment", "evaluation_augment"):
      values[key] = WarpConfig(**tuples(values[key]))
    if values["join"] is not None:
      values["join"] = Join(**values["join"])
    return values
