"""The one training loop."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from flax.linen import partitioning
from jax.sharding import Mesh

from inksight_jax.training import (
  checkpoints,
  compiler_options,
  initial_weights,
  prefetch,
  writers,
)
from inksight_jax.training import clock as clock_lib
from inksight_jax.training import early_stopping as early_stopping_lib
from inksight_jax.training import goodput as goodput_lib
from inksight_jax.training import hooks as hooks_lib
from inksight_jax.training import mesh as mesh_lib
from inksight_jax.training import preemption as preemption_lib
from inksight_jax.training import state as state_lib
from inksight_jax.training import step as step_lib


class NonFiniteLoss(ValueError):
  """The loss or a gradient became infinite or not a number."""


def fit(
  model: Any,
  optimizer: optax.GradientTransformation,
  batches: prefetch.BatchSource,
  train_steps: int,
  *,
  mesh: Mesh | None = None,
  logical_axis_rules: mesh_lib.LogicalAxisRules = mesh_lib.LOGICAL_AXIS_RULES,
  seed: int = 0,
  microbatches: int = 1,
  rng_impl: str | None = None,
  load: Sequence[initial_weights.InitialWeights] = (),
  checkpointer: checkpoints.Checkpointer | None = None,
  checkpoint_every: int = 0,
  hooks: Sequence[hooks_lib.Scheduled] = (),
  writer: writers.Writer | None = None,
  log_every: int = 100,
  model_dir: str | None = None,
  early_stopping: early_stopping_lib.EarlyStopping | None = None,
  on_start: Callable[[], None] | None = None,
) -> state_lib.TrainState:
  """Trains a model.

  Starts from the latest checkpoint of `checkpointer`, or else from the model's
  own initialisation with what `load` gives put in its place. After SIGTERM it
  saves and returns early. The device never waits for the host: metrics and the
  check of a step are read while the next one runs.

  Args:
    model: T5X-shaped model object.
    optimizer: optax optimiser.
    batches: training data; this process's part of it.
    train_steps: step to stop at, counted from the very beginning.
    mesh: device mesh; all devices data-parallel by default.
    logical_axis_rules: how logical axes fall on the mesh.
    seed: of initial parameters and dropout.
    microbatches: see `step.make_train_step`.
    rng_impl: generator of dropout; None for the hardware's, where it has one.
    load: weights to start from instead of random ones, later ones winning;
      not read when a checkpoint is resumed.
    checkpointer: where to save to and resume from; None for neither.
    checkpoint_every: period of saves in steps; the end always saves.
    hooks: run after their steps, in this order, before the save.
    writer: where to report.
    log_every: period of reports in steps.
    model_dir: where a batch that breaks the loss is saved, and the time spent.
    early_stopping: saves the steps that are best so far instead of every so
      many, stops, and leaves the best as the last checkpoint.
    on_start: called once the state is there: what is resumed or loaded fits.

  Returns:
    The last state.

  Raises:
    NonFiniteLoss: naming the step and the file with its batch.
    ValueError: for a checkpoint, batch or setting that does not fit.
  """
  mesh = mesh_lib.make_mesh() if mesh is None else mesh
  writer = writers.Writers() if writer is None else writer
  reports = writers.LastReports()
  writer = writers.Writers((writer, reports))
  if early_stopping is not None:
    writer = writers.Writers((writer, early_stopping))
  clock = clock_lib.Clock()
  start = (checkpointer.latest_step() if checkpointer else None) or 0
  feed = prefetch.Prefetcher(
    batches.batches(start),
    mesh_lib.batch_sharding(mesh),
    most_shapes=getattr(batches, "most_shapes", 1),
  )
  goodput = goodput_lib.Goodput(clock, model_dir, start)
  report = _Report(writer, clock, goodput, log_every, model_dir)
  try:
    with (
      preemption_lib.Preemption() as preemption,
      jax.set_mesh(mesh),
      partitioning.axis_rules(mesh_lib.as_linen_rules(logical_axis_rules)),
    ):
      with clock.time("data"):
        host_batch, batch = _next_batch(feed, start)
      with clock.time("compile"):
        plan = _plan(model, optimizer, batch, mesh, logical_axis_rules)
      with clock.time("restore"):
        if checkpointer is not None and start:
          state = _resume(checkpointer, plan, seed)
        else:
          state = _begin(model, optimizer, plan, seed, load)
      if on_start is not None:
        on_start()
      if start >= train_steps:
        return state
      platform = mesh.devices.flat[0].platform
      rng_impl = state_lib.rng_impl_for(platform, rng_impl)
      train_step = step_lib.make_train_step(
        model, optimizer, seed, microbatches, rng_impl
      )
      programs = _Programs(train_step, plan, clock)
      for step in range(start + 1, train_steps + 1):
        if step > start + 1:
          with clock.time("data"):
            host_batch, batch = _next_batch(feed, step - 1)
        state, metrics, health = programs.of(batch)(state, batch)
        report.settle()
        report.add(step, metrics, health, host_batch)
        preempted = stop = preemption.requested(step)
        last = stop or step == train_steps
        due = [hook for hook in hooks if hook.due(step, last)]
        save = last or (checkpoint_every > 0 and step % checkpoint_every == 0)
        if due or save:
          # Neither a hook nor a checkpoint may see a broken state.
          report.settle()
        moment = hooks_lib.Moment(step, state, writer, last)
        # After SIGTERM seconds count: save, and leave the hooks out.
        for hook in () if stop else due:
          with clock.time("hooks"):
            _run(hook, moment)
        if early_stopping is not None and not preempted:
          save = early_stopping.best_step == step
          stop = early_stopping.exhausted
        if save and checkpointer is not None:
          with clock.time("save"):
            checkpointer.save(state, seed, reports.of(step))
        if stop:
          break
      if checkpointer is not None:
        with clock.time("save"):
          checkpointer.wait()
          if early_stopping is not None and not preempted:
            checkpointer.drop_after(early_stopping.best_step)
      writer.scalars(step, goodput.report(step))
      return state
  finally:
    feed.close()


class _Report:
  """Reads the metrics of each step one step late."""

  def __init__(
    self,
    writer: writers.Writer,
    clock: clock_lib.Clock,
    goodput: goodput_lib.Goodput,
    log_every: int,
    model_dir: str | None,
  ) -> None:
    self._writer = writer
    self._clock = clock
    self._goodput = goodput
    self._log_every = log_every
    self._model_dir = model_dir
    self._pending: tuple[int, Any, jax.Array, prefetch.HostBatch] | None = None
    self._window: list[Any] = []
    self._window_start = self._training_seconds()

  def add(
    self,
    step: int,
    metrics: Any,
    health: jax.Array,
    host_batch: prefetch.HostBatch,
  ) -> None:
    """Remembers a step that was dispatched, without waiting for it."""
    self._pending = (step, metrics, health, host_batch)

  def settle(self) -> None:
    """Waits for the step remembered, checks it and reports when it is time."""
    if self._pending is None:
      return
    step, metrics, health, host_batch = self._pending
    self._pending = None
    loss, grad_norm = (float(x) for x in np.asarray(health))
    if not np.isfinite(loss) or not np.isfinite(grad_norm):
      raise NonFiniteLoss(
        f"Step {step} has loss {loss} and gradient norm {grad_norm}. "
        f"{self._save_batch(step, host_batch)} Lower the learning rate, warm "
        "up for longer, or look at that batch; the last checkpoint is sound."
      )
    self._window.append(metrics)
    if step % self._log_every == 0:
      self._write(step)

  def _write(self, step: int) -> None:
    now = self._training_seconds()
    values = hooks_lib.merged(jax.device_get(self._window))
    speed = len(self._window) / max(now - self._window_start, 1e-9)
    self._window, self._window_start = [], now
    self._writer.scalars(
      step,
      {f"train/{name}": value for name, value in values.items()}
      | {"train/steps_per_second": speed}
      | self._goodput.report(step),
    )

  def _training_seconds(self) -> float:
    """Time of steps and their data; the rest would hide a slower step."""
    return self._clock.seconds(without=("compile", "restore", "hooks", "save"))

  def _save_batch(self, step: int, batch: prefetch.HostBatch) -> str:
    if self._model_dir is None:
      return "The batch was not saved, as there is no model_dir."
    name = f"non_finite_step_{step}_process_{jax.process_index()}.npz"
    path = os.path.join(self._model_dir, name)
    np.savez(path, allow_pickle=False, **batch)
    return f"Its batch was saved as {path}."


def _next_batch(feed: prefetch.Prefetcher, position: int) -> Any:
  """The next pair of the feed; training data must not end."""
  try:
    return next(feed)
  except StopIteration:
    raise ValueError(
      f"The training data ended after {position} batches; let it repeat, or "
      "set train_steps to that number."
    ) from None


class _Plan(NamedTuple):
  """Shapes and shardings of all arrays of a run."""

  shapes: state_lib.TrainState
  shardings: state_lib.TrainState
  input_shapes: dict[str, tuple[int, ...]]
  input_types: dict[str, Any]


def _plan(
  model: Any,
  optimizer: optax.GradientTransformation,
  batch: Mapping[str, jax.Array],
  mesh: Mesh,
  rules: mesh_lib.LogicalAxisRules,
) -> _Plan:
  """Works out the state from a batch, without allocating it."""
  input_shapes = {name: tuple(x.shape) for name, x in batch.items()}
  input_types = {name: x.dtype for name, x in batch.items()}
  shapes, shardings = state_lib.abstract_state(
    model, optimizer, input_shapes, input_types, mesh, rules
  )
  return _Plan(shapes, shardings, input_shapes, input_types)


class _Programs:
  """The compiled step for each shape of batch, compiled when it first comes."""

  def __init__(
    self,
    train_step: step_lib.StepFunction,
    plan: _Plan,
    clock: clock_lib.Clock,
  ) -> None:
    self._train_step = train_step
    self._plan = plan
    self._clock = clock
    self._compiled: dict[Any, Any] = {}

  def of(self, batch: Mapping[str, jax.Array]) -> Any:
    """The step for batches like this one."""
    key = tuple(sorted((name, x.shape, x.dtype) for name, x in batch.items()))
    if key not in self._compiled:
      with self._clock.time("compile"):
        self._compiled[key] = compile_step(
          self._train_step, self._plan.shapes, self._plan.shardings, batch
        )
    return self._compiled[key]


def _resume(
  checkpointer: checkpoints.Checkpointer, plan: _Plan, seed: int
) -> state_lib.TrainState:
  """The latest checkpoint; with another seed the run would not be the same."""
  state, meta = checkpointer.restore(plan.shapes, plan.shardings)
  if meta["seed"] != seed:
    raise ValueError(
      f"The checkpoint was trained with seed {meta['seed']}, this run has "
      f"seed {seed}; resume with the same seed."
    )
  return state


def _begin(
  model: Any,
  optimizer: optax.GradientTransformation,
  plan: _Plan,
  seed: int,
  load: Sequence[initial_weights.InitialWeights],
) -> state_lib.TrainState:
  """A state at step 0: random parameters, and those that `load` gives."""
  state = state_lib.initial_state(
    model, optimizer, plan.input_shapes, plan.input_types, plan.shardings, seed
  )
  for weights in load:
    params = initial_weights.replace(
      state.params, weights, plan.shardings.params
    )
    state = state.replace(params=params)
  return state


def compile_step(
  train_step: step_lib.StepFunction,
  shapes: state_lib.TrainState,
  shardings: state_lib.TrainState,
  batch: Mapping[str, Any],
) -> Any:
  """Compiles a train step for its mesh; the state is donated.

  Args:
    train_step: from `step.make_train_step`.
    shapes: abstract state.
    shardings: of the state.
    batch: arrays, or `ShapeDtypeStruct`s with shardings.

  Returns:
    The compiled step (`jax.stages.Compiled`), called as the step itself.
  """
  mesh = shardings.step.mesh
  abstract = jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    shapes,
    shardings,
  )
  replicated = mesh_lib.replicated(mesh)
  jitted = jax.jit(
    train_step,
    donate_argnums=0,
    out_shardings=(shardings, replicated, replicated),
  )
  options = compiler_options.for_platform(mesh.devices.flat[0].platform)
  return jitted.lower(abstract, dict(batch)).compile(options)


def _run(hook: hooks_lib.Scheduled, moment: hooks_lib.Moment) -> None:
  """Runs a hook; its errors say which it was, and when."""
  try:
    hook.hook(moment)
  except Exception as error:
    error.add_note(f"while running {hook.name} after step {moment.step}")
    raise
