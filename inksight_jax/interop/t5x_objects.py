"""Our optimisers and weights as T5X's launchers want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax
import jax

from inksight_jax.training import initial_weights, mesh


def optimizer_def(optimizer: Any) -> Any:
  """Wraps an optax optimiser for T5X.

  T5X's own wrapper finds the axes of an optimiser's state by a table of state
  types, which knows neither Adafactor's nor ours; here they follow from the
  paths and shapes of the parameters, as in our loop.

  Args:
    optimizer: optax optimiser.

  Returns:
    A `t5x.optimizers.OptimizerDef`.
  """
  from t5x import optimizers

  wrapped = optimizers.OptaxWrapper(optimizer)
  wrapped.derive_logical_axes = derive_logical_axes
  return wrapped


def derive_logical_axes(optimizer: Any, param_logical_axes: Any) -> Any:
  """Logical axes of parameters and of the optimiser's state.

  Args:
    optimizer: `t5x.optimizers.Optimizer` with (abstract) target and state.
    param_logical_axes: `PartitionSpec` of logical names for each parameter.

  Returns:
    The optimizer, each array replaced by its logical axes; None for the step.
  """
  axes = mesh.specs_like(
    optimizer.state.param_states, optimizer.target, param_logical_axes
  )
  return optimizer.replace(
    state=optimizer.state.replace(step=None, param_states=axes),
    target=param_logical_axes,
  )


def train_state_initializer(
  load: str
  | initial_weights.InitialWeights
  | Sequence[initial_weights.InitialWeights]
  | None = None,
  **arguments: Any,
) -> Any:
  """T5X's initialiser of train states, which knows our `load` too.

  Args:
    load: weights to start from instead of random ones, as in our loop; a
      checkpoint of T5X in the model directory comes first.
    **arguments: of `t5x.utils.TrainStateInitializer`.

  Returns:
    A `t5x.utils.TrainStateInitializer`.
  """
  from t5x import utils

  initializer = utils.TrainStateInitializer(**arguments)
  random_state = initializer.from_scratch

  def from_scratch(init_rng: jax.Array) -> Any:
    return with_weights(random_state(init_rng), load)

  initializer.from_scratch = from_scratch
  return initializer


def with_weights(
  state: Any,
  load: str
  | initial_weights.InitialWeights
  | Sequence[initial_weights.InitialWeights]
  | None,
) -> Any:
  """A T5X train state with what `load` gives in the place of its parameters."""
  chosen = initial_weights.as_sequence(load)
  if not chosen:
    return state
  params = flax.core.unfreeze(state.params)
  shardings = jax.tree.map(lambda x: x.sharding, params)
  for weights in chosen:
    params = initial_weights.replace(params, weights, shardings)
  return state.replace_params(flax.core.freeze(params))
