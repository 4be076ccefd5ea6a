"""Quantizers against plain numpy, grids written out, and their gradients."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.networks import quantizers

CODES, WIDTH = 6, 3


@pytest.fixture(scope="module")
def encodings():
  rng = np.random.default_rng(0)
  return jnp.asarray(rng.normal(size=(2, 2, 4, WIDTH)), jnp.float32)


@pytest.fixture(scope="module")
def mask():
  cells = np.ones((2, 2, 4), bool)
  cells[0, 1] = False
  cells[1, :, 3] = False
  return jnp.asarray(cells)


def unit(x):
  return x / np.linalg.norm(x, axis=-1, keepdims=True)


def make(config, encodings, mask):
  module = config.build()
  params = module.init(jax.random.key(1), encodings, mask).get("params", {})
  return module, params


def test_the_nearest_code_is_taken_whatever_the_length(encodings, mask):
  module, params = make(
    quantizers.GradientCodebookConfig(CODES, WIDTH), encodings, mask
  )
  found = module.apply({"params": params}, encodings, mask)
  book, wanted = unit(np.asarray(params["codes"])), unit(np.asarray(encodings))
  for place in np.ndindex(2, 2, 4):
    distances = np.linalg.norm(book - wanted[place], axis=1)
    assert found.ids[place] == np.argmin(distances)
    np.testing.assert_allclose(
      found.vectors[place], book[np.argmin(distances)], rtol=1e-5
    )
  np.testing.assert_allclose(
    module.apply({"params": params}, found.ids, method="lookup"),
    found.vectors,
    rtol=1e-5,
  )


@pytest.mark.parametrize("stop", [True, False])
def test_who_is_pulled_how_hard(encodings, mask, stop):
  """Codebook weight 1 and commitment 0.25; or both 1 without stop-gradients."""
  config = quantizers.GradientCodebookConfig(CODES, WIDTH, 0.25, stop)
  module, params = make(config, encodings, mask)

  def loss(params, encodings):
    return module.apply({"params": params}, encodings, mask).loss

  book, moved = jax.grad(loss, (0, 1))(params, encodings)
  ids = module.apply({"params": params}, encodings, mask).ids

  def distance(params, encodings):
    codes = quantizers.unit(params["codes"])[ids]
    squares = jnp.mean((quantizers.unit(encodings) - codes) ** 2, axis=-1)
    return jnp.sum(squares * mask)

  whole_book, whole_moved = jax.grad(distance, (0, 1))(params, encodings)
  np.testing.assert_allclose(book["codes"], whole_book["codes"], atol=1e-6)
  share = 0.25 if stop else 1.0
  np.testing.assert_allclose(moved, share * whole_moved, atol=1e-6)
  # Nothing pulls where there is nothing of a picture.
  assert not np.asarray(moved)[~np.asarray(mask)].any()


def average(restart_below, **changes):
  return quantizers.AverageCodebookConfig(
    CODES, WIDTH, decay=0.9, restart_below=restart_below, **changes
  )


def follow(params, slopes):
  """What `optimizers.follow(0.9)` does."""
  return jax.tree.map(lambda p, g: p - 0.1 * g, params, slopes)


def slopes_of(module, params, encodings, mask, key=None, share=1.0):
  def update(params):
    found = module.apply({"params": params}, encodings, mask, key, share)
    return found.update, found

  (value, found), slopes = jax.value_and_grad(update, has_aux=True)(params)
  assert value == 0.0
  return slopes, found


def test_averages_follow_counts_and_sums(encodings, mask):
  """Two batches by hand, padding left out."""
  module, params = make(average(0.0), encodings, mask)
  counts, sums = (np.asarray(params[name]) for name in ("counts", "sums"))
  for batch in (encodings, encodings[::-1] + 0.3):
    slopes, found = slopes_of(module, params, batch, mask)
    params = follow(params, slopes)
    got, added = np.zeros(CODES), np.zeros((CODES, WIDTH))
    for place in np.argwhere(np.asarray(mask)):
      code = int(found.ids[tuple(place)])
      got[code] += 1
      added[code] += unit(np.asarray(batch[tuple(place)]))
    counts, sums = 0.9 * counts + 0.1 * got, 0.9 * sums + 0.1 * added
    np.testing.assert_allclose(params["counts"], counts, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(params["sums"], sums, rtol=1e-5, atol=1e-6)
  vectors = module.apply({"params": params}, found.ids, method="lookup")
  np.testing.assert_allclose(
    vectors, unit(sums)[np.asarray(found.ids)], rtol=1e-4
  )


def test_parts_of_a_batch_add_up(encodings, mask):
  module, params = make(average(0.0), encodings, mask)
  whole, _ = slopes_of(module, params, encodings, mask)
  parts = [
    slopes_of(
      module,
      params,
      encodings[i : i + 1],
      mask[i : i + 1],
      share=float(mask[i].sum() / mask.sum()),
    )[0]
    for i in range(2)
  ]
  jax.tree.map(
    lambda w, a, b: np.testing.assert_allclose(w, a + b, atol=1e-5),
    whole,
    *parts,
  )


def test_all_codes_begin_as_encodings_and_dead_ones_again(encodings, mask):
  module, params = make(average(0.2), encodings, mask)
  key = jax.random.key(3)
  params = follow(params, slopes_of(module, params, encodings, mask, key)[0])
  alive = unit(np.asarray(encodings))[np.asarray(mask)]

  def are_encodings(codes):
    gaps = np.linalg.norm(unit(codes)[:, None] - alive[None], axis=-1)
    return gaps.min(axis=1) < 1e-5

  assert are_encodings(np.asarray(params["sums"])).all()
  mean = float(mask.sum()) / CODES
  np.testing.assert_allclose(params["counts"], mean, rtol=1e-5)
  # Two go unused; the others are kept and follow.
  counts = np.full(CODES, 2.0, np.float32)
  counts[[1, 4]] = 0.01
  sums = np.asarray(jax.random.normal(key, (CODES, WIDTH)))
  before = {"counts": jnp.asarray(counts), "sums": jnp.asarray(sums)}
  slopes, _ = slopes_of(module, before, encodings, mask, key)
  plain, _ = slopes_of(module, before, encodings, mask, None)
  after, kept = follow(before, slopes), follow(before, plain)
  living = [0, 2, 3, 5]
  for name in ("counts", "sums"):
    np.testing.assert_array_equal(after[name][living,], kept[name][living,])
  assert are_encodings(np.asarray(after["sums"]))[[1, 4]].all()
  np.testing.assert_allclose(after["counts"][[1, 4],], mean, rtol=1e-5)


def test_only_the_commitment_reaches_the_encoder(encodings, mask):
  _, params = make(average(0.2), encodings, mask)
  key = jax.random.key(0)

  def total(encodings, commitment):
    found = average(0.2, commitment=commitment).build()
    quantized = found.apply({"params": params}, encodings, mask, key)
    return quantized.loss + quantized.update

  assert not np.asarray(jax.grad(total)(encodings, 0.0)).any()
  once, twice = (jax.grad(total)(encodings, c) for c in (1.0, 2.0))
  assert np.asarray(once).any()
  np.testing.assert_allclose(twice, 2 * once, rtol=1e-5)


def test_the_decoders_gradient_passes_through(encodings, mask):
  """Of unit encodings: as if the quantizer were the normalisation alone."""
  module, params = make(average(0.0), encodings, mask)
  weights = jax.random.normal(jax.random.key(5), encodings.shape)

  def through(x):
    return jnp.sum(module.apply({"params": params}, x, mask).vectors * weights)

  np.testing.assert_allclose(
    jax.grad(through)(encodings),
    jax.grad(lambda x: jnp.sum(quantizers.unit(x) * weights))(encodings),
    rtol=1e-4,
    atol=1e-6,
  )


@pytest.mark.parametrize("levels", [(4, 3), (5,), (2, 2, 3)])
def test_finite_scalars_are_a_grid(levels):
  config = quantizers.FiniteScalarConfig(levels)
  module = config.build()
  assert config.num_codes == int(np.prod(levels))
  ids = np.arange(config.num_codes, dtype=np.int32).reshape(1, 1, -1)
  vectors = np.asarray(module.apply({}, jnp.asarray(ids), method="lookup"))
  # Every combination of evenly spaced levels, the first number fastest.
  steps = [(np.arange(n) - n // 2) / (n // 2) for n in levels]
  expected = [row[::-1] for row in itertools.product(*steps[::-1])]
  np.testing.assert_allclose(vectors[0, 0], expected, atol=1e-6)
  # Whatever is encoded lies on the grid, and all of the grid is reached.
  rng = np.random.default_rng(0)
  wild = jnp.asarray(rng.normal(0, 3, (1, 40, 40, len(levels))), jnp.float32)
  cells = jnp.ones((1, 40, 40), bool)
  found = module.apply({}, wild, cells)
  np.testing.assert_allclose(
    found.vectors, module.apply({}, found.ids, method="lookup"), atol=1e-5
  )
  assert set(np.unique(found.ids)) == set(range(config.num_codes))
  slope = jax.grad(lambda x: jnp.sum(module.apply({}, x, cells).vectors))(wild)
  assert (np.asarray(slope) >= 0).all() and np.asarray(slope).any()


def test_bad_settings_are_refused():
  with pytest.raises(ValueError, match="2 values or more"):
    quantizers.FiniteScalarConfig((8, 1))
  with pytest.raises(ValueError, match="must lie in"):
    quantizers.AverageCodebookConfig(decay=1.0)
