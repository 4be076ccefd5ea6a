"""Checkpoints in a model directory, written by Orbax.

A checkpoint is written to a temporary folder and renamed when it is complete,
so one being written when the process dies never becomes the latest.
"""

import json
import logging
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from inksight_jax.training import mesh as mesh_lib
from inksight_jax.training import state as state_lib
from inksight_jax.training import watchdog as watchdog_lib

FOLDER = "checkpoints"
# In the place of the number of a step: the one of the least `best_metric`.
BEST = "best"
_LOGGER = logging.getLogger(__name__)


class Checkpointer:
  """Saves and restores the state of a run.

  A checkpoint has three items: `params` alone, so that prediction and transfer
  need no optimiser; `training` (step and optimiser state); and `meta` (step,
  seed, position in the data).
  """

  def __init__(
    self,
    model_dir: str,
    keep: int | None = 3,
    save_timeout: float = 300.0,
    best_metric: str | None = None,
  ) -> None:
    """Opens, or creates, the checkpoints of a model directory.

    What an interrupted save has left there is removed, and reported.

    Args:
      model_dir: the checkpoints lie in its folder `checkpoints`.
      keep: number of latest checkpoints kept; None keeps all.
      save_timeout: seconds after which a save that is not done is reported,
        with what it waits for; 0 for never.
      best_metric: keep those of the least number of this name instead, and
        the latest to go on from; see `save`.
    """
    self._best_metric = best_metric
    self._directory = os.path.abspath(os.path.join(model_dir, FOLDER))
    self._watchdog = watchdog_lib.Watchdog(save_timeout)
    left = unfinished(self._directory)
    if left and jax.process_index() == 0:
      _LOGGER.warning(
        "Removing what an interrupted save left in %s: %s",
        self._directory,
        ", ".join(left),
      )
    self._manager = ocp.CheckpointManager(
      self._directory,
      options=_options(keep, best_metric),
      item_names=("params", "training", "meta"),
    )

  def latest_step(self) -> int | None:
    """Step of the newest complete checkpoint, or None."""
    return self._manager.latest_step()

  def save(
    self,
    state: state_lib.TrainState,
    seed: int,
    reports: Mapping[str, float] | None = None,
  ) -> None:
    """Copies the state off the device now and writes it in the background.

    Args:
      state: to save; may be donated as soon as this returns.
      seed: seed of the run.
      reports: numbers of this step; `best_metric` is saved if it is there.
    """
    step = int(state.step)
    if step == self._manager.latest_step():
      return
    meta = {"step": step, "seed": seed, "data_position": step}
    name = self._best_metric or ""
    value = (reports or {}).get(name)
    metrics = None if value is None else {name: float(value)}
    # Orbax would wait for the save before this one in silence.
    self.wait()
    what = f"saving step {step} to {self._directory}"
    with self._watchdog.watch(f"{what} (copying the state off the devices)"):
      self._manager.save(
        step,
        args=ocp.args.Composite(
          params=ocp.args.StandardSave(state.params),
          training=ocp.args.StandardSave(_training_tree(state)),
          meta=ocp.args.JsonSave(meta),
        ),
        metrics=metrics,
      )
    self._watchdog.watch_background(
      f"{what} (writing in the background)",
      lambda: not self._manager.is_saving_in_progress(),
    )

  def restore(
    self,
    shapes: state_lib.TrainState,
    shardings: state_lib.TrainState,
    step: int | None = None,
  ) -> tuple[state_lib.TrainState, dict[str, int]]:
    """Reads a checkpoint straight to its devices.

    Args:
      shapes: abstract state.
      shardings: where each array goes; may differ from those it was saved with.
      step: which checkpoint; the latest by default.

    Returns:
      (state, meta).

    Raises:
      ValueError: if there is none, or it is of another model or optimiser.
    """
    step = self.latest_step() if step is None else step
    if step is None:
      raise ValueError(f"There is no checkpoint in {self._directory}.")
    target = jax.tree.map(
      lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
      shapes,
      shardings,
    )
    folder = os.path.join(self._directory, str(step))
    check_shapes(_saved_shapes(folder, "params"), target.params, folder)
    training = _training_tree(target)
    check_shapes(_saved_shapes(folder, "training"), training, folder)
    restored = self._manager.restore(
      step,
      args=ocp.args.Composite(
        params=ocp.args.StandardRestore(target.params),
        training=ocp.args.StandardRestore(training),
        meta=ocp.args.JsonRestore(),
      ),
    )
    leaves = mesh_lib.flatten(restored["training"]["opt_state"])
    paths, treedef = jax.tree_util.tree_flatten_with_path(target.opt_state)
    opt_state = treedef.unflatten(
      [leaves[(jax.tree_util.keystr(path),)] for path, _ in paths]
    )
    state = state_lib.TrainState(
      step=restored["training"]["step"],
      params=restored["params"],
      opt_state=opt_state,
    )
    return state, restored["meta"]

  def drop_after(self, step: int | None) -> None:
    """Deletes the checkpoints that are later than one, if there is that one.

    Args:
      step: of the checkpoint that is to be the latest.
    """
    steps = self._manager.all_steps()
    if step is not None and step in steps:
      for later in [s for s in steps if s > step]:
        self._manager.delete(later)

  def wait(self) -> None:
    """Blocks until every save has reached the disk; raises what went wrong."""
    with self._watchdog.watch(f"waiting for the saves to {self._directory}"):
      self._manager.wait_until_finished()

  def close(self) -> None:
    """Finishes the saves under way."""
    with self._watchdog.watch(f"closing {self._directory}"):
      self._manager.close()
    self._watchdog.close()


