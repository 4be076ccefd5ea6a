"""What an optimised XLA program computes and moves, loops counted fully.

XLA's own `cost_analysis` counts the body of a loop once, however often it
runs, so a network of scanned layers looks as cheap as one layer. Here every
instruction is counted as often as it runs. The rules per instruction are
those of XLA's analysis: a fusion moves its operands and its results, of a
buffer that is only sliced the slice is moved, a buffer updated in place moves
the update.
"""

import collections
import dataclasses
import functools
import re
from collections.abc import Iterator

from inksight_jax.training import hlo, hlo_work

# Not executed, or only other names for a buffer.
_FREE = frozenset({
  "parameter", "constant", "tuple", "get-tuple-element", "bitcast",
  "after-all", "partition-id", "replica-id", "opt-barrier", "domain",
  "add-dependency", "all-reduce-done", "all-gather-done", "copy-done",
  "collective-permute-done", "send-done", "recv-done", "slice-start",
  "async-update",
})  # fmt: skip
_FREE_CALLS = frozenset({"ConcatBitcast", "AllocateBuffer", "AssumeAligned"})
_UPDATES = frozenset({"dynamic-update-slice", "scatter"})
_SLICES = frozenset({"dynamic-slice", "slice", "gather"})


@dataclasses.dataclass(frozen=True)
class OpCost:
  """Cost on one chip of one instruction, over all its runs.

  Attributes:
    name: XLA's name.
    opcode: XLA's operation.
    source: the operation of the Python program it was made from.
    shape: of the (first) result, such as "bf16[8,12,1024,64]".
    runs: how often it runs in a step.
    matmul_flops: multiplications and additions of products and convolutions.
    vector_flops: elementwise and reducing operations.
    hbm_bytes: moved from and to HBM.
    bytes: moved at all, the chip's own memory included.
    ici_bytes: sent to other chips.
  """

  name: str
  opcode: str
  source: str
  shape: str
  runs: int
  matmul_flops: float
  vector_flops: float
  hbm_bytes: float
  bytes: float
  ici_bytes: float


@dataclasses.dataclass(frozen=True)
class Cost:
  """Cost of a program on one chip.

  Attributes:
    ops: instructions that cost something.
    open_loops: names of the loops whose number of runs the program does not
      tell; they are counted as often as the caller said.
  """

  ops: tuple[OpCost, ...]
  open_loops: tuple[str, ...] = ()

  @property
  def flops(self) -> float:
    """Operations of matrix and vector units, as XLA counts them."""
    return sum(op.matmul_flops + op.vector_flops for op in self.ops)

  @property
  def matmul_flops(self) -> float:
    """Operations of the matrix units."""
    return sum(op.matmul_flops for op in self.ops)

  @property
  def hbm_bytes(self) -> float:
    """Bytes moved from and to HBM."""
    return sum(op.hbm_bytes for op in self.ops)

  @property
  def bytes(self) -> float:
    """Bytes moved from and to any memory, as XLA counts them."""
    return sum(op.bytes for op in self.ops)

  @property
  def ici_bytes(self) -> float:
    """Bytes sent to other chips."""
    return sum(op.ici_bytes for op in self.ops)

  def largest(self, count: int) -> list[OpCost]:
    """The instructions that move the most HBM bytes."""
    return sorted(self.ops, key=lambda op: -op.hbm_bytes)[:count]

  def by_source(self) -> dict[str, float]:
    """HBM bytes of each operation of the Python program, most first."""
    totals: dict[str, float] = collections.defaultdict(float)
    for op in self.ops:
      totals[op.source or op.opcode] += op.hbm_bytes
    return dict(sorted(totals.items(), key=lambda item: -item[1]))


def analyse(text: str, open_loop_runs: int = 1) -> Cost:
  """Counts a compiled program.

  Args:
    text: from `jax.stages.Compiled.as_text`.
    open_loop_runs: runs of a loop that ends when the data says so, as the
      loop over decoded tokens does.
  """
  counter = _Counter(hlo.parse(text), open_loop_runs)
  ops = tuple(counter.computation(counter.module.entry, 1))
  return Cost(ops, tuple(counter.open_loops))


