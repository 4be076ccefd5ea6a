"""Scans of unknown resolution: the scale at which the reader is surest."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from inksight_jax.inference.predictor import Predictor
from inksight_jax.inference.requests import Prepared
from inksight_jax.inference.results import Result
from inksight_jax.rendering.images import ImageLike, read_image


def prepare_at(
  predictor: Predictor, image: ImageLike, scale: float
) -> Prepared:
  """`Predictor.prepare`, the greatest scale being another one.

  Args:
    predictor: of tasks that have a `scale`.
    image: path, uint8 array or Pillow image.
    scale: pixels of the frame per pixel of the image.

  Raises:
    ValueError: the image cannot be read, or the model was trained on pictures
      of all scales.
  """
  if not hasattr(predictor.tasks, "scale"):
    raise ValueError(
      "This model fits every picture to its frame; only a reader of pages "
      "(docs/fphtr.md) has a scale to search for."
    )
  tasks = dataclasses.replace(predictor.tasks, scale=scale)  # pyright: ignore[reportCallIssue]
  source = read_image(image)
  small, placement = tasks.fit(source)
  return Prepared(small, placement, source.shape[1], source.shape[0], source)


def predict_at_best_scale(
  predictor: Predictor,
  images: Sequence[ImageLike],
  task: str,
  scales: Sequence[float],
) -> list[Result]:
  """Reads each image at each scale and keeps the answer of least perplexity.

  Args:
    predictor: the model.
    images: paths, uint8 arrays or Pillow images.
    task: a task that the model was trained for.
    scales: to be tried; of equal answers the first is kept.

  Returns:
    One result per image, in order.

  Raises:
    ValueError: there is no scale, or see `prepare_at`.
  """
  if not scales or min(scales) <= 0:
    raise ValueError(f"Scales must be positive numbers; got {list(scales)}.")
  tried = [
    predictor.predict_prepared(
      [prepare_at(predictor, image, scale) for image in images], task
    )
    for scale in scales
  ]
  # The confidence is the inverse of the perplexity.
  return [
    max(answers, key=lambda result: result.confidence)
    for answers in zip(*tried, strict=True)
  ]
