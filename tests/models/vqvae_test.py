"""The objective of the VQ-VAE, against numpy, and a step of training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.models import code_metrics, vqvae
from inksight_jax.networks import quantizers
from inksight_jax.networks import vqvae as network
from inksight_jax.training import optimizers, state, step

CODES = 8


def make_model(**changes) -> vqvae.VQVAE:
  config = network.VQVAEConfig(
    quantizers.AverageCodebookConfig(CODES, 4, decay=0.9),
    (4, 8),
    1,
    channels=1,
  )
  return vqvae.VQVAE(network.VQVAE(config), **changes)


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  return {
    "encoder_input_image": rng.integers(0, 256, (4, 4, 8, 3)).astype(np.uint8),
    "encoder_input_tokens": np.array(
      [[2, 4], [2, 3], [1, 4], [2, 2]], np.int32
    ),
  }


@pytest.fixture(scope="module")
def params(batch):
  shapes = {name: value.shape for name, value in batch.items()}
  variables = jax.jit(
    lambda key: make_model().get_initial_variables(key, shapes)
  )(jax.random.key(0))
  return variables.unfreeze()["params"]


def compute(metrics):
  return {name: float(metric.compute()) for name, metric in metrics.items()}


def by_hand(params, batch, paper=-1.0):
  """Pictures, what is made of them and which pixels count, in numpy."""
  module = make_model().module
  image = batch["encoder_input_image"]
  pictures = image.astype(np.float32).mean(-1) / 127.5 - 1.0
  made = np.asarray(
    jax.jit(module.apply)({"params": params}, jnp.asarray(image))
  )
  counts = np.zeros(pictures.shape, bool)
  for row, (rows, columns) in enumerate(batch["encoder_input_tokens"]):
    counts[row, : 2 * rows, : 2 * columns] = True
  ink = counts & (np.abs(pictures - paper) > 0.5)
  return pictures, made[..., 0], counts, ink


@pytest.mark.parametrize("reconstruction", ["mse", "l1"])
def test_losses_and_metrics_are_those_of_numpy(params, batch, reconstruction):
  model = make_model(reconstruction=reconstruction, ink_weight=3.0, paper=-1.0)
  loss, metrics = jax.jit(lambda p, b: model.loss_fn(p, b, None))(params, batch)
  found = compute(metrics)
  pictures, made, counts, ink = by_hand(params, batch)
  error = made - pictures
  kind = np.square if reconstruction == "mse" else np.abs
  weights = counts * np.where(ink, 3.0, 1.0)
  expected = np.sum(kind(error) * weights) / counts.sum()
  assert found["reconstruction_loss"] == pytest.approx(expected, rel=1e-4)
  assert float(loss) == pytest.approx(found["loss"], rel=1e-5)
  assert found["l1"] == pytest.approx(np.abs(error[counts]).mean(), rel=1e-4)
  assert found["l1_ink"] == pytest.approx(np.abs(error[ink]).mean(), rel=1e-4)
  assert found["psnr_ink"] == pytest.approx(
    10 * np.log10(4 / np.mean(error[ink] ** 2)), rel=1e-4
  )
  ids = np.asarray(
    jax.jit(model.encode_pictures)(
      params, jnp.asarray(batch["encoder_input_image"])
    )
  )
  used = ids[counts[:, ::2, ::2]]
  shares = np.bincount(used, minlength=CODES) / len(used)
  assert found["codes_used"] == pytest.approx(np.mean(shares > 0))
  assert found["perplexity"] == pytest.approx(
    np.exp(-np.sum(shares[shares > 0] * np.log(shares[shares > 0]))), rel=1e-4
  )


def test_padding_counts_nowhere(params, batch):
  """What a decoder makes of padding may not matter: nothing pulls it."""
  model = make_model(paper=-1.0)

  def lost(made, batch):
    cells = model._cells(batch)
    pictures = model._pictures(batch)
    return jnp.sum(
      jnp.square(made - pictures) * model._weights(pictures, cells)
    )

  made = jnp.zeros((4, 4, 8, 1))
  slope = np.asarray(jax.grad(lost)(made, batch))[..., 0]
  counts = by_hand(params, batch)[2]
  assert not slope[~counts].any() and (slope[counts] != 0).all()


def test_an_empty_row_changes_nothing(params, batch):
  model = make_model(paper=-1.0)
  score = jax.jit(lambda p, b: model.eval_fn(p, b))
  longer = {
    name: np.concatenate([values, np.zeros_like(values[:2])])
    for name, values in batch.items()
  }
  one, other = score(params, batch), score(params, longer)
  assert float(one[0]) == pytest.approx(float(other[0]), rel=1e-5)
  assert compute(one[1]) == pytest.approx(compute(other[1]), rel=1e-4)


def test_codes_and_pictures(params, batch):
  model = make_model()
  codes = model.encode_pictures(
    params, jnp.asarray(batch["encoder_input_image"])
  )
  np.testing.assert_array_equal(
    model.predict_batch(params, batch), model.decode_codes(params, codes)
  )
  pictures, made, counts, _ = by_hand(params, batch)
  np.testing.assert_allclose(
    model.score_batch(params, batch),
    [
      -np.mean((made - pictures)[row][counts[row]] ** 2)
      for row in range(len(counts))
    ],
    rtol=1e-4,
  )
  with pytest.raises(ValueError, match="data tokenize"):
    model.decode_batch(params, batch)


def test_one_step_moves_networks_by_adam_and_the_codebook_by_its_average(
  params, batch
):
  """In two halves, whose codes count together."""
  model = make_model()
  adam = optimizers.adamw(1e-2)
  optimizer = optimizers.by_network(
    {"encoder": adam, "decoder": adam, "codebook": optimizers.follow(0.9)}
  )
  # A living codebook: nothing is restarted.
  book = {
    "counts": jnp.full((CODES,), 3.0),
    "sums": jax.random.normal(jax.random.key(2), (CODES, 4)),
  }
  start = dict(params, codebook=book)
  now = state.TrainState(
    step=jnp.int32(0), params=start, opt_state=optimizer.init(start)
  )
  whole = jax.jit(step.make_train_step(model, optimizer, 0, 2))(now, batch)
  ids = np.asarray(
    jax.jit(model.encode_pictures)(
      start, jnp.asarray(batch["encoder_input_image"])
    )
  )
  used = ids[by_hand(start, batch)[2][:, ::2, ::2]]
  counts = 0.9 * 3.0 + 0.1 * np.bincount(used, minlength=CODES)
  np.testing.assert_allclose(
    whole[0].params["codebook"]["counts"], counts, rtol=1e-5
  )
  for name in ("encoder", "decoder"):
    moved = jax.tree.map(
      lambda a, b: bool((a != b).any()), whole[0].params[name], start[name]
    )
    assert all(jax.tree.leaves(moved))
  assert np.isfinite(np.asarray(whole[2])).all()


def test_usage_adds_up_over_batches():
  ids = jnp.asarray([[[0, 1]], [[1, 3]]], jnp.int32)
  mask = jnp.asarray([[[True, True]], [[True, False]]])
  parts = [
    code_metrics.CodesUsed.of(ids, mask, 4),
    code_metrics.CodesUsed.of(ids * 0 + 2, mask, 4),
  ]
  assert float(parts[0].compute()) == 0.5
  assert float(parts[0].merge(parts[1]).compute()) == 0.75
  even = code_metrics.Perplexity.of(
    jnp.arange(4, dtype=jnp.int32).reshape(1, 1, 4), mask[:1].repeat(2, -1), 4
  )
  assert float(even.compute()) == pytest.approx(4.0)


def test_bad_settings_are_refused():
  with pytest.raises(ValueError, match="one of mse, l1"):
    make_model(reconstruction="psnr")
  with pytest.raises(ValueError, match="without `paper`"):
    make_model(ink_weight=2.0)
