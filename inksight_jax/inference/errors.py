"""What a reader gets wrong, grouped: lengths first, then substitutions."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inksight_jax.inference.evaluation import Outcome
from inksight_jax.metrics.text_errors import (
  LENGTH_ERRORS,
  count_errors,
  error_groups,
)
from inksight_jax.rendering.sheet import tile

# A row of the sheet is about as wide as a screen; pictures are doubled.
SHEET_WIDTH = 1200
ENLARGED = 2


def error_sheet(
  outcomes: Sequence[Outcome], per_group: int = 16
) -> NDArray[np.uint8] | None:
  """Draws wrong answers, group by group.

  Args:
    outcomes: of one reading task.
    per_group: most pictures of a group.

  Returns:
    uint8[height, width, 3]: length errors first, then substitutions, the
    commonest first, each under its name and number; None without errors.
  """
  members: dict[str, list[Outcome]] = {name: [] for name in LENGTH_ERRORS}
  for outcome in outcomes:
    for group in error_groups(outcome.sample.text, outcome.text):
      members.setdefault(group, []).append(outcome)
  substitutions = sorted(
    (name for name in members if name not in LENGTH_ERRORS),
    key=lambda name: -len(members[name]),
  )
  parts = [
    _group_sheet(name, members[name], per_group)
    for name in (*LENGTH_ERRORS, *substitutions)
    if members[name]
  ]
  if not parts:
    return None
  width = max(part.shape[1] for part in parts)
  return np.concatenate(
    [
      np.pad(
        part, ((0, 0), (0, width - part.shape[1]), (0, 0)), constant_values=255
      )
      for part in parts
    ]
  )


def write_errors(
  outcomes: Sequence[Outcome], folder: str, prefix: str, per_group: int
) -> list[str]:
  """Writes errors.json and, where there are errors, errors.png.

  Args:
    outcomes: of one reading task.
    folder: where to, it exists.
    prefix: of the names.
    per_group: most pictures of a group.

  Returns:
    Names of the files.
  """
  counts = count_errors(
    [outcome.sample.text for outcome in outcomes],
    [outcome.text for outcome in outcomes],
  )
  files = [f"{prefix}errors.json"]
  with open(os.path.join(folder, files[0]), "w", encoding="utf-8") as file:
    file.write(json.dumps(counts, indent=2, ensure_ascii=False) + "\n")
  sheet = error_sheet(outcomes, per_group)
  if sheet is not None:
    files.append(f"{prefix}errors.png")
    Image.fromarray(sheet).save(os.path.join(folder, files[-1]))
  return files


def _group_sheet(
  name: str, outcomes: Sequence[Outcome], most: int
) -> NDArray[np.uint8]:
  shown = outcomes[:most]
  width = shown[0].sample.example.image.shape[1] * ENLARGED
  per_row = max(1, SHEET_WIDTH // width)
  rows, captions = [], []
  for first in range(0, len(shown), per_row):
    row = shown[first : first + per_row]
    rows.append([outcome.sample.example.image for outcome in row])
    captions.append([f"{o.sample.text} -> {o.text}" for o in row])
  return tile(rows, captions, [f"{name}: {len(outcomes)}"], min_side=width)
