"""Which records serve a task, and why the others do not."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.record import Record
from inksight_jax.datasets.store import Traits, image_size
from inksight_jax.pipeline.mixture import Source
from inksight_jax.pipeline.task_set import TaskInfo

Fails = NDArray[np.bool_] | bool


def _conditions(
  info: TaskInfo,
  source: Source | None,
  traits: Any,
  needs: Callable[[Any], Fails],
) -> Iterator[tuple[str, Fails]]:
  """(reason, which fail), for one record or for arrays of them alike."""
  if info.rendered:
    yield "no ink", needs(traits.strokes < 0)
    yield "empty ink", needs(traits.strokes == 0)
  else:
    yield "no image", needs(traits.height == 0)
    if source is not None and source.aspect is not None:
      low, high = source.aspect
      # Products, not a quotient: the height may be 0.
      yield (
        f"aspect ratio outside {low:g} to {high:g}",
        needs(
          (traits.width <= low * traits.height)
          | (traits.width >= high * traits.height)
        ),
      )
    if source is not None and source.min_side:
      yield (
        f"side below {source.min_side} px",
        needs(
          (traits.width < source.min_side) | (traits.height < source.min_side)
        ),
      )
  if info.needs_text:
    yield "no text", needs(traits.has_text == 0)


def lack(record: Record, info: TaskInfo, source: Source | None = None) -> str:
  """Why a record serves a task not at all; empty where it may.

  Args:
    record: what a reader yielded.
    info: row of the task.
    source: whose filters to apply; none without it.
  """
  height, width = image_size(record)
  traits = Traits(
    np.int32(-1 if record.ink is None else len(record.ink)),  # pyright: ignore[reportArgumentType]
    np.int32(height),  # pyright: ignore[reportArgumentType]
    np.int32(width),  # pyright: ignore[reportArgumentType]
    np.bool_(record.text),  # pyright: ignore[reportArgumentType]
  )
  for reason, fails in _conditions(info, source, traits, bool):
    if fails:
      return reason
  return ""


def usable(
  traits: Traits, info: TaskInfo, source: Source | None = None
) -> tuple[NDArray[np.int64], dict[str, int]]:
  """Indices of the records that serve a task, and why the others do not.

  Args:
    traits: of the records of a split.
    info: row of the task.
    source: whose filters to apply; none without it.

  Returns:
    (ascending indices, number of records by reason).
  """
  kept = np.ones(len(traits.strokes), bool)
  reasons: collections.Counter[str] = collections.Counter()
  for reason, fails in _conditions(info, source, traits, np.asarray):
    reasons[reason] += int(np.count_nonzero(kept & fails))
    kept &= ~np.asarray(fails)
  return np.flatnonzero(kept), {r: n for r, n in reasons.items() if n}
