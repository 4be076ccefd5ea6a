"""What `inksight-jax train` configures: a training run in a model directory."""

import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import optax
from jax.experimental import multihost_utils
from jax.sharding import Mesh

import gin
from inksight_jax.training import checkpoints, hooks, loop, prefetch, writers
from inksight_jax.training import mesh as mesh_lib
from inksight_jax.training import state as state_lib

CONFIG_FILE = "config.gin"


def train(
  model_dir: str,
  model: Any,
  batches: prefetch.BatchSource,
  train_steps: int,
  optimizer: optax.GradientTransformation | None = None,
  tasks: Any = None,
  eval_batches: prefetch.BatchSource
  | Mapping[str, prefetch.BatchSource]
  | None = None,
  seed: int = 0,
  mesh: Mesh | None = None,
  logical_axis_rules: mesh_lib.LogicalAxisRules = mesh_lib.LOGICAL_AXIS_RULES,
  microbatches: int = 1,
  checkpoint_every: int = 1000,
  keep: int | None = 3,
  log_every: int = 100,
  eval_every: int = 1000,
  num_eval_batches: int = 8,
  picture_every: int | None = None,
  picture_fn: Callable[[Any, Any, int], np.ndarray] | None = None,
  load: str | None = None,
  resume: bool = False,
  overwrite: bool = False,
  console: bool = True,
) -> state_lib.TrainState:
  """Trains into a model directory that describes itself.

  The directory gets `config.gin` (all bindings), the vocabulary, checkpoints,
  `curve.jsonl` and TensorBoard events.

  Args:
    model_dir: the directory.
    model: T5X-shaped model object.
    batches: training batches.
    train_steps: step to stop at, counted from the beginning.
    optimizer: optax optimiser; the model's own `optimizer_def` by default.
    tasks: what the batches are; its `vocabulary` is saved. May be None.
    eval_batches: held-out batches, or several by name; None for no evaluation.
    seed: of initial parameters and dropout.
    mesh: device mesh; all devices data-parallel by default.
    logical_axis_rules: how logical axes fall on the mesh.
    microbatches: parts a batch is cut into to save memory.
    checkpoint_every: period of checkpoints in steps; the end always saves.
    keep: number of latest checkpoints kept; None keeps all.
    log_every: period of training metrics in steps.
    eval_every: period of evaluation in steps; 0 for never.
    num_eval_batches: batches per evaluation.
    picture_every: period of pictures in steps; `eval_every` by default.
    picture_fn: (model, params, step) -> uint8[height, width, 3]; None for no
      pictures.
    load: model directory or checkpoint whose parameters to start from.
    resume: go on from the latest checkpoint of `model_dir`, if it has one.
    overwrite: remove the run that is in `model_dir`.
    console: print metrics.

  Returns:
    The last state.

  Raises:
    ValueError: if the directory holds a run and neither `resume` nor
      `overwrite` is given; see also `loop.fit`.
  """
  optimizer = model.optimizer_def if optimizer is None else optimizer
  if optimizer is None:
    raise ValueError(
      "There is no optimizer; bind run.train.optimizer, for example to "
      "@optimizers.adamw()."
    )
  mesh = mesh_lib.make_mesh() if mesh is None else mesh
  _open_model_dir(model_dir, tasks, resume, overwrite)
  initial_params = None if load is None else checkpoints.load_params(load)
  checkpointer = checkpoints.Checkpointer(model_dir, keep)
  writer = _writers(
    model_dir, train_steps, checkpointer.latest_step() or 0, console
  )
  scheduled = []
  if eval_batches is not None and eval_every:
    if not isinstance(eval_batches, Mapping):
      eval_batches = {"eval": eval_batches}
    for name, source in eval_batches.items():
      hook = hooks.evaluate_loss(
        model, source, mesh, logical_axis_rules, num_eval_batches, name
      )
      scheduled.append(
        hooks.every(eval_every, hook, name=f"the evaluation of {name}")
      )
  picture_every = eval_every if picture_every is None else picture_every
  if picture_fn is not None and picture_every:
    hook = hooks.draw_pictures(model, picture_fn)
    scheduled.append(hooks.every(picture_every, hook, name="the pictures"))
  try:
    return loop.fit(
      model,
      optimizer,
      batches,
      train_steps,
      mesh=mesh,
      logical_axis_rules=logical_axis_rules,
      seed=seed,
      microbatches=microbatches,
      initial_params=initial_params,
      checkpointer=checkpointer,
      checkpoint_every=checkpoint_every,
      hooks=scheduled,
      writer=writer,
      log_every=log_every,
      model_dir=model_dir,
    )
  finally:
    writer.close()
    checkpointer.close()


def _open_model_dir(
  model_dir: str, tasks: Any, resume: bool, overwrite: bool
) -> None:
  """Makes the directory and writes what describes the model."""
  folder = os.path.join(model_dir, checkpoints.FOLDER)
  curve = os.path.join(model_dir, writers.CURVE_FILE)
  if resume and overwrite:
    raise ValueError("Choose one of resume and overwrite.")
  holds_run = os.path.exists(folder) or os.path.exists(curve)
  if holds_run and not resume and not overwrite:
    raise ValueError(
      f"{model_dir} already holds a run. Give --resume to go on with it, "
      "--overwrite to remove it, or choose another --model_dir."
    )
  # Every process looks before the first one writes, and waits until it has.
  _wait_for_all("looked")
  if jax.process_index() == 0:
    if overwrite:
      for name in (folder, os.path.join(model_dir, writers.TENSORBOARD_FOLDER)):
        shutil.rmtree(name, ignore_errors=True)
      if os.path.exists(curve):
        os.remove(curve)
    os.makedirs(model_dir, exist_ok=True)
    config = os.path.join(model_dir, CONFIG_FILE)
    with open(config, "w", encoding="utf-8") as file:
      file.write(gin.config_str())
    if tasks is not None:
      tasks.vocabulary.save(model_dir)
  _wait_for_all("opened")


def _wait_for_all(name: str) -> None:
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)


def _writers(
  model_dir: str, train_steps: int, start: int, console: bool
) -> writers.Writers:
  """Where the first process reports; the others are silent."""
  if jax.process_index() != 0:
    return writers.Writers()
  chosen: list[writers.Writer] = [
    writers.CurveWriter(model_dir, start),
    writers.TensorBoardWriter(model_dir, start),
  ]
  if console:
    chosen.append(writers.ConsoleWriter(train_steps))
  return writers.Writers(chosen)
