"""What happens besides stepping, each thing on its own schedule."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from flax.linen import partitioning
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from inksight_jax.training import compiler_options, prefetch, writers
from inksight_jax.training import mesh as mesh_lib
from inksight_jax.training import state as state_lib


@dataclasses.dataclass(frozen=True)
class Moment:
  """What a hook sees after a step.

  Attributes:
    step: steps done.
    state: the state; its arrays are only valid until the hook returns.
    writer: where to report.
    last: whether training stops here.
  """

  step: int
  state: state_lib.TrainState
  writer: writers.Writer
  last: bool


Hook = Callable[[Moment], None]


@dataclasses.dataclass(frozen=True)
class Scheduled:
  """A hook and when it runs.

  Attributes:
    hook: called with the `Moment`.
    every: runs after each multiple of this many steps.
    at_end: runs after the last step too.
    name: for errors.
  """

  hook: Hook
  every: int
  at_end: bool = True
  name: str = "hook"

  def due(self, step: int, last: bool) -> bool:
    """Whether the hook runs after this step."""
    return step % self.every == 0 or (last and self.at_end)


def every(
  steps: int, hook: Hook, at_end: bool = True, name: str | None = None
) -> Scheduled:
  """Schedules a hook.

  Args:
    steps: period in steps.
    hook: what to call.
    at_end: whether to call it after the last step too.
    name: for errors; the hook's own by default.

  Returns:
    The scheduled hook.

  Raises:
    ValueError: if the period is not positive.
  """
  if steps < 1:
    raise ValueError(
      f"A hook cannot run every {steps} steps; leave it out to turn it off."
    )
  return Scheduled(hook, steps, at_end, name or type(hook).__name__)


def evaluate_loss(
  model: Any,
  source: prefetch.BatchSource,
  mesh: Mesh,
  rules: mesh_lib.LogicalAxisRules = mesh_lib.LOGICAL_AXIS_RULES,
  num_batches: int = 8,
  name: str = "eval",
) -> Hook:
  """Reports the metrics of the model's `eval_fn` on fixed held-out batches.

  Args:
    model: has `eval_fn`.
    source: held-out batches; always the first ones are taken.
    mesh: the mesh of training.
    rules: logical axis rules of training.
    num_batches: how many.
    name: prefix of the metrics.

  Returns:
    A hook.
  """
  batch_sharding = mesh_lib.batch_sharding(mesh)
  options = compiler_options.for_platform(mesh.devices.flat[0].platform)

  @functools.partial(jax.jit, compiler_options=options)
  def evaluate(params: Any, batch: Mapping[str, jax.Array]) -> Any:
    with partitioning.axis_rules(mesh_lib.as_linen_rules(rules)):
      return model.eval_fn(params, batch)[1]

  def hook(moment: Moment) -> None:
    results = []
    with jax.set_mesh(mesh):
      for batch in itertools.islice(source.batches(), num_batches):
        placed = prefetch.place(batch, batch_sharding)
        results.append(evaluate(moment.state.params, placed))
    if not results:
      raise ValueError(f"The batches of {name!r} are empty.")
    moment.writer.scalars(
      moment.step,
      {f"{name}/{k}": v for k, v in merged(jax.device_get(results)).items()},
    )

  return hook


def report_scores(
  model: Any, score_fn: Callable[[Any, Any, int], Mapping[str, float]]
) -> Hook:
  """Reports numbers that take more than a batch, such as error rates of texts.

  With several processes each one works them out alone, from parameters gathered
  on the host: all must agree on which checkpoint is the best.

  Args:
    model: handed to the function.
    score_fn: (model, params, step) -> numbers by name.

  Returns:
    A hook.
  """

  def hook(moment: Moment) -> None:
    params = moment.state.params
    if jax.process_count() == 1:
      values = score_fn(model, params, moment.step)
    else:
      params = multihost_utils.process_allgather(params, tiled=True)
      with jax.set_mesh(_alone()):
        values = score_fn(model, params, moment.step)
    moment.writer.scalars(moment.step, values)

  return hook


def draw_pictures(
  model: Any,
  picture_fn: Callable[[Any, Any, int], np.ndarray],
  name: str = "samples",
) -> Hook:
  """Reports a picture of what the model does now.

  With several processes the first one draws alone, from parameters gathered
  on the host: pictures are few, and need no code of their own for that.

  Args:
    model: handed to the function.
    picture_fn: (model, params, step) -> uint8[height, width, 3].
    name: of the picture.

  Returns:
    A hook.
  """

  def hook(moment: Moment) -> None:
    params = moment.state.params
    if jax.process_count() == 1:
      picture = picture_fn(model, params, moment.step)
    else:
      params = multihost_utils.process_allgather(params, tiled=True)
      if jax.process_index() != 0:
        return
      with jax.set_mesh(_alone()):
        picture = picture_fn(model, params, moment.step)
    moment.writer.image(moment.step, name, picture)

  return hook


def _alone() -> Mesh:
  """A mesh of one own device: that of the run is of all processes."""
  return mesh_lib.make_mesh(devices=jax.local_devices()[:1])


def merged(results: list[dict[str, Any]]) -> dict[str, float]:
  """Merges clu metrics of several steps and computes their values.

  Args:
    results: metrics by name, on the host.

  Returns:
    Values by name.
  """
  total = dict(results[0])
  for metrics in results[1:]:
    for name, metric in metrics.items():
      total[name] = total[name].merge(metric)
  return {name: float(metric.compute()) for name, metric in total.items()}
