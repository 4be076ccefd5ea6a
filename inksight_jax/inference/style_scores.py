"""Few-shot style: is what imitates a hand nearer to it than to others?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
) -> dict[str, float]:
  """Scores words written in the styles of some writers.

  All styles write the same words, drawn from those of all writers: what a
  writer happened to write brings nobody nearer. Of each writer the mean over
  the features of words is compared (as HWD does, Pippi et al. 2023).

  Args:
    generator: a model with a style encoder.
    writers: words of each, of which it saw none in training.
    space: what distances are taken in.
    examples: words of a writer that the style is taken from; compared are the
      others.
    seed: of the words that are written.

  Returns:
    The numbers of `generation.own_nearer` as `style_<name>`; beside them
    `style_nearer_real` and `style_nearest_real`, those of the examples
    themselves, and `style_nearer_shuffled` and `style_nearest_shuffled`, of
    words in the style of somebody else; `style_writers`, how many there are.

  Raises:
    ValueError: fewer than two writers, one has no more than `examples` words,
      or the model has no style encoder.
  """
  if any(len(own) <= examples for own in writers):
    raise ValueError(
      f"Of each writer more than {examples} words are needed; got "
      f"{[len(own) for own in writers]}."
    )
  shown = [own[:examples] for own in writers]
  hidden = [own[examples:] for own in writers]
  width = generator.character_width
  pool = sorted({sample.text for own in hidden for sample in own})
  order = np.random.default_rng(seed).permutation(len(pool))[:_WORDS]
  texts = [pool[index] for index in order.tolist()]
  styles = [
    generator.imitate(cropped(own, width), [sample.text for sample in own])
    for own in shown
  ]
  made = generator.generate(
    texts * len(styles), np.repeat(np.stack(styles), len(texts), axis=0)
  )
  found = space.features(made).reshape(len(styles), len(texts), -1).mean(axis=1)
  real, known = (
    np.stack([space.features(cropped(own, width)).mean(axis=0) for own in part])
    for part in (hidden, shown)
  )
  scores = generation.own_nearer(found, real)
  metrics = {f"style_{name}": value for name, value in scores.items()}
  for name, vectors in (
    ("real", known),
    ("shuffled", np.roll(found, 1, axis=0)),
  ):
    scores = generation.own_nearer(vectors, real)
    for kind in ("nearer", "nearest"):
      metrics[f"style_{kind}_{name}"] = scores[kind]
  metrics["style_writers"] = len(writers)
  return metrics
