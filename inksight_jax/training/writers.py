"""Where a run reports to: the console, a curve file, TensorBoard."""

import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

# The console shows these and leaves the rest to the files.
CONSOLE_METRICS = (
  "loss",
  "accuracy",
  "sequence_accuracy",
  "learning_rate",
  "steps_per_second",
)
CURVE_FILE = "curve.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


@runtime_checkable
class Writer(Protocol):
  """Takes numbers and pictures of a step."""

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """Reports named numbers."""
    ...

  def image(self, step: int, name: str, image: np.ndarray) -> None:
    """Reports a picture, uint8[height, width, 3]."""
    ...

  def close(self) -> None:
    """Finishes."""
    ...


class Writers:
  """Reports to several writers; to none by default."""

  def __init__(self, writers: Sequence[Writer] = ()) -> None:
    """Keeps the writers."""
    self._writers = tuple(writers)

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """Reports named numbers."""
    for writer in self._writers:
      writer.scalars(step, values)

  def image(self, step: int, name: str, image: np.ndarray) -> None:
    """Reports a picture, uint8[height, width, 3]."""
    for writer in self._writers:
      writer.image(step, name, image)

  def close(self) -> None:
    """Closes all."""
    for writer in self._writers:
      writer.close()


class LastReports:
  """Remembers the numbers of the last step that reported any."""

  def __init__(self) -> None:
    """Begins with none."""
    self._step = -1
    self._values: dict[str, float] = {}

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """Keeps them, beside others of the same step."""
    if step != self._step:
      self._step, self._values = step, {}
    self._values |= values

  def of(self, step: int) -> dict[str, float]:
    """What was reported of a step; nothing of earlier ones."""
    return dict(self._values) if step == self._step else {}

  def image(self, step: int, name: str, image: np.ndarray) -> None:
    """Pictures are no numbers."""

  def close(self) -> None:
    """Holds nothing open."""


class CurveWriter:
  """Appends every report as a line of JSON: {"step": 100, "train/loss": …}."""

  def __init__(self, model_dir: str, start: int = 0) -> None:
    """Opens `curve.jsonl`.

    Args:
      model_dir: folder of the file.
      start: step the run starts from; lines of later steps, which it will
        repeat, are dropped.
    """
    path = os.path.join(model_dir, CURVE_FILE)
    kept = [line for line in read_curve(path) if line["step"] <= start]
    # Whoever is killed in here leaves the old file.
    partial = f"{path}.partial"
    with open(partial, "w", encoding="utf-8") as file:
      file.writelines(json.dumps(line) + "\n" for line in kept)
    os.replace(partial, path)
    self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """Appends one line and flushes it."""
    line = {"step": step, **{k: float(v) for k, v in values.items()}}
    self._file.write(json.dumps(line) + "\n")
    self._file.flush()

  def image(self, step: int, name: str, image: np.ndarray) -> None:
    """Curves have no pictures."""

  def close(self) -> None:
    """Closes the file."""
    self._file.close()


def read_curve(path: str) -> list[dict[str, float]]:
  """Lines of a curve file; a line torn by a crash ends it.

  Args:
    path: the file; it may be absent.

  Returns:
    One dict per line.
  """
  lines: list[dict[str, float]] = []
  if not os.path.exists(path):
    return lines
  with open(path, encoding="utf-8") as file:
    for text in file:
      try:
        lines.append(json.loads(text))
      except json.JSONDecodeError:
        break
  return lines


class TensorBoardWriter:
  """Writes event files, without TensorFlow."""

  def __init__(self, model_dir: str, start: int = 0) -> None:
    """Opens the folder `tensorboard` of a model directory.

    Args:
      model_dir: the model directory.
      start: step the run starts from; later events are hidden.
    """
    import tensorboardX

    self._writer = tensorboardX.SummaryWriter(
      os.path.join(model_dir, TENSORBOARD_FOLDER),
      purge_step=start + 1 if start else None,
    )

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """Adds points to the curves."""
    for name, value in values.items():
      self._writer.add_scalar(name, float(value), step)

  def image(self, step: int, name: str, image: np.ndarray) -> None:
    """Adds a picture, uint8[height, width, 3]."""
    self._writer.add_image(name, image, step, dataformats="HWC")

  def close(self) -> None:
    """Flushes and closes."""
    self._writer.close()


class ConsoleWriter:
  """One line per report; on a terminal training lines overwrite each other."""

  def __init__(
    self,
    train_steps: int,
    stream: io.TextIOBase | None = None,
    start: int = 0,
  ) -> None:
    """Writes to standard error by default.

    Args:
      train_steps: last step, for the remaining time.
      stream: where to.
      start: step the run starts from; says so if there is one.
    """
    self._train_steps = train_steps
    self._stream = stream or sys.stderr
    self._overwrite = self._stream.isatty()
    if start:
      self._stream.write(f"resuming after step {start}\n")
      self._stream.flush()

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """Prints the step, the numbers and the remaining time."""
    numbers = "  ".join(
      f"{name} {value:.4g}"
      for name, value in values.items()
      if name.split("/")[-1] in CONSOLE_METRICS
    )
    text = f"step {step}/{self._train_steps}  {numbers}"
    if "time/step" in values:
      text += f"  {_goodput(values)}"
    training = "train/steps_per_second" in values
    if training:
      left = (self._train_steps - step) / values["train/steps_per_second"]
      text += f"  {_duration(left)} left"
    if self._overwrite:
      end = "\r" if training and step < self._train_steps else "\n"
      self._stream.write("\x1b[2K" + text + end)
    else:
      self._stream.write(text + "\n")
    self._stream.flush()

  def image(self, step: int, name: str, image: np.ndarray) -> None:
    """Consoles show no pictures."""

  def close(self) -> None:
    """Leaves the stream open; it is not ours."""


def _goodput(values: Mapping[str, float]) -> str:
  """Share of the time spent stepping, and where the rest went."""
  shares = {
    name.removeprefix("time/"): value
    for name, value in values.items()
    if name.startswith("time/")
  }
  goodput, seconds = shares.pop("step"), shares.pop("seconds", None)
  starts = shares.pop("starts", 1.0)
  # A kind that took next to nothing only makes the line longer.
  rest = sorted(
    ((name, share) for name, share in shares.items() if share >= 0.005),
    key=lambda item: -item[1],
  )
  text = f"goodput {goodput:.0%}"
  if seconds is not None:
    text += f" of {_duration(seconds)}"
  if starts > 1:
    text += f" in {starts:.0f} starts"
  if rest:
    text += f" ({', '.join(f'{name} {share:.0%}' for name, share in rest)})"
  return text


def _duration(seconds: float) -> str:
  """Rounded, for people: 42 s, 3 min, 2.5 h."""
  if seconds < 90:
    return f"{seconds:.0f} s"
  if seconds < 5400:
    return f"{seconds / 60:.0f} min"
  return f"{seconds / 3600:.1f} h"
