import jax
import numpy as np
import optax

from inksight_jax.training import mesh, state


def test_keys_are_those_of_t5x():
  # t5x/train.py: init_rng, trainer_rng = random.split(PRNGKey(seed), 2).
  expected = jax.random.split(jax.random.PRNGKey(5), 2)
  keys = [jax.random.key_data(key) for key in state.split_seed(5)]
  np.testing.assert_array_equal(keys, expected)


def test_abstract_and_initial_state_agree(
  toy_model, toy_batches, one_device_mesh
):
  model, optimizer = toy_model(), optax.adam(0.1)
  batch = next(toy_batches().batches())
  shapes = {name: x.shape for name, x in batch.items()}
  types = {name: x.dtype for name, x in batch.items()}
  where = one_device_mesh
  abstract, shardings = state.abstract_state(
    model, optimizer, shapes, types, where, mesh.LOGICAL_AXIS_RULES
  )
  one, same, other = (
    state.initial_state(model, optimizer, shapes, types, shardings, seed)
    for seed in (1, 1, 2)
  )
  assert jax.tree.structure(one) == jax.tree.structure(abstract)
  for real, shape in zip(
    jax.tree.leaves(one), jax.tree.leaves(abstract), strict=True
  ):
    assert (real.shape, real.dtype) == (shape.shape, shape.dtype)
  assert int(one.step) == 0
  jax.tree.map(np.testing.assert_array_equal, one, same)
  kernels = [s.params["kernel"] for s in (one, other)]
  assert not np.array_equal(*kernels)
  count = state.count_parameters(abstract.params)
  assert count == sum(np.asarray(x).size for x in jax.tree.leaves(one.params))
