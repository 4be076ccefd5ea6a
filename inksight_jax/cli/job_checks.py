"""Checks of a configuration: its names, its data, its sizes on the mesh."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from inksight_jax.cli import checks
from inksight_jax.cli.checks import OK, PROBLEM, WARNING, Finding, Job

# T5X's own macros; who binds them means to run under T5X.
T5X_MIXTURE = "MIXTURE_OR_TASK_NAME"


def examine(job: Job) -> list[Finding]:
  """All checks of a job, those of the machine first."""
  from inksight_jax.inference import recipe

  findings = checks.check_versions()
  accelerator, devices = checks.check_accelerator(job)
  findings += accelerator + checks.check_model_dir(job)
  if not devices:
    return findings
  try:
    with _as_t5x(job.gin_files):
      recipe.parse(job.gin_files, job.gin_bindings)
  except ValueError as error:
    return [*findings, _problem("configuration", error)]
  files = ", ".join(os.path.basename(file) for file in job.gin_files)
  findings.append(Finding("configuration", OK, files))
  if recipe.defines(T5X_MIXTURE):
    tasks = recipe.resolve("TASKS")
    look = functools.partial(_look_at_records, "data", {"tasks": tasks})
    findings += _guarded("data", lambda: [look()])
    return findings + _guarded("mixture", check_t5x_mixture)
  findings += _guarded("data", lambda: check_data(job))
  return findings + _guarded("model", lambda: check_sizes(job, devices))


def _problem(check: str, error: BaseException) -> Finding:
  text = str(error).split("\n  In call to configurable")[0]
  return Finding(check, PROBLEM, text)


def _guarded(check: str, look: Callable[[], list[Finding]]) -> list[Finding]:
  """Findings of a check; what it raises is a problem too."""
  try:
    return look()
  except (ValueError, TypeError, OSError, ImportError) as error:
    return [_problem(check, error)]


def _bindings(selector: str) -> dict[str, Any]:
  """What the gin files bind of a function; nothing if they do not name it."""
  import gin

  try:
    return gin.get_bindings(selector, resolve_references=False)
  except (ValueError, KeyError):
    return {}


def _train_option(name: str, default: Any) -> Any:
  """One argument of `run.train`; the others, the data say, stay unmade."""
  value = _bindings("run.train").get(name, default)
  # gin evaluates a reference when it is copied.
  return copy.deepcopy(value)


@contextlib.contextmanager
def _as_t5x(files: Sequence[str]) -> Iterator[None]:
  """Lets T5X's run files, which bind `__main__`, be read by this program."""
  if not any("t5x" in file.split(os.sep) for file in files):
    yield
    return
  if importlib.util.find_spec("t5x") is None:
    raise ValueError(
      "These gin files are for T5X, which is not installed; see docs/t5x.md."
    )
  program = sys.modules["__main__"]
  sys.modules["__main__"] = importlib.import_module("t5x.train")
  try:
    yield
  finally:
    sys.modules["__main__"] = program


def check_t5x_mixture() -> list[Finding]:
  """Looks a T5X run's mixture up, and its cache if it is to use one."""
  import seqio

  from inksight_jax.inference import recipe

  # Our run files register the mixture as they name it.
  name = recipe.resolve(T5X_MIXTURE)
  mixture = seqio.get_mixture_or_task(name)
  tasks = getattr(mixture, "tasks", [mixture])
  findings = [Finding("mixture", OK, f"{name}: {len(tasks)} tasks")]
  cached = not recipe.defines("USE_CACHED_TASKS") or recipe.resolve(
    "USE_CACHED_TASKS"
  )
  missing = [task.name for task in tasks if cached and not task.cache_dir]
  if missing:
    found = f"USE_CACHED_TASKS is True, but there is no cache of {missing[0]}"
    remedy = "bind USE_CACHED_TASKS = False, or run seqio_cache_tasks"
    findings.append(Finding("cache", PROBLEM, found, remedy))
  return findings


