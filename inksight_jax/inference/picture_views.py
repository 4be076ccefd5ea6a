"""Held-out pictures, each read in several views, and how often that is right.

The samples of a token language model are codes. Views are made of pixels: they
come from the first stage, which made these codes, and each is turned into codes
anew.
"""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from inksight_jax.inference import evaluation, held_out, reconstructions
from inksight_jax.inference.predictor import Predictor
from inksight_jax.inference.token_predictor import (
  ALIAS,
  TokenPredictor,
  set_views,
)
from inksight_jax.ink.types import Ink
from inksight_jax.metrics.summary import TextEvaluation
from inksight_jax.pipeline.token_tasks import orientation

# Of the name of the task.
SUFFIX = "_views"
_TASK = "reconstruct"


def evaluate(
  predictor: Predictor,
  tokenizer: str | os.PathLike[str],
  split: str,
  samples: int,
  views: int,
  seed: int = 0,
) -> dict[str, float]:
  """Scores what several views of held-out pictures are read as together.

  Args:
    predictor: a token language model with pictures first. It goes on to read as
      many views.
    tokenizer: model directory of the first stage, whose tasks have the
      pictures.
    split: of the data set that the first stage was trained on.
    samples: most pictures.
    views: of each; see `token_predictor.merge`.
    seed: which pictures, and the pairs of the shuffled control.

  Returns:
    Numbers by `<task>_views/<metric>`, those of a task that writes text, and
    `views`.

  Raises:
    ValueError: fewer than one view; a model of another kind; pictures without
      texts.
  """
  set_views(predictor, views)
  assert isinstance(predictor, TokenPredictor), "`set_views` has checked it."
  predictor.check_task(ALIAS)
  tasks = reconstructions.load(tokenizer).tasks
  found = held_out.held_out_samples(tasks, split, samples, seed)[_TASK]
  if not any(sample.text for sample in found):
    raise ValueError(
      f"{os.fspath(tokenizer)} keeps no texts beside its pictures: set "
      "`target_length` of picture_coding.PictureTasks in its config.gin."
    )
  results = predictor.predict([s.example.image for s in found], ALIAS)
  texts = TextEvaluation(seed)
  outcomes = []
  for sample, result in zip(found, results, strict=True):
    texts.add(sample.text, result.text)
    outcomes.append(
      evaluation.Outcome(
        dataclasses.replace(sample, task=result.task),
        result.text,
        Ink(),
        result.truncated,
        confidences=result.character_confidences,
        log_prob=float(np.log(max(result.confidence, np.finfo(float).tiny))),
      )
    )
  groups = [orientation(*sample.example.image.shape[:2]) for sample in found]
  scores = evaluation.text_scores(texts, outcomes, groups)
  task = predictor.tasks.tasks[0] + SUFFIX
  return {
    **{f"{task}/{name}": value for name, value in scores.items()},
    f"{task}/samples": len(found),
    "views": views,
  }
