"""A trained handwriting GAN: words in, pictures of them out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference import recipe
from inksight_jax.models.handwriting_gan import HandwritingGAN
from inksight_jax.networks.word_gan import to_grey
from inksight_jax.pipeline.examples import Skip, text_ids
from inksight_jax.pipeline.task_set import TaskSet
from inksight_jax.rendering.images import ImageLike, read_image
from inksight_jax.rendering.words import spread_picture
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

  @property
  def dark_paper(self) -> bool:
    """Whether the words are light on dark."""
    return self.model.module.config.paper < 0

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

  def imitate(
    self, pictures: Sequence[ImageLike], texts: Sequence[str] = ()
  ) -> NDArray[np.float32]:
    """The style of one hand, seen in a few pictures of its words.

    Args:
      pictures: paths, uint8 arrays or Pillow images of single words; their
        paper like that of the training pictures.
      texts: what they say, if known: each character then gets the width that
        it had in training.

    Returns:
      float32[style].

    Raises:
      ValueError: there is no picture, one cannot be read, or the model was
        trained without a style encoder.
    """
    if not pictures:
      raise ValueError("A style needs at least one picture of a word.")
    images = [read_image(picture) for picture in pictures]
    if texts and not self.dark_paper:
      config = self.model.module.config
      size = config.height, config.characters * config.character_width
      widths = [len(text) * self.character_width for text in texts]
      frames = [
        spread_picture(image, size, min(width, size[1]))
        for image, width in zip(images, widths, strict=True)
      ]
    else:
      frames = [self.tasks.fit(image)[0] for image in images]
    grey = to_grey(jnp.asarray(np.stack(frames)))
    return np.asarray(self.model.encode_style(self.params, grey), np.float32)

  def check(self, texts: Iterable[str]) -> None:
    """Raises a ValueError unless each word can be written."""
    for text in texts:
      self._tokens(text)

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


def styles_between(
  one: NDArray[np.float32], other: NDArray[np.float32], count: int
) -> NDArray[np.float32]:
  """Styles from one to another along the great circle.

  Of normally distributed styles hardly any is short; a straight line would
  pass through those that are.

  Args:
    one, other: float32[style].
    count: styles, both ends included; at least 2.

  Returns:
    float32[count, style].

  Raises:
    ValueError: `count` is too small.
  """
  if count < 2:
    raise ValueError(f"From one style to another are 2 or more, not {count}.")
  lengths = np.linalg.norm(one), np.linalg.norm(other)
  cosine = float(one @ other / max(float(lengths[0] * lengths[1]), 1e-12))
  angle = float(np.arccos(np.clip(cosine, -1.0, 1.0)))
  shares = np.linspace(0.0, 1.0, count, dtype=np.float32)[:, None]
  if np.sin(angle) < 1e-4:
    return np.asarray((1.0 - shares) * one + shares * other, np.float32)
  mixed = np.sin((1.0 - shares) * angle) * one + np.sin(shares * angle) * other
  return np.asarray(mixed / np.sin(angle), np.float32)


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
