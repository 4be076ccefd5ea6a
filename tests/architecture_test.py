"""Import directions and guard rails, as code (docs/architecture.md).

Imports are read from the syntax tree, so an import inside a function counts
too. Each checker is tested on a planted violation first.
"""

import ast
import dataclasses
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = "inksight_jax"

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 80
# The training loop is read from top to bottom; splitting it hides its order.
MAX_LOOP_LINES = 150
LOOP = "inksight_jax/training/loop.py"


@dataclasses.dataclass(frozen=True)
class Rule:
  """What a package may import.

  Attributes:
    ours: packages of this project, or single modules of them; its own always.
    outside: distributions beside the standard library, by import name.
    inside_functions: the same, only where the import waits in a function.
  """

  ours: frozenset[str] = frozenset()
  outside: frozenset[str] = frozenset()
  inside_functions: frozenset[str] = frozenset()


def rule(ours: str = "", outside: str = "", inside_functions: str = "") -> Rule:
  return Rule(
    *(frozenset(names.split()) for names in (ours, outside, inside_functions))
  )


# The SeqIO side of the pipeline. Its other modules, and all other packages,
# load where TensorFlow is not installed: training from array shards and
# prediction need them there.
SEQIO_SIDE = frozenset(
  f"pipeline.{name}"
  for name in ("feature_converters", "preprocessors", "sources", "vocabularies")
)
TENSORFLOW = frozenset({"tensorflow", "seqio", "tensorflow_datasets", "t5x"})
RULES = {
  "ink": rule("", "numpy lxml"),
  "text": rule("ink.tokens ink.types", "numpy", "sentencepiece"),
  "metrics": rule("ink", "numpy rapidfuzz jiwer"),
  "rendering": rule("ink", "numpy cv2 PIL HersheyFonts"),
  "datasets": rule(
    "ink rendering", "numpy", "tensorflow_datasets cv2 PIL sklearn"
  ),
  "pipeline": rule(
    "ink text rendering datasets", "numpy seqio tensorflow", "cv2"
  ),
  # TensorFlow for the dtypes of features, the vocabulary for decoded answers.
  "tasks": rule("pipeline metrics text.vocabulary", "numpy seqio tensorflow"),
  "networks": rule("", "jax flax numpy"),
  "models": rule("networks", "jax flax optax clu.metrics numpy"),
  "training": rule(
    "models", "jax flax optax orbax clu gin numpy tensorboardX tqdm"
  ),
  # Of the pipeline only what builds examples without TensorFlow.
  "inference": rule(
    "ink text rendering networks models training metrics pipeline.spec "
    "pipeline.examples pipeline.shards pipeline.mixture pipeline.records "
    "pipeline.task_set pipeline.token_tasks pipeline.families "
    "pipeline.picture_coding pipeline.workers",
    "jax flax numpy cv2 PIL gin",
    "doctr pytesseract",
  ),
  # Of training only how axes fall on a mesh and what a run starts from; of data
  # sets what a model card says of them.
  "interop": rule(
    "ink text networks models inference training.mesh training.initial_weights "
    "rendering.images rendering.letterbox datasets.atomic datasets.registry "
    "__version__",
    "jax flax numpy",
    "tensorflow tensorflow_text sentencepiece orbax t5x safetensors torch",
  ),
  "serving": rule("inference rendering", "numpy"),
  "plots": rule("", "numpy", "matplotlib"),
}
# Shape words in signatures; needs nothing else of ours or others.
EVERYWHERE = frozenset({"jaxtyping"})


@dataclasses.dataclass(frozen=True)
class Import:
  """One imported module and whether the import waits in a function."""

  module: str
  line: int
  inside_function: bool


