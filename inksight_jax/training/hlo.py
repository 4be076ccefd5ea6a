"""Reads the text of an optimised XLA program.

Only what `hlo_cost` needs: computations, their instructions with shapes,
operands and attributes, and how often a loop runs. XLA offers no stable
interface to a compiled program other than its text.
"""

import dataclasses
import functools
import re
from collections.abc import Iterator

_BITS = {
  "pred": 8, "s4": 4, "u4": 4, "s8": 8, "u8": 8, "s16": 16, "u16": 16,
  "s32": 32, "u32": 32, "s64": 64, "u64": 64, "f16": 16, "bf16": 16,
  "f32": 32, "f64": 64, "c64": 64, "c128": 128, "f8e4m3fn": 8, "f8e5m2": 8,
  "s2": 2, "u2": 2, "s1": 1, "u1": 1,
}  # fmt: skip
_ARRAY = re.compile(r"(\w+)\[([\d,]*)\](?:\{([^{}]*)\})?")
_HEADER = re.compile(r"^(ENTRY )?%?([^\s(]+) \(.*\) -> .* \{$")
_INSTRUCTION = re.compile(r"^  (ROOT )?%?([^\s=]+) = (.*)$")
_NAME = re.compile(r"%([^\s,(){}]+)")
# Memory space 0 is HBM; on-chip memories (VMEM, SMEM, flags) have numbers.
_SPACE = re.compile(r"S\((\d+)\)")


