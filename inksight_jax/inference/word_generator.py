"""A trained handwriting GAN: words in, pictures of them out, and its scores."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference import recipe
from inksight_jax.inference.held_out import Sample
from inksight_jax.inference.predictor import Predictor
from inksight_jax.metrics.generation import character_spread
from inksight_jax.metrics.summary import TextEvaluation
from inksight_jax.models.handwriting_gan import HandwritingGAN
from inksight_jax.pipeline.examples import Skip, text_ids
from inksight_jax.pipeline.task_set import TaskSet
from inksight_jax.text.codecs import EOS_ID
from inksight_jax.training import checkpoints

Image = NDArray[np.uint8]


class WordGenerator:
  """Writes words.

  Attributes:
    model: the model object.
    params: its parameters.
    tasks: vocabulary and sizes that it was trained with.
    step: training step of the parameters.
    batch_size: words written together.
  """

  def __init__(
    self,
    model: HandwritingGAN,
    params: Any,
    tasks: TaskSet,
    step: int = 0,
    batch_size: int = 32,
  ) -> None:
    """Binds a model to its parameters; compiles at the first word."""
    self.model = model
    self.params = params
    self.tasks = tasks
    self.step = step
    self.batch_size = batch_size
    self._generate = jax.jit(model.generate)

  @property
  def character_width(self) -> int:
    """Width of a character, pixels."""
    return self.model.module.config.character_width

  def draw_styles(self, count: int, seed: int) -> NDArray[np.float32]:
    """Random styles, float32[count, style]; the first n of a seed agree."""
    size = self.model.module.config.style_dim
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, size), np.float32)

  def generate(
    self, texts: Sequence[str], styles: NDArray[np.float32]
  ) -> list[Image]:
    """Pictures of words, each as wide as its characters.

    Args:
      texts: words of characters that the model knows.
      styles: float32[words, style], see `draw_styles`.

    Returns:
      uint8[height, width, 3] for each word.

    Raises:
      ValueError: a word is empty, too long or has unknown characters.
    """
    rows = np.stack([self._tokens(text) for text in texts])
    pictures = []
    for first in range(0, len(texts), self.batch_size):
      tokens, wanted = (
        part[first : first + self.batch_size] for part in (rows, styles)
      )
      missing = self.batch_size - len(tokens)
      made = self._generate(
        self.params,
        jnp.asarray(np.pad(tokens, ((0, missing), (0, 0)))),
        jnp.asarray(np.pad(wanted, ((0, missing), (0, 0)))),
      )
      grey = np.clip(np.rint((np.asarray(made) + 1.0) * 127.5), 0, 255)
      pictures += list(grey.astype(np.uint8)[: len(tokens)])
    return [
      np.repeat(picture[:, : len(text) * self.character_width], 3, axis=2)
      for picture, text in zip(pictures, texts, strict=True)
    ]

  def _tokens(self, text: str) -> NDArray[np.int32]:
    ids = text_ids(text, self.tasks)
    most = self.model.module.config.characters
    if isinstance(ids, Skip) or not 1 <= len(ids) <= most:
      raise ValueError(
        f"{text!r} cannot be written: this model knows words of 1 to {most} "
        "characters of its vocabulary."
      )
    row = np.zeros(most + 1, np.int32)
    row[: len(ids) + 1] = [*ids, EOS_ID]
    return row


def load(
  model_dir: str | os.PathLike[str],
  step: int | str | None = None,
  batch_size: int = 32,
) -> WordGenerator:
  """Opens a model directory; gin's configuration is replaced by its own.

  Raises:
    ValueError: the folder holds no (such) trained model, or another kind.
  """
  folder = checkpoints.checkpoint_folder(os.fspath(model_dir), step)
  loaded = recipe.read(model_dir)
  if not isinstance(loaded.model, HandwritingGAN):
    raise ValueError(
      f"{os.fspath(model_dir)} holds a {type(loaded.model).__name__}, which "
      "reads; words are written by a HandwritingGAN."
    )
  params = jax.device_put(checkpoints.load_params(folder))
  number = int(os.path.basename(folder))
  return WordGenerator(loaded.model, params, loaded.tasks, number, batch_size)


def evaluate(
  generator: WordGenerator,
  judge: Predictor,
  samples: Sequence[Sample],
  seed: int = 0,
) -> tuple[dict[str, float], list[Image]]:
  """Scores pictures of the samples' texts, one style each.

  Args:
    generator: the model.
    judge: a recogniser, trained on real pictures, that no gradient came from.
    samples: real pictures and their texts.
    seed: of styles and of the shuffled control.

  Returns:
    Numbers by metric, and the pictures. `judge_cer` of what was wanted,
    `judge_cer_shuffled` of other samples' texts, `judge_cer_real` of the real
    pictures; `style_std` and `style_std_real`, see `character_spread`.
  """
  texts = [sample.text for sample in samples]
  made = generator.generate(texts, generator.draw_styles(len(texts), seed))
  real = [sample.example.image for sample in samples]
  metrics: dict[str, float] = {}
  for name, pictures in (("", made), ("_real", real)):
    scores = _read(judge, pictures, texts, seed)
    metrics[f"judge_cer{name}"] = scores["cer"]
    metrics[f"judge_exact_match{name}"] = scores["exact_match"]
    if not name:
      metrics["judge_cer_shuffled"] = scores["cer_shuffled"]
    metrics[f"style_std{name}"] = character_spread(
      pictures, texts, generator.character_width
    )
  metrics["samples"] = len(samples)
  return metrics, made


def _read(
  judge: Predictor, pictures: Sequence[Image], texts: Sequence[str], seed: int
) -> Mapping[str, float]:
  (task,) = judge.tasks.tasks
  evaluation = TextEvaluation(seed)
  for text, result in zip(texts, judge.predict(pictures, task), strict=True):
    evaluation.add(text, result.text)
  return evaluation.result()
