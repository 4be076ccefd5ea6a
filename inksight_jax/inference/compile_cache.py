"""Compiled programs kept on disk, so that the second start is quick.

JAX's persistent compilation cache, switched on where nobody has set it up: its
keys cover the program, the compiler and its flags, and the kind of device. They
do not cover which instructions the processor knows, so the folder's name does.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pathlib
import platform

import jax
from jax.experimental.compilation_cache import compilation_cache

# A folder; "off" for none.
VARIABLE = "INKSIGHT_JAX_CACHE"
OFF = "off"
# Programs of a hundred-million-parameter model take about a megabyte each.
MAX_BYTES = 2**30

_LOGGER = logging.getLogger(__name__)
# Of `enable`; JAX may have been told of another since.
_enabled: pathlib.Path | None = None


def folder() -> pathlib.Path | None:
  """The folder that `enable` chose, while JAX uses it; None otherwise."""
  in_use = jax.config.values["jax_compilation_cache_dir"]
  return _enabled if _enabled and str(_enabled) == in_use else None


def enable(max_bytes: int = MAX_BYTES) -> pathlib.Path | None:
  """Keeps what JAX compiles from now on; the first call of a process decides.

  The folder is $INKSIGHT_JAX_CACHE, else inksight_jax in $XDG_CACHE_HOME or
  ~/.cache. A cache that JAX was told of, by JAX_COMPILATION_CACHE_DIR or in
  code, stays as it is.

  Args:
    max_bytes: size above which the files not used for longest are deleted.

  Returns:
    The folder in use; None where there is none: switched off, left to JAX's
    own settings, not ours to write to.
  """
  settings = jax.config.values
  if (
    settings["jax_compilation_cache_dir"]
    or not settings["jax_enable_compilation_cache"]
  ):
    return None
  place = os.environ.get(VARIABLE, "")
  if place == OFF:
    return None
  global _enabled
  try:
    chosen = _folder(place)
    _prune(chosen, max_bytes)
  except (OSError, RuntimeError) as error:
    # A home that cannot be written to, or none: it only takes longer.
    _LOGGER.info("Compiled programs are not kept: %s", error)
    return None
  jax.config.update("jax_compilation_cache_dir", str(chosen))
  # Many small programs make up a start.
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
  # What was compiled before has made JAX decide that there is no cache.
  compilation_cache.reset_cache()
  _enabled = chosen
  return chosen


def _folder(place: str) -> pathlib.Path:
  """The folder, made if absent.

  Raises:
    OSError: it cannot be written to, or belongs to somebody else: programs in
      it are run.
    RuntimeError: the user has no home.
  """
  if place:
    root = pathlib.Path(place).expanduser()
  else:
    caches = os.environ.get("XDG_CACHE_HOME", "")
    home = pathlib.Path(caches) if caches else pathlib.Path.home() / ".cache"
    root = home / "inksight_jax"
  folder = root / f"compiled-{_processor()}"
  folder.mkdir(mode=0o700, parents=True, exist_ok=True)
  if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
    raise PermissionError(f"{folder} belongs to another user")
  if not os.access(folder, os.W_OK | os.X_OK):
    raise PermissionError(f"{folder} cannot be written to")
  return folder


def _processor() -> str:
  """A name for machines that can run each other's programs."""
  flags = platform.processor()
  cpuinfo = pathlib.Path("/proc/cpuinfo")
  if cpuinfo.is_file():
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    # x86 says flags, ARM Features.
    kinds = ("flags", "features")
    flags = next((x for x in lines if x.lower().startswith(kinds)), flags)
  digest = hashlib.sha256(flags.encode()).hexdigest()[:12]
  return f"{platform.machine() or 'unknown'}-{digest}"


def _prune(folder: pathlib.Path, max_bytes: int) -> None:
  """Deletes the files used longest ago until half of the room is free."""
  files = []
  for path in folder.iterdir():
    if path.is_file():
      found = path.stat()
      files.append((max(found.st_atime, found.st_mtime), found.st_size, path))
  total = sum(size for _, size, _ in files)
  if total <= max_bytes:
    return
  for _, size, path in sorted(files):
    # Another process may have deleted it.
    path.unlink(missing_ok=True)
    total -= size
    if total <= max_bytes // 2:
      return
