"""A trained model that reads pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from flax.linen import partitioning
from numpy.typing import NDArray

from inksight_jax.inference import compile_cache, recipe
from inksight_jax.inference.decoder import Answer, Decoder
from inksight_jax.inference.requests import Prepared, Request
from inksight_jax.inference.results import Result
from inksight_jax.ink.types import Ink
from inksight_jax.models.handwriting_gan import HandwritingGAN
from inksight_jax.models.sequence_to_sequence import SequenceToSequence
from inksight_jax.models.token_language_model import TokenLanguageModel
from inksight_jax.networks import row_kernels
from inksight_jax.networks.decoding import DecodeConfig
from inksight_jax.pipeline.task_set import TaskSet
from inksight_jax.rendering.images import ImageLike, read_image
from inksight_jax.training import checkpoints

if TYPE_CHECKING:
  from inksight_jax.inference.page import PageResult


class Predictor:
  """Derenders and recognises images of single words.

  Attributes:
    model: the model object.
    tasks: sizes, prompts and vocabulary that the model was trained with.
    step: training step of the parameters.
    batch_size: largest number of images decoded together.
    decoder: runs the model; the export lowers its `function`.
  """

  def __init__(
    self,
    model: SequenceToSequence,
    params: Any,
    tasks: TaskSet,
    step: int = 0,
    batch_size: int = 32,
    decode_config: DecodeConfig | None = None,
    constrained: bool = False,
    weights: str = "float32",
  ) -> None:
    """Binds a model to its parameters; compiles at the first prediction.

    Args:
      model: the model object.
      params: nested dict of arrays.
      tasks: as in training.
      step: training step of the parameters.
      batch_size: largest number of images decoded together.
      decode_config: how to decode; the model's own, else greedy up to the
        target length of the tasks.
      constrained: hold answers to what their task writes, x before y, and
        stop a pen that goes round in circles; see `networks.grammar`.
      weights: "float32", or "bfloat16" to encode and "int8" to decode faster
        too, a little less exactly; see `networks.row_kernels`.

    Raises:
      ValueError: `batch_size` is not positive; other `weights`.
    """
    row_kernels.check_weights(weights)
    self.model = model
    self.weights = weights
    self.params = params
    self.tasks = tasks
    self.step = step
    self.batch_size = batch_size
    config = decode_config or model.decode_config
    if config is None:
      config = DecodeConfig(max_length=tasks.target_length)
    self.decoder = Decoder(model, tasks, batch_size, config, constrained)

    def score(params: Any, batch: dict[str, jax.Array]) -> Any:
      with partitioning.axis_rules(()):
        return model.eval_fn(params, batch)[1]

    self._score = jax.jit(score)

  @property
  def params(self) -> Any:
    """Its parameters; may be replaced by others of the same shapes."""
    return self._params

  @params.setter
  def params(self, params: Any) -> None:
    """Takes others; the decoder's arrangement of the old ones goes."""
    self._params = params
    self._arranged = None

  def derender(self, image: ImageLike, text: str | None = None) -> Result:
    """Traces the ink of an image.

    Args:
      image: path, uint8 array or Pillow image of one word.
      text: what is written, if known; it guides the tracing.

    Raises:
      ValueError: the image cannot be read.

    >>> model = load("runs/quickstart")
    >>> result = model.derender("word.png", text="hello")
    >>> result.text, result.width, result.height
    ('hello', 250, 126)
    """
    if text is None:
      return self.predict([image], "derender")[0]
    return self.predict([image], "derender_with_text", [text])[0]

  def recognize(self, image: ImageLike) -> Result:
    """Reads the text of an image.

    Args:
      image: path, uint8 array or Pillow image of one word.

    Raises:
      ValueError: the image cannot be read, or the model was trained for no
        task that only reads.
    """
    # Photos are what the image task was trained on; rendered ink comes second.
    infos = {task: self.tasks.info(task) for task in self.tasks.tasks}
    for rendered in (False, True):
      for task, info in infos.items():
        if (
          info.rendered == rendered
          and info.needs_text
          and not (info.writes_ink or info.text_in_prompt)
        ):
          return self.predict([image], task)[0]
    raise ValueError(
      "This model was trained for no recognise task, only for "
      f"{', '.join(self.tasks.tasks)}."
    )

  def recognize_and_derender(self, image: ImageLike) -> Result:
    """Reads the text of an image, then traces its ink.

    Args:
      image: path, uint8 array or Pillow image of one word.

    Raises:
      ValueError: the image cannot be read.

    >>> model = load("runs/quickstart")
    >>> result = model.recognize_and_derender("word.png")
    >>> len(result.character_confidences) == len(result.text)
    True
    """
    return self.predict([image], "recognize_and_derender")[0]

  def page(
    self, image: ImageLike, task: str | None = None, segmenter: Any = "builtin"
  ) -> PageResult:
    """Finds the words of a page and predicts them: `pages.read_pages`."""
    from inksight_jax.inference.pages import read_pages

    return next(read_pages(self, [image], task, segmenter))

  def predict(
    self,
    images: Sequence[ImageLike],
    task: str,
    texts: Sequence[str] | None = None,
  ) -> list[Result]:
    """Predicts many images, `batch_size` at a time.

    Args:
      images: paths, uint8 arrays or Pillow images, of one word each.
      task: a task that the model was trained for.
      texts: what is written in each image, for `derender_with_text`.

    Returns:
      One result per image, in order, each with its image.

    Raises:
      ValueError: an image cannot be read; the task is unknown or was not
        trained; texts are missing or too long.
    """
    self.check_task(task)
    prepared = [self.prepare(image, keep=True) for image in images]
    return self.predict_prepared(prepared, task, texts)

  def prepare(self, image: ImageLike, keep: bool = False) -> Prepared:
    """Reads an image and shrinks it to what the model sees.

    Args:
      image: path, uint8 array or Pillow image.
      keep: whether to keep the source image too.

    Raises:
      ValueError: the image cannot be read.
    """
    source = read_image(image)
    small, placement = self.tasks.fit(source)
    height, width = source.shape[:2]
    return Prepared(small, placement, width, height, source if keep else None)

  def predict_prepared(
    self,
    prepared: Sequence[Prepared],
    task: str,
    texts: Sequence[str] | None = None,
  ) -> list[Result]:
    """`predict` for images that `prepare` has read."""
    self.check_task(task)
    texts = self._texts(texts, task, len(prepared))
    return self.predict_requests(
      [
        self.request(image, task, text)
        for image, text in zip(prepared, texts, strict=True)
      ]
    )

  def request(self, prepared: Prepared, task: str, text: str = "") -> Request:
    """Checks what is asked of one image.

    Args:
      prepared: as `prepare` made it.
      task: a task that the model was trained for.
      text: what is written, for `derender_with_text`.

    Raises:
      ValueError: the task is unknown or was not trained; the text is too long.
    """
    self.check_task(task)
    return Request(prepared, task, text, self._inputs(task, text))

  def predict_requests(self, requests: Sequence[Request]) -> list[Result]:
    """Predicts images of any tasks, `batch_size` at a time."""
    answers = self.answer(
      [request.prepared.image for request in requests],
      [request.inputs for request in requests],
      [request.task for request in requests],
    )
    return [
      self._result(answer, request.prepared, request.task, request.text)
      for answer, request in zip(answers, requests, strict=True)
    ]

  def answer(
    self,
    images: Sequence[NDArray[np.uint8]],
    inputs: Sequence[Sequence[int] | NDArray[np.int32]],
    tasks: Sequence[str],
  ) -> list[Answer]:
    """Decodes model inputs.

    Args:
      images: uint8[height, width, 3] each, as `prepare` makes them.
      inputs: prompt ids of each, at most `prompt_length`.
      tasks: the task of each.

    Returns:
      One answer per image.
    """
    if self._arranged is None:
      self._arranged = row_kernels.arrange(self.params, self.weights)
    return self.decoder.answer(self._arranged, images, inputs, tasks)

  def score(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Teacher-forced clu metrics of a batch of model features."""
    return jax.device_get(self._score(self.params, dict(batch)))

  def check_task(self, task: str) -> None:
    """Raises a ValueError if the model was not trained for a task."""
    self.tasks.info(task)
    if task not in self.tasks.rates:
      raise ValueError(
        f"This model was not trained for {task!r}, only for "
        f"{', '.join(self.tasks.tasks)}."
      )

  def canvas_to_source(self, ink: Ink, prepared: Prepared) -> Ink:
    """Moves ink from the token canvas to pixels of the source image."""
    scale = max(self.tasks.image_shape) / self.tasks.canvas
    return prepared.placement.invert(ink.scaled(scale))

  def _texts(
    self, texts: Sequence[str] | None, task: str, count: int
  ) -> list[str]:
    wanted = self.tasks.info(task).text_in_prompt
    if not wanted:
      return [""] * count
    if texts is None or len(texts) != count:
      raise ValueError(
        f"{task!r} is told the text of each image: {count} texts are needed, "
        f"got {0 if texts is None else len(texts)}."
      )
    return list(texts)

  def _inputs(self, task: str, text: str) -> list[int]:
    ids = self.tasks.prompt(task, text)
    if len(ids) > self.tasks.prompt_length:
      raise ValueError(
        f"The text {text[:40]!r} makes a prompt of {len(ids)} tokens; this "
        f"model takes {self.tasks.prompt_length}."
      )
    return ids

  def _result(
    self, answer: Answer, prepared: Prepared, task: str, text: str
  ) -> Result:
    info = self.tasks.info(task)
    decoded = self.tasks.vocabulary.decode(answer.tokens)
    ink = self.canvas_to_source(decoded.ink, prepared)
    return Result(
      task=task,
      text=decoded.text if info.writes_text else text,
      ink=ink if info.writes_ink else Ink(),
      confidence=answer.confidence,
      tokens=answer.tokens,
      log_probs=answer.log_probs,
      truncated=not decoded.ended,
      empty=(info.writes_ink and not decoded.ink)
      or (info.writes_text and not decoded.text),
      width=prepared.width,
      height=prepared.height,
      image=prepared.source,
      character_confidences=self._characters(answer)
      if info.writes_text
      else (),
    )

  def _characters(self, answer: Answer) -> tuple[float, ...]:
    return self.tasks.vocabulary.character_confidences(
      answer.tokens, answer.log_probs.tolist()
    )


def load(
  model_dir: str | os.PathLike[str],
  step: int | str | None = None,
  batch_size: int = 32,
  constrained: bool = True,
  weights: str = "float32",
) -> Predictor:
  """Opens a model directory.

  gin holds one configuration per process: loading replaces it. From now on
  JAX keeps what it compiles on disk, see `compile_cache`.

  Args:
    model_dir: folder that training wrote.
    step: which checkpoint; the latest by default, or "best".
    batch_size: largest number of images decoded together.
    constrained: hold answers to the form that their task has; see `Predictor`.
    weights: "float32", "bfloat16" or "int8"; see `Predictor`.

  Raises:
    ValueError: the folder holds no (such) trained model; other `weights`.
  """
  # The checkpoint first: it tells a wrong folder quickest.
  folder = checkpoints.checkpoint_folder(os.fspath(model_dir), step)
  loaded = recipe.read(model_dir)
  if isinstance(loaded.model, HandwritingGAN):
    raise ValueError(
      f"{os.fspath(model_dir)} holds a HandwritingGAN, which writes words and "
      "reads none; use `generate`, or `evaluate` with --judge."
    )
  compile_cache.enable()
  params = jax.device_put(checkpoints.load_params(folder))
  kind = Predictor
  if isinstance(loaded.model, TokenLanguageModel):
    from inksight_jax.inference.token_predictor import TokenPredictor as kind
  return kind(
    loaded.model,
    params,
    loaded.tasks,
    step=int(os.path.basename(folder)),
    batch_size=batch_size,
    constrained=constrained,
    weights=weights,
  )
