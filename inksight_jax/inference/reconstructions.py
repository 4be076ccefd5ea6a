"""A trained VQ-VAE: pictures to codes and back, and how good it is."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference import held_out, recipe
from inksight_jax.inference.held_out import Sample
from inksight_jax.inference.predictor import Predictor
from inksight_jax.metrics.summary import TextEvaluation
from inksight_jax.models.vqvae import VQVAE
from inksight_jax.pipeline.examples import clear_row, empty_batch, write_row
from inksight_jax.pipeline.picture_coding import TASK, PictureTasks
from inksight_jax.rendering.sheet import tile
from inksight_jax.training import checkpoints, hooks

Image = NDArray[np.uint8]
Codes = NDArray[np.int32]
# Pictures side by side on a sheet, each above what its codes give back.
PER_ROW = 6
# Shorter side of a picture on a sheet, pixels.
CELL = 48


@dataclasses.dataclass(eq=False)
class PictureCoder:
  """Turns pictures into codes and back; a program for each shape of canvas.

  Attributes:
    model: the model object.
    params: its parameters.
    tasks: canvases that it was trained with.
    step: training step of the parameters.
    batch_size: canvases coded together.
  """

  model: VQVAE
  params: Any
  tasks: PictureTasks
  step: int = 0
  batch_size: int = 32

  def __post_init__(self) -> None:
    self._encode = jax.jit(self.model.encode_pictures)
    self._decode = jax.jit(self.model.decode_codes)
    self._score = jax.jit(lambda params, b: self.model.eval_fn(params, b)[1])

  def encode(self, canvases: Sequence[Image]) -> list[Codes]:
    """Codes int32[rows, columns] of canvases uint8[height, width, 3]."""
    return self._by_shape(self._encode, canvases)

  def decode(self, codes: Sequence[Codes]) -> list[Image]:
    """Canvases uint8[height, width, 3] of codes int32[rows, columns]."""
    return self._by_shape(self._decode, codes)

  def encode_picture(self, image: Image) -> Codes:
    """Codes of a picture of any size, on the canvas that suits it.

    Raises:
      ValueError: it is too thin for any canvas.
    """
    return self.encode([self.tasks.fit(image)[0]])[0]

  def score(self, samples: Sequence[Sample]) -> dict[str, float]:
    """The model's metrics over samples: see `models.vqvae.VQVAE`."""
    found = []
    for rows in by_shape([s.example.image for s in samples], self.batch_size):
      shape = samples[rows[0]].example.image.shape
      batch = empty_batch(self.tasks, self.batch_size, (shape[0], shape[1]))
      for place in range(self.batch_size):
        if place < len(rows):
          write_row(batch, place, samples[rows[place]].example, self.tasks)
        else:
          clear_row(batch, place)
      found.append(jax.device_get(self._score(self.params, batch)))
    return hooks.merged(found)

  def _by_shape(
    self, function: Callable[..., Any], items: Sequence[NDArray[Any]]
  ) -> list[Any]:
    results: dict[int, Any] = {}
    for rows in by_shape(items, self.batch_size):
      # The last one again, so that every batch has one size.
      filled = [*rows, *[rows[-1]] * (self.batch_size - len(rows))]
      made = function(self.params, np.stack([items[row] for row in filled]))
      results |= dict(zip(rows, np.asarray(made), strict=False))
    return [results[index] for index in range(len(items))]


def by_shape(items: Sequence[NDArray[Any]], batch_size: int) -> list[list[int]]:
  """Indices of arrays, in batches of one shape each."""
  groups: dict[tuple[int, ...], list[int]] = collections.defaultdict(list)
  for index, item in enumerate(items):
    groups[item.shape].append(index)
  return [
    rows[first : first + batch_size]
    for rows in groups.values()
    for first in range(0, len(rows), batch_size)
  ]


def load(
  model_dir: str | os.PathLike[str],
  step: int | str | None = None,
  batch_size: int = 32,
) -> PictureCoder:
  """Opens a model directory; gin's configuration is replaced by its own.

  Raises:
    ValueError: the folder holds no (such) trained model, or another kind.
  """
  folder = checkpoints.checkpoint_folder(os.fspath(model_dir), step)
  loaded = recipe.read(model_dir)
  model, tasks = loaded.model, loaded.tasks
  if not isinstance(model, VQVAE) or not isinstance(tasks, PictureTasks):
    raise ValueError(
      f"{os.fspath(model_dir)} holds a {type(model).__name__}; pictures are "
      "turned into codes by a VQVAE (gin/recipes/inverse_dalle_*.gin)."
    )
  params = jax.device_put(checkpoints.load_params(folder))
  number = int(os.path.basename(folder))
  return PictureCoder(model, params, tasks, number, batch_size)


