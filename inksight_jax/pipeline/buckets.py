"""Pictures of several shapes in batches of one shape each.

A batch is one array, and every shape of it is a program to compile, so a
family of tasks names the few shapes that its pictures have
(`TaskSet.image_shapes`) and examples of one shape wait for each other. The
order in which batches come is a function of the order of the examples and of
their shapes alone; starting late walks over the shapes, not the examples.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Iterator, Sequence

from inksight_jax.pipeline.task_set import Shape, TaskSet
from inksight_jax.pipeline.workers import Job


def batches_by_shape(
  shape_of: Callable[[int], Shape], batch_size: int, length: int | None = None
) -> Iterator[tuple[Shape, Sequence[int]]]:
  """Deals the positions of an order to batches of one shape, without end.

  A batch comes as soon as its last example does, so batches of frequent shapes
  come often and those of rare ones seldom: in the long run every example comes
  as often as any other.

  Args:
    shape_of: of the example at a position from 0.
    batch_size: examples of a batch.
    length: examples of a pass, after which the batches that are not full come
      as they are; None for never: what is left of one pass waits for the next.

  Yields:
    (shape, positions); fewer positions than `batch_size` at the end of a pass
    only, shapes in ascending order there.
  """
  waiting: dict[Shape, list[int]] = collections.defaultdict(list)
  for position in itertools.count():
    shape = shape_of(position)
    waiting[shape].append(position)
    if len(waiting[shape]) == batch_size:
      yield shape, waiting.pop(shape)
    if length is not None and (position + 1) % length == 0:
      yield from sorted(waiting.items())
      waiting.clear()


def order(
  shapes: Sequence[Shape],
  shape_of: Callable[[int], Shape],
  batch_size: int,
  start: int = 0,
  length: int | None = None,
) -> Iterator[tuple[Shape, Sequence[int]]]:
  """`batches_by_shape` from batch number `start` on.

  Args:
    shapes: all that there are; with one alone nothing needs to be walked over.
    shape_of, batch_size, length: see `batches_by_shape`.
    start: batches to leave out.
  """
  if len(shapes) > 1:
    batches = batches_by_shape(shape_of, batch_size, length)
    yield from itertools.islice(batches, start, None)
  for batch in itertools.count(start):
    yield shapes[0], range(batch * batch_size, (batch + 1) * batch_size)


class Shapes:
  """Shapes of the pictures that jobs make, each found out once.

  Args:
    tasks: say the shape.
  """

  def __init__(self, tasks: TaskSet) -> None:
    self._tasks = tasks
    self._known: dict[tuple[str, int], Shape] = {}

  def __call__(self, job: Job) -> Shape:
    """(height, width) of the picture of a job's example."""
    if len(self._tasks.image_shapes) == 1:
      return self._tasks.image_shape
    task = job.component.task
    if hasattr(job.records, "at"):
      # Dealt anew each epoch.
      return self._tasks.shape_of(job.record(), task)
    key = job.component.name, job.index
    if key not in self._known:
      self._known[key] = self._tasks.shape_of(job.record(), task)
    return self._known[key]
