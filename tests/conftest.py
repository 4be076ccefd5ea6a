"""Strict settings for every test: typed shapes, no silent broadcasting."""

import importlib.metadata
import importlib.util
import os

# Before JAX is imported anywhere.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
# Eight emulated devices. Tests compile much and run little, so the compiler is
# told not to try hard. The last flag halves its time; versions of JAX that do
# not know it would abort, and so does the TPU's compiler.
os.environ["XLA_FLAGS"] = " ".join(
  [
    os.environ.get("XLA_FLAGS", ""),
    "--xla_force_host_platform_device_count=8",
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_use_fusion_emitters=false"
    if importlib.metadata.version("jaxlib").startswith("0.10.")
    and importlib.util.find_spec("libtpu") is None
    else "",
  ]
).strip()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests leave nothing in anybody's home.
os.environ["INKSIGHT_JAX_CACHE"] = "off"

import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

import beartype  # noqa: F401  (named in the hook below)
import jax
import pytest
from jaxtyping import install_import_hook

# Kept alive for the whole run: every shape annotation of these packages is
# checked at each call.
_hook = install_import_hook(
  [
    f"inksight_jax.{name}"
    for name in (
      "ink",
      "text",
      "rendering",
      "metrics",
      "networks",
      "models",
      "training",
      "inference",
      "interop",
    )
  ],
  # The numeric tower: an int is welcome where a float is asked for.
  "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)


@pytest.fixture(scope="session", autouse=True)
def programs_are_compiled_once(
  tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
  """Keeps this process's compiled programs for the tests that come after.

  Many tests build the same small models. The folder is this process's alone:
  not a variable that its children, some of which get killed, would inherit.
  """
  folder = tmp_path_factory.mktemp("programs")
  jax.config.update("jax_compilation_cache_dir", str(folder))
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
  yield
  jax.config.update("jax_compilation_cache_dir", None)


@pytest.fixture(scope="session")
def save_untrained() -> Callable[..., pathlib.Path]:
  """Writes a model directory with random parameters and returns it.

  Takes the folder, gin files and bindings; `step` of the checkpoint.
  """
  from inksight_jax.inference import recipe
  from inksight_jax.training import checkpoints, state

  def save(
    folder: pathlib.Path,
    files: Sequence[str | pathlib.Path],
    bindings: Sequence[str] = (),
    step: int = 3,
  ) -> pathlib.Path:
    recipe.parse([str(file) for file in files], list(bindings))
    built = recipe.build()
    built.save(folder)
    shapes = built.tasks.input_shapes(1)
    # Compiled as one: operation by operation it takes several times as long.
    init = jax.jit(
      lambda key: built.model.get_initial_variables(key, shapes)["params"]
    )
    params = init(jax.random.key(0)).unfreeze()
    checkpointer = checkpoints.Checkpointer(str(folder))
    made = state.TrainState(jax.numpy.int32(step), params, ())
    checkpointer.save(made, seed=0)
    checkpointer.wait()
    checkpointer.close()
    return folder

  return save


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
  """Folder with real data beside the checkout; skips where it is absent."""
  folder = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
  if not folder.is_dir():
    pytest.skip("no real data: ../shared/data is absent")
  return folder


@pytest.fixture(scope="session")
def iam_folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """A form for each split in the folders of IAM: XML, forms, lines, words."""
  import cv2
  import numpy as np

  root = tmp_path_factory.mktemp("iam")

  def draw(path: str, height: int, width: int) -> None:
    image = np.full((height, width), 230, np.uint8)
    cv2.line(image, (4, height // 2), (width - 5, height // 3), 40, 3)
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(root / path), image)

  splits = {"train": "a01-000u", "validation": "a02-000", "test": "a03-006"}
  for number, (split, form) in enumerate(splits.items()):
    lines = []
    for line in range(2):
      name, top = f"{form}-{line:02d}", 200 + 60 * line
      words = []
      for word, text in enumerate(("one", "two", ",", "six")):
        part = f"{name}-{word:02d}"
        box = f'x="{10 + 70 * word}" y="{top}" width="60" height="40"'
        words.append(f'<word id="{part}" text="{text}"><cmp {box}/></word>')
        draw(f"words/{form[:3]}/{form}/{part}.png", 40, 60)
      draw(f"lines/{form[:3]}/{form}/{name}.png", 60, 300)
      lines.append(
        f'<line id="{name}" segmentation="ok" asy="{top}" dsy="{top + 40}" '
        f'text="one two, six">{"".join(words)}</line>'
      )
    draw(f"formsA-D/{form}.png", 400, 300)
    xml = root / "xml" / f"{form}.xml"
    xml.parent.mkdir(exist_ok=True)
    xml.write_text(
      f'<form id="{form}" writer-id="{number:03d}"><machine-printed-part/>'
      f"<handwritten-part>{''.join(lines)}</handwritten-part></form>"
    )
    (root / "splits").mkdir(exist_ok=True)
    (root / "splits" / f"{split}.uttlist").write_text(f"{form}\n")
  return root


@pytest.fixture(scope="session")
def run_t5x() -> Callable[..., str]:
  """Runs `python *words --gin.NAME=VALUE...` with T5X; skips without it.

  The function returns what the program printed, and fails with its last words.
  """
  if importlib.util.find_spec("t5x") is None:
    pytest.skip("T5X is not installed; docs/t5x.md says what it needs")
  root = pathlib.Path(__file__).resolve().parents[1]
  environment = dict(os.environ)
  # T5X's own code broadcasts ranks.
  environment.pop("JAX_NUMPY_RANK_PROMOTION", None)
  path = f"{root}{os.pathsep}{environment.get('PYTHONPATH', '')}"
  environment["PYTHONPATH"] = path.strip(os.pathsep)

  def run(*words: str, **bindings: object) -> str:
    done = subprocess.run(
      [
        sys.executable,
        *words,
        *(f"--gin.{name}={value!r}" for name, value in bindings.items()),
      ],
      cwd=root,
      env=environment,
      capture_output=True,
      text=True,
      timeout=3600,
      check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout

  return run
