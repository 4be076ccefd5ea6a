"""Programs kept whole on disk: a second start neither traces nor lowers them.

JAX's cache is asked with the lowered program, and to trace and lower a network
of many layers takes seconds. Here the question is what a program is made from:
the sources of this package, the versions of the libraries, the settings of JAX,
the objects that the function closes over, and the shapes of its arguments. What
cannot be told in full is not kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import logging
import os
import pathlib
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache import compilation_cache

from inksight_jax.inference import compile_cache

# Their versions, or their sources, are part of the question.
_LIBRARIES = ("jax", "jaxlib", "flax", "numpy", "ml_dtypes")
_KNOWN = (*_LIBRARIES, "inksight_jax", "builtins")
# Where a module of a network hangs does not change what it computes.
_PLACE = ("parent", "name")

_LOGGER = logging.getLogger(__name__)


class KeptProgram:
  """`jax.jit` of a function whose programs outlive the process.

  Kept are programs on one device, in the folder of `compile_cache`; without
  that folder, or where `made_from` holds what has no description, this is
  `jax.jit` and nothing else.
  """

  def __init__(
    self,
    function: Callable[..., tuple[jax.Array, ...]],
    made_from: Any,
    num_results: int,
  ) -> None:
    """Binds the function; nothing is compiled yet.

    Args:
      function: takes arrays and nested dicts and tuples of them.
      made_from: all that the function closes over and that decides what it
        computes; see `describe`.
      num_results: length of the tuple of arrays that it returns.
    """
    self._compile = jax.jit(function)
    self._results = jax.tree.structure((0,) * num_results)
    self._programs: dict[Any, Callable[..., tuple[jax.Array, ...]]] = {}
    # Threads that want the same program wait for the first of them to make it.
    self._making = threading.Lock()
    try:
      self._made_from = describe(made_from)
    except (TypeError, RecursionError) as error:
      _LOGGER.info("This program is not kept: %s", error)
      self._made_from = ""

  def __call__(self, *arguments: Any) -> tuple[jax.Array, ...]:
    """What the function returns."""
    folder = compile_cache.folder()
    leaves, structure = jax.tree.flatten(arguments)
    if folder is None or not self._made_from or not _on_one_device(leaves):
      return self._compile(*arguments)
    shapes = tuple((np.shape(x), str(x.dtype)) for x in leaves)
    with self._making:
      program = self._programs.get((structure, shapes))
      if program is None:
        path = folder / f"program-{self._digest(structure, shapes)}"
        program = self._read(path, arguments) or self._make(path, arguments)
        self._programs[structure, shapes] = program
    return program(*arguments)

  def _digest(self, structure: Any, shapes: Any) -> str:
    settings = {
      name: value
      for name, value in jax.config.values.items()
      if isinstance(value, (bool, int, float, str))
    }
    parts = (
      _sources(),
      [importlib.metadata.version(name) for name in _LIBRARIES],
      sorted(settings.items()),
      os.environ.get("XLA_FLAGS", ""),
      str(jax.devices()[0]),
      jax.devices()[0].device_kind,
      self._made_from,
      str(structure),
      shapes,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()

  def _read(
    self, path: pathlib.Path, arguments: Any
  ) -> Callable[..., tuple[jax.Array, ...]] | None:
    if not path.is_file():
      return None
    try:
      program = serialize_executable.deserialize_and_load(
        path.read_bytes(),
        jax.tree.structure((arguments, {})),
        self._results,
        execution_devices=jax.devices()[:1],
      )
      path.touch()  # the folder forgets what was not used for longest
    # Whatever is wrong with a file, the program can be made anew.
    except Exception as error:
      _LOGGER.info("%s cannot be used and is replaced: %r", path, error)
      return None
    return program

  def _make(
    self, path: pathlib.Path, arguments: Any
  ) -> Callable[..., tuple[jax.Array, ...]]:
    with _without_cache():
      program = self._compile.lower(*arguments).compile()
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
      part.write_bytes(serialize_executable.serialize(program)[0])
      part.replace(path)
    # A full disk, a backend that cannot: the program runs all the same.
    except Exception as error:
      _LOGGER.info("%s was not kept: %r", path, error)
      part.unlink(missing_ok=True)
    return program


def describe(value: Any) -> str:
  """All that can be told of plain values, modules, functions and arrays.

  Raises:
    TypeError: the value, or something in it, has no full description: it is of
      an unknown kind, or its code is in none of the libraries that count.
  """
  if value is None or isinstance(value, (bool, int, float, str, bytes)):
    return repr(value)
  if isinstance(value, (list, tuple)):
    return f"{type(value).__name__}({', '.join(map(describe, value))})"
  if isinstance(value, Mapping):
    items = sorted((str(key), describe(x)) for key, x in value.items())
    return repr(items)
  if isinstance(value, np.dtype):
    return str(value)
  if isinstance(value, (np.ndarray, jax.Array)):
    array = np.asarray(value)
    digest = hashlib.sha256(array.tobytes()).hexdigest()
    return f"{array.shape} {array.dtype} {digest}"
  if isinstance(value, functools.partial):
    return f"partial({describe((value.func, value.args, value.keywords))})"
  if isinstance(value, type):
    return _name(value)
  if hasattr(value, "__wrapped__"):  # by jit, custom_jvp and the like
    return f"{_name(type(value))}({describe(value.__wrapped__)})"
  if isinstance(value, types.FunctionType):
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    return f"{_name(value)}{describe((cells, value.__defaults__))}"
  if dataclasses.is_dataclass(value):
    fields = {
      field.name: getattr(value, field.name)
      for field in dataclasses.fields(value)
      if field.name not in _PLACE
    }
    return f"{_name(type(value))}{describe(fields)}"
  raise TypeError(f"{value!r} has no description")


def _name(value: Any) -> str:
  if value.__module__.split(".")[0] not in _KNOWN:
    raise TypeError(f"the source of {value!r} is not known")
  return f"{value.__module__}.{value.__qualname__}"


@contextlib.contextmanager
def _without_cache() -> Iterator[None]:
  """JAX compiles anew: what its cache returns cannot be written again whole."""
  jax.config.update("jax_enable_compilation_cache", False)
  compilation_cache.reset_cache()
  try:
    yield
  finally:
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()


def _on_one_device(leaves: list[Any]) -> bool:
  first = jax.devices()[0]
  return all(
    not isinstance(x, jax.Array) or x.devices() == {first} for x in leaves
  )


@functools.cache
def _sources() -> str:
  """A digest of every module of this package."""
  digest = hashlib.sha256()
  root = pathlib.Path(__file__).resolve().parents[1]
  for path in sorted(root.rglob("*.py")):
    digest.update(str(path.relative_to(root)).encode())
    digest.update(path.read_bytes())
  return digest.hexdigest()