def imports_of(tree: ast.Module, package: str) -> list[Import]:
  """All imports of a module; `package` is the dotted name of its folder."""
  found: list[Import] = []

  def visit(node: ast.AST, inside: bool) -> None:
    if isinstance(node, ast.Import):
      found.extend(Import(a.name, node.lineno, inside) for a in node.names)
    elif isinstance(node, ast.ImportFrom):
      base = node.module or ""
      if node.level:
        parts = package.split(".")
        parts = parts[: len(parts) - node.level + 1]
        base = ".".join([*parts, *([base] if base else [])])
      found.extend(
        Import(f"{base}.{a.name}", node.lineno, inside) for a in node.names
      )
    type_checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(
      node.test
    )
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    inside = inside or type_checking or isinstance(node, functions)
    for child in ast.iter_child_nodes(node):
      visit(child, inside)

  visit(tree, inside=False)
  return found


def allowed(module: str, names: frozenset[str]) -> bool:
  return any(module == name or module.startswith(f"{name}.") for name in names)


def is_tf_free(path: str) -> bool:
  """Whether a module must load without TensorFlow."""
  package, _, name = path.removesuffix(".py").partition("/")
  module = name.replace("/", ".")
  return package == PACKAGE and module not in (*SEQIO_SIDE, "__main__")


def import_violations(path: str, source: str) -> list[str]:
  """Imports of one file, path relative to the root, that break the table."""
  parts = path.removesuffix(".py").split("/")
  own = parts[0] if parts[0] == "tasks" else parts[1]
  if own in ("cli", "__main__", "__init__"):
    return []
  table = RULES.get(own)
  if table is None:
    return [f"{path}: package `{own}` has no row in the import table"]
  tf_free = is_tf_free(path)
  outside = table.outside - TENSORFLOW if tf_free else table.outside
  bad = []
  for found in imports_of(ast.parse(source), ".".join(parts[:-1])):
    module = found.module.removeprefix(f"{PACKAGE}.")
    top = found.module.split(".")[0]
    if found.module.startswith((f"{PACKAGE}.", "tasks.")):
      fine = allowed(module, table.ours | {own})
      if tf_free and not found.inside_function:
        fine = fine and not allowed(module, SEQIO_SIDE)
    elif top in sys.stdlib_module_names or top == PACKAGE:
      fine = True
    else:
      names = outside | EVERYWHERE
      if found.inside_function:
        names |= table.outside | table.inside_functions
      fine = allowed(found.module, names)
    if not fine:
      where = "in a function" if found.inside_function else "at the top"
      bad.append(f"{path}:{found.line}: {own} imports {found.module} {where}")
  return bad


