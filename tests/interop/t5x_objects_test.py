"""The axes that T5X is told; tests/t5x_test.py drives T5X itself."""

from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from flax.linen import partitioning
from jax.sharding import PartitionSpec

from inksight_jax.interop import t5x_objects
from inksight_jax.training import optimizers


class State(struct.PyTreeNode):
  """As T5X's `OptimizerState`."""

  step: Any
  param_states: Any


class Optimizer(struct.PyTreeNode):
  """As T5X's `Optimizer`."""

  target: Any
  state: Any


def derived(optimizer, params, axes):
  def start(params):
    return Optimizer(params, State(jnp.int32(0), optimizer.init(params)))

  abstract = jax.eval_shape(start, params)
  return abstract, t5x_objects.derive_logical_axes(abstract, axes)


def by_shape(abstract, logical):
  """Axes of the states of each shape."""
  flat = jax.tree.leaves(abstract.state.param_states)
  axes = jax.tree.leaves(logical.state.param_states)
  seen = {}
  for leaf, names in zip(flat, axes, strict=True):
    seen.setdefault(leaf.shape, set()).add(names)
  return seen


@pytest.fixture
def params():
  # T5X's parameters are frozen dicts, their axes specs of logical names.
  shapes = {"mlp": {"kernel": (8, 6)}, "image_encoder": {"bias": (5,)}}
  return flax.core.freeze(
    jax.tree.map(jnp.zeros, shapes, is_leaf=lambda x: isinstance(x, tuple))
  )


@pytest.fixture
def axes():
  return partitioning.get_axis_names(
    flax.core.freeze(
      {
        "mlp": {"kernel_axes": partitioning.AxisMetadata(("embed", "mlp"))},
        "image_encoder": {"bias_axes": partitioning.AxisMetadata(("embed",))},
      }
    )
  )


def test_moments_carry_the_axes_of_their_parameters(params, axes):
  optimizer = optimizers.freeze(optimizers.adamw(weight_decay=0.1))
  abstract, logical = derived(optimizer, params, axes)
  assert by_shape(abstract, logical) == {
    (8, 6): {PartitionSpec("embed", "mlp")},
    # Counts and rates; the frozen bias has no moments.
    (): {PartitionSpec()},
  }
  assert logical.target == axes
  assert logical.state.step is None


def test_adafactors_rows_and_columns_keep_the_axis_that_is_left(params, axes):
  optimizer = optimizers.adafactor(min_dim_size_to_factor=2)
  abstract, logical = derived(optimizer, params, axes)
  seen = by_shape(abstract, logical)
  assert seen[(8,)] == {PartitionSpec("embed")}
  assert seen[(6,)] == {PartitionSpec("mlp")}
  assert seen[(5,)] == {PartitionSpec("embed")}


class TrainState(struct.PyTreeNode):
  """As T5X's `FlaxOptimTrainState`."""

  params: Any

  def replace_params(self, params):
    return self.replace(params=params)


def test_a_state_takes_the_weights_that_are_given(params):
  state = TrainState(params)
  assert t5x_objects.with_weights(state, None) is state
  new = np.arange(48, dtype=np.float32).reshape(8, 6)

  def weights(old):
    assert old["mlp"]["kernel"].shape == new.shape
    return {"mlp": {"kernel": new}}

  got = t5x_objects.with_weights(state, weights).params
  assert jax.tree.structure(got) == jax.tree.structure(params)
  np.testing.assert_array_equal(got["mlp"]["kernel"], new)
  np.testing.assert_array_equal(got["image_encoder"]["bias"], np.zeros(5))

  def twice(old):
    return {"mlp": {"kernel": 2 * old["mlp"]["kernel"]}}

  got = t5x_objects.with_weights(state, [weights, twice]).params
  np.testing.assert_array_equal(got["mlp"]["kernel"], 2 * new)
