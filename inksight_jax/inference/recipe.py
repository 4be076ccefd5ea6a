"""From gin files, or a model directory, to the objects they configure.

Training, evaluation and prediction all build their model and tasks here, so
they cannot disagree. gin keeps one configuration per process: `parse` and
`read` replace it.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util  # noqa: F401  gin 0.5 uses it without importing it
import inspect
import logging
import os
import pathlib
import re
import sys
import tokenize
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gin

from inksight_jax.models.sequence_to_sequence import SequenceToSequence
from inksight_jax.pipeline.task_set import TaskSet, write_text
from inksight_jax.text.vocabulary import Vocabulary

CONFIG_NAME = "config.gin"
# Two layouts: gin/ beside the package in a checkout, inside it once installed.
_PACKAGE = pathlib.Path(__file__).resolve().parent.parent
_SEARCH_PATHS = (str(_PACKAGE.parent), str(_PACKAGE))
# What gin, and the constructors it calls, raise over a wrong configuration.
_GIN_ERRORS = (
  ValueError,
  TypeError,
  AttributeError,
  NameError,
  SyntaxError,
  ImportError,
  OSError,
  RuntimeError,
  tokenize.TokenError,
)

_NO_DEFAULT = object()
_searched = False


@dataclasses.dataclass(frozen=True, eq=False)
class Recipe:
  """What a configuration says.

  Attributes:
    model: the model object, without parameters.
    tasks: the tasks, with the vocabulary.
    config: all bindings, as text that gin reads.
  """

  model: SequenceToSequence
  tasks: TaskSet
  config: str

  def save(self, model_dir: str | os.PathLike[str]) -> None:
    """Writes config.gin and the vocabulary: all that `read` needs."""
    os.makedirs(model_dir, exist_ok=True)
    self.tasks.vocabulary.save(model_dir)
    write_text(os.path.join(model_dir, CONFIG_NAME), self.config)


def parse(
  files: Sequence[str],
  overrides: Sequence[str] = (),
  *,
  complete: bool = True,
  base: str | os.PathLike[str] | None = None,
) -> None:
  """Replaces gin's configuration by these files, then these bindings.

  Files that define no MODEL, such as gin/recipes/finetune.gin, go on from the
  configuration of a trained model: its network, vocabulary and tasks.

  Args:
    files: gin files; a path not found as it stands is looked up beside the
      package, so `gin/recipes/...` works from any folder.
    overrides: bindings such as "TRAIN_STEPS = 100"; later ones win.
    complete: whether everything that must be set has to be; `plan` needs
      neither data nor vocabulary.
    base: the directory of that model; not read where the files define MODEL.

  Raises:
    ValueError: one line naming what is misspelt, missing or malformed.
  """
  _add_search_paths()
  gin.clear_config()
  _parse_files(files)
  alone = defines("MODEL")
  if base is not None and not alone:
    gin.clear_config()
    _parse_base(base)
    _parse_files(files)
  defined, used = _macros(gin.config_str())
  for override in overrides:
    name = override.split("=", 1)[0].strip()
    if "." not in name and name not in defined | used:
      raise ValueError(
        f"No gin file uses a macro {name!r}{_hint(name, defined | used)}"
      )
    _parse_override(override)
  if complete:
    if base is None and not alone and "MODEL" in _macros(gin.config_str())[1]:
      raise ValueError(
        f"{', '.join(files)}: no network here. Give a trained model to go on "
        "from with --load=DIR, or add a file of gin/networks."
      )
    _check_macros()


def build() -> Recipe:
  """Builds MODEL and TASKS of the parsed configuration.

  Raises:
    ValueError: one of them is not defined, or its constructor objects.
  """
  tasks = resolve("TASKS")
  model = resolve("MODEL")
  return Recipe(model, tasks, gin.config_str())


def read(model_dir: str | os.PathLike[str]) -> Recipe:
  """Builds what a model directory was trained with.

  Args:
    model_dir: written by training; may have been moved or copied.

  Raises:
    ValueError: the folder is no model directory, or of another version.
  """
  path = _config_path(model_dir)
  parse([path])
  # The copy beside the model, not files that only the trainer's machine had.
  vocabulary = Vocabulary.load(model_dir)
  gin.bind_parameter(("VOCABULARY", "gin.macro", "value"), vocabulary)
  recipe = build()
  # Restores the text that is stored: an object has no gin notation.
  config = pathlib.Path(path).read_text(encoding="utf-8")
  tasks = dataclasses.replace(recipe.tasks, vocabulary=vocabulary)
  return Recipe(recipe.model, tasks, config)


def resolve(name: str, default: Any = _NO_DEFAULT) -> Any:
  """The value of a macro of the parsed configuration.

  Args:
    name: e.g. "MODEL"; a reference such as `@spec.InkSightTasks()` is called.
    default: for a configuration that does not define it.

  Raises:
    ValueError: the macro is not defined, or what it calls objects.
  """
  defined, _ = _macros(gin.config_str())
  if name not in defined and default is not _NO_DEFAULT:
    return default
  if name not in defined:
    raise ValueError(
      f"The configuration defines no {name}{_hint(name, defined)} Start from "
      "one of gin/recipes."
    )

  def evaluate() -> Any:
    with gin.config_scope(name):
      return gin.get_configurable("gin.macro")()

  return _attempt(evaluate)


def defines(name: str) -> bool:
  """Whether the parsed configuration defines a macro."""
  return name in _macros(gin.config_str())[0]


def configured(function: Callable[..., Any]) -> Callable[..., Any]:
  """A function with its arguments filled in by the parsed configuration.

  Raises:
    ValueError: no gin file binds an argument of the function.
  """
  try:
    return gin.get_configurable(function)
  except (ValueError, KeyError) as error:
    raise ValueError(
      f"The gin files bind no argument of {function.__module__}."
      f"{function.__qualname__}; include a file of gin/runs."
    ) from error


def describe_error(error: BaseException, file: str = "") -> str:
  """One line out of gin's several, without the places inside gin.

  gin appends "In file ..., line n" and the calls that led to an error.

  Args:
    error: what gin raised.
    file: the file that was being read, for errors that do not name it.
  """
  text = str(error)
  if isinstance(error, tokenize.TokenError):
    text = f"{error.args[0]} (line {error.args[1][0]})"
  first, *rest = text.splitlines() or [type(error).__name__]
  first = re.sub(r"<module '([^']*)' from [^>]*>", r"module \1", first)
  first = re.sub(r"<ast\.\w+ object at 0x\w+>", "a bare word", first)
  where = [line.strip() for line in rest if line.startswith("  In ")]
  places = [line for line in where if not line.startswith("In call")]
  place = f" ({places[0][0].lower()}{places[0][1:]})" if places else ""
  if isinstance(error, SyntaxError | tokenize.TokenError) and not places:
    place = f" (in file {file!r})"
  return f"{first.rstrip('.')}{place}{_suggestion(first) or '.'}"


def _parse_files(files: Sequence[str]) -> None:
  for file in files:
    _check_exists(file)
    _attempt(lambda file=file: gin.parse_config_file(file), file)


def _parse_base(model_dir: str | os.PathLike[str]) -> None:
  """Parses a model's configuration; its TASKS are BASE_TASKS from now on."""
  path = _config_path(model_dir)
  _attempt(lambda: gin.parse_config_file(path), path)
  # Fine-tuned itself, it has them from the model that it came from.
  if not defines("BASE_TASKS"):
    tasks = gin.query_parameter("%TASKS")
    gin.bind_parameter(("BASE_TASKS", "gin.macro", "value"), tasks)
  # The copy beside the model, not files that only the trainer's machine had.
  folder = os.path.dirname(path)
  gin.parse_config(
    "from __gin__ import dynamic_registration\n"
    "from inksight_jax.text import vocabulary\n"
    "VOCABULARY = @vocabulary.Vocabulary.load()\n"
    f"vocabulary.Vocabulary.load.directory = {folder!r}\n"
  )