def check_data(job: Job) -> list[Finding]:
  """Looks for the data set, the vocabulary, and shards if they are used."""
  from inksight_jax.inference import recipe

  tasks = recipe.resolve("TASKS")
  vocabulary = tasks.vocabulary
  findings = [
    Finding("vocabulary", OK, f"{vocabulary.size} ids"),
    *_guarded("prompts", lambda: _check_prompts(tasks)),
  ]
  sources = _batch_sources()
  if not sources:
    found = "run.train.batches is not bound"
    remedy = "add --gin_file=gin/runs/from_records.gin or from_shards.gin"
    return [*findings, Finding("data", PROBLEM, found, remedy)]
  for name, (cls, options) in sources.items():
    if "num_hosts" in options:
      options = {**options, "num_hosts": job.num_processes, "host": 0}
    kind = getattr(cls, "__name__", str(cls))
    look = _SOURCES.get(kind)
    if look is None:
      findings.append(Finding(name, OK, f"{kind}; not looked into"))
    else:
      findings += _guarded(
        name, lambda name=name, look=look, o=options: [look(name, o)]
      )
  return findings


def _batch_sources() -> dict[str, tuple[Any, dict[str, Any]]]:
  """The classes that give the batches, with their options, unmade."""
  import gin

  found = {}
  bindings = _bindings("run.train")
  for name in ("batches", "eval_batches"):
    reference: Any = bindings.get(name)
    while reference is not None and hasattr(reference, "scoped_selector"):
      scope, selector = os.path.split(reference.scoped_selector)
      if selector.endswith("macro"):
        reference = gin.query_parameter(f"{scope}/gin.macro.value")
        continue
      with gin.config_scope(scope or None):
        options = gin.get_bindings(selector)
      # gin's class is a subclass of ours with our name.
      cls = reference.configurable.wrapped
      found["data" if name == "batches" else "held-out data"] = (cls, options)
      break
  return found


def _check_prompts(tasks: Any) -> list[Finding]:
  """The prompts have to fit before any data is read."""
  longest = max(len(tasks.prompt(task)) for task in tasks.tasks)
  if longest > tasks.prompt_length:
    raise ValueError(
      f"A prompt has {longest} ids, INPUT_LENGTH is {tasks.prompt_length}; "
      "raise it."
    )
  return []


def _look_at_records(name: str, options: Mapping[str, Any]) -> Finding:
  """A data set read while training: its name, options and path."""
  from inksight_jax.datasets.registry import DATASETS, load_records

  tasks = options["tasks"]
  split = options.get("split", "train")
  names = []
  for source in tasks.all_sources:
    # Objects to names and options; the records themselves are read lazily.
    path = source.location
    load_records(source.name, path, split, **source.options)
    if path and not os.path.exists(path):
      raise ValueError(
        f"There is no {path!r}; set DATA_PATH (or the path of the source) to "
        f"where {source.name} lies: {DATASETS[source.name].access}."
      )
    names.append(source.name)
  return Finding(name, OK, f"{', '.join(names)}: {split}")


def _look_at_shards(name: str, options: dict[str, Any]) -> Finding:
  """Array shards: there, finished, of these tasks, and readable."""
  from inksight_jax.pipeline.batches import ShardBatches

  source = ShardBatches(**options)
  next(source.batches())
  return Finding(name, OK, f"{len(source)} examples in {options['directory']}")


def _look_at_mixture(name: str, options: Mapping[str, Any]) -> Finding:
  """A SeqIO mixture: TensorFlow is there and the name registered."""
  import seqio

  seqio.get_mixture_or_task(options["mixture"])
  return Finding(name, OK, f"mixture {options['mixture']}")


_SOURCES: Mapping[str, Callable[[str, dict[str, Any]], Finding]] = {
  "RecordBatches": _look_at_records,
  "ShardBatches": _look_at_shards,
  "MixtureBatches": _look_at_mixture,
}


def check_sizes(job: Job, devices: int) -> list[Finding]:
  """Mesh, batch, model axes and disk, from abstract shapes alone."""
  import jax

  from inksight_jax.training import mesh as mesh_lib

  chips = job.chips or devices * job.num_processes
  asked = copy.deepcopy(_bindings("mesh.make_mesh"))
  try:
    sizes = mesh_lib.mesh_sizes(chips, **asked)
  except ValueError as error:
    return [_problem("mesh", error)]
  data, fsdp, model = sizes
  shape = f"data {data} x fsdp {fsdp} x model {model} = {chips} chips"
  findings = [Finding("mesh", OK, shape)]
  if chips % job.num_processes or chips // job.num_processes % model:
    found = (
      f"{chips} chips in {job.num_processes} processes, model axis {model}"
    )
    remedy = "give every process as many chips, and whole model groups"
    findings = [Finding("mesh", PROBLEM, found, remedy)]
  if devices * job.num_processes != chips:
    found = f"{chips} chips are asked for, each machine like this has {devices}"
    if job.accelerator is None:
      remedy = "fine if the job runs elsewhere"
      findings.append(Finding("chips", WARNING, found, remedy))
    else:
      remedy = "set --chips and --num_processes to what the job gets"
      findings.append(Finding("chips", PROBLEM, found, remedy))
  findings += list(_check_batch(job, data * fsdp))
  mesh = jax.sharding.AbstractMesh(sizes, mesh_lib.MESH_AXES)
  return findings + _check_model(job, mesh)


