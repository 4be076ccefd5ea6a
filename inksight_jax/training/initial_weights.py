"""Where training starts from: random parameters, some of them replaced.

`InitialWeights` is the one way in, for a checkpoint of this project and for
weights that others published. It is given the random parameters and returns
those to put in their place as nested dicts; what it leaves out stays random.
Gin passes it (`INITIAL_WEIGHTS = @vit_npz.VitNpz()`), so this package need not
know who reads what.
"""

import dataclasses
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax
import jax
import numpy as np

from inksight_jax.training import checkpoints
from inksight_jax.training import mesh as mesh_lib

InitialWeights = Callable[[Mapping[str, Any]], Mapping[str, Any]]
# The axis along which a parameter has an entry for each id of the vocabulary,
# by the names that the networks give to tables and heads.
_VOCABULARY_AXES: Mapping[tuple[str, ...], int] = {
  ("token_embedder", "embedding"): 0,
  ("logits_dense", "kernel"): -1,
  ("logits_dense", "bias"): -1,
  ("frame_logits", "kernel"): -1,
  ("frame_logits", "bias"): -1,
}
_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
  """All parameters of a checkpoint that `train` wrote.

  Where the run has another vocabulary than the checkpoint, the ids that both
  have keep their embeddings and their rows of the output, under their new
  numbers; a warning says which characters are new and which are gone.

  Attributes:
    path: a model directory, its `checkpoints` folder, or one checkpoint.
    vocabulary: of the run (`text.vocabulary.Vocabulary`); None takes the
      parameters as they are.
  """

  path: str
  vocabulary: Any = None

  def __call__(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Reads them.

    Raises:
      ValueError: if there is no checkpoint, or it is of another model.
    """
    loaded = checkpoints.load_params(self.path)
    folder = _vocabulary_folder(self.path)
    if self.vocabulary is not None and folder is not None:
      before = type(self.vocabulary).load(folder)
      pairs = self.vocabulary.shared_ids(before)
      same = [(i, i) for i in range(self.vocabulary.size + 1)]
      if before.size != self.vocabulary.size or pairs != same:
        _LOGGER.warning("%s: %s", self.path, self.vocabulary.changes(before))
        loaded = renumbered(loaded, params, pairs)
    checkpoints.check_shapes(loaded, params, self.path)
    return loaded


def renumbered(
  loaded: Mapping[str, Any],
  params: Mapping[str, Any],
  pairs: Sequence[tuple[int, int]],
) -> dict[str, Any]:
  """Weights of another vocabulary, under the ids of this one.

  Args:
    loaded: nested dict of numpy arrays.
    params: of the run; gives the shapes.
    pairs: (id here, id there) of what both vocabularies have.

  Returns:
    `loaded`, the tables of ids replaced. Ids that are new begin at random,
    spread as the known ones are.
  """
  weights, wanted = mesh_lib.flatten(loaded), mesh_lib.flatten(params)
  for path, array in weights.items():
    axis = _VOCABULARY_AXES.get(path[-2:])
    if axis is None or path not in wanted:
      continue
    shape = tuple(wanted[path].shape)
    old = np.moveaxis(np.asarray(array), axis, 0)
    # Of the values alone, so that every process draws the same.
    new = np.random.default_rng(0).normal(
      old.mean(), old.std(), (shape[axis], *old.shape[1:])
    )
    for here, there in pairs:
      if here < len(new) and there < len(old):
        new[here] = old[there]
    weights[path] = np.moveaxis(new.astype(old.dtype), 0, axis)
  return flax.traverse_util.unflatten_dict(weights)


def _vocabulary_folder(path: str) -> str | None:
  """The model directory that a checkpoint lies in, if it has a vocabulary."""
  folder = os.path.abspath(path)
  for _ in range(3):
    if os.path.isfile(os.path.join(folder, "vocabulary.json")):
      return folder
    folder = os.path.dirname(folder)
  return None


@dataclasses.dataclass(frozen=True)
class Submodule:
  """The parameters of a checkpoint, as those of a part of a larger network.

  Attributes:
    path: see `Checkpoint`.
    name: of the part, at the top of the larger network.
    source: the top-level module of the checkpoint to take; all of them by
      default.
    without: top-level modules of the checkpoint that nobody needs here.
  """

  path: str
  name: str
  source: str = ""
  without: Sequence[str] = ()

  def __call__(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Reads them.

    Raises:
      ValueError: if there is no checkpoint, no such part, or another one.
    """
    if not self.path:
      raise ValueError(
        f"{self.name!r} has no parameters: give the model directory that they "
        "come from (TOKENIZER, for pictures made of codes), or --load a whole "
        "model."
      )
    if self.name not in params:
      raise ValueError(
        f"The network has no part {self.name!r} to take the parameters of "
        f"{self.path}; its parts are {', '.join(sorted(params))}."
      )
    loaded = checkpoints.load_params(self.path)
    if self.source and self.source not in loaded:
      raise ValueError(
        f"{self.path} has no {self.source!r} for {self.name!r}; it holds "
        f"{', '.join(sorted(loaded))}."
      )
    if self.source:
      loaded = loaded[self.source]
    loaded = {k: v for k, v in loaded.items() if k not in self.without}
    checkpoints.check_shapes(loaded, params[self.name], self.path)
    return {self.name: loaded}


def as_sequence(
  load: str | InitialWeights | Sequence[InitialWeights] | None,
  vocabulary: Any = None,
) -> tuple[InitialWeights, ...]:
  """What a run's `load` says; a path means a checkpoint of this project.

  Args:
    load: of `run.train`.
    vocabulary: of the run; see `Checkpoint`.
  """
  if load is None:
    return ()
  if isinstance(load, str):
    return (Checkpoint(load, vocabulary),)
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
