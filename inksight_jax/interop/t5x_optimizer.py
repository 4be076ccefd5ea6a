"""Our optimisers as T5X's launchers want them."""

from __future__ import annotations

from typing import Any

from inksight_jax.training import mesh


def optimizer_def(optimizer: Any) -> Any:
  """Wraps an optax optimiser for T5X.

  T5X's own wrapper finds the axes of an optimiser's state by a table of state
  types, which knows neither Adafactor's nor ours; here they follow from the
  paths and shapes of the parameters, as in our loop.

  Args:
    optimizer: optax optimiser.

  Returns:
    A `t5x.optimizers.OptimizerDef`.

  Raises:
    ValueError: T5X is not installed.
  """
  try:
    from t5x import optimizers
  except ImportError as error:
    raise ValueError(
      f"T5X cannot be imported ({error}); docs/t5x.md says what to install."
    ) from error
  wrapped = optimizers.OptaxWrapper(optimizer)
  wrapped.derive_logical_axes = derive_logical_axes
  return wrapped


def derive_logical_axes(optimizer: Any, param_logical_axes: Any) -> Any:
  """Logical axes of parameters and of the optimiser's state.

  Args:
    optimizer: `t5x.optimizers.Optimizer` with (abstract) target and state.
    param_logical_axes: `PartitionSpec` of logical names for each parameter.

  Returns:
    The optimizer, each array replaced by its logical axes; None for scalars.
  """
  axes = mesh.specs_like(
    optimizer.state.param_states, optimizer.target, param_logical_axes
  )
  return optimizer.replace(
    state=optimizer.state.replace(step=None, param_states=axes),
    target=param_logical_axes,
  )