def _check_batch(job: Job, shards: int) -> Iterator[Finding]:
  """Whether the rows can be shared out."""
  sources = _batch_sources()
  rows = sources["data"][1].get("batch_size") if "data" in sources else None
  if rows is None:
    return
  microbatches = _train_option("microbatches", 1)
  for count, whose in (
    (job.num_processes, "processes"),
    (shards, "data-parallel chips"),
    (microbatches, "microbatches"),
  ):
    if rows % count:
      found = f"{rows} examples cannot be shared by {count} {whose}"
      remedy = f"set BATCH_SIZE to {-(-rows // count) * count}"
      yield Finding("batch", PROBLEM, found, remedy)
      return
  found = f"{rows} examples, {rows // shards} per chip"
  if rows // shards % microbatches:
    remedy = f"{microbatches} microbatches cannot share these evenly"
    yield Finding("batch", WARNING, found, f"{remedy}; chips will idle")
    return
  yield Finding("batch", OK, found)


def _check_model(job: Job, mesh: Any) -> list[Finding]:
  """Builds model and optimiser abstractly and divides them over the mesh."""
  import jax

  from inksight_jax.inference import recipe
  from inksight_jax.training import mesh as mesh_lib
  from inksight_jax.training import state as state_lib

  built = recipe.build()
  tasks, module = built.tasks, built.model
  variables = jax.eval_shape(
    lambda: module.get_initial_variables(
      jax.random.key(0), tasks.input_shapes(2)
    )
  )
  params = variables["params"]
  optimizer = recipe.resolve("OPTIMIZER")
  opt_state = jax.eval_shape(optimizer.init, params)
  count = state_lib.count_parameters(params)
  findings = [Finding("model", OK, f"{count:,} parameters")]
  findings += _check_start(module)
  parts = mesh.shape["model"]
  odd = [
    f"{path} {heads}"
    for path, heads in _heads(getattr(module, "module", None))
    if heads % parts
  ]
  rules = _train_option("logical_axis_rules", mesh_lib.LOGICAL_AXIS_RULES)
  uneven = mesh_lib.uneven_axes(
    params, variables.get("params_axes"), rules, mesh
  )
  odd += [f"{name} {size} by {n}" for name, (size, n) in uneven.items()]
  if odd:
    found = f"the mesh does not divide: {', '.join(odd)}"
    remedy = "these stay whole on every chip; choose sizes that divide"
    findings.append(Finding("model axes", WARNING, found, remedy))
  size = sum(
    leaf.size * leaf.dtype.itemsize
    for leaf in jax.tree.leaves((params, opt_state))
  )
  return findings + checks.check_disk(job, size, _train_option("keep", 3))


def _check_start(model: Any) -> list[Finding]:
  """A frozen image encoder that begins at random stays random."""
  config = getattr(getattr(model, "module", None), "config", None)
  frozen = getattr(config, "freeze_image_encoder", False)
  if not frozen or _train_option("load", None) is not None:
    return []
  found = "the image encoder is frozen and has no weights to start from"
  remedy = (
    "add --gin_file=gin/weights/vit_npz.gin, train with --load, or set "
    "FREEZE_IMAGE_ENCODER = False"
  )
  return [Finding("initial weights", WARNING, found, remedy)]


def _heads(network: Any) -> list[tuple[str, int]]:
  """Every `num_heads` in the config of a network, with its path."""
  found = []

  def search(value: Any, path: str) -> None:
    if not dataclasses.is_dataclass(value):
      return
    for field in dataclasses.fields(value):
      inner = getattr(value, field.name, None)
      if field.name == "num_heads":
        found.append((f"{path}num_heads", inner))
      else:
        search(inner, f"{path}{field.name}.")

  search(getattr(network, "config", None), "")
  return found
