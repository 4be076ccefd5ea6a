"""A trained token language model that reads pictures."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from inksight_jax.inference.decoder import Answer
from inksight_jax.inference.evaluation import Outcome
from inksight_jax.inference.predictor import Predictor
from inksight_jax.inference.requests import Prepared, Request
from inksight_jax.inference.results import Result
from inksight_jax.inference.tokenizer import Codes, Image, Tokenizer
from inksight_jax.models.token_language_model import TokenLanguageModel
from inksight_jax.pipeline.token_tasks import TokenTasks
from inksight_jax.rendering.letterbox import letterbox
from inksight_jax.rendering.views import make_views

# What the command line calls reading.
ALIAS = "recognize"
# Of the pictures of samples on a sheet, pixels.
SHOWN_SIDE = 160


class TokenPredictor(Predictor):
  """A `Predictor` whose pictures become codes before they are read.

  The confidence of a result is the product of the probabilities of its
  characters and of its end, among the symbols of texts.

  Attributes:
    views: pictures made of each one and read beside it; see `make_views`. The
      result is the text with the largest sum of confidences, and its confidence
      the mean over the views.
    tokenizer: pixels to codes and back.
  """

  model: TokenLanguageModel
  tasks: TokenTasks

  def __init__(self, *args: Any, views: int = 1, **kwargs: Any) -> None:
    """As `Predictor`; one view by default."""
    super().__init__(*args, **kwargs)
    self.views = views
    self.tokenizer = Tokenizer(self.model, self.batch_size)

  def check_task(self, task: str) -> None:
    """Raises a ValueError if the model was not trained for a task."""
    if task == ALIAS and self.tasks.picture_first:
      return
    super().check_task(task)

  def encode(self, pictures: Iterable[Image]) -> list[Codes]:
    """Codes of pictures of any size, each on the canvas that suits it."""
    canvases = [self.tasks.fit(picture)[0] for picture in pictures]
    return self.tokenizer.encode(self.params, canvases)

  def draw(self, codes: Sequence[Codes]) -> list[Image]:
    """Pictures of grids of codes."""
    return self.tokenizer.decode(self.params, codes)

  def request(self, prepared: Prepared, task: str, text: str = "") -> Request:
    """Tokenises one picture; see `Predictor.request`."""
    self.check_task(task)
    (codes,) = self.tokenizer.encode(self.params, [prepared.image])
    ids = self.tasks.vocabulary.encode_picture(codes)
    return Request(prepared, self._task(task), text, ids.tolist())

  def predict_prepared(
    self,
    prepared: Sequence[Prepared],
    task: str,
    texts: Sequence[str] | None = None,
  ) -> list[Result]:
    """`predict` for images that `prepare` has read."""
    if self.views == 1:
      return super().predict_prepared(prepared, self._task(task), texts)
    shown = [
      dataclasses.replace(image, image=view)
      for image in prepared
      for view in make_views(
        image.image, self.views, config=self.tasks.view_config
      )
    ]
    results = super().predict_prepared(shown, self._task(task))
    return [
      merge(results[first : first + self.views])
      for first in range(0, len(results), self.views)
    ]

  def _task(self, task: str) -> str:
    """The name in the table."""
    return self.tasks.tasks[0] if task == ALIAS else task

  def _result(
    self, answer: Answer, prepared: Prepared, task: str, text: str
  ) -> Result:
    result = super()._result(answer, prepared, task, text)
    sure = float(np.exp(answer.log_probs.sum())) if len(answer.tokens) else 0.0
    return dataclasses.replace(result, confidence=sure)


def merge(views: Sequence[Result]) -> Result:
  """One result of the readings of several views of a picture.

  Args:
    views: at least one result.

  Returns:
    The surest result of the text whose confidences add up to most, with the
    mean of these over all views as its own; `candidates` has every text.
  """
  sums: dict[str, float] = collections.defaultdict(float)
  for view in views:
    sums[view.text] += view.confidence / len(views)
  candidates = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
  text, sure = candidates[0]
  best = max(
    (view for view in views if view.text == text), key=lambda v: v.confidence
  )
  return dataclasses.replace(
    best, confidence=sure, candidates=tuple(candidates)
  )


def set_views(model: Predictor, views: int) -> None:
  """Sets how many views of each picture are read.

  Raises:
    ValueError: fewer than one, or a model of another kind.
  """
  if views < 1 or not isinstance(model, TokenPredictor):
    raise ValueError(
      f"{views} views of each picture: 1 or more, and only of a model of "
      "picture tokens."
    )
  model.views = views


def with_pictures(
  model: Predictor, outcomes: Mapping[str, Sequence[Outcome]]
) -> dict[str, list[Outcome]]:
  """Outcomes whose samples show what their codes look like.

  Args:
    model: one that knows no pixels gives the outcomes back as they are.
    outcomes: by task.
  """
  if not isinstance(model, TokenPredictor) or not model.tokenizer.exists:
    return {task: list(found) for task, found in outcomes.items()}
  shown: dict[str, list[Outcome]] = {}
  for task, found in outcomes.items():
    grids = [model.tasks.grid(outcome.sample.example) for outcome in found]
    pictures = [
      letterbox(picture, (SHOWN_SIDE, SHOWN_SIDE), "black", "center")[0]
      for picture in model.draw(grids)
    ]
    shown[task] = [
      dataclasses.replace(
        outcome,
        sample=dataclasses.replace(
          outcome.sample,
          example=dataclasses.replace(outcome.sample.example, image=picture),
        ),
      )
      for outcome, picture in zip(found, pictures, strict=True)
    ]
  return shown
