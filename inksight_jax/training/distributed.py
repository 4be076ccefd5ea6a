"""Runs of several processes: who they are and how they find each other."""

import contextlib
import glob
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator

import jax

# What a launcher sets instead of options; the first is JAX's own.
ENVIRONMENT = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
AUTO = "auto"


def initialize(
  coordinator: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
) -> bool:
  """Joins the processes of a run; call it before anything uses a device.

  Arguments come first, then the environment (`JAX_COORDINATOR_ADDRESS`,
  `JAX_NUM_PROCESSES`, `JAX_PROCESS_ID`). Without either, a TPU pod is found by
  JAX itself, and any other machine runs alone.

  Args:
    coordinator: HOST:PORT of process 0, the same everywhere; "auto" asks JAX to
      find the cluster (Slurm, Open MPI, Kubernetes, TPU).
    num_processes: of the run.
    process_id: of this one, from 0.

  Returns:
    Whether there is a run of several processes to belong to.

  Raises:
    ValueError: some of the three are missing or make no sense.
  """
  asked = coordinator is not None
  address, count, index = _settings(coordinator, num_processes, process_id)
  if address is None and count is None and index is None:
    return _on_tpu() and _detect(required=False)
  if address == AUTO:
    return _detect(required=asked)
  if address is None or count is None or index is None:
    raise ValueError(
      "A run of several processes needs all of --coordinator=HOST:PORT, "
      "--num_processes and --process_id (or the variables "
      f"{', '.join(ENVIRONMENT)}); got {address}, {count}, {index}."
    )
  host, _, port = address.rpartition(":")
  if not host or not port.isdigit():
    raise ValueError(f"The coordinator is {address!r}; write HOST:PORT.")
  if not 0 <= index < count:
    raise ValueError(
      f"Process {index} is not one of {count}; they count from 0."
    )
  _use_gloo()
  jax.distributed.initialize(address, count, index)
  return count > 1


@contextlib.contextmanager
def leave_at_once_on_errors(
  kind: type[Exception] = Exception, debug: bool = False
) -> Iterator[None]:
  """Ends this process without waiting for the others if a block fails.

  An ordinary exit would wait for processes that in turn wait for this one, in
  the middle of a step; once it is gone they fail within seconds. A process on
  its own raises as ever.

  Args:
    kind: of errors; others are raised.
    debug: print where the error arose.
  """
  try:
    yield
  except kind as error:
    if jax.process_count() == 1:
      raise
    if debug:
      traceback.print_exc()
    print(f"error: process {jax.process_index()}: {error}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def process_index() -> int:
  """Number of this process; for gin files."""
  return jax.process_index()


def process_count() -> int:
  """Number of processes of the run; for gin files."""
  return jax.process_count()


def _settings(
  coordinator: str | None, num_processes: int | None, process_id: int | None
) -> tuple[str | None, int | None, int | None]:
  """The arguments, completed from the environment."""
  numbers = []
  for name, given in zip(
    ENVIRONMENT[1:], (num_processes, process_id), strict=True
  ):
    text = os.environ.get(name)
    if given is None and text:
      if not text.isdigit():
        raise ValueError(f"{name} is {text!r}; it must be a number.")
      given = int(text)
    numbers.append(given)
  return coordinator or os.environ.get(ENVIRONMENT[0]), numbers[0], numbers[1]


def _on_tpu() -> bool:
  """Whether this machine has TPU chips that JAX may use."""
  platforms = os.environ.get("JAX_PLATFORMS", "")
  if platforms and "tpu" not in platforms.split(","):
    return False
  chips = glob.glob("/dev/accel*") or glob.glob("/dev/vfio/[0-9]*")
  return bool(chips) and importlib.util.find_spec("libtpu") is not None


def _detect(required: bool) -> bool:
  """Lets JAX find the cluster that this process is part of."""
  _use_gloo()
  try:
    jax.distributed.initialize()
  except ValueError as error:
    # JAX knows no cluster here: a single machine.
    if required:
      raise ValueError(
        f"JAX found no cluster to join ({error}); give "
        "--coordinator=HOST:PORT, --num_processes and --process_id."
      ) from error
    return False
  return True


def _use_gloo() -> None:
  """Lets CPU devices of several processes talk; no effect on others."""
  jax.config.update("jax_cpu_collectives_implementation", "gloo")