def load_params(path: str, step: int | str | None = None) -> dict[str, Any]:
  """Reads the parameters of a checkpoint as numpy arrays.

  Args:
    path: a model directory, its `checkpoints` folder, or one checkpoint.
    step: which checkpoint of a model directory; the latest by default, or
      "best" of those that were kept by a metric.

  Returns:
    Nested dict of arrays.

  Raises:
    ValueError: if there is no (such) checkpoint.
  """
  return _load(checkpoint_folder(path, step), "params")


def load_training(path: str, step: int | str | None = None) -> dict[str, Any]:
  """Reads what a checkpoint holds beside parameters: step, optimiser state.

  Args:
    path, step: see `load_params`, as is what is returned and raised.
  """
  return _load(checkpoint_folder(path, step), "training")


def _load(folder: str, item: str) -> dict[str, Any]:
  """One item of a checkpoint as numpy arrays."""
  as_numpy = jax.tree.map(
    lambda _: ocp.RestoreArgs(restore_type=np.ndarray),
    _saved_shapes(folder, item),
  )
  return ocp.PyTreeCheckpointHandler().restore(
    _item(folder, item), args=ocp.args.PyTreeRestore(restore_args=as_numpy)
  )


def checkpoint_folder(path: str, step: int | str | None = None) -> str:
  """Folder of one checkpoint; see `load_params` for arguments and errors."""
  path = os.path.abspath(path)
  if os.path.isdir(os.path.join(path, "params")):
    return path
  for folder in (os.path.join(path, FOLDER), path):
    if not os.path.isdir(folder):
      continue
    # Leaves out those that were never finished.
    steps = sorted(ocp.utils.checkpoint_steps(folder))
    if step == BEST and steps:
      step = best_step(folder, steps)
    if steps and (step is None or step in steps):
      return os.path.join(folder, str(steps[-1] if step is None else step))
    if steps:
      raise ValueError(
        f"{folder} has no checkpoint of step {step}; it has "
        f"{', '.join(map(str, steps))}."
      )
  raise ValueError(
    f"No checkpoint found in {path}; give a model directory that `train` has "
    "written, or one of its checkpoints."
  )


