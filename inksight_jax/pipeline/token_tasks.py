"""Tasks over pictures made of tokens: read them, or make them of a text.

The pictures come as grids of codes, from the data set `picture_tokens`: a
VQ-VAE has done once what is too slow for every epoch. Imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.record import Record
from inksight_jax.datasets.registry import DATASETS
from inksight_jax.ink.normalize import Placement
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import Example, Skip
from inksight_jax.pipeline.filters import lack
from inksight_jax.pipeline.mixture import Source, tuples
from inksight_jax.pipeline.task_set import TaskInfo, TaskSet
from inksight_jax.rendering.letterbox import PADDINGS, Padding
from inksight_jax.rendering.templates import Templates
from inksight_jax.rendering.views import ViewConfig
from inksight_jax.rendering.warp import WarpConfig
from inksight_jax.text.codecs import EOS_ID, UNK_ID
from inksight_jax.text.picture_tokens import PictureCodec
from inksight_jax.text.vocabulary import Vocabulary

_READS = TaskInfo("", False, True, False, False)
TASKS: Mapping[str, TaskInfo] = {
  "recognize_tokens": _READS,
  # The same with pictures on square canvases, to be compared with.
  "recognize_tokens_square": _READS,
  "text_to_image": TaskInfo("", True, False, False, False, writes_picture=True),
}


@dataclasses.dataclass(frozen=True)
class TokenTasks(TaskSet):
  """Tasks of a token language model.

  All are of one order: pictures first and texts to write, or the other way
  round.

  Attributes:
    rates: share of each task, by a name in TASKS.
    text_length: most tokens of a text, EOS included.
    target_length: follows from the order; what is given is replaced.
    patch: side of the square of pixels that one code stands for.
    square: whether pictures to predict are put on square canvases.
    padding: what fills the rest of these canvases, as when they were tokenised:
      "paper", "black" or "white".
    view_config: how the views of a picture differ that may be read beside it.
  """

  FAMILY: ClassVar[str] = "picture_tokens"

  vocabulary: Vocabulary = dataclasses.field(
    default_factory=lambda: Vocabulary(
      ink=None, pictures=PictureCodec(16384, 128)
    )
  )
  rates: Mapping[str, float] = dataclasses.field(
    default_factory=lambda: {"recognize_tokens": 1.0}
  )
  target_length: int = 0
  text_length: int = 16
  patch: int = 16
  square: bool = False
  padding: Padding = "black"
  view_config: ViewConfig = dataclasses.field(default_factory=ViewConfig)

  def __post_init__(self) -> None:
    super().__post_init__()
    if self.vocabulary.pictures is None:
      raise ValueError(
        "The vocabulary has no picture ids; give it a PictureCodec."
      )
    if self.text_length < 2:
      raise ValueError(
        f"`text_length` is {self.text_length}; a character and the end need 2."
      )
    if self.padding not in PADDINGS:
      raise ValueError(
        f"`padding` must be one of {', '.join(PADDINGS)}; got {self.padding!r}."
      )
    orders = {TASKS[task].writes_picture for task in self.rates}
    if len(orders) > 1:
      raise ValueError(
        f"Pictures are first in some of {', '.join(self.rates)}, texts in "
        "others; a model has one order. Fine-tune a second one for the other."
      )
    length = self.text_length if self.picture_first else self.codec.length
    object.__setattr__(self, "target_length", length)

  @property
  def codec(self) -> PictureCodec:
    """Of the pictures."""
    assert self.vocabulary.pictures is not None, "Checked when built."
    return self.vocabulary.pictures

  @property
  def picture_first(self) -> bool:
    """Whether pictures are given and texts written."""
    return not any(TASKS[task].writes_picture for task in self.rates)

  @property
  def templates(self) -> Templates:
    """The canvases of pictures to predict."""
    return Templates(self.codec.length, self.patch, self.square)

  def info(self, task: str) -> TaskInfo:
    """The row of a task."""
    if task not in TASKS:
      raise ValueError(
        f"Unknown task {task!r} of pictures made of tokens; one of "
        f"{', '.join(TASKS)}."
      )
    return TASKS[task]

  def _may_serve(self, source: Source, task: str) -> bool:
    info = DATASETS.get(source.name)
    return info is None or "codes" in info.holds

  @property
  def image_shape(self) -> tuple[int, int]:
    """Of the black pixel that stands for a picture, which is in the tokens."""
    return 1, 1

  @property
  def sees_pictures(self) -> bool:
    """No: batches are tokens."""
    return False

  def fit(
    self, image: NDArray[np.uint8]
  ) -> tuple[NDArray[np.uint8], Placement]:
    """Fits a picture to the canvas of the nearest aspect ratio."""
    fitted = self.templates.fit(image, self.padding)
    return fitted.image, fitted.placement

  @property
  def prompt_length(self) -> int:
    """Tokens of what is given: a picture, or START, a text and its end."""
    return self.codec.length if self.picture_first else self.text_length + 1

  def prompt(self, task: str, text: str = "") -> list[int]:
    """Ids of a text that is to be drawn; nothing where a picture is given."""
    if not self.info(task).text_in_prompt:
      return []
    start = self.vocabulary.start_id
    return [start, *self.vocabulary.encode_text(text), EOS_ID]

  def build(
    self,
    record: Record,
    task: str,
    rng: np.random.Generator,
    training: bool,
    neighbours: Sequence[Ink] = (),
    source: Source | None = None,
  ) -> Example | Skip:
    """Builds one example of a task; see `examples.build_example`.

    Unknown characters are left out of training; elsewhere they stay, so that
    scores count them as what they are, errors.
    """
    del rng, neighbours
    reason = lack(record, self.info(task), source)
    if reason or record.codes is None:
      return Skip(reason or "no codes")
    if not self.codec.fits(*record.codes.shape):
      return Skip("picture beyond the budget of tokens")
    ids = self.vocabulary.encode_text(record.text)
    if UNK_ID in ids and training:
      return Skip("text outside the vocabulary")
    if len(ids) >= self.text_length:
      return Skip("text too long")
    picture = self.vocabulary.encode_picture(record.codes)
    text = np.asarray([*ids, EOS_ID], np.int32)
    nothing = np.zeros((*self.image_shape, 3), np.uint8)
    if self.picture_first:
      return Example(nothing, picture, text)
    start = np.asarray([self.vocabulary.start_id], np.int32)
    return Example(nothing, np.concatenate([start, text]), picture)

  def identity(self) -> dict[str, Any]:
    """As of every family; what else may be read changes no example."""
    values = super().identity()
    del values["view_config"]
    return values

  def grid(self, example: Example) -> NDArray[np.int32]:
    """The codes int32[rows, columns] of an example's picture."""
    ids = example.inputs if self.picture_first else example.targets
    return self.vocabulary.decode_picture(ids)

  def group(self, example: Example) -> str:
    """If an example's picture is "horizontal" or "vertical", or neither: ""."""
    return orientation(*self.grid(example).shape)

  @classmethod
  def _restored(cls, values: dict[str, Any]) -> dict[str, Any]:
    """Builds the configuration again; older descriptions have none."""
    if "view_config" in values:
      view = dict(values["view_config"])
      warp = WarpConfig(**tuples(view.pop("warp")))
      values["view_config"] = ViewConfig(warp, **view)
    return values


def orientation(height: int, width: int) -> str:
  """If a picture is "horizontal" or "vertical", or neither: ""."""
  if height == width:
    return ""
  return "horizontal" if width > height else "vertical"
