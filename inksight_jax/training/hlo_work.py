"""What single instructions of an XLA program compute and send."""

import functools
import math
import re

import numpy as np

from inksight_jax.training import hlo

_VECTOR = frozenset({
  "add", "subtract", "multiply", "divide", "maximum", "minimum", "compare",
  "select", "negate", "abs", "and", "or", "not", "xor", "power", "remainder",
  "clamp", "floor", "ceil", "sign", "round-nearest-even", "shift-left",
  "shift-right-logical", "shift-right-arithmetic", "convert",
})  # fmt: skip
_REDUCTIONS = frozenset({"reduce", "reduce-window"})
_KERNEL = re.compile(r'"cost_estimate":\{"flops":"(\d+)"')
_SENT = {
  # Bytes a chip sends for each byte of the result, on a ring of n chips.
  "all-reduce": lambda n: 2 * (n - 1) / n,
  "all-gather": lambda n: (n - 1) / n,
  "reduce-scatter": lambda n: n - 1,
  "all-to-all": lambda n: (n - 1) / n,
  "collective-permute": lambda n: 1.0,
  "ragged-all-to-all": lambda n: (n - 1) / n,
}


def of(
  computation: hlo.Computation, instruction: hlo.Instruction
) -> tuple[float, float, float]:
  """Work of one run of an instruction.

  Args:
    computation: where its operands are.
    instruction: any but those that only call other computations.

  Returns:
    (operations of the matrix units, operations of the vector units, bytes sent
    to other chips).
  """
  opcode = instruction.opcode
  size = sum(array.size for array in instruction.arrays)
  if opcode in ("dot", "convolution"):
    left, right = (
      computation.instructions[name].arrays[0].dims
      for name in instruction.operands[:2]
    )
    product = _dot if opcode == "dot" else _convolution
    return product(instruction, left, right), 0.0, 0.0
  if opcode in _VECTOR:
    return 0.0, float(size), 0.0
  if opcode in _REDUCTIONS:
    inputs = computation.instructions[instruction.operands[0]].arrays
    return 0.0, float(sum(array.size for array in inputs)), 0.0
  if opcode == "custom-call":
    # A kernel of its own computes what whoever wrote it says.
    told = _KERNEL.search(instruction.attributes)
    return float(told[1]) if told else 0.0, 0.0, 0.0
  sent = _SENT.get(opcode.removesuffix("-start"))
  if sent is not None:
    arrays = instruction.arrays
    if opcode.endswith("-start"):
      count = len(instruction.operands)
      arrays = arrays[count:][:count] or arrays
    moved = sum(array.bytes for array in arrays)
    return 0.0, 0.0, moved * sent(_group_size(instruction.attributes))
  return 0.0, 0.0, 0.0


def _group_size(attributes: str) -> int:
  """Number of chips that take part in a collective together."""
  iota = re.search(r"replica_groups=\[(\d+),(\d+)\]", attributes)
  if iota:
    return int(iota[2])
  listed = re.search(r"replica_groups=\{\{([\d,]*)\}", attributes)
  return len(listed[1].split(",")) if listed else 2


def _dot(
  instruction: hlo.Instruction, left: tuple[int, ...], right: tuple[int, ...]
) -> float:
  del right
  found = re.search(
    r"lhs_contracting_dims=\{([\d,]*)\}", instruction.attributes
  )
  axes = [int(a) for a in found[1].split(",") if a] if found else []
  return 2.0 * instruction.arrays[0].size * math.prod(left[a] for a in axes)


def _convolution(
  instruction: hlo.Instruction, left: tuple[int, ...], right: tuple[int, ...]
) -> float:
  """Operations of a convolution that touch data, not padding.

  The TPU compiler writes every matrix product as a convolution, batch axes as
  dilated windows in which one position per output holds data.
  """
  output = instruction.arrays[0].dims
  lhs, rest = instruction.attribute("dim_labels").split("_")
  rhs, out = rest.split("->")
  window = dict(
    re.findall(r"(\w+)=([^\s}]+)", _braces(instruction.attributes, "window"))
  )
  valid = 1
  for axis in range(sum(label.isdigit() for label in lhs)):
    label = str(axis)
    low, *_ = _part(window.get("pad"), axis, "0_0").split("_")
    valid *= _valid_positions(
      left[lhs.index(label)],
      output[out.index(label)],
      right[rhs.index(label)],
      int(_part(window.get("stride"), axis, "1")),
      int(low),
      int(_part(window.get("lhs_dilate"), axis, "1")),
      int(_part(window.get("rhs_dilate"), axis, "1")),
    )
  channels = output[out.index("f")] * right[rhs.index("i")]
  return 2.0 * valid * output[out.index("b")] * channels


def _braces(attributes: str, name: str) -> str:
  found = re.search(rf"\b{name}=\{{([^}}]*)\}}", attributes)
  return found[1] if found else ""


def _part(values: str | None, axis: int, default: str) -> str:
  return values.split("x")[axis] if values else default


@functools.lru_cache(maxsize=1024)
def _valid_positions(
  inputs: int,
  outputs: int,
  window: int,
  stride: int,
  low: int,
  input_dilation: int,
  window_dilation: int,
) -> int:
  """Pairs (output, window position) that fall on an element of the input."""
  position = (
    np.arange(outputs)[:, None] * stride
    - low
    + np.arange(window)[None, :] * window_dilation
  )
  inside = (position >= 0) & (position <= (inputs - 1) * input_dilation)
  return int(np.sum(inside & (position % input_dilation == 0)))
