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

import pathlib

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