def best_step(folder: str, steps: Sequence[int]) -> int:
  """The step of the least metric, the first of equals.

  Args:
    folder: of the checkpoints.
    steps: those that are complete.

  Raises:
    ValueError: none was saved with a metric.
  """
  found: list[tuple[float, int]] = []
  for step in steps:
    path = pathlib.Path(folder, str(step), "metrics", "metrics")
    if path.is_file():
      values = json.loads(path.read_text(encoding="utf-8"))
      found.append((min(values.values()), step))
  if not found:
    raise ValueError(
      f"No checkpoint in {folder} was kept by a metric, so none is the best; "
      "give a step, or train with run.train.best_metric."
    )
  return min(found)[1]


def unfinished(folder: str) -> list[str]:
  """Names of the folders that saves cut short have left; never restored.

  Args:
    folder: of the checkpoints; it may be absent.
  """
  if not os.path.isdir(folder):
    return []
  return sorted(n for n in os.listdir(folder) if ".orbax-checkpoint-tmp" in n)


def check_shapes(saved: Any, wanted: Any, where: str) -> None:
  """Compares two trees of arrays by name and shape.

  Args:
    saved: what a checkpoint holds.
    wanted: what the model needs.
    where: name of the checkpoint for the error.

  Raises:
    ValueError: naming the first array that differs.
  """
  saved_shapes = _shapes(saved)
  wanted_shapes = _shapes(wanted)
  for name in sorted(saved_shapes.keys() | wanted_shapes.keys()):
    if saved_shapes.get(name) != wanted_shapes.get(name):
      raise ValueError(
        f"The checkpoint {where} does not fit: {'/'.join(name)} is "
        f"{saved_shapes.get(name, 'absent')} there and "
        f"{wanted_shapes.get(name, 'absent')} in this run. Use the gin files "
        "it was trained with."
      )


def _options(
  keep: int | None, best_metric: str | None
) -> ocp.CheckpointManagerOptions:
  """What is kept: the latest, or the best and the one latest."""
  if best_metric is None:
    return ocp.CheckpointManagerOptions(
      max_to_keep=keep, create=True, cleanup_tmp_directories=True
    )

  def value(metrics: Mapping[str, float]) -> float:
    # A run that is resumed may have been judged by another number before.
    return metrics.get(best_metric, math.inf)

  policies = ocp.checkpoint_managers
  return ocp.CheckpointManagerOptions(
    best_fn=value,
    best_mode="min",
    preservation_policy=policies.AnyPreservationPolicy(
      [
        policies.LatestN(1),
        policies.BestN(
          get_metric_fn=value,
          # Orbax keeps the end of the sorted list.
          reverse=True,
          n=keep,
          keep_checkpoints_without_metrics=False,
        ),
      ]
    ),
    create=True,
    cleanup_tmp_directories=True,
  )


def _training_tree(state: state_lib.TrainState) -> dict[str, Any]:
  """Step and optimiser state by name, free of optax's container classes.

  Those change between optax releases; names in a checkpoint should not.
  """
  flat, _ = jax.tree_util.tree_flatten_with_path(state.opt_state)
  named = {jax.tree_util.keystr(path): leaf for path, leaf in flat}
  return {"step": state.step, "opt_state": named}


def _saved_shapes(folder: str, item: str) -> Any:
  """Metadata of the arrays of one item of a checkpoint."""
  return ocp.PyTreeCheckpointHandler().metadata(_item(folder, item)).tree


def _item(folder: str, item: str) -> Any:
  """Folder of an item. Orbax declares its own kind of path; any will do."""
  return pathlib.Path(folder, item)


def _shapes(tree: Any) -> dict[tuple[str, ...], tuple[int, ...]]:
  return {k: tuple(v.shape) for k, v in mesh_lib.flatten(tree).items()}
