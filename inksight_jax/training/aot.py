"""Compiles the real programs of a run for chips that are not here.

Nothing is allocated: the state and the batch are shapes with shardings, the
train step is the one `loop.fit` compiles, decoding is `model.decode_batch`.
What the compiler says then is what it would say on the chips.
"""

import dataclasses
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax.linen import partitioning
from jax.sharding import NamedSharding

from inksight_jax.training import chips, hlo_cost, loop
from inksight_jax.training import mesh as mesh_lib
from inksight_jax.training import state as state_lib
from inksight_jax.training import step as step_lib
from inksight_jax.training.plan import Job, Layout, Plan, Program

# The two ways in which libtpu words it.
_NOT_FITTING = re.compile(
  r"\(([\d.]+)([KMGT])\) exceeds available HBM \(([\d.]+)([KMGT])\)"
  r"|Used ([\d.]+)([KMGT]) of ([\d.]+)([KMGT]) hbm"
)
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def make(
  job: Job,
  topology: chips.Topology,
  devices: Sequence[Any],
  layout: Layout,
  decode: bool = True,
) -> Plan:
  """Compiles a job for a slice.

  Args:
    job: what to train.
    topology: the slice.
    devices: its devices, from `chips.devices`.
    layout: how to spread the job.
    decode: compile decoding as well.

  Raises:
    ValueError: if the layout does not suit the slice or the batch.
  """
  mesh = mesh_lib.make_mesh(
    layout.data, layout.fsdp, layout.model, devices=devices
  )
  batch = job.batch(mesh)
  shapes, shardings = state_lib.abstract_state(
    job.model,
    job.optimizer,
    {name: x.shape for name, x in batch.items()},
    {name: x.dtype for name, x in batch.items()},
    mesh,
    job.rules,
  )
  platform = mesh.devices.flat[0].platform
  train_step = step_lib.make_train_step(
    job.model,
    job.optimizer,
    seed=0,
    microbatches=layout.microbatches,
    rng_impl=state_lib.rng_impl_for(platform, job.rng_impl),
  )
  sizes = {
    "parameters": _shard_bytes(shapes.params, shardings.params),
    "optimiser": _shard_bytes(shapes.opt_state, shardings.opt_state),
    "batch": _shard_bytes(batch, {k: x.sharding for k, x in batch.items()}),
  }
  rules = mesh_lib.as_linen_rules(job.rules)
  with jax.set_mesh(mesh), partitioning.axis_rules(rules):
    train = _compile(
      lambda: loop.compile_step(train_step, shapes, shardings, batch),
      topology.chip,
      sizes,
    )
    decoded = None
    if decode:
      decoded = _compile_decode(job, topology.chip, shapes, shardings, batch)
  params = state_lib.count_parameters(shapes.params)
  return Plan(job, topology, layout, params, train, decoded)


def _compile_decode(
  job: Job,
  chip: chips.Chip,
  shapes: state_lib.TrainState,
  shardings: state_lib.TrainState,
  batch: Mapping[str, jax.ShapeDtypeStruct],
) -> Program:
  """Decoding of a training batch's pictures to the full target length."""
  # The model decodes as long as the decoder's features are.
  inputs = {k: x for k, x in batch.items() if k != "decoder_loss_weights"}
  params = jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    shapes.params,
    shardings.params,
  )
  decode = jax.jit(job.model.decode_batch)
  sizes = {
    "parameters": _shard_bytes(shapes.params, shardings.params),
    "batch": _shard_bytes(inputs, {k: x.sharding for k, x in inputs.items()}),
  }
  return _compile(
    lambda: decode.lower(params, inputs).compile(),
    chip,
    sizes,
    # The first token comes with the prompt.
    open_loop_runs=max(job.target_length - 1, 1),
  )


def _compile(
  build: Callable[[], Any],
  chip: chips.Chip,
  sizes: Mapping[str, float],
  open_loop_runs: int = 1,
) -> Program:
  """Runs the compiler; a program that is too large is a result as well."""
  start = time.perf_counter()
  try:
    compiled = build()
  except jax.errors.JaxRuntimeError as error:
    if "RESOURCE_EXHAUSTED" not in str(error):
      raise
    used, limit = _needed(str(error))
    rest = max(used - sum(sizes.values()), 0.0)
    memory = {**sizes, "activations, gradients": rest, "program": 0.0}
    return Program(memory, limit, None, time.perf_counter() - start)
  seconds = time.perf_counter() - start
  analysis = compiled.memory_analysis()
  memory = {
    **sizes,
    "activations, gradients": float(analysis.temp_size_in_bytes),
    "program": float(analysis.generated_code_size_in_bytes),
  }
  # Results that do not take the place of an argument.
  fresh = analysis.output_size_in_bytes - analysis.alias_size_in_bytes
  memory["results"] = float(max(fresh, 0))
  text = compiled.as_text()
  cost = hlo_cost.analyse(text, open_loop_runs)
  xla_bytes = compiled.cost_analysis().get("bytes accessed")
  return Program(memory, chip.hbm_bytes, cost, seconds, text, xla_bytes)


def _needed(message: str) -> tuple[float, float]:
  """(bytes needed, bytes there are) of the compiler's refusal."""
  found = _NOT_FITTING.search(message)
  if found is None:
    raise ValueError(
      f"The program does not fit into HBM: {message.splitlines()[0]} Use more "
      "MICROBATCHES or MESH_FSDP, or a larger slice."
    )
  used, unit, limit, limit_unit = (part for part in found.groups() if part)
  return float(used) * _UNITS[unit], float(limit) * _UNITS[limit_unit]


def _shard_bytes(shapes: Any, shardings: Any) -> float:
  """Bytes of a tree on one chip."""

  def size(x: Any, sharding: NamedSharding) -> int:
    shape = sharding.shard_shape(tuple(x.shape))
    return math.prod(shape) * jnp.dtype(x.dtype).itemsize

  return float(sum(jax.tree.leaves(jax.tree.map(size, shapes, shardings))))


def layouts(num_chips: int) -> list[Layout]:
  """The layouts that `--sweep` compares, without microbatches.

  All data parallel, the state split over a host's 8 chips or over all, each
  without and with little tensor parallelism.
  """
  found = []
  for model in (1, 2, 4):
    for fsdp in sorted({1, 8, num_chips // model}):
      if num_chips % (fsdp * model) == 0:
        found.append(Layout(num_chips // (fsdp * model), fsdp, model))
  return found


def sweep(
  job: Job,
  topology: chips.Topology,
  devices: Sequence[Any],
  report: Callable[[Plan], None] = lambda plan: None,
  max_microbatches: int = 8,
) -> list[Plan]:
  """Compares layouts.

  Microbatches only save memory, so a layout gets more of them only while it
  does not fit.

  Args:
    job: what to train.
    topology: the slice.
    devices: its devices.
    report: called with each plan as it is made.
    max_microbatches: most microbatches to try.

  Returns:
    Plans, those that fit first, the fastest of them first.
  """
  plans = []
  for layout in layouts(topology.num_chips):
    rows, rest = divmod(job.batch_size, layout.data * layout.fsdp)
    parts = 1
    while not rest and parts <= max_microbatches and rows % parts == 0:
      plan = make(
        job,
        topology,
        devices,
        dataclasses.replace(layout, microbatches=parts),
        decode=False,
      )
      report(plan)
      plans.append(plan)
      if plan.fits:
        break
      parts *= 2
  return sorted(plans, key=lambda plan: (not plan.fits, plan.roofline_seconds))
