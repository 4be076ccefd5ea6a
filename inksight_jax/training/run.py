"""What `inksight-jax train` configures: a training run in a model directory."""

import contextlib
import functools
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gin
import jax
import numpy as np
import optax
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from inksight_jax.training import (
  checkpoints,
  distributed,
  early_stopping,
  goodput,
  hooks,
  initial_weights,
  loop,
  prefetch,
  writers,
)
from inksight_jax.training import mesh as mesh_lib
from inksight_jax.training import state as state_lib

EvalBatches = prefetch.BatchSource | Mapping[str, prefetch.BatchSource] | None
PictureFunction = Callable[[Any, Any, int], np.ndarray]
ScoreFunction = Callable[[Any, Any, int], Mapping[str, float]]
CONFIG_FILE = "config.gin"


def train(
  model_dir: str,
  model: Any,
  batches: prefetch.BatchSource,
  train_steps: int,
  optimizer: optax.GradientTransformation | None = None,
  tasks: Any = None,
  eval_batches: EvalBatches = None,
  seed: int = 0,
  mesh: Mesh | None = None,
  logical_axis_rules: mesh_lib.LogicalAxisRules = mesh_lib.LOGICAL_AXIS_RULES,
  microbatches: int = 1,
  rng_impl: str | None = None,
  checkpoint_every: int = 1000,
  keep: int | None = 3,
  save_timeout: float = 300.0,
  log_every: int = 100,
  eval_every: int = 1000,
  num_eval_batches: int = 8,
  patience: int | None = None,
  picture_every: int | None = None,
  picture_fn: PictureFunction | None = None,
  score_fn: ScoreFunction | None = None,
  best_metric: str | None = None,
  load: initial_weights.InitialWeights
  | Sequence[initial_weights.InitialWeights]
  | str
  | None = None,
  resume: bool = False,
  overwrite: bool = False,
  console: bool = True,
) -> state_lib.TrainState:
  """Trains into a model directory that describes itself.

  Args:
    model_dir: gets config.gin, vocabulary, checkpoints and curves.
    model, batches, train_steps, seed: see `loop.fit`.
    mesh, logical_axis_rules, microbatches: see `loop.fit`.
    rng_impl, log_every: see `loop.fit`.
    optimizer: the model's own `optimizer_def` by default.
    tasks: what the batches are; its `vocabulary` is saved.
    eval_batches: held-out batches, or several by name.
    checkpoint_every: period in steps; the end always saves.
    keep, save_timeout: see `checkpoints.Checkpointer`.
    eval_every: period of evaluations in steps; 0 for never.
    num_eval_batches: batches of an evaluation.
    patience: evaluations without a better loss on the (first) held-out batches
      after which to stop, keeping the best step; None trains to the end and
      keeps the last ones.
    picture_every: period of pictures in steps; `eval_every` by default.
    picture_fn: (model, params, step) -> uint8[height, width, 3].
    score_fn: (model, params, step) -> more numbers for each evaluation.
    best_metric: name of a reported number, such as "eval/cer": the `keep`
      checkpoints in which it is least are kept, and the latest; `patience`
      watches it too.
    load: model directory or checkpoint whose parameters to start from, or
      functions that give some of them; see `initial_weights`.
    resume: go on from the latest checkpoint of `model_dir`, if it has one.
    overwrite: remove the run that is in `model_dir`.
    console: print metrics.

  Returns:
    The last state.

  Raises:
    ValueError: if `model_dir` holds a run and neither `resume` nor `overwrite`
      is given; see also `loop.fit`.
  """
  optimizer = _check_optimizer(model, optimizer)
  mesh = mesh_lib.make_mesh() if mesh is None else mesh
  evaluate = functools.partial(
    hooks.evaluate_loss, model, mesh=mesh, rules=logical_axis_rules
  )
  scheduled = _evaluations(eval_batches, eval_every, num_eval_batches, evaluate)
  if score_fn is not None and eval_every:
    hook = hooks.report_scores(model, score_fn)
    scheduled.append(hooks.every(eval_every, hook, name="the scores"))
  scheduled += _pictures(model, picture_fn, picture_every, eval_every)
  _open_model_dir(model_dir, resume, overwrite)
  saver = checkpoints.Checkpointer(model_dir, keep, save_timeout, best_metric)
  start = saver.latest_step() or 0
  stopping = _early_stopping(
    patience,
    eval_batches if eval_every else None,
    best_metric,
    model_dir,
    start,
  )
  with (
    contextlib.closing(saver),
    contextlib.closing(_writers(model_dir, train_steps, saver, console)) as out,
    # Another process is gone: the saver would wait for it.
    distributed.leave_at_once_on_errors(jax.errors.JaxRuntimeError),
  ):
    return loop.fit(
      model, optimizer, batches, train_steps, mesh=mesh, seed=seed,
      logical_axis_rules=logical_axis_rules, microbatches=microbatches,
      rng_impl=rng_impl,
      load=initial_weights.as_sequence(load, tasks and tasks.vocabulary),
      checkpointer=saver, checkpoint_every=checkpoint_every, hooks=scheduled,
      writer=out, log_every=log_every, model_dir=model_dir,
      early_stopping=stopping,
      # Not before: a run that cannot be resumed must keep its description.
      on_start=functools.partial(_describe, model_dir, tasks),
    )  # fmt: skip


