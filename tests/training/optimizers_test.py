import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from inksight_jax.training import optimizers


def params():
  rng = np.random.default_rng(0)
  return {
    "image_encoder": {"kernel": jnp.asarray(rng.normal(size=(4, 3)))},
    "decoder": {
      "kernel": jnp.asarray(rng.normal(size=(3, 2))),
      "bias": jnp.asarray(rng.normal(size=(2,))),
    },
  }


def steps(optimizer, start, count=3):
  """Params and state after some updates with fixed random gradients."""
  current, state = start, optimizer.init(start)
  for index in range(count):
    rng = np.random.default_rng(index)
    grads = jax.tree.unflatten(
      jax.tree.structure(start),
      [jnp.asarray(rng.normal(size=p.shape)) for p in jax.tree.leaves(start)],
    )
    updates, state = optimizer.update(grads, state, current)
    current = optax.apply_updates(current, updates)
  return current, state


def assert_close(left, right):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-7),
    left,
    right,
  )


def test_adamw_is_optax_adamw_with_clipping_and_a_mask():
  schedule = optimizers.warmup_cosine(0.1, 2, 10)
  ours, state = steps(
    optimizers.adamw(schedule, weight_decay=0.3, max_grad_norm=0.5), params()
  )
  mask = {"image_encoder": {"kernel": True}, "decoder": {"kernel": True}}
  mask["decoder"]["bias"] = False
  theirs, _ = steps(
    optax.chain(
      optax.clip_by_global_norm(0.5),
      optax.adamw(schedule, b2=0.98, weight_decay=0.3, mask=mask),
    ),
    params(),
  )
  assert_close(ours, theirs)
  rate = optimizers.learning_rate_of(state)
  np.testing.assert_allclose(rate, schedule(2), rtol=1e-6)


def test_adafactor_is_optax_adafactor():
  big = {"kernel": jnp.asarray(np.random.default_rng(5).normal(size=(6, 5)))}
  ours, _ = steps(
    optimizers.adafactor(0.02, min_dim_size_to_factor=4), big, count=4
  )
  theirs, _ = steps(
    optax.adafactor(0.02, min_dim_size_to_factor=4), big, count=4
  )
  assert_close(ours, theirs)
  assert not np.allclose(ours["kernel"], big["kernel"], atol=1e-3)


def test_frozen_parameters_keep_their_bits_and_have_no_state():
  optimizer = optimizers.freeze(
    optimizers.adamw(0.1, weight_decay=0.5), ["image_encoder"]
  )
  start = params()
  end, state = steps(optimizer, start)
  before = np.asarray(start["image_encoder"]["kernel"])
  after = np.asarray(end["image_encoder"]["kernel"])
  assert before.tobytes() == after.tobytes()
  for name in ("kernel", "bias"):
    assert np.all(np.asarray(start["decoder"][name]) != end["decoder"][name])
  shapes = [leaf.shape for leaf in jax.tree.leaves(state)]
  assert (4, 3) not in shapes
  assert shapes.count((3, 2)) == 2  # Adam's two moments.
  assert optimizers.learning_rate_of(state) is not None


def test_frozen_and_trained_parts_are_updated_as_on_their_own():
  frozen, _ = steps(
    optimizers.freeze(optimizers.adamw(0.1, max_grad_norm=None)), params()
  )
  alone, _ = steps(optimizers.adamw(0.1, max_grad_norm=None), params())
  assert_close(frozen["decoder"], alone["decoder"])


def test_a_pattern_that_freezes_nothing_is_an_error():
  optimizer = optimizers.freeze(optimizers.adamw(), ["vit"])
  with pytest.raises(ValueError, match=r"'vit'.*decoder, image_encoder"):
    optimizer.init(params())


@pytest.mark.parametrize("name", ["warmup_cosine", "warmup_linear"])
def test_schedules_rise_peak_and_fall_to_their_end(name):
  schedule = getattr(optimizers, name)(2.0, 4, 12, final=0.25)
  values = np.array([float(schedule(jnp.int32(s))) for s in range(13)])
  np.testing.assert_allclose(values[:5], [0.5, 1.0, 1.5, 2.0, 2.0], rtol=1e-6)
  assert np.all(np.diff(values[4:]) < 0)
  # Halfway down both are halfway between peak and end.
  np.testing.assert_allclose(values[8], (2.0 + 0.5) / 2, rtol=1e-6)
  np.testing.assert_allclose(values[12], 0.5, rtol=1e-6)


def test_rsqrt_halves_when_the_steps_quadruple():
  schedule = optimizers.warmup_rsqrt(1.0, 100)
  assert float(schedule(49)) == pytest.approx(0.5)
  assert float(schedule(99)) == pytest.approx(1.0)
  assert float(schedule(399)) == pytest.approx(0.5)
  assert float(schedule(1599)) == pytest.approx(0.25)


def test_constant_schedules():
  assert float(optimizers.warmup_constant(0.3)(7)) == pytest.approx(0.3)
  assert float(optimizers.warmup_constant(0.3, 3)(0)) == pytest.approx(0.1)
  with pytest.raises(ValueError, match="warm-up must end"):
    optimizers.warmup_cosine(1.0, 11, 10)


def test_each_network_has_its_own_optimiser():
  params = {"one": {"w": jnp.ones(2)}, "other": {"w": jnp.ones(3)}}
  gradients = jax.tree.map(lambda x: 2.0 * x, params)
  optimizer = optimizers.by_network(
    {"one": optax.sgd(0.5), "other": optimizers.follow(0.9)}
  )
  updates, _ = optimizer.update(gradients, optimizer.init(params), params)
  np.testing.assert_allclose(updates["one"]["w"], [-1.0] * 2)
  np.testing.assert_allclose(updates["other"]["w"], [-0.2] * 3, rtol=1e-6)
  with pytest.raises(ValueError, match="has optimisers for one; the"):
    optimizers.by_network({"one": optax.sgd(0.5)}).init(params)
