"""TPU chips: published peaks, and slices of them without having any.

Peaks are those of Google's "TPU v4", "TPU v5e", "TPU v5p" and "TPU v6e" pages
(docs.cloud.google.com/tpu/docs/v4 and so on, read 2026). Where two states of a
page differ (v5e: 819 and 800 GB/s, v6e: 1640 and 1600 GB/s), the older, exact
number stands here.
"""

import contextlib
import dataclasses
import importlib.util
import math
import os
import re
from collections.abc import Iterator
from typing import Any

GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Chip:
  """What a chip can do at most.

  Attributes:
    name: as in a topology's name.
    flops: bfloat16 operations of the matrix units per second.
    hbm_bandwidth: bytes per second from and to HBM.
    hbm_bytes: size of HBM. XLA keeps a part for itself (v5e: 0.25 GiB).
    ici_bandwidth: bytes per second that the chip sends to others, over all
      its links.
    dims: axes of its topologies.
  """

  name: str
  flops: float
  hbm_bandwidth: float
  hbm_bytes: float
  ici_bandwidth: float
  dims: int


CHIPS: dict[str, Chip] = {
  "v4": Chip("v4", 275e12, 1200e9, 32 * GIB, 300e9, 3),
  "v5e": Chip("v5e", 197e12, 819e9, 16 * GIB, 200e9, 2),
  "v5p": Chip("v5p", 459e12, 2765e9, 95 * GIB, 600e9, 3),
  "v6e": Chip("v6e", 918e12, 1640e9, 32 * GIB, 448e9, 2),
}


@dataclasses.dataclass(frozen=True)
class Topology:
  """A slice of a pod.

  Attributes:
    name: such as "v5e:8x8".
    chip: what it is made of.
    shape: chips along each axis.
  """

  name: str
  chip: Chip
  shape: tuple[int, ...]

  @property
  def num_chips(self) -> int:
    """Number of chips."""
    return math.prod(self.shape)


def parse_topology(name: str) -> Topology:
  """Reads a name such as "v5e:8x8" or "v4:2x2x4".

  Raises:
    ValueError: for an unknown chip or a shape that it does not come in.
  """
  kind, _, text = name.partition(":")
  chip = CHIPS.get(kind)
  if chip is None:
    raise ValueError(
      f"Topology {name!r} is of no known chip; write CHIP:SHAPE with one of "
      f"{', '.join(CHIPS)}, for example v5e:8x8."
    )
  example = "x".join(["4"] * chip.dims)
  if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", text):
    raise ValueError(
      f"Topology {name!r} has no shape; for example {kind}:{example}."
    )
  shape = tuple(int(size) for size in text.split("x"))
  if len(shape) != chip.dims:
    raise ValueError(
      f"Topology {name!r} has {len(shape)} axes, slices of {kind} have "
      f"{chip.dims}; for example {kind}:{example}."
    )
  return Topology(name, chip, shape)


def set_environment() -> None:
  """Lets libtpu compile where there is no TPU; call before importing jax."""
  # Set, not defaulted: a machine with a GPU or TPU must plan the same.
  os.environ["JAX_PLATFORMS"] = "cpu"
  os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
  # Without it a second plan on the machine would wait for the first.
  os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")


def devices(topology: Topology) -> list[Any]:
  """The devices of a slice, to compile for but not to compute with.

  Raises:
    ValueError: libtpu is absent or does not know the slice.
  """
  from jax.experimental import topologies

  if importlib.util.find_spec("libtpu") is None:
    raise ValueError(
      "The TPU compiler (libtpu) is not installed; install the extra "
      "`inksight-jax[tpu]`. It needs no TPU."
    )
  try:
    with _quiet_stderr():
      description = topologies.get_topology_desc(
        platform="tpu", topology_name=topology.name
      )
  except Exception as error:
    raise ValueError(
      f"libtpu cannot describe {topology.name!r}: "
      f"{str(error).splitlines()[0]}; choose a shape in which "
      f"{topology.chip.name} is offered."
    ) from error
  found = list(description.devices)
  if len(found) != topology.num_chips:
    raise ValueError(
      f"libtpu sees {len(found)} devices in {topology.name!r}, expected "
      f"{topology.num_chips}; choose a shape that has one device a chip."
    )
  return found


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
  """Hides what libtpu writes when it finds no TPU, as wanted here."""
  saved = os.dup(2)
  with open(os.devnull, "wb") as nowhere:
    os.dup2(nowhere.fileno(), 2)
  try:
    yield
  finally:
    os.dup2(saved, 2)
    os.close(saved)