def functions_of(
  tree: ast.Module,
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
  for node in ast.walk(tree):
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
      yield node


def public_definitions(
  body: list[ast.stmt],
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
  """Public functions and classes, and the public methods of the latter."""
  kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
  for node in body:
    # Flax calls `setup`; its fields are the documentation.
    if isinstance(node, kinds) and not node.name.startswith("_"):
      if node.name != "setup":
        yield node
      if isinstance(node, ast.ClassDef):
        yield from public_definitions(node.body)


def size_violations(path: str, source: str) -> list[str]:
  """Modules and functions that are too long to read in one go."""
  bad = []
  lines = len(source.splitlines())
  if lines > MAX_MODULE_LINES:
    bad.append(f"{path}: {lines} lines, more than {MAX_MODULE_LINES}")
  limit = MAX_LOOP_LINES if path == LOOP else MAX_FUNCTION_LINES
  for node in functions_of(ast.parse(source)):
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    # A long docstring of a public function does not make its code longer.
    if ast.get_docstring(node) is not None:
      first = node.body[0]
      lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    if lines > limit:
      bad.append(
        f"{path}:{node.lineno}: {node.name} has {lines} lines, more than "
        f"{limit}"
      )
  return bad


def signature_violations(path: str, source: str) -> list[str]:
  """Missing docstrings of public names, missing annotations of arguments."""
  tree = ast.parse(source)
  bad = []
  if tree.body and not ast.get_docstring(tree):
    bad.append(f"{path}: no module docstring")
  for node in public_definitions(tree.body):
    if not ast.get_docstring(node):
      bad.append(f"{path}:{node.lineno}: {node.name} has no docstring")
  for node in functions_of(tree):
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [a for a in (arguments.vararg, arguments.kwarg) if a]
    for argument in every:
      if argument.annotation is None and argument.arg not in ("self", "cls"):
        bad.append(
          f"{path}:{node.lineno}: {node.name}({argument.arg}) is not annotated"
        )
  return bad


def sources(*folders: str) -> list[tuple[str, str]]:
  """(path relative to the root, text) of the Python files in the folders."""
  return [
    (path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    for folder in folders
    for path in sorted((ROOT / folder).rglob("*.py"))
  ]


def report(violations: list[str]) -> None:
  assert not violations, "\n" + "\n".join(violations)


@pytest.mark.parametrize(
  ("path", "source"),
  [
    ("inksight_jax/ink/a.py", "import jax.numpy as jnp"),
    ("inksight_jax/ink/a.py", "def f():\n  import cv2"),
    ("inksight_jax/ink/a.py", "from inksight_jax.rendering import strokes"),
    ("inksight_jax/ink/a.py", "from ..text import codecs"),
    ("inksight_jax/text/a.py", "import sentencepiece"),
    ("inksight_jax/text/a.py", "from inksight_jax.ink import svg"),
    ("inksight_jax/networks/a.py", "import optax"),
    ("inksight_jax/models/a.py", "from clu import periodic_actions"),
    ("inksight_jax/training/a.py", "def f():\n  import tensorflow as tf"),
    ("inksight_jax/training/a.py", "from inksight_jax.cli import main"),
    ("inksight_jax/pipeline/a.py", "import inksight_jax.networks.vit"),
    ("inksight_jax/pipeline/a.py", "from inksight_jax.tasks import inksight"),
    ("inksight_jax/pipeline/spec.py", "import seqio"),
    ("inksight_jax/pipeline/new.py", "import tensorflow as tf"),
    (
      "inksight_jax/pipeline/shards.py",
      "from inksight_jax.pipeline import sources",
    ),
    (
      "inksight_jax/inference/a.py",
      "from inksight_jax.pipeline import sources",
    ),
    ("inksight_jax/interop/a.py", "import tensorflow"),
    ("inksight_jax/plots.py", "import matplotlib.pyplot as plt"),
    ("inksight_jax/unheard/a.py", "import numpy"),
    ("tasks/a.py", "from inksight_jax.models import losses"),
    ("tasks/a.py", "from inksight_jax.text import codecs"),
    ("inksight_jax/pipeline/sources.py", "import cv2"),
  ],
)
def test_a_planted_import_is_found(path: str, source: str):
  assert len(import_violations(path, source)) == 1


@pytest.mark.parametrize(
  ("path", "source"),
  [
    ("inksight_jax/ink/a.py", "import re, numpy as np\nfrom lxml import etree"),
    ("inksight_jax/ink/a.py", "from . import types\nfrom .types import Ink"),
    ("inksight_jax/text/a.py", "def f():\n  import sentencepiece"),
    ("inksight_jax/text/a.py", "from inksight_jax.ink import tokens"),
    ("inksight_jax/networks/a.py", "from jaxtyping import Array, Float"),
    ("inksight_jax/models/a.py", "from clu import metrics as clu_metrics"),
    ("inksight_jax/pipeline/sources.py", "import seqio"),
    ("inksight_jax/pipeline/spec.py", "def f():\n  import seqio"),
    ("inksight_jax/inference/a.py", "from inksight_jax.pipeline import spec"),
    ("inksight_jax/inference/a.py", "from inksight_jax.pipeline import shards"),
    ("inksight_jax/pipeline/shards.py", "def f():\n  import cv2"),
    ("tasks/a.py", "from inksight_jax.text.vocabulary import Vocabulary"),
    ("inksight_jax/interop/a.py", "def f():\n  import tensorflow"),
    ("inksight_jax/cli/a.py", "import tensorflow"),
    (
      "inksight_jax/plots.py",
      "from typing import TYPE_CHECKING\n"
      "if TYPE_CHECKING:\n  from matplotlib import figure",
    ),
  ],
)
def test_an_allowed_import_passes(path: str, source: str):
  assert import_violations(path, source) == []


@pytest.mark.parametrize("package", RULES)
def test_imports_follow_the_table(package: str):
  violations = []
  for path, source in sources(PACKAGE, "tasks"):
    parts = path.removesuffix(".py").split("/")
    if package in (parts[0], parts[1]):
      violations += import_violations(path, source)
  report(violations)


def test_every_package_has_a_row():
  rows = {*RULES, "cli", "__main__", "__init__"}
  report(
    [
      f"{path}: no row in the import table"
      for path, _ in sources(PACKAGE)
      if path.removesuffix(".py").split("/")[1] not in rows
    ]
  )


def test_nothing_imports_the_command_line():
  report(
    [
      f"{path}:{found.line} imports {found.module}"
      for path, source in sources(PACKAGE, "tasks")
      if not path.startswith((f"{PACKAGE}/cli/", f"{PACKAGE}/__main__"))
      for found in imports_of(ast.parse(source), path.replace("/", "."))
      if found.module.startswith(f"{PACKAGE}.cli")
    ]
  )


def test_planted_lengths_are_found():
  long = "def f():\n" + "  pass\n" * 80
  assert len(size_violations("inksight_jax/a.py", long)) == 1
  assert size_violations(LOOP, long) == []
  docstring = '  """' + "Words.\n" * 80 + '  """\n'
  short = "def f():\n" + docstring + "  pass\n" * 79
  assert size_violations("inksight_jax/a.py", short) == []
  too_long = short + "  pass\n"
  assert len(size_violations("inksight_jax/a.py", too_long)) == 1
  assert len(size_violations("inksight_jax/a.py", "x = 1\n" * 401)) == 1
  assert size_violations("inksight_jax/a.py", "x = 1\n" * 400) == []


def test_planted_signatures_are_found():
  source = (
    "class A:\n"
    "  def f(self, a, *b, c: int = 0, **d): pass\n"
    "  def _g(self): pass\n"
    "def _h(e):\n  def k(): pass\n"
  )
  found = "\n".join(signature_violations("a.py", source))
  assert found.count("annotated") == 4
  for missing in ("no module docstring", "A has no", "f has no", "_h(e)"):
    assert missing in found
  assert found.count("docstring") == 3
  documented = '"""M."""\ndef f(a: int) -> int:\n  """F."""\n  return a\n'
  assert signature_violations("a.py", documented) == []


def test_modules_and_functions_are_short():
  folders = (PACKAGE, "tasks", "benchmarks", "tpu")
  report([bad for item in sources(*folders) for bad in size_violations(*item)])


def test_public_names_are_documented_and_arguments_annotated():
  items = sources(PACKAGE, "tasks")
  report([bad for item in items for bad in signature_violations(*item)])


def test_no_file_has_a_forbidden_name():
  # Not the root: an environment in .venv is not ours.
  folders = (PACKAGE, "tasks", "tests", "benchmarks", "tpu")
  report([path for path, _ in sources(*folders) if path.endswith("utils.py")])
  # A package called `gin` at the root would shadow the gin-config library.
  report([path for path, _ in sources("gin") if "__init__" in path])


def test_packages_load_without_tensorflow():
  names = [
    path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    for path, _ in sources(PACKAGE)
    if is_tf_free(path)
  ]
  code = (
    "import importlib, sys\n"
    f"sys.modules.update(dict.fromkeys({sorted(TENSORFLOW)}))\n"
    f"for name in {names}:\n  importlib.import_module(name)\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