class _Counter:
  """Walks a module from its entry."""

  def __init__(self, module: hlo.Module, open_loop_runs: int) -> None:
    self.module = module
    self.open_loops: list[str] = []
    self._open_loop_runs = open_loop_runs

  def computation(self, name: str, runs: int) -> Iterator[OpCost]:
    """Costs of what a computation executes."""
    computation = self.module.computations[name]
    for instruction in computation.instructions.values():
      if instruction.opcode == "while":
        count = hlo.trip_count(self.module, computation, instruction)
        if count is None:
          self.open_loops.append(instruction.name)
          count = self._open_loop_runs
        yield from self.computation(instruction.called("body"), runs * count)
      elif instruction.opcode == "call":
        yield from self.computation(instruction.called("to_apply"), runs)
      elif instruction.opcode == "conditional":
        yield from self._dearest_branch(instruction, runs)
      else:
        cost = self._instruction(computation, instruction, runs)
        if cost is not None:
          yield cost

  def _dearest_branch(
    self, instruction: hlo.Instruction, runs: int
  ) -> list[OpCost]:
    names = re.findall(
      r"(?:true_computation|false_computation)=%?([^\s,}]+)",
      instruction.attributes,
    )
    listed = re.search(
      r"branch_computations=\{([^}]*)\}", instruction.attributes
    )
    if listed:
      names = [name.strip().lstrip("%") for name in listed[1].split(",")]
    branches = [list(self.computation(name, runs)) for name in names]
    return max(branches, key=lambda ops: sum(op.bytes for op in ops))

  def _instruction(
    self,
    computation: hlo.Computation,
    instruction: hlo.Instruction,
    runs: int,
  ) -> OpCost | None:
    if instruction.opcode in _FREE:
      return None
    if instruction.attribute("custom_call_target").strip('"') in _FREE_CALLS:
      return None
    moved = []
    # What runs beside other work moves its bytes where it is waited for.
    if instruction.opcode != "async-start":
      moved += self._reads(computation, instruction)
      moved += self._writes(computation, instruction)
    hbm = sum(size for size, on_chip in moved if not on_chip)
    matmul, vector, sent = self._work(computation, instruction)
    first = instruction.arrays[0] if instruction.arrays else None
    return OpCost(
      name=instruction.name,
      opcode=instruction.opcode,
      source=instruction.source,
      shape=f"{first.dtype}{list(first.dims)}".replace(" ", "")
      if first
      else "",
      runs=runs,
      matmul_flops=runs * matmul,
      vector_flops=runs * vector,
      hbm_bytes=runs * hbm,
      bytes=runs * sum(size for size, _ in moved),
      ici_bytes=runs * sent,
    )

  def _reads(
    self, computation: hlo.Computation, instruction: hlo.Instruction
  ) -> Iterator[tuple[float, bool]]:
    """(bytes, whether on the chip) read, per buffer."""
    opcode = instruction.opcode
    if opcode.endswith("-done") or opcode == "copy-start":
      yield from _transfer(computation, instruction)
      return
    fused = None
    if opcode == "fusion":
      fused = self.module.computations[instruction.called("calls")]
    for position, name in enumerate(instruction.operands):
      operand = computation.instructions[name]
      if fused is not None:
        size = self._read_of(fused, fused.parameters[position])
      else:
        size = _read_by(instruction, operand)
      yield size, all(array.on_chip for array in operand.arrays)

  def _read_of(self, fused: hlo.Computation, value: hlo.Instruction) -> float:
    """Bytes of a parameter that a fusion reads."""
    # What a fusion inside the fusion only passes on is read there.
    total = _bytes(value) if value.is_root else 0.0
    for user in fused.users.get(value.name, ()):
      if user.opcode == "bitcast":
        total += self._read_of(fused, user)
      elif user.opcode == "fusion":
        inner = self.module.computations[user.called("calls")]
        for position, operand in enumerate(user.operands):
          if operand == value.name:
            total += self._read_of(inner, inner.parameters[position])
      elif user.opcode not in ("tuple", "get-tuple-element"):
        total += _read_by(user, value)
    return min(total, _bytes(value))

  def _writes(
    self, computation: hlo.Computation, instruction: hlo.Instruction
  ) -> Iterator[tuple[float, bool]]:
    """(bytes, whether on the chip) written, per buffer."""
    opcode = instruction.opcode
    if opcode == "copy-start":
      return
    arrays = instruction.arrays
    if opcode.endswith("-start") and len(arrays) > 1:
      # (operands, results, context): the operands are counted as read.
      arrays = arrays[len(instruction.operands) :][: len(instruction.operands)]
    sizes = [float(array.bytes) for array in arrays]
    if opcode == "fusion":
      fused = self.module.computations[instruction.called("calls")]
      sizes = self._written_by(fused, sizes)
    elif opcode in _UPDATES:
      sizes = [_update_size(computation, instruction)]
    for array, size in zip(arrays, sizes, strict=True):
      yield size, array.on_chip

  def _written_by(
    self, fused: hlo.Computation, sizes: list[float]
  ) -> list[float]:
    """Bytes of its results that a fusion writes."""
    root = fused.root
    names = list(root.operands) if root.opcode == "tuple" else [root.name]
    if len(names) != len(sizes):
      return sizes
    written = []
    for name, size in zip(names, sizes, strict=True):
      result = fused.instructions[name]
      while result.opcode == "bitcast":
        result = fused.instructions[result.operands[0]]
      if result.opcode == "fusion":
        inner = self.module.computations[result.called("calls")]
        size = self._written_by(inner, [size])[0]
      elif result.opcode in _UPDATES:
        size = _update_size(fused, result)
      written.append(size)
    return written

  def _work(
    self, computation: hlo.Computation, instruction: hlo.Instruction
  ) -> tuple[float, float, float]:
    """(matrix operations, vector operations, bytes sent) of one run."""
    if instruction.opcode in ("fusion", "async-start"):
      return self._work_of(instruction.called("calls"))
    return hlo_work.of(computation, instruction)

  @functools.cache  # noqa: B019  (lives as long as one analysis)
  def _work_of(self, name: str) -> tuple[float, float, float]:
    computation = self.module.computations[name]
    parts = [
      self._work(computation, i) for i in computation.instructions.values()
    ]
    matmul, vector, sent = (sum(part) for part in zip(*parts, strict=True))
    return matmul, vector, sent


