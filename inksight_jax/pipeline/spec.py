"""What the InkSight tasks are: prompts, canvas, ink, augmentation.

One object says it for every place that must agree: the array shards, the SeqIO
tasks, the trainer, the evaluation and the predictor. Imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from inksight_jax.datasets.record import Record
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline import examples
from inksight_jax.pipeline.mixture import Source, tuples
from inksight_jax.pipeline.task_set import TaskInfo, TaskSet
from inksight_jax.rendering.augment import AugmentConfig
from inksight_jax.rendering.letterbox import PADDINGS, Align, Padding
from inksight_jax.text.vocabulary import Vocabulary

# The prompts of InkSight (Mitrevski et al. 2025, arXiv 2402.05804) where they
# are public; the two recognise prompts are ours.
TASK_PROMPTS: Mapping[str, TaskInfo] = {
  "derender": TaskInfo("Derender the ink.", False, False, True, True),
  "derender_with_text": TaskInfo("Derender the ink: ", True, False, True, True),
  "recognize_and_derender": TaskInfo(
    "Recognize and derender.", False, True, True, True
  ),
  "recognize_ink": TaskInfo("Recognize the ink.", False, True, False, True),
  "recognize_image": TaskInfo("Recognize the text.", False, True, False, False),
}
INK_TASKS = tuple(name for name, t in TASK_PROMPTS.items() if t.rendered)


def task_info(task: str) -> TaskInfo:
  """The row of a task.

  Raises:
    ValueError: there is no such task.
  """
  if task not in TASK_PROMPTS:
    known = ", ".join(TASK_PROMPTS)
    raise ValueError(f"Unknown task {task!r}; one of {known}.")
  return TASK_PROMPTS[task]


def prompt_ids(task: str, text: str, vocabulary: Vocabulary) -> list[int]:
  """Encodes the prompt of a task: the one rule of training and prediction.

  Args:
    task: a key of `TASK_PROMPTS`.
    text: the text for a task that is told it; ignored by the others.
    vocabulary: the vocabulary of the model.

  Returns:
    Text ids, without EOS: the picture marks where the encoder input starts and
    the padding mask where it ends.
  """
  info = task_info(task)
  return vocabulary.encode_text(
    info.prompt + text if info.text_in_prompt else info.prompt
  )


@dataclasses.dataclass(frozen=True)
class InkSightTasks(TaskSet):
  """The InkSight tasks over one data set or a mixture of several.

  The ink canvas of the vocabulary is the target frame.

  Attributes:
    rates: share of each task in the mixture; any positive scale.
    image_size: side of the square picture, pixels.
    input_length: room for prompt tokens.
    period: resampling period of inks with times, ms.
    spacing: resampling step of inks without times, canvas pixels.
    tolerance: simplification tolerance, canvas pixels; 0 keeps every point.
    max_coarsening: how often the tolerance may double for an over-long ink.
    min_fill: smallest share of the canvas that the longer side of a training
      ink fills.
    margin: space between ink and canvas edge, canvas pixels.
    padding: what surrounds a picture that is not square: "paper", "black" or
      "white".
    augment: augmentation of the training split.
    evaluation_augment: augmentation of the other splits; none by default.
    neighbours: size of the pool of inks of the same split from which clutter
      around the word is drawn.
  """

  FAMILY: ClassVar[str] = "inksight"

  rates: Mapping[str, float] = dataclasses.field(
    default_factory=lambda: dict.fromkeys(INK_TASKS, 1.0)
  )
  image_size: int = 224
  input_length: int = 128
  period: float = 20.0
  spacing: float = 2.0
  tolerance: float = 0.5
  max_coarsening: int = 4
  min_fill: float = 0.5
  margin: float = 2.0
  padding: Padding = "paper"
  augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig.full)
  evaluation_augment: AugmentConfig = dataclasses.field(
    default_factory=AugmentConfig.none
  )
  neighbours: int = 64

  def __post_init__(self) -> None:
    super().__post_init__()
    if self.padding not in PADDINGS:
      raise ValueError(
        f"`padding` must be one of {', '.join(PADDINGS)}; got {self.padding!r}."
      )

  def info(self, task: str) -> TaskInfo:
    """The row of a task; see `task_info`."""
    return task_info(task)

  @property
  def tasks(self) -> tuple[str, ...]:
    """The tasks with a rate, in the order of the task table."""
    return tuple(task for task in TASK_PROMPTS if task in self.rates)

  @property
  def image_shape(self) -> tuple[int, int]:
    """(height, width) of the square picture, pixels."""
    return self.image_size, self.image_size

  @property
  def fitting(self) -> tuple[Padding, Align]:
    """The picture lies in the middle of its square."""
    return self.padding, "center"

  def build(
    self,
    record: Record,
    task: str,
    rng: np.random.Generator,
    training: bool,
    neighbours: Sequence[Ink] = (),
    source: Source | None = None,
  ) -> examples.Example | examples.Skip:
    """Builds one example of a task; see `examples.build_example`."""
    return examples.build_ink_example(
      record, task, self, rng, training, neighbours, source
    )

  def measure(
    self,
    record: Record,
    task: str,
    rng: np.random.Generator,
    training: bool,
    source: Source | None = None,
  ) -> examples.Tokens | examples.Skip:
    """The tokens of an example, without drawing it."""
    return examples.tokenise(record, task, self, rng, training, source)

  def prompt(self, task: str, text: str = "") -> list[int]:
    """Ids of a task's prompt; see `prompt_ids`."""
    return prompt_ids(task, text, self.vocabulary)

  @property
  def prompt_length(self) -> int:
    """Room for prompt tokens."""
    return self.input_length

  @property
  def pool_size(self) -> int:
    """Size of the pool that clutter is drawn from."""
    return self.neighbours

  @classmethod
  def _restored(cls, values: dict[str, Any]) -> dict[str, Any]:
    """Builds the augmentations again."""
    for key in ("augment", "evaluation_augment"):
      values[key] = AugmentConfig(**tuples(values[key]))
    return values
