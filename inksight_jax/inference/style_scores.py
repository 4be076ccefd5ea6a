"""Few-shot style: is what imitates a hand nearer to it than to others?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.feature_space import FeatureSpace
from inksight_jax.inference.generation_scores import cropped
from inksight_jax.inference.held_out import Sample
from inksight_jax.inference.word_generator import WordGenerator
from inksight_jax.metrics import generation

# Words that are written in each style.
_WORDS = 32


def by_writer(
  samples: Sequence[Sample], least: int, most: int
) -> list[list[Sample]]:
  """The samples of each writer who has enough of them.

  Args:
    samples: of many writers; those of no known writer are left out.
    least: samples that a writer must have.
    most: samples kept of each.
  """
  writers: dict[str, list[Sample]] = {}
  for sample in samples:
    if sample.writer:
      writers.setdefault(sample.writer, []).append(sample)
  return [own[:most] for own in writers.values() if len(own) >= least]


def imitation(
  generator: WordGenerator,
  writers: Sequence[Sequence[Sample]],
  space: FeatureSpace,
  examples: int = 5,
  seed: int = 0,
  draws: int = 4,
) -> dict[str, float]:
  """Scores words written in the styles of some writers.

  All styles write the same words, drawn from those of all writers: what a
  writer happened to write brings nobody nearer. Of each writer the mean over
  the features of words is compared (as HWD does, Pippi et al. 2023). That is
  done several times, with other examples and other words, and averaged: writers
  are few, and which words one happens to see decides more than one would like.

  Args:
    generator: a model with a style encoder.
    writers: words of each, of which it saw none in training.
    space: what distances are taken in.
    examples: words of a writer that the style is taken from; compared are the
      others.
    seed: of examples and of the words that are written.
    draws: how many times.

  Returns:
    The numbers of `generation.own_nearer` as `style_<name>`; beside them
    `style_nearer_real` and `style_nearest_real`, those of the examples
    themselves, and `style_nearer_shuffled` and `style_nearest_shuffled`, of
    words in the style of somebody else, in each draw another one;
    `style_writers`, how many there are.

  Raises:
    ValueError: fewer than two writers, one has no more than `examples` words,
      or the model has no style encoder.
  """
  if any(len(own) <= examples for own in writers):
    raise ValueError(
      f"Of each writer more than {examples} words are needed; got "
      f"{[len(own) for own in writers]}."
    )
  width = generator.character_width
  features = [space.features(cropped(own, width)) for own in writers]
  rng = np.random.default_rng(seed)
  found = []
  for draw in range(draws):
    orders = [rng.permutation(len(own)) for own in writers]
    shown = [order[:examples] for order in orders]
    hidden = [order[examples:] for order in orders]
    made = _written(generator, writers, shown, hidden, space, rng)
    known, real = _means(features, shown), _means(features, hidden)
    scores = generation.own_nearer(made, real)
    metrics = {f"style_{name}": value for name, value in scores.items()}
    # Not by 0, nor by all of them: that would be the own style again.
    away = 1 + draw % max(1, len(writers) - 1)
    for name, vectors in (
      ("real", known),
      ("shuffled", np.roll(made, away, axis=0)),
    ):
      scores = generation.own_nearer(vectors, real)
      for kind in ("nearer", "nearest"):
        metrics[f"style_{kind}_{name}"] = scores[kind]
    found.append(metrics)
  average = {
    name: float(np.mean([metrics[name] for metrics in found]))
    for name in found[0]
  }
  return average | {"style_writers": len(writers)}


def _means(
  features: Sequence[NDArray[Any]], rows: Sequence[NDArray[np.int64]]
) -> NDArray[Any]:
  """Mean over some of the words of each writer, float[writers, features]."""
  return np.stack(
    [own[part].mean(axis=0) for own, part in zip(features, rows, strict=True)]
  )


def _written(
  generator: WordGenerator,
  writers: Sequence[Sequence[Sample]],
  shown: Sequence[NDArray[np.int64]],
  hidden: Sequence[NDArray[np.int64]],
  space: FeatureSpace,
  rng: np.random.Generator,
) -> NDArray[Any]:
  """Mean features of the same words in the style of each writer's examples."""
  pool = sorted(
    {
      own[index].text
      for own, part in zip(writers, hidden, strict=True)
      for index in part.tolist()
    }
  )
  texts = [pool[i] for i in rng.permutation(len(pool))[:_WORDS].tolist()]
  styles = []
  for own, part in zip(writers, shown, strict=True):
    seen = [own[index] for index in part.tolist()]
    pictures = cropped(seen, generator.character_width)
    styles.append(generator.imitate(pictures, [s.text for s in seen]))
  made = generator.generate(
    texts * len(styles), np.repeat(np.stack(styles), len(texts), axis=0)
  )
  return space.features(made).reshape(len(styles), len(texts), -1).mean(axis=1)
