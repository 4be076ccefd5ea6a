"""How varied generated handwriting is, how like real, and how new."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Vectors = NDArray[np.floating[Any]]

# Distances are taken this many rows at a time.
_ROWS = 256


def character_spread(
  pictures: Sequence[Image], texts: Sequence[str], character_width: int
) -> float:
  """How much pictures of the same character differ: 0 for one style alone.

  Args:
    pictures: uint8[height, width, 3] of words whose characters are equally
      wide.
    texts: what they say.
    character_width: pixels.

  Returns:
    Standard deviation over all pictures of a character, averaged over its
    pixels and over the characters that occur at least twice; 1 is the whole
    range from black to white.

  Raises:
    ValueError: no character occurs twice.
  """
  cells = character_cells(pictures, texts, character_width)
  spreads = [
    float(np.std(pieces, axis=0).mean())
    for pieces in cells.values()
    if len(pieces) > 1
  ]
  if not spreads:
    raise ValueError("No character occurs twice; score more words.")
  return float(np.mean(spreads))


def character_cells(
  pictures: Sequence[Image], texts: Sequence[str], character_width: int
) -> dict[str, NDArray[np.float64]]:
  """The pictures of each character, cut out of words.

  Args:
    pictures, texts, character_width: as of `character_spread`.

  Returns:
    By character, float64[number, pixels], 0 black to 1 white.
  """
  shapes: dict[str, list[NDArray[np.float64]]] = collections.defaultdict(list)
  for picture, text in zip(pictures, texts, strict=True):
    for place, character in enumerate(text):
      left = place * character_width
      piece = picture[:, left : left + character_width].mean(axis=2) / 255.0
      shapes[character].append(piece.ravel())
  return {character: np.stack(pieces) for character, pieces in shapes.items()}


def frechet_distance(real: Vectors, made: Vectors) -> float:
  """Distance of the Gaussians of two sets of features (FID's formula).

  Heusel et al. (2017), arXiv 1706.08500, equation 6. It depends on the
  features and, below some thousand samples, on their number: only values of
  one set-up compare.

  Args:
    real, made: float[samples, features] of at least two samples each.

  Returns:
    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

  Raises:
    ValueError: too few samples, or other features.
  """
  _check(real, made)
  one, other = (np.asarray(part, np.float64) for part in (real, made))
  means = one.mean(axis=0) - other.mean(axis=0)
  first = np.atleast_2d(np.cov(one, rowvar=False))
  second = np.atleast_2d(np.cov(other, rowvar=False))
  # The eigenvalues of C1 C2 are those of the symmetric C1^(1/2) C2 C1^(1/2).
  values, vectors = np.linalg.eigh(first)
  root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
  product = np.linalg.eigvalsh(root @ second @ root)
  shared = np.sqrt(np.clip(product, 0.0, None)).sum()
  return float(means @ means + np.trace(first) + np.trace(second) - 2 * shared)


def kernel_distance(
  real: Vectors,
  made: Vectors,
  subsets: int = 50,
  size: int = 200,
  seed: int = 0,
) -> float:
  """Squared maximum mean discrepancy of two sets of features (KID).

  Binkowski et al. (2018), arXiv 1801.01401: the unbiased estimate with the
  kernel (x.y / d + 1)^3, averaged over random subsets. Around 0, also below,
  for sets of one kind.

  Args:
    real, made: float[samples, features] of at least two samples each.
    subsets: how many are averaged.
    size: samples of each, fewer where there are fewer.
    seed: of the subsets.

  Raises:
    ValueError: too few samples, or other features.
  """
  _check(real, made)
  size = min(size, len(real), len(made))
  rng = np.random.default_rng(seed)
  values = []
  for _ in range(subsets):
    one, other = (
      np.asarray(part[rng.permutation(len(part))[:size]], np.float64)
      for part in (real, made)
    )
    within = sum(
      (kernel.sum() - np.trace(kernel)) / (size * (size - 1))
      for kernel in (_kernel(one, one), _kernel(other, other))
    )
    values.append(within - 2.0 * _kernel(one, other).mean())
  return float(np.mean(values))


def nearest_distances(queries: Vectors, known: Vectors) -> NDArray[np.float64]:
  """Euclidean distance of each query to the nearest of the known vectors.

  Args:
    queries: float[queries, features].
    known: float[known, features], at least one.

  Returns:
    float64[queries].
  """
  squares = np.sum(np.square(known), axis=1)
  parts = []
  for first in range(0, len(queries), _ROWS):
    rows = queries[first : first + _ROWS]
    distances = (
      np.sum(np.square(rows), axis=1)[:, None]
      + squares[None, :]
      - 2.0 * rows @ known.T
    )
    parts.append(np.sqrt(np.clip(distances.min(axis=1), 0.0, None)))
  return np.concatenate([np.zeros(0), *parts])


def own_nearer(made: Vectors, real: Vectors) -> dict[str, float]:
  """Whether imitations are like the hand that they imitate.

  Args:
    made: float[writers, features], what was written in the style of each.
    real: float[writers, features], other writing of the same people.

  Returns:
    `nearer`: share of writers to whose own writing their imitation is closer
    than to that of the others on average; a half or so by chance. `nearest`:
    share for whom no other's writing is as close; 1 / writers by chance.
    `distance` and `distance_others`, Euclidean, averaged over the writers.

  Raises:
    ValueError: fewer than two writers, or other features.
  """
  _check(real, made)
  if len(real) != len(made):
    raise ValueError(f"Of {len(real)} writers {len(made)} were imitated.")
  distances = np.linalg.norm(made[:, None] - real[None, :], axis=-1)
  own = np.diag(distances)
  others = (distances.sum(axis=1) - own) / (len(own) - 1)
  beside = distances + np.diag(np.full(len(own), np.inf))
  return {
    "nearer": float(np.mean(own < others)),
    "nearest": float(np.mean(own < beside.min(axis=1))),
    "distance": float(own.mean()),
    "distance_others": float(others.mean()),
  }


def memorisation(
  made: Sequence[Image],
  made_texts: Sequence[str],
  held_out: Sequence[Image],
  held_out_texts: Sequence[str],
  training: Sequence[Image],
  training_texts: Sequence[str],
  character_width: int,
  quantile: float = 0.05,
) -> dict[str, float]:
  """Whether characters are copies of training pictures.

  Each character is compared with all of its kind in the training pictures, as
  grey pixels; held-out writing, which nobody can have copied, beside it.

  Args:
    made, made_texts: generated words.
    held_out, held_out_texts: real words that were not trained on.
    training, training_texts: real words that were.
    character_width: pixels.
    quantile: share of held-out characters that counts as close.

  Returns:
    `nearest_train`, `nearest_train_real`: median distance, root mean square
    of grey, of generated and of held-out characters to the nearest; and
    `near_copies`: share of generated characters closer than all but `quantile`
    of the held-out ones; around `quantile` where nothing is copied.

  Raises:
    ValueError: no character of the training pictures occurs in both others.
  """
  known = character_cells(training, training_texts, character_width)
  sets = []
  for pictures, texts in ((made, made_texts), (held_out, held_out_texts)):
    sets.append(character_cells(pictures, texts, character_width))
  shared = [c for c in known if all(c in cells for cells in sets)]
  if not shared:
    raise ValueError("No character of the training pictures is in the others.")
  found = []
  for cells in sets:
    distances = [
      nearest_distances(cells[c], known[c]) / np.sqrt(known[c].shape[1])
      for c in shared
    ]
    found.append(np.concatenate(distances))
  close = np.quantile(found[1], quantile)
  return {
    "nearest_train": float(np.median(found[0])),
    "nearest_train_real": float(np.median(found[1])),
    "near_copies": float(np.mean(found[0] < close)),
  }


def _kernel(one: Vectors, other: Vectors) -> Vectors:
  return (one @ other.T / one.shape[1] + 1.0) ** 3


def _check(*sets: Vectors) -> None:
  shapes = [part.shape for part in sets]
  if (
    any(len(s) != 2 or s[0] < 2 for s in shapes)
    or len({s[-1] for s in shapes}) != 1
  ):
    raise ValueError(
      "Sets of features are float[samples, features] with at least two samples "
      f"and equally many features; got {shapes}."
    )