@dataclasses.dataclass(frozen=True)
class Array:
  """One array of a shape.

  Attributes:
    dtype: XLA's name of the element type.
    dims: sizes.
    on_chip: whether it lives in the chip's own memory, not in HBM.
  """

  dtype: str
  dims: tuple[int, ...]
  on_chip: bool = False

  @functools.cached_property
  def size(self) -> int:
    """Number of elements."""
    total = 1
    for dim in self.dims:
      total *= dim
    return total

  @property
  def bytes(self) -> int:
    """Bytes without padding; 0 for tokens and the like."""
    return -(-self.size * _BITS.get(self.dtype, 0) // 8)


@dataclasses.dataclass(frozen=True)
class Instruction:
  """One instruction.

  Attributes:
    name: unique in its computation.
    opcode: e.g. "fusion".
    arrays: arrays of the result, several for a tuple.
    operands: names of its arguments.
    literal: text between the parentheses, for constants and parameters.
    attributes: text behind them.
    is_root: whether the computation returns it.
  """

  name: str
  opcode: str
  arrays: tuple[Array, ...]
  operands: tuple[str, ...]
  literal: str
  attributes: str
  is_root: bool

  def attribute(self, name: str) -> str:
    """Value of `name=...` up to the next comma or space; "" when absent."""
    found = re.search(rf"\b{name}=([^\s,]+)", self.attributes)
    return found[1] if found else ""

  def called(self, name: str) -> str:
    """The computation in an attribute such as `calls` or `body`."""
    return self.attribute(name).lstrip("%")

  @property
  def source(self) -> str:
    """The operation in the Python program, as JAX names it."""
    found = re.search(r'op_name="([^"]*)"', self.attributes)
    return found[1] if found else ""


@dataclasses.dataclass(frozen=True)
class Computation:
  """Instructions by name, in the order in which they run."""

  name: str
  instructions: dict[str, Instruction]

  @functools.cached_property
  def root(self) -> Instruction:
    """The instruction whose result is returned."""
    return next(i for i in self.instructions.values() if i.is_root)

  @functools.cached_property
  def parameters(self) -> dict[int, Instruction]:
    """Parameters by their position."""
    return {
      int(i.literal): i
      for i in self.instructions.values()
      if i.opcode == "parameter"
    }

  @functools.cached_property
  def users(self) -> dict[str, list[Instruction]]:
    """Which instructions read a result."""
    users: dict[str, list[Instruction]] = {}
    for instruction in self.instructions.values():
      for operand in set(instruction.operands):
        users.setdefault(operand, []).append(instruction)
    return users


@dataclasses.dataclass(frozen=True)
class Module:
  """A program.

  Attributes:
    computations: all of them by name.
    entry: name of the first to run.
  """

  computations: dict[str, Computation]
  entry: str


def parse(text: str) -> Module:
  """Parses what `jax.stages.Compiled.as_text` gives.

  Raises:
    ValueError: the text holds no entry computation.
  """
  computations: dict[str, Computation] = {}
  entry = ""
  current: dict[str, Instruction] = {}
  for line in text.splitlines():
    header = _HEADER.match(line)
    if header:
      current = {}
      computations[header[2]] = Computation(header[2], current)
      entry = header[2] if header[1] else entry
      continue
    found = _INSTRUCTION.match(line)
    if found:
      instruction = _instruction(found[2], found[3], bool(found[1]))
      current[instruction.name] = instruction
  if not entry:
    raise ValueError("The compiled program's text has no ENTRY computation.")
  return Module(computations, entry)


def _instruction(name: str, text: str, is_root: bool) -> Instruction:
  # A tuple's shape is in parentheses, as the layouts inside it may be.
  end = _closing(text, 0) + 1 if text.startswith("(") else text.index(" ")
  shape, rest = text[:end], text[end:].lstrip()
  opening = rest.index("(")
  closing = _closing(rest, opening)
  arguments = rest[opening + 1 : closing]
  return Instruction(
    name=name,
    opcode=rest[:opening],
    arrays=tuple(_arrays(shape)),
    operands=tuple(_NAME.findall(arguments)),
    literal=arguments,
    attributes=rest[closing + 1 :],
    is_root=is_root,
  )


def _closing(text: str, opening: int) -> int:
  """Position of the parenthesis that closes the one at `opening`."""
  depth = 0
  for position in range(opening, len(text)):
    if text[position] == "(":
      depth += 1
    elif text[position] == ")":
      depth -= 1
      if not depth:
        return position
  raise ValueError(f"Unbalanced parentheses in {text[:80]!r}.")


def _arrays(shape: str) -> Iterator[Array]:
  for dtype, dims, layout in _ARRAY.findall(shape):
    space = _SPACE.search(layout)
    yield Array(
      dtype,
      tuple(int(d) for d in dims.split(",") if d),
      bool(space and space[1] != "0"),
    )


def trip_count(
  module: Module, computation: Computation, loop: Instruction
) -> int | None:
  """How often a `while` runs; None where its text does not tell.

  XLA notes it for some loops. Others are read from their condition, which for
  `jax.lax.scan` compares a counter that starts at a constant and grows by one
  with the length.
  """
  noted = re.search(
    r'known_trip_count"?:?=?\{"?n"?[:=]"?(\d+)', loop.attributes
  )
  if noted:
    return int(noted[1])
  condition = module.computations[loop.called("condition")]
  compare = _unwrapped(module, condition)
  if compare is None:
    return None
  index, limit = compare
  start = _start(computation, loop, index)
  return None if start is None else max(limit - start, 0)


def _unwrapped(
  module: Module, condition: Computation
) -> tuple[int, int] | None:
  """(position of the counter, limit) of a condition `counter < limit`."""
  root = condition.root
  inner = condition
  arguments: dict[str, str] = {}
  if root.opcode == "fusion":
    inner = module.computations[root.called("calls")]
    arguments = {
      parameter.name: root.operands[position]
      for position, parameter in inner.parameters.items()
    }
    root = inner.root
  if root.opcode != "compare" or root.attribute("direction") != "LT":
    return None

  def outside(name: str) -> Instruction:
    if name in arguments:
      return condition.instructions[arguments[name]]
    return inner.instructions[name]

  counter, limit = (outside(name) for name in root.operands)
  if counter.opcode != "get-tuple-element" or limit.opcode != "constant":
    return None
  return int(counter.attribute("index")), int(limit.literal)


def _start(
  computation: Computation, loop: Instruction, index: int
) -> int | None:
  """The constant that an element of a loop's state starts as."""
  state = computation.instructions[loop.operands[0]]
  if state.opcode != "tuple":
    return None
  value = computation.instructions[state.operands[index]]
  while value.opcode in ("copy", "bitcast", "copy-done", "copy-start"):
    value = computation.instructions[value.operands[0]]
  return int(value.literal) if value.opcode == "constant" else None
