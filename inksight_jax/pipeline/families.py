"""The families of tasks by name, for whoever reads a cache of any of them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from inksight_jax.pipeline.page_reading import PageTasks
from inksight_jax.pipeline.picture_coding import PictureTasks
from inksight_jax.pipeline.reading import ReadingTasks
from inksight_jax.pipeline.spec import InkSightTasks
from inksight_jax.pipeline.task_set import FIRST_FAMILY, TaskSet, read_spec
from inksight_jax.pipeline.token_tasks import TokenTasks
from inksight_jax.pipeline.words import WordTasks

FAMILIES: Mapping[str, type[TaskSet]] = {
  cls.FAMILY: cls
  for cls in (
    InkSightTasks,
    ReadingTasks,
    PageTasks,
    PictureTasks,
    TokenTasks,
    WordTasks,
  )
}


def load_tasks(directory: str) -> TaskSet:
  """Reads the tasks of a cache, of whichever family.

  Raises:
    ValueError: the folder holds no cache, or one of an unknown family.
  """
  text = read_spec(directory)
  try:
    family = json.loads(text).get("family", FIRST_FAMILY)
  except (json.JSONDecodeError, AttributeError) as error:
    raise ValueError(
      f"{directory}: not a task description: {error}."
    ) from error
  if family not in FAMILIES:
    raise ValueError(
      f"{directory} holds tasks of the family {family!r}; this version knows "
      f"{', '.join(FAMILIES)}."
    )
  return FAMILIES[family].load(directory)


def differences(ours: TaskSet, theirs: TaskSet) -> str:
  """Names the fields in which two sets of tasks differ."""
  one, other = ours.identity(), theirs.identity()
  return ", ".join(
    f"{key} {one.get(key)!r} against {other.get(key)!r}"
    for key in sorted({*one, *other})
    if one.get(key) != other.get(key)
  )
