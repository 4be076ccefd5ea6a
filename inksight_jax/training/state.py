"""The state of a training run: what a checkpoint holds and a step changes."""

from collections.abc import Mapping
from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.sharding import Mesh

from inksight_jax.training import mesh as mesh_lib


class TrainState(struct.PyTreeNode):
  """Parameters and everything needed to go on exactly.

  The random key of a step is a function of the run's seed and `step`, and a
  step takes one batch, so `step` is also the position in the data.

  Attributes:
    step: int32 scalar (or its shape, or its sharding), updates done.
    params: nested dict of float32 arrays.
    opt_state: state of the optax optimiser.
  """

  step: Any
  params: Any
  opt_state: Any


def split_seed(
  seed: int, rng_impl: str | None = None
) -> tuple[jax.Array, jax.Array]:
  """Keys of (initial parameters, training), as T5X derives them.

  Args:
    seed: seed of the run.
    rng_impl: generator of `jax.random.key`; None for JAX's default.
  """
  key = jax.random.key(seed, impl=rng_impl)
  init_key, train_key = jax.random.split(key)
  return init_key, train_key


def rng_impl_for(platform: str, chosen: str | None = None) -> str | None:
  """Generator of dropout on a kind of device; None for JAX's default.

  TPUs draw bits themselves: JAX's default is a longer program to compile. But
  the bits depend on how arrays are split over devices. T5X does the same for
  runs without a seed, or with USE_HARDWARE_RNG.

  Args:
    platform: of the devices, as `jax.Device.platform`.
    chosen: what to take wherever it runs, as `jax.random.key` names it.
  """
  return chosen or ("unsafe_rbg" if platform == "tpu" else None)


def abstract_state(
  model: Any,
  optimizer: optax.GradientTransformation,
  input_shapes: Mapping[str, tuple[int, ...]],
  input_types: Mapping[str, Any],
  mesh: Mesh,
  rules: mesh_lib.LogicalAxisRules,
) -> tuple[TrainState, TrainState]:
  """Shapes and shardings of the state, without allocating any of it.

  Args:
    model: has `get_initial_variables`.
    optimizer: optax optimiser.
    input_shapes: feature name to global shape.
    input_types: feature name to dtype.
    mesh: device mesh.
    rules: logical axis rules.

  Returns:
    (state of `ShapeDtypeStruct`, state of `NamedSharding`).
  """
  # The key is traced too: a mesh of chips that are not here has nowhere to
  # put it.
  variables = jax.eval_shape(
    lambda: model.get_initial_variables(
      jax.random.PRNGKey(0), input_shapes, input_types
    )
  )
  params = flax.core.unfreeze(variables["params"])
  param_shardings = mesh_lib.parameter_shardings(
    params, variables.get("params_axes"), rules, mesh
  )
  opt_state = jax.eval_shape(optimizer.init, params)
  shapes = TrainState(
    step=jax.ShapeDtypeStruct((), jnp.int32), params=params, opt_state=opt_state
  )
  shardings = TrainState(
    step=mesh_lib.replicated(mesh),
    params=param_shardings,
    opt_state=mesh_lib.like_parameters(
      opt_state, params, param_shardings, mesh
    ),
  )
  return shapes, shardings


def initial_state(
  model: Any,
  optimizer: optax.GradientTransformation,
  input_shapes: Mapping[str, tuple[int, ...]],
  input_types: Mapping[str, Any],
  shardings: TrainState,
  seed: int,
) -> TrainState:
  """A fresh state, each shard made on its own device.

  Args:
    model: has `get_initial_variables`.
    optimizer: optax optimiser.
    input_shapes: feature name to global shape.
    input_types: feature name to dtype.
    shardings: from `abstract_state`.
    seed: seed of the run.

  Returns:
    The state at step 0.
  """

  def init(key: jax.Array) -> TrainState:
    variables = model.get_initial_variables(key, input_shapes, input_types)
    params = flax.core.unfreeze(variables["params"])
    return TrainState(
      step=jnp.zeros((), jnp.int32),
      params=params,
      opt_state=optimizer.init(params),
    )

  init_key, _ = split_seed(seed)
  return jax.jit(init, out_shardings=shardings)(init_key)


def count_parameters(params: Any) -> int:
  """Number of scalars in a parameter tree, concrete or abstract."""
  return sum(leaf.size for leaf in jax.tree.leaves(params))
