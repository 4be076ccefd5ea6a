"""Tasks of a trained model over samples of one's own, for fine-tuning.

Imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from inksight_jax.datasets.registry import dataset_info
from inksight_jax.pipeline.task_set import TaskSet


def tasks_over(
  tasks: TaskSet,
  source: str,
  path: str = "",
  options: Mapping[str, Any] | None = None,
  rates: Mapping[str, float] | None = None,
) -> TaskSet:
  """The same tasks over another data set: sizes, prompts and rules stay.

  Args:
    tasks: what the model was trained for.
    source: name of the data set in the registry.
    path: where it lies.
    options: of its reader.
    rates: share of each task; by default those of `tasks` that the data set
      has samples for.

  Raises:
    ValueError: the data set is unknown, or serves none of the tasks.
  """
  holds = dataset_info(source).holds
  if not rates:
    rates = {
      task: rate
      for task, rate in tasks.rates.items()
      if ("ink" if tasks.info(task).rendered else "image") in holds
    }
  if not rates:
    raise ValueError(
      f"The model was trained for {', '.join(tasks.tasks)}, and {source!r} has "
      f"samples for none of them: it holds {' and '.join(holds)} only. Bind "
      "RATES to teach it another task, for example "
      "--gin.RATES='{\"recognize_image\": 1.0}'."
    )
  return dataclasses.replace(
    tasks,
    source=source,
    path=path,
    source_options=dict(options or {}),
    sources=(),
    rates=rates,
  )
