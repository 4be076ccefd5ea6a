"""`inksight-jax plan`: memory, time and cost of a recipe before it runs."""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import TYPE_CHECKING, Any

from inksight_jax.cli import train as train_cli

if TYPE_CHECKING:
  from inksight_jax.training import hlo_cost, plan

HELP = "memory, time and cost of a recipe on a TPU slice, without a TPU"
DESCRIPTION = """\
Compile the real train step and the real decoding of a recipe for a TPU slice,
with the TPU's own compiler, on any machine. Prints parameters, memory per
chip, whether it fits, operations and traffic per step, the least time that
the chip's published peaks allow, and what the whole schedule costs at least.
Needs the extra `inksight-jax[tpu]`; needs no TPU, no data, no vocabulary file.
"""
EPILOG = """\
examples:
  inksight-jax plan --gin_file=gin/recipes/inksight_small_p.gin \\
    --topology=v5e:8x8
  inksight-jax plan --gin_file=gin/recipes/inksight_large_i.gin \\
    --topology=v5e:16x16 --gin.MESH_FSDP=16 --json=large.json
  inksight-jax plan --gin_file=gin/recipes/inksight_small_p.gin \\
    --topology=v6e:4x4 --sweep

Exits with 1, and says what to change, when the recipe does not fit.
"""
# Reported on the model card of InkSight-Small-p, frozen ViT, 64 v5e chips.
_REPORTED = (
  "InkSight reports 33 h (Small-i) and 105 h (Large-i) on 64 v5e chips"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `plan`."""
  train_cli.add_gin_arguments(parser)
  parser.add_argument(
    "--topology",
    required=True,
    metavar="CHIP:SHAPE",
    help="slice to plan for, such as v5e:8x8 or v5p:2x2x4",
  )
  parser.add_argument(
    "--sweep",
    action="store_true",
    help="compare meshes (data, fsdp, model) and microbatches, best first",
  )
  parser.add_argument(
    "--no_decode",
    action="store_true",
    help="leave decoding out: half the time",
  )
  parser.add_argument(
    "--top",
    type=int,
    default=0,
    metavar="N",
    help="list the N instructions that move the most bytes",
  )
  parser.add_argument(
    "--json",
    nargs="?",
    const="-",
    metavar="FILE",
    help="write the numbers as JSON; without FILE to standard output, "
    "instead of the table",
  )
  parser.add_argument(
    "--dump", metavar="FILE", help="write the train step's optimised HLO"
  )
  parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
  """Plans; returns the exit code."""
  from inksight_jax.training import chips

  # Before JAX is imported, which the modules below do.
  topology = chips.parse_topology(args.topology)
  chips.set_environment()
  from inksight_jax.training import aot

  job, layout = _read(args, topology.num_chips)
  devices = chips.devices(topology)
  out = sys.stderr if args.json == "-" else sys.stdout
  if args.sweep:
    plans = aot.sweep(
      job,
      topology,
      devices,
      lambda made: print(_row(made), file=sys.stderr, flush=True),
    )
    if not plans:
      raise ValueError(
        f"No mesh of {topology.num_chips} chips divides a batch of "
        f"{job.batch_size} examples; change BATCH_SIZE."
      )
    best = plans[0]
    print("best first:", *map(_row, plans), sep="\n", file=out)
  else:
    best = aot.make(job, topology, devices, layout, not args.no_decode)
    plans = [best]
  print(_table(best), file=out)
  if args.top and best.train.cost is not None:
    print(_largest(best.train.cost, args.top), file=out)
  if args.dump and best.train.text:
    with open(args.dump, "w", encoding="utf-8") as file:
      file.write(best.train.text)
  _write_json(args.json, best, plans if args.sweep else [])
  return 0 if best.fits else 1


def _read(
  args: argparse.Namespace, num_chips: int
) -> tuple[plan.Job, plan.Layout]:
  """The job and the layout that the gin files describe."""
  from inksight_jax.inference import recipe
  from inksight_jax.training import mesh as mesh_lib
  from inksight_jax.training import plan as plan_lib

  recipe.parse(args.gin_file, args.gin_bindings, complete=False)
  sizes = {
    field: recipe.resolve(name)
    for field, name in (
      ("batch_size", "BATCH_SIZE"),
      ("train_steps", "TRAIN_STEPS"),
      ("image_size", "IMAGE_SIZE"),
      ("target_length", "TARGET_LENGTH"),
    )
  }
  # Not every family has prompts.
  sizes["input_length"] = recipe.resolve("INPUT_LENGTH", 0)
  job = plan_lib.Job(
    model=recipe.resolve("MODEL"),
    optimizer=recipe.resolve("OPTIMIZER"),
    rules=recipe.resolve("LOGICAL_AXIS_RULES"),
    rng_impl=recipe.resolve("RNG_IMPL"),
    **sizes,
  )
  data, fsdp, model = mesh_lib.mesh_sizes(
    num_chips, *(recipe.resolve(f"MESH_{x}") for x in ("DATA", "FSDP", "MODEL"))
  )
  layout = plan_lib.Layout(data, fsdp, model, recipe.resolve("MICROBATCHES"))
  return job, layout


def _row(made: plan.Plan) -> str:
  """One line of a sweep."""
  speed = "does not fit"
  if made.train.cost is not None:
    speed = f"{1000 * made.roofline_seconds:7.1f} ms a step"
    speed += f" {made.chip_hours:9.0f} chip-hours"
  return f"{made.layout!s:44} {_gib(made.train.hbm_bytes):>10} {speed}"


def _table(made: plan.Plan) -> str:
  """What a person reads."""
  train, chip = made.train, made.topology.chip
  lines = [
    f"{made.topology.name}: {made.topology.num_chips} chips, {made.layout}",
    f"parameters        {made.params / 1e6:,.1f} M",
    *_memory("train step", train),
  ]
  if train.cost is None:
    lines.append(f"suggestion        {made.suggestion()}")
  else:
    cost, bounds = train.cost, made.bounds(train.cost)
    parts = ", ".join(f"{k} {1000 * v:.1f}" for k, v in bounds.items())
    limiting = max(bounds, key=lambda name: bounds[name])
    lines += [
      f"per step and chip {cost.flops / 1e12:.2f} TFLOP "
      f"({cost.matmul_flops / 1e12:.2f} in products), "
      f"{cost.hbm_bytes / 1e9:.1f} GB to and from HBM, "
      f"{cost.ici_bytes / 1e9:.2f} GB to other chips",
      f"peaks             {chip.flops / 1e12:.0f} TFLOP/s bf16, "
      f"{chip.hbm_bandwidth / 1e9:.0f} GB/s HBM, "
      f"{chip.ici_bandwidth / 1e9:.0f} GB/s links",
      f"least ms          {parts}: bound by {limiting}, "
      f"{made.job.batch_size / made.roofline_seconds:,.0f} examples/s",
      f"schedule          {made.job.train_steps:,} steps of "
      f"{made.job.batch_size}: at least {made.hours:.1f} h, "
      f"{made.chip_hours:,.0f} chip-hours",
      f"                  {_REPORTED}",
      f"compiled in       {train.compile_seconds:.1f} s",
    ]
    lines += [
      f"warning           {name} runs until the data ends it; counted once"
      for name in cost.open_loops
    ]
  if made.decode is not None:
    lines += _decode(made, made.decode)
  return "\n".join(lines)


def _decode(made: plan.Plan, decode: plan.Program) -> list[str]:
  lines = _memory("decoding", decode)
  if decode.cost is not None:
    seconds = max(made.bounds(decode.cost).values())
    tokens = made.job.target_length
    lines.append(
      f"                  {made.job.batch_size} pictures to {tokens} tokens: "
      f"at least {seconds:.2f} s, {1000 * seconds / tokens:.2f} ms a token; "
      f"compiled in {decode.compile_seconds:.1f} s"
    )
  return lines


def _memory(title: str, program: plan.Program) -> list[str]:
  """Memory by kind."""
  verdict = "fits" if program.fits else "DOES NOT FIT"
  return [
    f"{title:17} {_gib(program.hbm_bytes)} of {_gib(program.limit)} a chip: "
    f"{verdict}",
    *(f"  {kind:24} {_gib(size):>10}" for kind, size in program.memory.items()),
  ]


def _largest(cost: hlo_cost.Cost, count: int) -> str:
  rows = [
    f"{op.hbm_bytes / 1e9:8.2f} GB {op.runs:5} x {op.shape:28} {op.source}"
    for op in cost.largest(count)
  ]
  return "\n".join(["largest traffic, all runs in a step:", *rows])


def _gib(size: float) -> str:
  from inksight_jax.training import chips

  return f"{size / chips.GIB:.2f} GiB"


def _write_json(
  target: str | None, best: plan.Plan, plans: list[plan.Plan]
) -> None:
  if target is None:
    return
  values = best.to_json()
  if plans:
    values["sweep"] = [made.to_json() for made in plans]
  text = json.dumps(_finite(values), indent=2)
  if target == "-":
    print(text)
    return
  with open(target, "w", encoding="utf-8") as file:
    file.write(text + "\n")


def _finite(value: Any) -> Any:
  """JSON has no infinity; what does not fit has no time."""
  if isinstance(value, dict):
    return {name: _finite(item) for name, item in value.items()}
  if isinstance(value, list):
    return [_finite(item) for item in value]
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value
