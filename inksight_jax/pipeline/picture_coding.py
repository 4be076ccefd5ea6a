"""Pictures to be turned into codes: nothing is read, and nothing is told.

Every picture lies on the canvas of a budget of tokens that suits its aspect
ratio, see `rendering.templates`; the rows and columns of cells that it covers
stand where other families have a prompt. Imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.record import Record
from inksight_jax.ink.normalize import Placement
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import Example, Skip, text_ids
from inksight_jax.pipeline.filters import lack
from inksight_jax.pipeline.joined import Join, stacked
from inksight_jax.pipeline.mixture import Source, tuples
from inksight_jax.pipeline.task_set import Shape, TaskInfo, TaskSet
from inksight_jax.rendering.augment import AugmentConfig, augment_ink
from inksight_jax.rendering.letterbox import PADDINGS, Padding
from inksight_jax.rendering.strokes import Style, draw_ink
from inksight_jax.rendering.templates import Template, Templates
from inksight_jax.rendering.warp import WarpConfig, warp
from inksight_jax.text.codecs import EOS_ID
from inksight_jax.text.vocabulary import Vocabulary

TASK = "reconstruct"
# Of an ink that is all but a line, the shorter side counts as this share of the
# longer one.
_FLATTEST = 0.05


@dataclasses.dataclass(frozen=True)
class PictureTasks(TaskSet):
  """The task `reconstruct`: pictures that a code book is learned from.

  Attributes:
    budget: tokens of a picture, see `templates.Templates`.
    patch: side of the square of pixels that one code stands for.
    square: put every picture on the square canvas of the budget.
    padding: what fills the rest of a canvas: "paper", "black" or "white"; ink
      is drawn in white on "black" and in black otherwise.
    rendered: whether pictures are drawn from ink; else they are given.
    pen: least and most width of drawn strokes, pixels of the canvas; the mean
      outside training.
    margin: space between drawn ink and the edge of its canvas, pixels.
    join: how many records of the source make one picture; of a mixture each
      source says so itself.
    vertical: share of joined records that stand below each other instead of
      side by side; which ones, their ids decide.
    augment: what happens to given pictures of the training split, to each part
      of a joined one by itself.
    ink_augment: the same for ink: its angle, shear and stretch.
    target_length: more than 1 keeps the text of each picture beside it, for
      evaluation by a recogniser.
  """

  FAMILY: ClassVar[str] = "pictures"

  vocabulary: Vocabulary = dataclasses.field(
    default_factory=lambda: Vocabulary(ink=None)
  )
  rates: Mapping[str, float] = dataclasses.field(
    default_factory=lambda: {TASK: 1.0}
  )
  target_length: int = 1
  budget: int = 128
  patch: int = 16
  square: bool = False
  padding: Padding = "paper"
  rendered: bool = False
  pen: tuple[float, float] = (1.2, 2.2)
  margin: float = 2.5
  join: Join | None = None
  vertical: float = 0.0
  augment: WarpConfig = dataclasses.field(default_factory=WarpConfig)
  ink_augment: AugmentConfig = dataclasses.field(
    default_factory=AugmentConfig.none
  )

  def __post_init__(self) -> None:
    super().__post_init__()
    object.__setattr__(self, "pen", tuple(self.pen))
    if self.padding not in PADDINGS:
      raise ValueError(
        f"`padding` must be one of {', '.join(PADDINGS)}; got {self.padding!r}."
      )
    if not 0.0 <= self.vertical <= 1.0:
      raise ValueError(f"`vertical` is a share in [0, 1]; got {self.vertical}.")
    if not 0.0 < self.pen[0] <= self.pen[1]:
      raise ValueError(f"`pen` {self.pen}: give a least and a most width.")
    if self.rendered and 2 * self.margin >= self.patch:
      raise ValueError(
        f"A margin of {self.margin} px leaves nothing of a canvas that is one "
        f"patch of {self.patch} px high; choose less than half."
      )
    if self.join is not None and self.sources:
      raise ValueError(
        "`join` is of the one data set in `source`; of a mixture set `join` of "
        "each mixture.Source."
      )
    # Complains about a budget that holds nothing.
    _ = self.templates

  @functools.cached_property
  def templates(self) -> Templates:
    """The canvases."""
    return Templates(self.budget, self.patch, self.square)

  def info(self, task: str) -> TaskInfo:
    """The row of the one task."""
    if task != TASK:
      raise ValueError(f"Unknown task {task!r}; the only one is {TASK}.")
    return TaskInfo("", False, False, False, self.rendered)

  @property
  def image_shapes(self) -> tuple[Shape, ...]:
    """(height, width) of every canvas."""
    return tuple(self.templates.size(t) for t in self.templates.table)

  @property
  def image_shape(self) -> tuple[int, int]:
    """(height, width) of the largest canvas."""
    return max(self.image_shapes, key=math.prod)

  @property
  def prompt_length(self) -> int:
    """Two: rows and columns of cells that a picture covers."""
    return 2

  @property
  def all_sources(self) -> tuple[Source, ...]:
    """The data sets; a single one too, joined as `join` says."""
    return tuple(
      source
      if self.join is None
      else dataclasses.replace(source, join=self.join)
      for source in super().all_sources
    )

  def shape_of(self, record: Record, task: str) -> Shape:
    """The canvas that suits the record; it does not depend on augmentation."""
    del task
    template = self._template(record)
    return self.templates.size(template or self.templates.table[0])

  def fit(
    self, image: NDArray[np.uint8]
  ) -> tuple[NDArray[np.uint8], Placement]:
    """A picture on the canvas that suits it."""
    fitted = self.templates.fit(image, self.padding)
    return fitted.image, fitted.placement

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
    reason = lack(record, self.info(task), source)
    if reason:
      return Skip(reason)
    template = self._template(record)
    if template is None:
      return Skip("too thin for any canvas")
    ids = text_ids(record.text, self) if self.target_length > 1 else []
    if isinstance(ids, Skip):
      return ids
    if self.rendered:
      assert record.ink is not None, "`lack` has checked it."
      ink = record.ink
      if training:
        ink = augment_ink(ink, rng, self.ink_augment)
      low, high = self.pen
      pen = rng.uniform(low, high) if training else (low + high) / 2
      image, covered = self._drawn(ink, template, pen)
    else:
      picture = self._joined(record, rng, training)
      fitted = self.templates.fit(picture, self.padding)
      image, covered = fitted.image, fitted.covered
    return Example(
      image,
      np.asarray(covered, np.int32),
      np.asarray([*ids, EOS_ID], np.int32),
    )

  def _joined(
    self, record: Record, rng: np.random.Generator, training: bool
  ) -> NDArray[np.uint8]:
    """The picture of a record, its parts changed one by one."""
    augment = self.augment if training else WarpConfig()
    pictures = [
      warp(part.image, rng, augment)
      for part in record.parts or (record,)
      if part.image is not None
    ]
    axis = 0 if stacked(record, self.vertical) else 1
    return np.concatenate(pictures, axis=axis)

  def _template(self, record: Record) -> Template | None:
    """The canvas of a record; None where it would vanish on any."""
    if self.rendered:
      if not record.ink:
        return None
      height, width = _extent(record.ink)
    elif record.image is None:
      return None
    else:
      height, width = record.image.shape[:2]
      if stacked(record, self.vertical):
        # The record itself has its parts side by side.
        height, width = height * len(record.parts), width / len(record.parts)
    try:
      return self.templates.choose(height, width)
    except ValueError:
      return None

  def _drawn(
    self, ink: Ink, template: Template, pen: float
  ) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Ink in the top left of its canvas, and the cells that it covers."""
    rows, columns = self.templates.size(template)
    height, width = _extent(ink)
    margin = self.margin
    scale = min((rows - 2 * margin) / height, (columns - 2 * margin) / width)
    left, top, right, bottom = ink.bounds
    # What is all but a line lies in the middle of the room that it was given.
    x = margin + (width - (right - left)) * scale / 2 - left * scale
    y = margin + (height - (bottom - top)) * scale / 2 - top * scale
    dark, light = (0, 0, 0), (255, 255, 255)
    ink_color, paper = (
      (light, dark) if self.padding == "black" else (dark, light)
    )
    # Pixel centres are whole numbers.
    image = draw_ink(
      ink.scaled(scale, (x - 0.5, y - 0.5)),
      rows,
      columns,
      Style(pen, ink_color, paper),
    )
    covered = (
      min(template.rows, math.ceil((height * scale + 2 * margin) / self.patch)),
      min(
        template.columns, math.ceil((width * scale + 2 * margin) / self.patch)
      ),
    )
    return image, covered

  @classmethod
  def _restored(cls, values: dict[str, Any]) -> dict[str, Any]:
    """Builds the configurations again."""
    values["augment"] = WarpConfig(**tuples(values["augment"]))
    values["ink_augment"] = AugmentConfig(**tuples(values["ink_augment"]))
    if values["join"] is not None:
      values["join"] = Join(**values["join"])
    return values


def _extent(ink: Ink) -> tuple[float, float]:
  """(height, width) of an ink, neither of them next to nothing."""
  left, top, right, bottom = ink.bounds
  longest = max(right - left, bottom - top, 1e-6)
  least = _FLATTEST * longest
  return max(bottom - top, least), max(right - left, least)