def _config_path(model_dir: str | os.PathLike[str]) -> str:
  path = os.path.join(model_dir, CONFIG_NAME)
  if not os.path.isfile(path):
    raise ValueError(
      f"There is no {CONFIG_NAME} in {os.fspath(model_dir)!r}; give the folder "
      "that `inksight-jax train --model_dir=...` wrote."
    )
  return os.path.abspath(path)


def _attempt(function: Callable[[], Any], file: str = "") -> Any:
  """Calls a function of gin; turns what it raises into one clear line."""
  # gin logs each place where it looked for a file in vain.
  disabled = logging.root.manager.disable
  logging.disable(logging.ERROR)
  try:
    return function()
  except _GIN_ERRORS as error:
    raise ValueError(f"Configuration: {describe_error(error, file)}") from error
  finally:
    logging.disable(disabled)


def _parse_override(override: str) -> None:
  """Binds one name given on the command line."""
  name, _, value = (part.strip() for part in override.partition("="))
  try:
    gin.parse_config([override])
  except (SyntaxError, tokenize.TokenError) as error:
    raise ValueError(
      f"{value!r} is not a gin value for {name!r}; write a number, True, a "
      f"list, %MACRO, or a quoted string: --gin.{name}='\"{value}\"'"
    ) from error
  except _GIN_ERRORS as error:
    message = describe_error(error).replace(" (in bindings string line 1)", "")
    raise ValueError(f"--gin.{name}: {message}") from error


