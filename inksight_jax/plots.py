"""Learning curves and reliability; matplotlib loads only when one is drawn."""

from __future__ import annotations

import json
import math
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


def read_curve(path: str | os.PathLike[str]) -> dict[str, Curve]:
  """Reads the scalars that training wrote, one JSON object per line.

  A run that was interrupted and resumed repeats some steps; the later line
  wins. A last line cut off by the interruption is dropped.

  Args:
    path: `curve.jsonl` of a model directory, or the directory itself. Each line
      holds `step` and numbers by name, for example `train/loss`; values that
      are no finite number are left out.

  Returns:
    name -> (steps, values), float64 arrays sorted by step.

  Raises:
    ValueError: the file is missing, a line is not such an object, or no line
      holds a number.
  """
  file = pathlib.Path(path)
  if file.is_dir():
    file /= "curve.jsonl"
  if not file.is_file():
    raise ValueError(
      f"There is no learning curve at {file}; give a model directory or a "
      "curve.jsonl that training wrote."
    )
  values: dict[str, dict[float, float]] = {}
  lines = file.read_text(encoding="utf-8").splitlines()
  for number, line in enumerate(lines, 1):
    try:
      entry = json.loads(line)
      step = float(entry.pop("step"))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
      if number == len(lines) > 1:
        break
      raise ValueError(
        f"{file}:{number}: wanted a JSON object with a `step`; got "
        f"{line[:60]!r}."
      ) from error
    for name, value in entry.items():
      number_given = isinstance(value, int | float) and math.isfinite(value)
      if number_given and not isinstance(value, bool):
        values.setdefault(name, {})[step] = float(value)
  if not values:
    raise ValueError(f"{file} holds no number to plot.")
  return {
    name: (np.array(sorted(by)), np.array([by[step] for step in sorted(by)]))
    for name, by in values.items()
  }


def plot_curves(
  curves: Mapping[str, str | os.PathLike[str]],
  metrics: Sequence[str],
  path: str | os.PathLike[str],
  log_scale: Sequence[str] = (),
) -> None:
  """Draws learning curves: one panel per metric, one line per run.

  Args:
    curves: label of a run -> its model directory or `curve.jsonl`.
    metrics: names to draw, from left to right. A run without a metric has no
      line in that panel.
    path: picture to write; the suffix names the format (.png, .svg, .pdf).
    log_scale: the metrics whose values go on a logarithmic axis.

  Raises:
    ValueError: nothing to draw, a metric that no run has, or a curve that
      cannot be read.
  """
  if not curves or not metrics:
    raise ValueError(
      f"A plot needs a run and a metric; got {len(curves)} runs and "
      f"{len(metrics)} metrics."
    )
  runs = {label: read_curve(source) for label, source in curves.items()}
  present = sorted(set().union(*runs.values()))
  for metric in metrics:
    if metric not in present:
      raise ValueError(
        f"No run recorded `{metric}`; there are {', '.join(present)}."
      )
  # Drawn without pyplot: no window system is touched, no figure stays open.
  from matplotlib.figure import Figure

  figure = Figure(figsize=(4.5 * len(metrics), 3.4), layout="constrained")
  panels = figure.subplots(1, len(metrics), squeeze=False)[0]
  for panel, metric in zip(panels, metrics, strict=True):
    for index, (label, run) in enumerate(runs.items()):
      if metric in run:
        # The color follows the run, not the order within a panel.
        panel.plot(*run[metric], label=label, color=f"C{index}", linewidth=1.2)
    panel.set_title(metric)
    panel.set_xlabel("step")
    panel.grid(alpha=0.3)
    if metric in log_scale:
      panel.set_yscale("log")
    if len(runs) > 1:
      panel.legend()
  figure.savefig(path, dpi=120)


def plot_reliability(
  parts: Mapping[str, Sequence[Mapping[str, float]]],
  path: str | os.PathLike[str],
) -> None:
  """Draws how often answers are right against how sure they are.

  On the dashed line confidence means what it says; below it, the model is too
  sure. The lower panel says how many answers each point stands for.

  Args:
    parts: label -> what `metrics.confidence.reliability` returns.
    path: picture to write; the suffix names the format (.png, .svg, .pdf).

  Raises:
    ValueError: there is nothing to draw.
  """
  if not any(parts.values()):
    raise ValueError("A reliability diagram needs an answer; got none.")
  from matplotlib.figure import Figure

  figure = Figure(figsize=(4.5, 5.0), layout="constrained")
  upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
  upper.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1.0)
  for label, points in parts.items():
    sure = [point["confidence"] for point in points]
    right = [point["accuracy"] for point in points]
    counts = [point["count"] for point in points]
    upper.plot(sure, right, marker="o", markersize=4, label=label)
    lower.plot(sure, counts, marker="o", markersize=4)
  upper.set_ylabel("share that is right")
  upper.set_ylim(-0.03, 1.03)
  upper.legend()
  lower.set_yscale("log")
  lower.set_ylabel("characters")
  lower.set_xlabel("confidence")
  for panel in (upper, lower):
    panel.grid(alpha=0.3)
  figure.savefig(path, dpi=120)
