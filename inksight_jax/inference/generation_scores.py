"""Scores of generated words: legible, varied, like real ones, no copies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.feature_space import FeatureSpace
from inksight_jax.inference.held_out import Sample
from inksight_jax.inference.predictor import Predictor
from inksight_jax.inference.word_generator import WordGenerator
from inksight_jax.metrics import generation
from inksight_jax.metrics.summary import TextEvaluation

Image = NDArray[np.uint8]


def evaluate(
  generator: WordGenerator,
  judge: Predictor,
  samples: Sequence[Sample],
  seed: int = 0,
  training: Sequence[Sample] = (),
  space: FeatureSpace | None = None,
) -> tuple[dict[str, float], list[Image]]:
  """Scores pictures of the samples' texts, one style each.

  Args:
    generator: the model.
    judge: a recogniser, trained on real pictures, that no gradient came from.
    samples: real pictures and their texts.
    seed: of styles, of the shuffled control and of KID's subsets.
    training: real pictures that the model learned from.
    space: what FID and KID are taken in; none of them without it.

  Returns:
    Numbers by metric, and the pictures. `judge_cer` of what was wanted,
    `judge_cer_shuffled` of other samples' texts, `judge_cer_real` of the real
    pictures; `style_std` and `style_std_real`, see `character_spread`; `fid`
    and `kid` from the samples, and beside them those of the training pictures,
    `fid_real` and `kid_real`: what a perfect generator would get; see also
    `memorisation`.
  """
  texts = [sample.text for sample in samples]
  made = generator.generate(texts, generator.draw_styles(len(texts), seed))
  width = generator.character_width
  real = cropped(samples, width)
  metrics: dict[str, float] = {}
  for name, pictures in (("", made), ("_real", real)):
    scores = _read(judge, pictures, texts, seed)
    metrics[f"judge_cer{name}"] = scores["cer"]
    metrics[f"judge_exact_match{name}"] = scores["exact_match"]
    if not name:
      metrics["judge_cer_shuffled"] = scores["cer_shuffled"]
    metrics[f"style_std{name}"] = generation.character_spread(
      pictures, texts, width
    )
  known = cropped(training, width)
  if space is not None:
    truth = space.features(real)
    for name, pictures in (("", made), ("_real", known[: len(real)])):
      if len(pictures) < 2:
        continue
      found = space.features(pictures)
      metrics[f"fid{name}"] = generation.frechet_distance(truth, found)
      metrics[f"kid{name}"] = generation.kernel_distance(
        truth, found, seed=seed
      )
  if known:
    labels = [sample.text for sample in training]
    metrics |= generation.memorisation(
      made, texts, real, texts, known, labels, width
    )
  metrics["samples"] = len(samples)
  return metrics, made


def cropped(samples: Sequence[Sample], character_width: int) -> list[Image]:
  """The pictures of samples, without what follows the word."""
  return [
    sample.example.image[:, : len(sample.text) * character_width]
    for sample in samples
  ]


def set_up(
  samples: Sequence[Sample], training: Sequence[Sample], space: FeatureSpace
) -> dict[str, Any]:
  """What numbers of two runs must share to be comparable.

  Args:
    samples, training, space: as given to `evaluate`.
  """
  words = "\n".join(sample.text for sample in samples)
  return {
    "words": len(samples),
    "words_sha256": hashlib.sha256(words.encode()).hexdigest()[:16],
    "training_pictures": len(training),
    "crops": "whole words, as wide as their characters, fitted to the judge's "
    "frame as it fits any picture",
    "features": space.name,
    "kid": "50 subsets of 200",
    "near_copies": "closest 5 % of held-out characters",
  }


def _read(
  judge: Predictor, pictures: Sequence[Image], texts: Sequence[str], seed: int
) -> Mapping[str, float]:
  (task,) = judge.tasks.tasks
  evaluation = TextEvaluation(seed)
  for text, result in zip(texts, judge.predict(pictures, task), strict=True):
    evaluation.add(text, result.text)
  return evaluation.result()
