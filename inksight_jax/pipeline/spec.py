"""What the InkSight tasks are: prompts, lengths, canvas, mixture rates.

One object says it for every place that must agree: the array shards, the SeqIO
tasks, the trainer, the evaluation and the predictor. Imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from inksight_jax.datasets.atomic import write_text
from inksight_jax.datasets.registry import DATASETS
from inksight_jax.pipeline.mixture import (
  Component,
  Source,
  check_sources,
  tuples,
)
from inksight_jax.rendering.augment import AugmentConfig
from inksight_jax.rendering.letterbox import PADDINGS, Padding
from inksight_jax.text.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class TaskInfo:
  """One row of the task table.

  Attributes:
    prompt: text that the encoder reads beside the image.
    text_in_prompt: whether the true text follows the prompt.
    writes_text: whether the target begins with the text.
    writes_ink: whether the target ends with ink tokens.
    rendered: whether the picture is rendered ink; else a photo or a scan.
  """

  prompt: str
  text_in_prompt: bool
  writes_text: bool
  writes_ink: bool
  rendered: bool

  @property
  def needs_text(self) -> bool:
    """Whether an example of this task needs a record with text."""
    return self.text_in_prompt or self.writes_text


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


def _may_serve(source: Source, task: str) -> bool:
  """Whether the records of a data set hold what a task shows."""
  info = DATASETS.get(source.name)
  # Unknown here: whoever reads it says what is wrong with the name.
  return info is None or (
    ("ink" if task_info(task).rendered else "image") in info.holds
  )


def _plain(value: Any) -> Any:
  """Turns tuples and mappings into what JSON gives back."""
  if isinstance(value, Mapping):
    return {str(k): _plain(v) for k, v in sorted(value.items())}
  if isinstance(value, (list, tuple)):
    return [_plain(v) for v in value]
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    return _plain(dataclasses.asdict(value))
  return value


def _vocabulary_identity(vocabulary: Vocabulary) -> dict[str, Any]:
  """What a vocabulary is, wherever its files lie."""
  text = _plain(vocabulary.text.to_config())
  if "path" in text:
    with open(text.pop("path"), "rb") as file:
      text["sha256"] = hashlib.sha256(file.read()).hexdigest()
  return {"text": text, "canvas": vocabulary.ink and vocabulary.ink.canvas}


@dataclasses.dataclass(frozen=True)
class InkSightTasks:
  """The InkSight tasks over one data set or a mixture of several.

  Attributes:
    source: name of the one data set in the registry, e.g. "generated_words";
      empty where `sources` is given.
    vocabulary: text ids, then ink ids; its ink canvas is the target frame.
    path: store, archive or folder of the data set; not part of its identity.
    source_options: options of the reader, e.g. {"categories": ("1a", "1c")}.
    sources: the data sets of a mixture; a task takes from each what it has.
    rates: share of each task in the mixture; any positive scale.
    image_size: side of the square picture, pixels.
    input_length: room for prompt tokens.
    target_length: room for target tokens, EOS included.
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

  source: str = ""
  vocabulary: Vocabulary = dataclasses.field(default_factory=Vocabulary)
  path: str = ""
  source_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  sources: Sequence[Source] = ()
  rates: Mapping[str, float] = dataclasses.field(
    default_factory=lambda: dict.fromkeys(INK_TASKS, 1.0)
  )
  image_size: int = 224
  input_length: int = 128
  target_length: int = 1024
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
    object.__setattr__(self, "source_options", tuples(self.source_options))
    self._check_sources()
    rates = {k: float(v) for k, v in self.rates.items() if v}
    for task, rate in rates.items():
      task_info(task)
      if not rate > 0:
        raise ValueError(f"The rate of {task!r} must be positive; got {rate}.")
      if task_info(task).writes_ink and self.vocabulary.ink is None:
        raise ValueError(
          f"Task {task!r} writes ink, but the vocabulary has no ink ids; give "
          "it an InkCodec or set the task's rate to 0."
        )
    if not rates:
      raise ValueError("`rates` names no task; set at least one positive rate.")
    object.__setattr__(self, "rates", rates)
    if self.padding not in PADDINGS:
      raise ValueError(
        f"`padding` must be one of {', '.join(PADDINGS)}; got {self.padding!r}."
      )

  def _check_sources(self) -> None:
    """Either one source or several, as given; those left out vanish."""
    if bool(self.source) == bool(self.sources):
      raise ValueError(
        "Give InkSightTasks either `source` (one data set) or `sources` (a "
        "mixture of mixture.Source objects), and not both."
      )
    if self.sources:
      object.__setattr__(self, "sources", check_sources(self.sources))

  @property
  def all_sources(self) -> tuple[Source, ...]:
    """The data sets; a single one too."""
    if self.sources:
      return tuple(self.sources)
    return (Source(self.source, self.path, options=self.source_options),)

  @property
  def components(self) -> tuple[Component, ...]:
    """Each task over each source that can serve it, in a fixed order."""
    return tuple(
      Component(task, source, f"{task}/{source.key}" if self.sources else task)
      for task in self.tasks
      for source in self.all_sources
      if source.rate_of(task) and _may_serve(source, task)
    )

  @property
  def tasks(self) -> tuple[str, ...]:
    """The tasks with a rate, in the order of the task table."""
    return tuple(task for task in TASK_PROMPTS if task in self.rates)

  @property
  def canvas(self) -> int:
    """Side of the target frame in canvas pixels (coordinates 0..canvas)."""
    ink = self.vocabulary.ink
    return ink.canvas if ink is not None else self.image_size

  @property
  def lengths(self) -> dict[str, int]:
    """SeqIO's task feature lengths."""
    return {
      "image": self.image_size,
      "inputs": self.input_length,
      "targets": self.target_length,
    }

  @property
  def name(self) -> str:
    """Stable name: equal for equal examples, wherever the data lies.

    Paths, rates and caps do not enter: they change no example.
    """
    identity = self.identity()
    text = json.dumps(identity, sort_keys=True, ensure_ascii=True)
    return f"inksight_{hashlib.sha256(text.encode()).hexdigest()[:12]}"

  def identity(self) -> dict[str, Any]:
    """The fields that decide what an example is, as JSON values."""
    values = self.to_dict()
    for key in ("path", "rates"):
      del values[key]
    if self.sources:
      values["sources"] = _plain([s.identity() for s in self.sources])
    return values

  def to_dict(self) -> dict[str, Any]:
    """All fields as JSON values; the vocabulary as a description of itself."""
    values = {
      field.name: _plain(getattr(self, field.name))
      for field in dataclasses.fields(self)
      if field.name != "vocabulary"
    }
    # A single source is described as it was before there were mixtures, so
    # that caches keep their names.
    if not self.sources:
      del values["sources"]
    values["vocabulary"] = _vocabulary_identity(self.vocabulary)
    return values

  def to_json(self) -> str:
    """Text that `from_json` reads."""
    return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"

  @classmethod
  def from_json(cls, text: str, vocabulary: Vocabulary) -> InkSightTasks:
    """Reads `to_json`'s text; the vocabulary is stored beside it.

    Raises:
      ValueError: the text is not ours, or was written for another vocabulary.
    """
    try:
      values = json.loads(text)
      described = values.pop("vocabulary")
      for key in ("augment", "evaluation_augment"):
        values[key] = AugmentConfig(**tuples(values[key]))
      values["sources"] = tuple(
        Source(**source) for source in values.get("sources", ())
      )
      tasks = cls(vocabulary=vocabulary, **values)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
      raise ValueError(
        f"Not a task description of this version: {error}."
      ) from error
    if tasks.to_dict()["vocabulary"] != described:
      raise ValueError(
        "The task description was written for another vocabulary: "
        f"{described}; got {tasks.to_dict()['vocabulary']}."
      )
    return tasks

  def save(self, directory: str) -> None:
    """Writes spec.json and the vocabulary into a folder."""
    os.makedirs(directory, exist_ok=True)
    self.vocabulary.save(directory)
    write_text(os.path.join(directory, "spec.json"), self.to_json())

  @classmethod
  def load(cls, directory: str) -> InkSightTasks:
    """Reads what `save` wrote.

    Raises:
      ValueError: the folder holds no spec.json.
    """
    path = os.path.join(directory, "spec.json")
    if not os.path.exists(path):
      raise ValueError(
        f"{directory} holds no spec.json; it is not a cache. Write one with "
        "`inksight-jax data cache`."
      )
    vocabulary = Vocabulary.load(directory)
    with open(path, encoding="utf-8") as file:
      return cls.from_json(file.read(), vocabulary)
