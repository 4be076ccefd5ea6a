"""Checkpoints in T5X's layout, written by Orbax as T5X writes them."""

import pathlib

import numpy as np
import orbax.checkpoint as ocp
import pytest

from inksight_jax.interop.t5x_checkpoint import (
  load_t5x_params,
  t5x_checkpoint_folder,
  t5x_step,
)


def write(folder: pathlib.Path, state: dict) -> pathlib.Path:
  folder.mkdir(parents=True)
  ocp.PyTreeCheckpointer().save(folder / "state", state)
  return folder


@pytest.fixture
def run(tmp_path: pathlib.Path) -> pathlib.Path:
  for step in (9, 20, 100):
    params = {"a": {"kernel": np.full((2, 3), step, np.float32)}}
    state = {
      "target": params,
      "state": {"step": np.int32(step), "param_states": {"m": np.ones(4)}},
    }
    write(tmp_path / f"checkpoint_{step}", state)
  return tmp_path


def test_parameters_of_the_latest_or_a_named_checkpoint(run: pathlib.Path):
  latest = load_t5x_params(run)
  assert latest.keys() == {"a"}
  np.testing.assert_array_equal(latest["a"]["kernel"], np.full((2, 3), 100))
  named = load_t5x_params(run / "checkpoint_20")
  np.testing.assert_array_equal(named["a"]["kernel"], np.full((2, 3), 20))
  assert t5x_step(t5x_checkpoint_folder(run)) == 100


def test_what_is_no_checkpoint_is_named(tmp_path: pathlib.Path):
  with pytest.raises(ValueError, match="no T5X checkpoint in"):
    load_t5x_params(tmp_path)
  (tmp_path / "checkpoint_5").mkdir()
  with pytest.raises(ValueError, match="no T5X train state"):
    load_t5x_params(tmp_path)
  (tmp_path / "checkpoint_5" / "checkpoint").write_text("")
  with pytest.raises(ValueError, match="before Orbax"):
    load_t5x_params(tmp_path)
  other = write(tmp_path / "checkpoint_6", {"params": {"x": np.ones(2)}})
  with pytest.raises(ValueError, match="`target`"):
    load_t5x_params(other)