def _check_optimizer(
  model: Any, optimizer: optax.GradientTransformation | None
) -> optax.GradientTransformation:
  optimizer = model.optimizer_def if optimizer is None else optimizer
  if optimizer is None:
    raise ValueError(
      "There is no optimizer; bind run.train.optimizer, for example to "
      "@optimizers.adamw()."
    )
  return optimizer


def _evaluations(
  eval_batches: EvalBatches,
  eval_every: int,
  num_batches: int,
  evaluate: Callable[..., hooks.Hook],
) -> list[hooks.Scheduled]:
  """One hook for each held-out set."""
  if eval_batches is None or not eval_every:
    return []
  if not isinstance(eval_batches, Mapping):
    eval_batches = {"eval": eval_batches}
  return [
    hooks.every(
      eval_every,
      evaluate(source, num_batches=num_batches, name=name),
      name=f"the evaluation of {name}",
    )
    for name, source in eval_batches.items()
  ]


def _early_stopping(
  patience: int | None,
  eval_batches: EvalBatches,
  metric: str | None,
  model_dir: str,
  start: int,
) -> early_stopping.EarlyStopping | None:
  """What decides on saves and the end, if the run has patience."""
  if patience is None:
    return None
  if not eval_batches:
    raise ValueError(
      "Early stopping needs held-out batches and their evaluation; bind "
      "run.train.eval_batches and eval_every, or set patience to None."
    )
  names = list(eval_batches) if isinstance(eval_batches, Mapping) else ["eval"]
  curve = writers.read_curve(os.path.join(model_dir, writers.CURVE_FILE))
  history = [line for line in curve if line["step"] <= start]
  metric = metric or f"{names[0]}/loss"
  return early_stopping.EarlyStopping(patience, metric, history)


def _pictures(
  model: Any,
  picture_fn: PictureFunction | None,
  picture_every: int | None,
  eval_every: int,
) -> list[hooks.Scheduled]:
  """The hook that draws, if there is anything to draw."""
  steps = eval_every if picture_every is None else picture_every
  if picture_fn is None or not steps:
    return []
  hook = hooks.draw_pictures(model, picture_fn)
  return [hooks.every(steps, hook, name="the pictures")]


def _open_model_dir(model_dir: str, resume: bool, overwrite: bool) -> None:
  """Makes the directory, emptied of another run if that is wanted."""
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
      for path in (curve, os.path.join(model_dir, goodput.FILE)):
        if os.path.exists(path):
          os.remove(path)
    os.makedirs(model_dir, exist_ok=True)
  _wait_for_all("opened")


def _describe(model_dir: str, tasks: Any) -> None:
  """Writes what describes the model."""
  if jax.process_index() == 0:
    config = os.path.join(model_dir, CONFIG_FILE)
    with open(f"{config}.partial", "w", encoding="utf-8") as file:
      file.write(gin.config_str())
    os.replace(f"{config}.partial", config)
    if tasks is not None:
      tasks.vocabulary.save(model_dir)
  _wait_for_all("described")


def _wait_for_all(name: str) -> None:
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)


def _writers(
  model_dir: str,
  train_steps: int,
  checkpointer: checkpoints.Checkpointer,
  console: bool,
) -> writers.Writers:
  """Where the first process reports; the others are silent."""
  if jax.process_index() != 0:
    return writers.Writers()
  start = checkpointer.latest_step() or 0
  chosen: list[writers.Writer] = [
    writers.CurveWriter(model_dir, start),
    writers.TensorBoardWriter(model_dir, start),
  ]
  if console:
    chosen.append(writers.ConsoleWriter(train_steps, start=start))
  return writers.Writers(chosen)
