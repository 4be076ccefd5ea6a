import jax
import numpy as np
import optax
import pytest

from inksight_jax.training import loop, mesh, optimizers, state, step


def one_step(model, batch, microbatches, optimizer=None):
  shapes = {name: x.shape for name, x in batch.items()}
  optimizer = optimizer or optax.sgd(1.0)
  single = mesh.make_mesh(devices=jax.devices()[:1])
  _, shardings = state.abstract_state(
    model, optimizer, shapes, {}, single, mesh.LOGICAL_AXIS_RULES
  )
  start = state.initial_state(model, optimizer, shapes, {}, shardings, seed=1)
  train_step = step.make_train_step(model, optimizer, 1, microbatches)
  return start, *jax.jit(train_step)(start, batch)


@pytest.mark.parametrize(
  "normalizing", ["NUM_REAL_TARGET_TOKENS", "AVERAGE_PER_SEQUENCE", None]
)
def test_microbatches_add_up_to_the_whole_batch(
  toy_model, toy_batches, normalizing
):
  batch = next(toy_batches().batches())
  model = toy_model(loss_normalizing_factor=normalizing, label_smoothing=0.1)
  # Parts differ in their number of tokens, so a mean of means would be wrong.
  tokens = batch["decoder_loss_weights"].sum(axis=1).reshape(2, 4).sum(axis=0)
  assert len(set(tokens)) > 1
  _, whole, whole_metrics, whole_health = one_step(model, batch, 1)
  _, parts, parts_metrics, parts_health = one_step(model, batch, 4)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
    (whole, whole_health),
    (parts, parts_health),
  )
  assert set(whole_metrics) == set(parts_metrics)
  for name, metric in whole_metrics.items():
    np.testing.assert_allclose(
      metric.compute(), parts_metrics[name].compute(), rtol=1e-5, err_msg=name
    )


def test_one_step_of_sgd_is_minus_the_gradient(toy_model, toy_batches):
  batch = next(toy_batches().batches())
  model = toy_model()
  start, end, metrics, health = one_step(model, batch, 1)
  loss, grads = jax.value_and_grad(
    lambda params: model.loss_fn(params, batch, None)[0]
  )(start.params)
  jax.tree.map(
    lambda a, b, g: np.testing.assert_allclose(b, a - g, rtol=1e-5, atol=1e-6),
    start.params,
    end.params,
    grads,
  )
  norm = np.sqrt(sum(np.square(g).sum() for g in jax.tree.leaves(grads)))
  np.testing.assert_allclose(health, [loss, norm], rtol=1e-5)
  np.testing.assert_allclose(metrics["grad_norm"].compute(), norm, rtol=1e-5)
  assert int(end.step) == 1
  assert "learning_rate" not in metrics


def test_frozen_vit_keeps_its_bits_and_all_else_learns(
  tiny_inksight, ink_batch
):
  model = tiny_inksight(freeze=True)
  optimizer = optimizers.freeze(optimizers.adamw(0.1, weight_decay=0.5))
  start, end, _, _ = one_step(model, ink_batch, 2, optimizer)
  flat_start, flat_end = (
    dict(
      zip(
        optimizers.parameter_paths(s.params),
        map(np.asarray, jax.tree.leaves(s.params)),
        strict=True,
      )
    )
    for s in (start, end)
  )
  for path, before in flat_start.items():
    same = before.tobytes() == flat_end[path].tobytes()
    assert same == (path[0] == "image_encoder"), path


@pytest.mark.parametrize("microbatches", [1, 2])
def test_the_hardwares_generator_drops_anew_at_each_step(
  tiny_inksight, ink_batch, microbatches
):
  model = tiny_inksight(dropout_rate=0.5, scan_layers=True)
  start, _, _, (loss, _) = one_step(model, ink_batch, microbatches)
  train_step = jax.jit(
    step.make_train_step(
      model, optax.sgd(1.0), 1, microbatches, state.rng_impl_for("tpu")
    )
  )

  def loss_at(number):
    now = start.replace(step=np.int32(number))
    return float(train_step(now, ink_batch)[2][0])

  losses = [loss_at(number) for number in range(6)]
  assert loss_at(0) == losses[0]
  assert len(set(losses)) == 6
  # Other bits than those of JAX's default, which all platforms but TPUs have.
  assert losses[0] != float(loss)
  assert state.rng_impl_for("cpu") is None
  assert state.rng_impl_for("tpu", "threefry2x32") == "threefry2x32"
  assert "rng_bit_generator" in train_step.lower(start, ink_batch).as_text()


def test_batches_that_cannot_be_cut_are_refused(toy_model, toy_batches):
  batch = next(toy_batches().batches())
  with pytest.raises(ValueError, match="8 examples cannot be cut into 3"):
    one_step(toy_model(), batch, 3)
  with pytest.raises(ValueError, match="at least 1"):
    step.make_train_step(toy_model(), optax.sgd(1.0), 0, 0)


def test_the_state_is_donated(toy_model, toy_batches, one_device_mesh):
  batch = next(toy_batches().batches())
  shapes = {name: x.shape for name, x in batch.items()}
  model, optimizer = toy_model(), optimizers.adamw()
  abstract, shardings = state.abstract_state(
    model, optimizer, shapes, {}, one_device_mesh, ()
  )
  start = state.initial_state(model, optimizer, shapes, {}, shardings, seed=0)
  train_step = step.make_train_step(model, optimizer, 0)
  compiled = loop.compile_step(train_step, abstract, shardings, batch)
  compiled(start, batch)
  moments = optax.tree.get(start.opt_state, "mu")
  assert all(x.is_deleted() for x in jax.tree.leaves((start.params, moments)))
