"""Pictures of an evaluation: sheets, animation, and the training picture."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference import errors, evaluation, worst_texts
from inksight_jax.inference.evaluation import Outcome
from inksight_jax.inference.in_training import HeldOutPredictions
from inksight_jax.ink.types import Ink
from inksight_jax.models.sequence_to_sequence import SequenceToSequence
from inksight_jax.pipeline.task_set import TaskSet
from inksight_jax.rendering.animation import ink_frames, write_gif
from inksight_jax.rendering.sheet import MAX_SIDE, tile
from inksight_jax.rendering.strokes import draw_ordered

Image = NDArray[np.uint8]
# Side of each picture on a sheet, pixels; smaller ones are enlarged towards it.
CELL = 160
# Samples side by side: a triple of pictures each, or one for reading tasks.
TRIPLES_PER_ROW = 4
SINGLES_PER_ROW = 12
# Singles that are wide come in fewer columns, pixels of the whole row.
ROW_WIDTH = 2000
GIF_SAMPLES = 4
GIF_FRAMES = 48
# White between samples, pixels.
GIF_GAP = 12


def draw_sheet(
  outcomes: Mapping[str, Sequence[Outcome]], tasks: TaskSet
) -> Image:
  """Draws predictions task by task.

  Args:
    outcomes: predictions by task; at least one in all.
    tasks: of the model; gives the sizes.

  Returns:
    uint8[height, width, 3]. Tasks with ink show input, true ink and predicted
    ink, coloured by order, the others the input, with the texts below.
  """
  parts = [
    _task_sheet(task, chosen, tasks)
    for task, chosen in outcomes.items()
    if chosen
  ]
  if not parts:
    raise ValueError("There is no prediction to draw.")
  width = max(part.shape[1] for part in parts)
  return np.concatenate(
    [
      np.pad(
        part, ((0, 0), (0, width - part.shape[1]), (0, 0)), constant_values=255
      )
      for part in parts
    ]
  )


def worst(outcomes: Iterable[Outcome], count: int) -> list[Outcome]:
  """The outcomes with the least AIoU, or the highest error rate of text."""

  def badness(outcome: Outcome) -> float:
    scores = outcome.scores
    return -scores["aiou"] if "aiou" in scores else scores["cer"]

  return sorted(outcomes, key=badness, reverse=True)[:count]


def write_pictures(
  result: evaluation.Evaluation,
  tasks: TaskSet,
  output_dir: str,
  count: int = 16,
) -> list[str]:
  """Writes samples.png, worst.png and, where ink is written, sample.gif.

  Of tasks that only read, errors.json counts the errors by kind, where there
  are any errors.png shows them so, and worst.html shows the worst texts beside
  their pictures; names begin with that of the task where there are several.

  The samples are the first ones, not the best.

  Args:
    result: of `evaluate`.
    tasks: of the model.
    output_dir: folder, which exists.
    count: samples of each task.

  Returns:
    Names of the files.
  """
  from PIL import Image as PillowImage

  first = {task: o[:count] for task, o in result.outcomes.items()}
  bad = {task: worst(o, count) for task, o in result.outcomes.items()}
  files = []
  for name, chosen in (("samples.png", first), ("worst.png", bad)):
    path = os.path.join(output_dir, name)
    PillowImage.fromarray(draw_sheet(chosen, tasks)).save(path)
    files.append(name)
  frames = animate(result.outcomes, tasks)
  if frames:
    write_gif(os.path.join(output_dir, "sample.gif"), frames)
    files.append("sample.gif")
  readers = {
    task: outcomes
    for task, outcomes in result.outcomes.items()
    if not tasks.info(task).writes_ink
  }
  for task, outcomes in readers.items():
    prefix = f"{task}_" if len(readers) > 1 else ""
    files += errors.write_errors(outcomes, output_dir, prefix, count)
    name = f"{prefix}worst.html"
    worst_texts.write(bad[task], os.path.join(output_dir, name), task)
    files.append(name)
  return files


def animate(
  outcomes: Mapping[str, Sequence[Outcome]], tasks: TaskSet
) -> list[Image]:
  """Frames in which the ink of the first predictions is written.

  Args:
    outcomes: predictions by task.
    tasks: of the model.

  Returns:
    uint8[height, width, 3] frames: inputs above, predicted ink below. No frame
    where no task writes ink.
  """
  chosen = [
    outcome
    for task, found in outcomes.items()
    if tasks.info(task).writes_ink
    for outcome in found
    if outcome.ink
  ][:GIF_SAMPLES]
  if not chosen:
    return []
  columns = []
  for outcome in chosen:
    ink, side = _enlarged(outcome.ink, tasks)
    frames = ink_frames(ink, side, side, side / 60, GIF_FRAMES)
    image = _enlarged_image(outcome.sample.example.image, side)
    gap = ((0, 0), (0, GIF_GAP), (0, 0))
    columns.append(
      [
        np.pad(np.concatenate([image, frame]), gap, constant_values=255)
        for frame in frames
      ]
    )
  length = max(map(len, columns))
  return [
    np.concatenate(
      [column[min(index, len(column) - 1)] for column in columns], axis=1
    )
    for index in range(length)
  ]


class SamplePicture(HeldOutPredictions):
  """The picture of a training run: the same held-out samples each time."""

  def __call__(
    self, model: SequenceToSequence, params: Any, step: int
  ) -> Image:
    """Predicts the samples and draws them.

    Args:
      model: the model object.
      params: its parameters now.
      step: training step.

    Returns:
      uint8[height, width, 3].
    """
    return draw_sheet(self.outcomes(model, params, step), self.tasks)


def _task_sheet(
  task: str, outcomes: Sequence[Outcome], tasks: TaskSet
) -> Image:
  with_ink = tasks.info(task).writes_ink
  cells = [_cell(outcome, tasks, with_ink) for outcome in outcomes]
  per_row = TRIPLES_PER_ROW if with_ink else _singles_per_row(tasks)
  rows, captions = [], []
  for first in range(0, len(cells), per_row):
    row = cells[first : first + per_row]
    rows.append([image for images, _ in row for image in images])
    captions.append([text for _, texts in row for text in texts])
  titles = (
    ["input", "true ink", "predicted ink"] * per_row if with_ink else [""]
  )
  # One heading per column of the first row; the first names the task.
  titles = [task, *titles[1 : len(rows[0])]]
  return tile(rows, captions, titles, min_side=CELL)


def _cell(
  outcome: Outcome, tasks: TaskSet, with_ink: bool
) -> tuple[list[Image], list[str]]:
  """Pictures of one prediction and the text below each."""
  sample = outcome.sample
  cut = " (cut off)" if outcome.truncated else ""
  if not with_ink:
    picture = _enlarged_image(sample.example.image, _side(tasks))
    return [picture], [f"{sample.text}\n-> {outcome.text}{cut}"]
  pictures = [_enlarged_image(sample.example.image, _side(tasks))]
  for ink in (sample.ink, outcome.ink):
    large, side = _enlarged(ink, tasks)
    pictures.append(draw_ordered(large, side, side, side / 80))
  score = outcome.scores.get("aiou")
  notes = [outcome.text, "" if score is None else f"AIoU {score:.2f}", cut]
  return pictures, [" ", sample.text, " ".join(filter(None, notes))]


def _singles_per_row(tasks: TaskSet) -> int:
  """As many pictures side by side as a wide screen shows."""
  side = min(_side(tasks), MAX_SIDE)
  width = side * tasks.image_shape[1] // max(tasks.image_shape)
  return max(1, min(SINGLES_PER_ROW, ROW_WIDTH // max(1, width)))


def _side(tasks: TaskSet) -> int:
  """Longer side of an input picture on a sheet: a multiple of its own."""
  longest = max(tasks.image_shape)
  return longest * max(1, CELL // longest)


def _enlarged(ink: Ink, tasks: TaskSet) -> tuple[Ink, int]:
  """Ink of the canvas in pixels of an enlarged picture, and its side."""
  side = _side(tasks)
  longest = max(tasks.image_shape)
  factor = side // longest
  # Each pixel became factor x factor of them; centres are whole numbers.
  offset = (factor - 1) / 2
  scale = longest / tasks.canvas * factor
  return ink.scaled(scale, (offset, offset)), side


def _enlarged_image(image: Image, side: int) -> Image:
  factor = side // max(image.shape[:2])
  return image.repeat(factor, axis=0).repeat(factor, axis=1)
