"""Parameters out of the checkpoints that T5X writes; T5X is not needed."""

from __future__ import annotations

import os
import pathlib
import re
from typing import Any

import jax
import numpy as np

_STATE = "state"
_FOLDER = re.compile(r"checkpoint_(\d+)")


def t5x_checkpoint_folder(path: str | os.PathLike[str]) -> pathlib.Path:
  """One checkpoint of T5X.

  Args:
    path: a checkpoint, or the model directory of a T5X run: then its latest.

  Raises:
    ValueError: there is none, or of T5X's format before Orbax.
  """
  folder = pathlib.Path(path).absolute()
  if not _FOLDER.fullmatch(folder.name):
    found = [
      (int(match[1]), child)
      for child in (folder.iterdir() if folder.is_dir() else ())
      if (match := _FOLDER.fullmatch(child.name))
    ]
    if not found:
      raise ValueError(
        f"There is no T5X checkpoint in {folder}; give the MODEL_DIR of "
        "`python -m t5x.train`, or one of its checkpoint_N."
      )
    folder = max(found)[1]
  if (folder / "checkpoint").is_file():
    raise ValueError(
      f"{folder} has T5X's format from before Orbax; let T5X write it again: "
      "restore it and train on for a step."
    )
  if not (folder / _STATE).is_dir():
    raise ValueError(
      f"{folder} holds no T5X train state ({_STATE}/); is it finished?"
    )
  return folder


def t5x_step(folder: str | os.PathLike[str]) -> int:
  """Training step of a checkpoint, by its name."""
  match = _FOLDER.fullmatch(pathlib.Path(folder).name)
  return int(match[1]) if match else 0


def load_t5x_params(path: str | os.PathLike[str]) -> dict[str, Any]:
  """Reads the parameters of a T5X checkpoint as numpy arrays.

  Args:
    path: see `t5x_checkpoint_folder`.

  Returns:
    Nested dict of arrays, by the names that the network gave them.

  Raises:
    ValueError: no such checkpoint, or one of another kind of program.
  """
  import orbax.checkpoint as ocp

  folder = t5x_checkpoint_folder(path)
  handler = ocp.PyTreeCheckpointHandler()
  # Orbax declares its own kind of path; any will do.
  state: Any = folder / _STATE
  tree = handler.metadata(state).tree
  if not isinstance(tree, dict) or "target" not in tree:
    raise ValueError(
      f"{folder} holds no parameters under the name `target`, as T5X's train "
      "states do."
    )
  arrays = jax.tree.map(
    lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree["target"]
  )
  # The optimiser's state, twice as large, stays on the disk.
  restored = handler.restore(
    state,
    args=ocp.args.PyTreeRestore(
      item={"target": arrays},
      restore_args={"target": arrays},
      transforms={},
    ),
  )
  return restored["target"]
