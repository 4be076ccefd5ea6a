"""What the tasks of every family share: data sets, rates, lengths, identity.

A family (InkSight, reading, ...) is a subclass. It says its task table, how a
record becomes an example and how a picture is fitted to what the network sees.
Shards, SeqIO tasks, batches, evaluation and prediction ask no more of it, and
none of them asks which family it is. Imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.atomic import write_text
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.registry import DATASETS
from inksight_jax.ink.normalize import Placement
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.identity import plain, vocabulary_identity
from inksight_jax.pipeline.mixture import (
  Component,
  Source,
  check_sources,
  tuples,
)
from inksight_jax.rendering.letterbox import Align, Padding, letterbox
from inksight_jax.text.vocabulary import Vocabulary

if TYPE_CHECKING:
  from inksight_jax.pipeline.examples import Example, Skip, Tokens

SPEC_NAME = "spec.json"
# Height and width of a picture, pixels.
Shape = tuple[int, int]
# Caches were of this family before there were others, and do not say so.
FIRST_FAMILY = "inksight"


@dataclasses.dataclass(frozen=True)
class TaskInfo:
  """One row of a task table.

  Attributes:
    prompt: text that the encoder reads beside the image.
    text_in_prompt: whether the true text follows the prompt.
    writes_text: whether the target begins with the text.
    writes_ink: whether the target ends with ink tokens.
    rendered: whether the picture is rendered ink; else a photo or a scan.
    writes_picture: whether the target is a picture made of codes.
  """

  prompt: str
  text_in_prompt: bool
  writes_text: bool
  writes_ink: bool
  rendered: bool
  writes_picture: bool = False

  @property
  def needs_text(self) -> bool:
    """Whether an example of this task needs a record with text."""
    return self.text_in_prompt or self.writes_text


@dataclasses.dataclass(frozen=True)
class TaskSet:
  """Tasks over one data set or a mixture of several; a family fills it in.

  Attributes:
    FAMILY: name of the family, a key of `families.FAMILIES`.
    source: name of the one data set in the registry, e.g. "generated_words";
      empty where `sources` is given.
    vocabulary: text ids, then ink ids.
    path: store, archive or folder of the data set; not part of its identity.
    source_options: options of the reader, e.g. {"categories": ("1a", "1c")}.
    sources: the data sets of a mixture; a task takes from each what it has.
    rates: share of each task in the mixture; any positive scale.
    target_length: room for target tokens, EOS included.
  """

  FAMILY: ClassVar[str]

  source: str = ""
  vocabulary: Vocabulary = dataclasses.field(default_factory=Vocabulary)
  path: str = ""
  source_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  sources: Sequence[Source] = ()
  rates: Mapping[str, float] = dataclasses.field(default_factory=dict)
  target_length: int = 1024

  def __post_init__(self) -> None:
    object.__setattr__(self, "source_options", tuples(self.source_options))
    self._check_sources()
    rates = {k: float(v) for k, v in self.rates.items() if v}
    for task, rate in rates.items():
      info = self.info(task)
      if not rate > 0:
        raise ValueError(f"The rate of {task!r} must be positive; got {rate}.")
      if info.writes_ink and self.vocabulary.ink is None:
        raise ValueError(
          f"Task {task!r} writes ink, but the vocabulary has no ink ids; give "
          "it an InkCodec or set the task's rate to 0."
        )
    if not rates:
      raise ValueError("`rates` names no task; set at least one positive rate.")
    object.__setattr__(self, "rates", rates)

  def _check_sources(self) -> None:
    """Either one source or several, as given; those left out vanish."""
    if bool(self.source) == bool(self.sources):
      raise ValueError(
        f"Give {type(self).__name__} either `source` (one data set) or "
        "`sources` (a mixture of mixture.Source objects), and not both."
      )
    if self.sources:
      object.__setattr__(self, "sources", check_sources(self.sources))

  # What a family says.

  def info(self, task: str) -> TaskInfo:
    """The row of a task.

    Raises:
      ValueError: there is no such task.
    """
    raise NotImplementedError

  @property
  def tasks(self) -> tuple[str, ...]:
    """The tasks with a rate, in the order of the task table."""
    return tuple(self.rates)

  @property
  def image_shape(self) -> tuple[int, int]:
    """(height, width) of the pictures, pixels; of several the largest."""
    raise NotImplementedError

  @property
  def sees_pictures(self) -> bool:
    """Whether batches have pictures, or only tokens."""
    return True

  @property
  def image_shapes(self) -> tuple[Shape, ...]:
    """All shapes that pictures of examples may have; most families have one."""
    return (self.image_shape,)

  @property
  def target_lengths(self) -> Mapping[Shape, int]:
    """Room for target tokens by shape, where it is less than the most."""
    return {}

  def check_one_shape(self, what: str) -> None:
    """Refuses several shapes of pictures.

    Args:
      what: holds but one, for the message.
    """
    if len(self.image_shapes) > 1:
      raise ValueError(
        f"{what} hold pictures of one shape, these tasks have "
        f"{len(self.image_shapes)}; train from records "
        "(gin/runs/from_records.gin), or on one canvas (SQUARE = True)."
      )

  def shape_of(self, record: Record, task: str) -> Shape:
    """The shape of the picture that `build` makes of a record, beforehand."""
    del record, task
    return self.image_shape

  def on_largest(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture of any of `image_shapes` in the largest, as a family says."""
    return image

  @property
  def fitting(self) -> tuple[Padding, Align]:
    """How `letterbox` fits a picture to `image_shape`: padding, alignment."""
    raise NotImplementedError

  def fit(
    self, image: NDArray[np.uint8]
  ) -> tuple[NDArray[np.uint8], Placement]:
    """Fits any picture to `image_shape`: one rule to train and to predict by.

    Args:
      image: uint8[height, width, 3] RGB.

    Returns:
      The picture, and the placement that maps pixels of `image` to its own.
    """
    return letterbox(image, self.image_shape, *self.fitting)

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
    raise NotImplementedError

  def measure(
    self,
    record: Record,
    task: str,
    rng: np.random.Generator,
    training: bool,
    source: Source | None = None,
  ) -> Tokens | Example | Skip:
    """The tokens of an example; a family may leave out its picture."""
    return self.build(record, task, rng, training, (), source)

  def group(self, example: Example) -> str:
    """Kind by which scores are broken down too; none by default."""
    del example
    return ""

  def prompt(self, task: str, text: str = "") -> list[int]:
    """Ids that the encoder reads beside the picture; none by default.

    Args:
      task: a task name.
      text: the text for a task that is told it; ignored by the others.
    """
    del task, text
    return []

  @property
  def prompt_length(self) -> int:
    """Room for prompt tokens; with 0 a batch has no `encoder_input_tokens`."""
    return 0

  @property
  def pool_size(self) -> int:
    """Inks of the same split that `build` gets as neighbours."""
    return 0

  @property
  def all_sources(self) -> tuple[Source, ...]:
    """The data sets; a single one too."""
    if self.sources:
      return tuple(self.sources)
    return (Source(self.source, self.path, options=self.source_options),)

  # What follows from it.

  @property
  def components(self) -> tuple[Component, ...]:
    """Each task over each source that can serve it, in a fixed order."""
    return tuple(
      Component(task, source, f"{task}/{source.key}" if self.sources else task)
      for task in self.tasks
      for source in self.all_sources
      if source.rate_of(task) and self._may_serve(source, task)
    )

  def _may_serve(self, source: Source, task: str) -> bool:
    """Whether the records of a data set hold what a task shows."""
    info = DATASETS.get(source.name)
    # Unknown here: whoever reads it says what is wrong with the name.
    return info is None or (
      ("ink" if self.info(task).rendered else "image") in info.holds
    )

  @property
  def canvas(self) -> int:
    """Side of the frame of ink tokens in canvas pixels (0..canvas)."""
    ink = self.vocabulary.ink
    return ink.canvas if ink is not None else max(self.image_shape)

  @property
  def lengths(self) -> dict[str, int]:
    """SeqIO's task feature lengths; of the image its height."""
    lengths = {"image": self.image_shape[0], "targets": self.target_length}
    if self.prompt_length:
      lengths["inputs"] = self.prompt_length
    return lengths

  def input_shapes(self, batch_size: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the features that a model is initialised with."""
    shapes: dict[str, tuple[int, ...]] = {
      "decoder_input_tokens": (self.target_length,),
      "decoder_target_tokens": (self.target_length,),
    }
    if self.sees_pictures:
      shapes["encoder_input_image"] = (*self.image_shape, 3)
    if self.prompt_length:
      shapes["encoder_input_tokens"] = (self.prompt_length,)
    return {name: (batch_size, *shape) for name, shape in shapes.items()}

  @property
  def name(self) -> str:
    """Stable name: equal for equal examples, wherever the data lies.

    Paths, rates and caps do not enter: they change no example.
    """
    text = json.dumps(self.identity(), sort_keys=True, ensure_ascii=True)
    return f"{self.FAMILY}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"

  def identity(self) -> dict[str, Any]:
    """The fields that decide what an example is, as JSON values."""
    values = self.to_dict()
    for key in ("path", "rates"):
      del values[key]
    if self.sources:
      values["sources"] = plain([s.identity() for s in self.sources])
    return values

  def to_dict(self) -> dict[str, Any]:
    """All fields as JSON values; the vocabulary as a description of itself."""
    values = {
      field.name: plain(getattr(self, field.name))
      for field in dataclasses.fields(self)
      if field.name != "vocabulary"
    }
    # A single source is as it was before mixtures: caches keep their names.
    if not self.sources:
      del values["sources"]
    values["vocabulary"] = vocabulary_identity(self.vocabulary)
    return values

  def to_json(self) -> str:
    """Text that `from_json` reads."""
    values = {"family": self.FAMILY, **self.to_dict()}
    return json.dumps(values, indent=2, sort_keys=True) + "\n"

  @classmethod
  def from_json(cls, text: str, vocabulary: Vocabulary) -> Self:
    """Reads `to_json`'s text; the vocabulary is stored beside it.

    Raises:
      ValueError: the text is not ours, or was written for another family or
        vocabulary.
    """
    try:
      values = json.loads(text)
      described = values.pop("vocabulary")
      family = values.pop("family", FIRST_FAMILY)
      if family != cls.FAMILY:
        raise TypeError(f"it is of the family {family!r}, not {cls.FAMILY!r}")
      values["sources"] = tuple(
        Source(**source) for source in values.get("sources", ())
      )
      tasks = cls(vocabulary=vocabulary, **cls._restored(values))
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

  @classmethod
  def _restored(cls, values: dict[str, Any]) -> dict[str, Any]:
    """Builds the objects that JSON knows as mappings only."""
    return values

  def save(self, directory: str) -> None:
    """Writes spec.json and the vocabulary into a folder."""
    os.makedirs(directory, exist_ok=True)
    self.vocabulary.save(directory)
    write_text(os.path.join(directory, SPEC_NAME), self.to_json())

  @classmethod
  def load(cls, directory: str) -> Self:
    """Reads what `save` wrote; see `families.load_tasks` for any family.

    Raises:
      ValueError: the folder holds no spec.json.
    """
    return cls.from_json(read_spec(directory), Vocabulary.load(directory))


def read_spec(directory: str) -> str:
  """The text of a cache's spec.json.

  Raises:
    ValueError: the folder holds none.
  """
  path = os.path.join(directory, SPEC_NAME)
  if not os.path.exists(path):
    raise ValueError(
      f"{directory} holds no {SPEC_NAME}; it is not a cache. Write one with "
      "`inksight-jax data cache`."
    )
  with open(path, encoding="utf-8") as file:
    return file.read()
