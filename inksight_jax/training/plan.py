"""What is planned, and what a plan says: memory, time and cost on a slice."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from inksight_jax.training import chips, hlo_cost
from inksight_jax.training import mesh as mesh_lib


@dataclasses.dataclass(frozen=True)
class Job:
  """What is to be trained.

  Attributes:
    model: T5X-shaped model object.
    optimizer: optax optimiser.
    batch_size: examples of all chips together.
    train_steps: length of the schedule.
    image_size: side of the pictures, or their (height, width).
    input_length: tokens of a prompt; 0 where there is none.
    target_length: tokens of a target.
    rules: logical axis rules.
    rng_impl: generator of dropout; None for the hardware's.
  """

  model: Any
  optimizer: optax.GradientTransformation
  batch_size: int
  train_steps: int
  image_size: int | tuple[int, int]
  input_length: int
  target_length: int
  rules: mesh_lib.LogicalAxisRules = mesh_lib.LOGICAL_AXIS_RULES
  rng_impl: str | None = None

  def batch(self, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """The abstract training batch, its rows spread over the mesh.

    Raises:
      ValueError: if the rows cannot be spread evenly.
    """
    shards = math.prod(mesh.shape[axis] for axis in mesh_lib.BATCH_AXES)
    if self.batch_size % shards:
      raise ValueError(
        f"A batch of {self.batch_size} examples cannot be spread over data * "
        f"fsdp = {shards}; make BATCH_SIZE a multiple of it."
      )
    targets = ("decoder_input_tokens", "decoder_target_tokens")
    size = self.image_size
    sides = (size, size) if isinstance(size, int) else tuple(size)
    prompt = {"encoder_input_tokens": ((self.input_length,), jnp.int32)}
    shapes = {
      "encoder_input_image": ((*sides, 3), jnp.uint8),
      **(prompt if self.input_length else {}),
      **dict.fromkeys(targets, ((self.target_length,), jnp.int32)),
      "decoder_loss_weights": ((self.target_length,), jnp.float32),
    }
    return {
      name: jax.ShapeDtypeStruct(
        (self.batch_size, *shape),
        dtype,
        sharding=mesh_lib.batch_sharding(mesh),
      )
      for name, (shape, dtype) in shapes.items()
    }


@dataclasses.dataclass(frozen=True)
class Layout:
  """How a job is spread over chips.

  Attributes:
    data: plain data parallelism.
    fsdp: data parallelism that splits the state as well.
    model: tensor parallelism.
    microbatches: parts of a batch, one after the other.
  """

  data: int
  fsdp: int = 1
  model: int = 1
  microbatches: int = 1

  def __str__(self) -> str:
    """One line for tables."""
    return (
      f"data={self.data} fsdp={self.fsdp} model={self.model} "
      f"microbatches={self.microbatches}"
    )


@dataclasses.dataclass(frozen=True)
class Program:
  """One compiled program, per chip.

  Attributes:
    memory: bytes of HBM by kind.
    limit: bytes of HBM that a program may use.
    cost: what it computes and moves; None when it does not fit, since then
      there is no program.
    compile_seconds: wall time of tracing, lowering and compiling.
    text: the optimised program, as XLA prints it.
    xla_bytes: moved by XLA's own `cost_analysis`, which counts a loop once;
      None where it does not tell.
  """

  memory: Mapping[str, float]
  limit: float
  cost: hlo_cost.Cost | None
  compile_seconds: float
  text: str = ""
  xla_bytes: float | None = None

  @property
  def hbm_bytes(self) -> float:
    """Bytes of HBM that it needs."""
    return sum(self.memory.values())

  @property
  def fits(self) -> bool:
    """Whether it runs on the chip."""
    return self.cost is not None and self.hbm_bytes <= self.limit


@dataclasses.dataclass(frozen=True)
class Plan:
  """A job on a slice.

  Attributes:
    job: the job.
    topology: the slice.
    layout: how the job is spread.
    params: number of parameters.
    train: the train step.
    decode: decoding a batch to its full length, where it was asked for.
  """

  job: Job
  topology: chips.Topology
  layout: Layout
  params: int
  train: Program
  decode: Program | None = None

  @property
  def fits(self) -> bool:
    """Whether all programs fit."""
    return self.train.fits and (self.decode is None or self.decode.fits)

  def bounds(self, cost: hlo_cost.Cost) -> dict[str, float]:
    """Least seconds of each part of a chip for a program.

    Operations of the vector units are counted as if the matrix units did them,
    as XLA's own cost analysis is usually read; traffic is that with HBM.
    """
    chip = self.topology.chip
    return {
      "compute": cost.flops / chip.flops,
      "memory": cost.hbm_bytes / chip.hbm_bandwidth,
      "links": cost.ici_bytes / chip.ici_bandwidth,
    }

  @property
  def roofline_seconds(self) -> float:
    """Least seconds of a train step; infinite when it does not fit."""
    if self.train.cost is None:
      return math.inf
    return max(self.bounds(self.train.cost).values())

  @property
  def hours(self) -> float:
    """Least hours of the whole schedule."""
    return self.roofline_seconds * self.job.train_steps / 3600

  @property
  def chip_hours(self) -> float:
    """Least chip-hours of the whole schedule."""
    return self.hours * self.topology.num_chips

  def suggestion(self) -> str:
    """What to change so that the train step fits, from the sizes at hand."""
    memory, limit = self.train.memory, self.train.limit
    rest = memory["activations, gradients"]
    state = sum(memory.values()) - rest
    # Gradients are as large as the parameters and split like them.
    gradients = min(memory["parameters"], rest)
    activations = rest - gradients
    rows = self.job.batch_size // (self.layout.data * self.layout.fsdp)
    for parts in (2, 4, 8, 16):
      need = state + gradients + activations / parts
      count = self.layout.microbatches * parts
      if need <= 0.95 * limit and rows % count == 0:
        return f"set MICROBATCHES={count}: about {_gib(need)} a chip"
    for parts in (2, 4, 8, 16, 32, 64):
      need = (state + gradients) / parts + activations
      count = self.layout.fsdp * parts
      if need <= 0.95 * limit and self.layout.data % parts == 0:
        return f"set MESH_FSDP={count}: about {_gib(need)} a chip"
    return (
      "take a larger slice, or set both MESH_FSDP and MICROBATCHES; --sweep "
      "tries them"
    )

  def to_json(self) -> dict[str, Any]:
    """All numbers, per chip where not said otherwise."""
    train, chip = self.train, self.topology.chip
    values: dict[str, Any] = {
      "topology": self.topology.name,
      "chips": self.topology.num_chips,
      "layout": dataclasses.asdict(self.layout),
      "params": self.params,
      "fits": self.fits,
      "hbm_bytes_per_chip": round(train.hbm_bytes),
      "hbm_limit_bytes": round(train.limit),
      "memory": {kind: round(size) for kind, size in train.memory.items()},
      "compile_seconds": round(train.compile_seconds, 2),
      "peaks": dataclasses.asdict(chip),
    }
    if train.cost is not None:
      values |= {
        "flops_per_chip": train.cost.flops,
        "matmul_flops_per_chip": train.cost.matmul_flops,
        "bytes_per_chip": train.cost.hbm_bytes,
        "bytes_of_all_memories_per_chip": train.cost.bytes,
        "xla_bytes_per_chip": train.xla_bytes,
        "link_bytes_per_chip": train.cost.ici_bytes,
        "bounds": self.bounds(train.cost),
        "roofline_seconds": self.roofline_seconds,
        "train_steps": self.job.train_steps,
        "hours": self.hours,
        "chip_hours": self.chip_hours,
        "open_loops": list(train.cost.open_loops),
      }
    else:
      names = ("flops_per_chip", "bytes_per_chip", "roofline_seconds")
      values |= dict.fromkeys((*names, "hours", "chip_hours"))
      values["suggestion"] = self.suggestion()
    if self.decode is not None:
      decode = self.decode
      values["decode"] = {
        "fits": decode.fits,
        "hbm_bytes_per_chip": round(decode.hbm_bytes),
        "memory": {k: round(v) for k, v in decode.memory.items()},
        "compile_seconds": round(decode.compile_seconds, 2),
      }
      if decode.cost is not None:
        values["decode"] |= {
          "flops_per_chip": decode.cost.flops,
          "bytes_per_chip": decode.cost.hbm_bytes,
          "roofline_seconds": max(self.bounds(decode.cost).values()),
        }
    return values


def _gib(size: float) -> str:
  return f"{size / chips.GIB:.1f} GiB"
