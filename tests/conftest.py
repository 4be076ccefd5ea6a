"""Strict settings for every test: typed shapes, no silent broadcasting."""

import os

# Before JAX is imported anywhere.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
# Eight emulated devices. Tests compile much and run little, so the compiler is
# told not to try hard.
os.environ["XLA_FLAGS"] = " ".join(
  [
    os.environ.get("XLA_FLAGS", ""),
    "--xla_force_host_platform_device_count=8",
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
  ]
).strip()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests leave nothing in anybody's home.
os.environ["INKSIGHT_JAX_CACHE"] = "off"

import importlib.util
import pathlib
import subprocess
import sys
from collections.abc import Callable

import beartype  # noqa: F401  (named in the hook below)
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


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
  """Folder with real data beside the checkout; skips where it is absent."""
  folder = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
  if not folder.is_dir():
    pytest.skip("no real data: ../shared/data is absent")
  return folder


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
