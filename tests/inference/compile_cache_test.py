"""Programs on disk: where, when, how many."""

import os
import pathlib

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

from inksight_jax.inference import compile_cache

SETTINGS = (
  "jax_compilation_cache_dir",
  "jax_persistent_cache_min_compile_time_secs",
)


@pytest.fixture(autouse=True)
def settings():
  before = {name: getattr(jax.config, name) for name in SETTINGS}
  # As in a process that nobody has told of a cache.
  jax.config.update("jax_compilation_cache_dir", None)
  yield
  for name, value in before.items():
    jax.config.update(name, value)
  compilation_cache.reset_cache()


def test_the_second_process_would_find_the_program(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  monkeypatch.setenv(compile_cache.VARIABLE, str(tmp_path))
  # JAX has compiled before: it has to look again.
  jax.jit(lambda x: x + 1.5)(jnp.ones(3)).block_until_ready()
  folder = compile_cache.enable()
  assert folder is not None and folder.parent == tmp_path
  assert folder.stat().st_mode & 0o077 == 0

  def run() -> float:
    # A new function each time: only the disk can know it.
    return float(jax.jit(lambda x: jnp.sin(x) * 3.25)(jnp.ones(())))

  first = run()
  (name,) = [f for f in os.listdir(folder) if f.startswith("jit__lambda")]
  written = (folder / name).stat().st_mtime_ns
  jax.clear_caches()
  os.utime(folder / name, ns=(0, written))
  assert run() == first
  assert (folder / name).stat().st_mtime_ns == written
  # It was read, not only compiled to the same name.
  (folder / name).write_bytes(b"broken")
  jax.clear_caches()
  with pytest.warns(UserWarning, match="(?i)persistent compilation cache"):
    assert run() == first


def test_settings_of_others_and_off_are_kept(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  monkeypatch.setenv(compile_cache.VARIABLE, compile_cache.OFF)
  assert compile_cache.enable() is None
  assert not jax.config.jax_compilation_cache_dir
  monkeypatch.setenv(compile_cache.VARIABLE, str(tmp_path / "ours"))
  jax.config.update("jax_compilation_cache_dir", str(tmp_path / "theirs"))
  assert compile_cache.enable() is None
  assert jax.config.jax_compilation_cache_dir == str(tmp_path / "theirs")
  assert not (tmp_path / "ours").exists()


def test_a_home_that_cannot_be_written_to_is_no_error(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  monkeypatch.delenv(compile_cache.VARIABLE)
  (tmp_path / "file").write_text("")
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
  assert compile_cache.enable() is None
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
  owner = os.getuid()
  monkeypatch.setattr(os, "getuid", lambda: owner + 1)
  assert compile_cache.enable() is None
  assert not jax.config.jax_compilation_cache_dir
  monkeypatch.setattr(os, "getuid", lambda: owner)
  folder = compile_cache.enable()
  assert folder is not None
  assert folder.parent == tmp_path / "caches" / "inksight_jax"


def test_what_was_not_used_for_longest_goes(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  monkeypatch.setenv(compile_cache.VARIABLE, str(tmp_path))
  folder = compile_cache.enable()
  assert folder is not None
  for age in range(10):
    (folder / f"{age}").write_bytes(bytes(100))
    os.utime(folder / f"{age}", (1000 - age, 1000 - age))
  jax.config.update("jax_compilation_cache_dir", None)
  assert compile_cache.enable(max_bytes=1000) == folder
  assert len(os.listdir(folder)) == 10
  jax.config.update("jax_compilation_cache_dir", None)
  assert compile_cache.enable(max_bytes=999) == folder
  assert sorted(os.listdir(folder)) == ["0", "1", "2", "3"]
