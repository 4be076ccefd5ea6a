"""Where training starts from: random parameters, some of them replaced.

`InitialWeights` is the one way in, for a checkpoint of this project and for
weights that others published. It is given the random parameters and returns
those to put in their place as nested dicts; what it leaves out stays random.
Gin passes it (`INITIAL_WEIGHTS = @vit_npz.VitNpz()`), so this package need not
know who reads what.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax
import jax
import numpy as np

from inksight_jax.training import checkpoints
from inksight_jax.training import mesh as mesh_lib

InitialWeights = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
  """All parameters of a checkpoint that `train` wrote.

  Attributes:
    path: a model directory, its `checkpoints` folder, or one checkpoint.
  """

  path: str

  def __call__(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Reads them.

    Raises:
      ValueError: if there is no checkpoint, or it is of another model.
    """
    loaded = checkpoints.load_params(self.path)
    checkpoints.check_shapes(loaded, params, self.path)
    return loaded


def as_sequence(
  load: str | InitialWeights | Sequence[InitialWeights] | None,
) -> tuple[InitialWeights, ...]:
  """What a run's `load` says; a path means a checkpoint of this project."""
  if load is None:
    return ()
  if isinstance(load, str):
    return (Checkpoint(load),)
  return (load,) if callable(load) else tuple(load)


def replace(
  params: Mapping[str, Any],
  weights: InitialWeights,
  shardings: Mapping[str, Any],
) -> dict[str, Any]:
  """Puts weights in the place of the parameters of the same name.

  Every process reads the whole and keeps what its own devices need, so that
  nothing has to be sent.

  Args:
    params: nested dict of arrays on their devices.
    weights: gives some or all of them anew, as numpy or JAX arrays.
    shardings: where each parameter goes.

  Returns:
    All parameters.

  Raises:
    ValueError: naming a weight that the model lacks or has in another shape.
  """
  old, places = mesh_lib.flatten(params), mesh_lib.flatten(shardings)
  new = mesh_lib.flatten(dict(weights(params)))
  for path, array in new.items():
    name, like = "/".join(path), old.get(path)
    if like is None:
      top = ", ".join(sorted({path[0] for path in old}))
      raise ValueError(
        f"{name} is to be loaded but the model has no such parameter; its "
        f"top-level modules are {top}."
      )
    if tuple(like.shape) != tuple(array.shape):
      raise ValueError(
        f"{name} is to be loaded with shape {tuple(array.shape)}; the model "
        f"has {tuple(like.shape)}."
      )
    old[path] = _place(array, like.dtype, places[path])
  return flax.traverse_util.unflatten_dict(old)


def _place(array: Any, dtype: Any, sharding: Any) -> jax.Array:
  if isinstance(array, jax.Array):
    return jax.device_put(array.astype(dtype), sharding)
  return jax.make_array_from_callback(
    array.shape, sharding, lambda index: np.asarray(array[index], dtype)
  )
