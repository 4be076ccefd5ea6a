"""Checks of the machine that a job is to run on."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import os
import re
import shutil
import tempfile

OK, WARNING, PROBLEM = "ok", "warning", "problem"
# Oldest versions that the program works with, as in setup.py.
OLDEST = {
  "jax": "0.10",
  "flax": "0.12",
  "numpy": "2.0",
  "seqio": "0.0.20",
  "tensorflow": "2.20",
  "tensorflow-text": "2.20",
}
# Distributions that must be of the same release (first two numbers).
PAIRS = (("jax", "jaxlib"), ("tensorflow", "tensorflow-text"))


@dataclasses.dataclass(frozen=True)
class Job:
  """What is to be checked.

  Attributes:
    gin_files: of the recipe.
    gin_bindings: such as "TRAIN_STEPS = 5".
    model_dir: where the model goes, or None.
    accelerator: "tpu", "gpu", "cpu", or None for any.
    chips: of the whole job; None for those of this machine.
    num_processes: of the whole job.
  """

  gin_files: tuple[str, ...]
  gin_bindings: tuple[str, ...] = ()
  model_dir: str | None = None
  accelerator: str | None = None
  chips: int | None = None
  num_processes: int = 1


@dataclasses.dataclass(frozen=True)
class Finding:
  """The outcome of one check.

  Attributes:
    check: what was looked at.
    status: OK, WARNING or PROBLEM.
    found: what was seen.
    remedy: what to do about it.
  """

  check: str
  status: str
  found: str
  remedy: str = ""

  def line(self) -> str:
    """What was seen and what to do, on one line."""
    text = f"{self.found}: {self.remedy}" if self.remedy else self.found
    return " ".join(text.split())


def check_versions() -> list[Finding]:
  """Compares what is installed with what is known to work."""
  found = {}
  for name in {*OLDEST, *(name for pair in PAIRS for name in pair)}:
    try:
      found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  findings = [
    Finding(
      "versions",
      PROBLEM,
      f"{name} {found[name]} is older than {oldest}",
      f"pip install '{name}>={oldest}'",
    )
    for name, oldest in OLDEST.items()
    if name in found and _numbers(found[name]) < _numbers(oldest)
  ]
  for one, other in PAIRS:
    if one not in found or other not in found:
      continue
    if _numbers(found[one])[:2] != _numbers(found[other])[:2]:
      findings.append(
        Finding(
          "versions",
          PROBLEM,
          f"{one} {found[one]} does not go with {other} {found[other]}",
          f"pip install '{one}=={found[one]}' '{other}=={found[one]}'",
        )
      )
  shown = [f"{n} {found[n]}" for n in ("jax", "flax") if n in found]
  if "tensorflow" in found:
    shown.append(f"tensorflow {found['tensorflow']}")
  return findings or [Finding("versions", OK, ", ".join(shown))]


def _numbers(version: str) -> tuple[int, ...]:
  return tuple(int(n) for n in re.findall(r"\d+", version.split("+")[0])[:3])


def check_accelerator(job: Job) -> tuple[list[Finding], int]:
  """Looks for the devices that the job needs.

  Returns:
    (findings, number of devices of this machine; 0 if JAX finds none).
  """
  import jax

  platforms = os.environ.get("JAX_PLATFORMS", "")
  try:
    devices = jax.devices()
  except RuntimeError as error:
    reason = str(error).splitlines()[0]
    remedy = "set JAX_PLATFORMS=cpu to go without, or see who holds the chips"
    return [Finding("accelerator", PROBLEM, reason, remedy)], 0
  kind = {"cuda": "gpu", "rocm": "gpu"}.get(
    devices[0].platform, devices[0].platform
  )
  seen = f"{len(devices)} x {devices[0].device_kind} ({kind})"
  if job.accelerator is None or job.accelerator == kind:
    status = WARNING if kind == "cpu" and job.accelerator is None else OK
    remedy = "fine for small models only" if status == WARNING else ""
    return [Finding("accelerator", status, seen, remedy)], len(devices)
  if platforms and job.accelerator not in platforms:
    remedy = f"unset JAX_PLATFORMS, which is {platforms!r}"
  elif job.accelerator == "tpu" and not importlib.util.find_spec("libtpu"):
    remedy = "pip install 'jax[tpu]', and run this on the TPU machine"
  elif job.accelerator == "gpu":
    remedy = "pip install 'jax[cuda]', and see that nvidia-smi lists the GPU"
  else:
    remedy = "run this on the machine that has it"
  found = f"a {job.accelerator} is asked for, JAX found {seen}"
  return [Finding("accelerator", PROBLEM, found, remedy)], len(devices)


def check_model_dir(job: Job) -> list[Finding]:
  """Writes and removes a file where the model shall go, and looks for a run."""
  from inksight_jax.training import checkpoints, writers

  if job.model_dir is None:
    return []
  if "://" in job.model_dir:
    found = f"{job.model_dir} is not a path of a file system"
    remedy = "mount the bucket, for example with gcsfuse, and give that path"
    return [Finding("model_dir", PROBLEM, found, remedy)]
  existing = nearest_folder(job.model_dir)
  try:
    if not os.path.isdir(existing):
      raise NotADirectoryError(f"{existing} is a file")
    # Made here, not in model_dir: nothing may be left of a check.
    with tempfile.NamedTemporaryFile(dir=existing, prefix=".doctor-") as file:
      file.write(b"x" * 4096)
      file.flush()
      os.fsync(file.fileno())
  except OSError as error:
    found = f"{existing} cannot be written to ({error.strerror or error})"
    remedy = "choose another folder or change its rights"
    return [Finding("model_dir", PROBLEM, found, remedy)]
  findings = [Finding("model_dir", OK, f"{existing} can be written to")]
  folder = os.path.join(job.model_dir, checkpoints.FOLDER)
  curve = os.path.join(job.model_dir, writers.CURVE_FILE)
  if os.path.exists(folder) or os.path.exists(curve):
    left = checkpoints.unfinished(folder)
    found = f"{job.model_dir} already holds a run"
    if left:
      found += f" and what an interrupted save left ({', '.join(left)})"
    remedy = "train with --resume (or --overwrite)"
    findings.append(Finding("earlier run", WARNING, found, remedy))
  return findings


def check_disk(job: Job, state_bytes: int, keep: int | None) -> list[Finding]:
  """Compares free space with the checkpoints that will lie there.

  Args:
    job: gives the model directory.
    state_bytes: of parameters and optimiser state.
    keep: number of checkpoints kept; None for all.

  Returns:
    At most one finding.
  """
  if job.model_dir is None or "://" in job.model_dir:
    return []
  free = shutil.disk_usage(nearest_folder(job.model_dir)).free
  # While the newest is being written the oldest is still there.
  copies = (keep or 1) + 1
  need = state_bytes * copies
  found = (
    f"{copies} checkpoints of {gigabytes(state_bytes)} need {gigabytes(need)}, "
    f"{gigabytes(free)} are free"
  )
  if need > free:
    remedy = "free some space, lower KEEP_CHECKPOINTS or choose another disk"
    return [Finding("disk", PROBLEM, found, remedy)]
  if keep is None:
    return [Finding("disk", WARNING, found, "keep=None keeps all of them")]
  return [Finding("disk", OK, found)]


def nearest_folder(path: str) -> str:
  """The path itself, or the nearest of its parents that exists."""
  path = os.path.abspath(path)
  while not os.path.exists(path):
    path = os.path.dirname(path)
  return path


def gigabytes(count: int) -> str:
  """A number of bytes for people."""
  return f"{count / 2**30:.2f} GiB" if count >= 2**27 else f"{count:,} bytes"