def _add_search_paths() -> None:
  global _searched
  if not _searched:
    for path in _SEARCH_PATHS:
      gin.add_config_file_search_path(path)
    _searched = True


def _check_exists(file: str) -> None:
  if any(os.path.isfile(os.path.join(p, file)) for p in ("", *_SEARCH_PATHS)):
    return
  recipes = [p for root in _SEARCH_PATHS for p in _recipes(root)]
  raise ValueError(
    f"There is no gin file {file!r}{_hint(file, recipes)}"
    + (f" Recipes: {', '.join(recipes)}." if recipes else "")
  )


def _recipes(root: str) -> list[str]:
  folder = pathlib.Path(root) / "gin" / "recipes"
  return sorted(str(p.relative_to(root)) for p in folder.glob("*.gin"))


def _macros(config: str) -> tuple[set[str], set[str]]:
  """Names of the macros that a configuration (defines, uses)."""
  defined = set(re.findall(r"^(\w+) = ", config, re.MULTILINE))
  used = set(re.findall(r"%(\w+)(?![\w.])", config))
  return defined, used


def _check_macros() -> None:
  """Finds macros that are used and never given a value.

  gin itself would complain at the first use only, perhaps hours later.
  """
  config = gin.config_str()
  defined, used = _macros(config)
  for name in sorted(used - defined):
    raise ValueError(
      f"%{name} is used but not defined{_hint(name, defined)} Bind it with "
      f"--gin.{name}=VALUE."
    )
  missing = re.findall(r"^(\S+) = %gin\.REQUIRED$", config, re.MULTILINE)
  if missing:
    raise ValueError(
      f"The configuration leaves open: {', '.join(sorted(missing))}. Bind "
      f"each, for example --gin.{sorted(missing)[0]}=VALUE."
    )


def _hint(name: str, known: Iterable[str]) -> str:
  """Ends a sentence, with the nearest known name if there is one."""
  close = difflib.get_close_matches(name, sorted(known), 1)
  return f"; did you mean {close[0]}?" if close else "."


def _suggestion(message: str) -> str:
  """The nearest name that would have worked, for gin's own messages."""
  parameter = re.search(
    r"'([\w.]+)' doesn't have a parameter named '(\w+)'", message
  )
  if parameter:
    target = gin.get_configurable(parameter[1])
    if inspect.isclass(target):
      # gin's own subclass hides the signature.
      target = target.__mro__[1]
    known = list(inspect.signature(target).parameters)
    hint = _hint(parameter[2], known)
    return hint if hint != "." else f"; it has {', '.join(known)}."
  unknown = re.search(r"No configurable matching '([\w./]+)'", message)
  attribute = re.search(r"module ([\w.]+) has no attribute (\w+)", message)
  if unknown:
    bound = re.findall(
      r"^# Parameters for (\S+):$", gin.config_str(), re.MULTILINE
    )
    names = {part for name in bound for part in (name, name.split(".")[-1])}
    return _hint(unknown[1], names)
  if attribute and attribute[1] in sys.modules:
    return _hint(attribute[2], vars(sys.modules[attribute[1]]))
  return ""
