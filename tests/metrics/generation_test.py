"""How varied generated handwriting is, how like real, and how new."""

import numpy as np
import pytest
import scipy.linalg

from inksight_jax.metrics.generation import (
  character_spread,
  frechet_distance,
  kernel_distance,
  memorisation,
  nearest_distances,
  own_nearer,
)


def word(*greys: int) -> np.ndarray:
  """Plain cells of 4 x 2 pixels side by side."""
  cells = [np.full((4, 2, 3), grey, np.uint8) for grey in greys]
  return np.concatenate(cells, axis=1)


def test_spread_is_that_of_each_character():
  pictures = [word(0, 100), word(100, 255), word(0)]
  # "a" is 0, 255 and 0; "b" 100 twice, wherever it stands.
  spread = character_spread(pictures, ["ab", "ba", "a"], 2)
  assert spread == pytest.approx(np.std([0, 1, 0]) / 2)


def test_one_style_has_no_spread():
  assert character_spread([word(7, 200)] * 3, ["ab"] * 3, 2) == 0.0
  with pytest.raises(ValueError, match="No character occurs twice"):
    character_spread([word(7, 200)], ["ab"], 2)


def test_frechet_distance_of_gaussians_made_by_hand():
  """Whitened samples: means and covariances are exactly those given."""
  rng = np.random.default_rng(0)
  raw = rng.normal(size=(400, 3))
  raw -= raw.mean(axis=0)
  white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T)).T)
  one = white * [1.0, 2.0, 3.0]
  other = white * [2.0, 2.0, 1.0] + [3.0, 0.0, 4.0]
  # Diagonal covariances: the sum of (s1 - s2)^2, and the means' distance.
  assert frechet_distance(one, other) == pytest.approx(25.0 + 1.0 + 4.0)
  assert frechet_distance(one, one) == pytest.approx(0.0, abs=1e-9)


def test_frechet_distance_is_the_formula():
  rng = np.random.default_rng(1)
  one = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6))
  other = rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6)) + 0.5
  first, second = np.cov(one.T), np.cov(other.T)
  root = scipy.linalg.sqrtm(first @ second).real
  means = one.mean(axis=0) - other.mean(axis=0)
  expected = means @ means + np.trace(first + second - 2 * root)
  assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-6)


def test_kernel_distance_is_the_mean_over_pairs():
  rng = np.random.default_rng(2)
  one, other = rng.normal(size=(7, 3)), rng.normal(size=(7, 3)) + 0.3

  def k(x, y):
    return (np.dot(x, y) / 3 + 1) ** 3

  pairs = [(i, j) for i in range(7) for j in range(7)]
  expected = (
    np.mean([k(one[i], one[j]) for i, j in pairs if i != j])
    + np.mean([k(other[i], other[j]) for i, j in pairs if i != j])
    - 2 * np.mean([k(one[i], other[j]) for i, j in pairs])
  )
  # One subset of all samples, in any order.
  assert kernel_distance(one, other, 1) == pytest.approx(expected)
  big = rng.normal(size=(2, 600, 3))
  near = kernel_distance(*big, 20, 100, seed=3)
  assert near == kernel_distance(*big, 20, 100, seed=3)
  assert abs(near) < 0.1 < kernel_distance(big[0], big[1] + 0.5, 20, 100)
  with pytest.raises(ValueError, match="two samples"):
    kernel_distance(one, other[:1])


def test_copies_are_found():
  rng = np.random.default_rng(4)

  def words(count: int) -> list[np.ndarray]:
    return list(rng.integers(0, 256, (count, 4, 4, 3)).astype(np.uint8))

  training, held_out, fresh = words(40), words(30), words(30)
  texts = ["ab"] * 40

  def score(made: list[np.ndarray]) -> dict[str, float]:
    sets = [made, texts[: len(made)], held_out, texts[:30], training, texts]
    return memorisation(*sets, character_width=2, quantile=0.1)

  copied = score(training[:20])
  assert copied["near_copies"] == 1.0
  assert copied["nearest_train"] == pytest.approx(0.0, abs=1e-6)
  new = score(fresh)
  assert new["near_copies"] < 0.3
  assert new["nearest_train"] == pytest.approx(
    new["nearest_train_real"], rel=0.2
  )
  # The nearest by hand.
  grey = np.stack([w[:, :2].mean(axis=2).ravel() / 255 for w in training])
  query = held_out[0][:, :2].mean(axis=2).ravel() / 255
  assert nearest_distances(query[None], grey)[0] == pytest.approx(
    min(np.linalg.norm(query - row) for row in grey)
  )


def test_imitations_are_compared_with_all_writers():
  real = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 10.0]])
  made = np.array([[0.0, 1.0], [0.0, 0.5], [0.0, 9.0]])
  found = own_nearer(made, real)
  # The second is nearest to the first writer, and nearer to its own than to
  # the others on average.
  assert found["nearest"] == pytest.approx(2 / 3)
  own = [1.0, np.hypot(3.0, 3.5), 1.0]
  others = [
    (np.hypot(3.0, 3.0) + 9.0) / 2,
    (0.5 + 9.5) / 2,
    (9.0 + np.hypot(3.0, 5.0)) / 2,
  ]
  assert found["distance"] == pytest.approx(np.mean(own))
  assert found["distance_others"] == pytest.approx(np.mean(others))
  assert found["nearer"] == 1.0
  with pytest.raises(ValueError, match="3 writers 2"):
    own_nearer(made[:2], real)