def _transfer(
  computation: hlo.Computation, instruction: hlo.Instruction
) -> Iterator[tuple[float, bool]]:
  """Reads of an asynchronous copy or slice (the copy's writes as well)."""
  if instruction.opcode == "copy-start":
    for array in instruction.arrays[:2]:
      yield array.bytes, array.on_chip
    return
  start = computation.instructions[instruction.operands[0]]
  source = computation.instructions[start.operands[0]].arrays
  size = sum(array.bytes for array in instruction.arrays)
  yield size, all(array.on_chip for array in source)


def _read_by(user: hlo.Instruction, operand: hlo.Instruction) -> float:
  """Bytes that an instruction reads of one of its operands."""
  if user.operands[0] == operand.name:
    if user.opcode in _SLICES:
      # The slice may change the type on its way.
      share = user.arrays[0].size / max(operand.arrays[0].size, 1)
      return min(1.0, share) * _bytes(operand)
    if user.opcode in _UPDATES:
      return 0.0
  return _bytes(operand)


def _bytes(instruction: hlo.Instruction) -> float:
  return float(sum(array.bytes for array in instruction.arrays))


def _update_size(
  computation: hlo.Computation, instruction: hlo.Instruction
) -> float:
  """Bytes that an update in place writes."""
  name = instruction.operands[1 if "slice" in instruction.opcode else -1]
  return _bytes(computation.instructions[name])