def evaluate(
  coder: PictureCoder,
  samples: Sequence[Sample],
  judge: Predictor | None = None,
  seed: int = 0,
) -> tuple[dict[str, float], list[Image]]:
  """Scores what codes give back of held-out pictures.

  Args:
    coder: the model.
    samples: pictures, and their texts for a judge.
    judge: a recogniser of such pictures; reads those that are wider than high.
    seed: of the control with other samples' texts.

  Returns:
    Numbers by metric, and the pictures made. With a judge also `judge_cer` of
    the pictures made, `judge_cer_real` of the originals and the shares of texts
    that are right, `judge_exact_match` and `judge_exact_match_real`.
  """
  metrics = coder.score(samples)
  originals = [sample.example.image for sample in samples]
  made = coder.decode(coder.encode(originals))
  if judge is not None:
    task = _reading_task(judge)
    read = [i for i, o in enumerate(originals) if o.shape[1] > o.shape[0]]
    for name, pictures in (("", made), ("_real", originals)):
      scores = TextEvaluation(seed)
      shown = [_cut(pictures[i], samples[i], coder.tasks.patch) for i in read]
      for index, result in zip(read, judge.predict(shown, task), strict=True):
        scores.add(samples[index].text, result.text)
      found = scores.result()
      metrics[f"judge_cer{name}"] = found["cer"]
      metrics[f"judge_exact_match{name}"] = found["exact_match"]
    metrics["judge_samples"] = len(read)
  metrics["samples"] = len(samples)
  return metrics, made


def draw_sheet(originals: Sequence[Image], made: Sequence[Image]) -> Image:
  """Originals, and below each what its codes give back."""
  rows: list[list[Image]] = []
  for first in range(0, len(originals), PER_ROW):
    part = slice(first, first + PER_ROW)
    rows += [list(originals[part]), list(made[part])]
  return tile(rows, min_side=CELL)


class ReconstructionPicture:
  """The picture of a training run: the same held-out pictures each time.

  Attributes:
    tasks: the tasks.
    split: where the pictures come from.
    count: pictures.
    seed: which ones.
  """

  def __init__(
    self,
    tasks: PictureTasks,
    split: str = "validation",
    count: int = 12,
    seed: int = 0,
  ) -> None:
    """Remembers what to draw; pictures are read at the first call."""
    self.tasks = tasks
    self.split = split
    self.count = count
    self.seed = seed
    self._samples: list[Sample] | None = None
    self._coder: PictureCoder | None = None

  def __call__(self, model: VQVAE, params: Any, step: int) -> Image:
    """Codes the pictures and draws them.

    Args:
      model: the model object.
      params: its parameters now.
      step: training step.

    Returns:
      uint8[height, width, 3].
    """
    del step
    if self._samples is None:
      self._samples = held_out.held_out_samples(
        self.tasks, self.split, self.count, self.seed
      )[TASK]
    if self._coder is None or self._coder.model is not model:
      self._coder = PictureCoder(model, params, self.tasks, batch_size=4)
    self._coder.params = params
    originals = [sample.example.image for sample in self._samples]
    made = self._coder.decode(self._coder.encode(originals))
    # The trainer donates its parameters to the next step.
    self._coder.params = None
    return draw_sheet(originals, made)


def _reading_task(judge: Predictor) -> str:
  """The task by which a recogniser reads pictures, told nothing."""
  for task in judge.tasks.tasks:
    info = judge.tasks.info(task)
    if info.writes_text and not info.writes_ink and not info.text_in_prompt:
      return task
  raise ValueError(
    f"The judge knows {', '.join(judge.tasks.tasks)}, none of which reads text."
  )


def _cut(image: Image, sample: Sample, patch: int) -> Image:
  """The cells of a canvas that its picture covers."""
  rows, columns = sample.example.inputs.tolist()
  return np.ascontiguousarray(image[: rows * patch, : columns * patch])
