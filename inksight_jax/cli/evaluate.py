"""`inksight-jax evaluate`: scores and pictures on held-out samples."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inksight_jax.cli import (
  beam,
  evaluate_words,
  generate_tokens,
  reconstruct,
)
from inksight_jax.cli.options import (
  batch_size_option,
  step_option,
  weights_option,
)

if TYPE_CHECKING:
  from inksight_jax.inference.held_out import Sample
  from inksight_jax.inference.predictor import Predictor

HELP = "score a model on held-out samples, with controls and pictures"
DESCRIPTION = """\
Score a trained model on samples that it has not seen. Writes metrics.json
(keys <task>/<metric>; each control, predictions against other samples' truths,
as <metric>_shuffled), samples.png (input, true ink and predicted ink, coloured
by order), worst.png and sample.gif; for text worst.html, which marks the errors
of the worst, reliability.json and reliability.png (with matplotlib): how often
characters are right by confidence.
"""
EPILOG = """\
examples:
  inksight-jax evaluate --model_dir=runs/mine
  inksight-jax evaluate --model_dir=runs/mine --split=validation --samples=64
  inksight-jax evaluate --model_dir=runs/mine --cache=caches/unipen --json
  inksight-jax evaluate --model_dir=runs/my_hand --baseline=runs/mine
  inksight-jax evaluate --model_dir=runs/gan --judge=runs/judge
  inksight-jax evaluate --model_dir=runs/ocr --tokenizer=runs/codes --views=10
"""
# What the table shows, in this order; metrics.json has everything.
COLUMNS = (
  "samples",
  "cer",
  "exact_match",
  "wrong_length",
  "aiou",
  "ldtw",
  "chamfer",
  "stroke_count_error",
  "token_accuracy",
)

BEFORE = "_before"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `evaluate`."""
  parser.add_argument(
    "--model_dir", required=True, metavar="DIR", help="a trained model"
  )
  parser.add_argument(
    "--output_dir",
    metavar="DIR",
    help="where the files go (default: the model directory)",
  )
  parser.add_argument(
    "--split",
    default="test",
    choices=("test", "validation", "train"),
    help="(default: %(default)s)",
  )
  parser.add_argument(
    "--samples",
    type=int,
    default=256,
    metavar="N",
    help="samples of each task (default: %(default)s)",
  )
  parser.add_argument(
    "--pictures",
    type=int,
    default=16,
    metavar="N",
    help="samples of each task on a picture sheet (default: %(default)s)",
  )
  parser.add_argument(
    "--cache",
    metavar="DIR",
    help="array shards of the same tasks; by default the examples are built "
    "from the data set",
  )
  parser.add_argument(
    "--path",
    metavar="PATH",
    help="where the data set lies, if not where training found it",
  )
  parser.add_argument(
    "--baseline",
    metavar="DIR",
    help="a model of the same network to score on the same samples, for a "
    "table of before and after; keys <task>/<metric>_before",
  )
  step_option(parser)
  parser.add_argument(
    "--seed",
    type=int,
    default=0,
    metavar="N",
    help="which samples, and the pairs of the control (default: %(default)s)",
  )
  batch_size_option(parser, 32)
  weights_option(parser)
  evaluate_words.add_arguments(parser)
  group = parser.add_argument_group("language models of picture tokens")
  group.add_argument(
    "--tokenizer",
    metavar="DIR",
    help="the first stage, whose held-out pictures are read as well; keys "
    "<task>_views/<metric>",
  )
  group.add_argument(
    "--views",
    type=int,
    default=1,
    metavar="N",
    help="of each of these pictures, N - 1 of them changed, whose confidences "
    "are added up (default: %(default)s)",
  )
  generate_tokens.temperature_option(group)
  parser.add_argument(
    "--json", action="store_true", help="print the metrics as JSON"
  )
  beam.add_arguments(parser)
  parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
  """Evaluates; returns the exit code."""
  from inksight_jax.inference import recipe
  from inksight_jax.models.vqvae import VQVAE

  if isinstance(recipe.read(args.model_dir).model, VQVAE):
    return reconstruct.score(args)
  if args.judge is not None and generate_tokens.handles(args.model_dir):
    return generate_tokens.score(args)
  if args.judge is not None:
    return evaluate_words.score(args)
  import dataclasses
  import time

  from inksight_jax.inference import (
    evaluation,
    held_out,
    pictures,
    predictor,
    token_predictor,
  )
  from inksight_jax.pipeline.task_set import write_text

  if args.views != 1 and args.tokenizer is None:
    raise ValueError(
      f"--views {args.views} are made of pictures: name the first stage by "
      "--tokenizer."
    )
  start = time.perf_counter()
  # What the model says by itself.
  model = predictor.load(
    args.model_dir,
    args.step,
    args.batch_size,
    constrained=False,
    weights=args.weights,
  )
  beam.apply(args, model)
  tasks = model.tasks
  if args.path is not None:
    tasks = dataclasses.replace(tasks, path=args.path)
  samples = held_out.held_out_samples(
    tasks, args.split, args.samples, args.seed, args.cache
  )
  beside = _beside(args, model, samples)
  result = evaluation.evaluate(model, samples, args.seed)
  output_dir = args.output_dir or args.model_dir
  os.makedirs(output_dir, exist_ok=True)
  shown = dataclasses.replace(
    result, outcomes=token_predictor.with_pictures(model, result.outcomes)
  )
  files = pictures.write_pictures(shown, tasks, output_dir, args.pictures)
  files += write_reliability(
    {
      task: evaluation.reliability(outcomes)
      for task, outcomes in result.outcomes.items()
      if tasks.info(task).writes_text
    },
    output_dir,
  )
  metrics = (
    result.metrics
    | beside
    | {
      "split": args.split,
      "wall_seconds": round(time.perf_counter() - start, 3),
    }
  )
  write_text(
    os.path.join(output_dir, "metrics.json"),
    json.dumps(metrics, indent=2) + "\n",
  )
  if args.json:
    print(json.dumps(metrics, indent=2))
  else:
    print(table(metrics))
    if args.baseline is not None:
      print(comparison(metrics))
    print(f"{output_dir}: {', '.join(['metrics.json', *files])}")
  return 0


def write_reliability(
  parts: Mapping[str, list[dict[str, float]]], output_dir: str
) -> list[str]:
  """Writes reliability.json and, where matplotlib is installed, its picture.

  Args:
    parts: by task, as `metrics.confidence.reliability` returns them.
    output_dir: folder, which exists.

  Returns:
    Names of the files; none without a recognised character.
  """
  import importlib.util

  from inksight_jax import plots
  from inksight_jax.pipeline.task_set import write_text

  parts = {task: points for task, points in parts.items() if points}
  if not parts:
    return []
  files = ["reliability.json"]
  write_text(
    os.path.join(output_dir, files[0]), json.dumps(parts, indent=2) + "\n"
  )
  if importlib.util.find_spec("matplotlib") is not None:
    files.append("reliability.png")
    plots.plot_reliability(parts, os.path.join(output_dir, files[1]))
  return files


def table(metrics: Mapping[str, Any]) -> str:
  """The metrics people look at first: one row per task and its control.

  Args:
    metrics: by `<task>/<metric>`.

  Returns:
    Lines of text, columns aligned.
  """
  tasks = list(dict.fromkeys(k.split("/")[0] for k in metrics if "/" in k))
  columns = [c for c in COLUMNS if any(f"{t}/{c}" in metrics for t in tasks)]
  rows = [["", *columns]]
  for task in tasks:
    rows.append([task, *_numbers(metrics, task, columns, "")])
    control = _numbers(metrics, task, columns, "_shuffled")
    if any(control):
      rows.append(["  shuffled control", *control])
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  lines = [
    "  ".join(
      [row[0].ljust(widths[0])]
      + [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
    ).rstrip()
    for row in rows
  ]
  return "\n".join(
    [*lines, f"step {metrics['step']}, {metrics['wall_seconds']:.1f} s"]
  )


def comparison(metrics: Mapping[str, Any]) -> str:
  """What the table shows, before and after, and the change in percent.

  Args:
    metrics: with keys `<task>/<metric>` and `<task>/<metric>_before`.

  Returns:
    Lines of text, columns aligned.
  """
  rows = [("", "before", "after", "change")]
  for key, after in metrics.items():
    before = metrics.get(f"{key}{BEFORE}")
    if before is None or key.split("/")[-1] not in COLUMNS[1:]:
      continue
    change = f"{(after - before) / before:+.0%}" if before else ""
    rows.append((key, f"{before:.3f}", f"{after:.3f}", change))
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return "\n".join(
    "  ".join(
      [row[0].ljust(widths[0])]
      + [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
    )
    for row in rows
  )


def _beside(
  args: argparse.Namespace,
  model: Predictor,
  samples: Mapping[str, Sequence[Sample]],
) -> dict[str, float | int]:
  """What else the options ask to be scored, under keys of its own."""
  scores: dict[str, float | int] = {}
  if args.baseline is not None:
    scores |= _before(model, args.baseline, samples, args.seed)
  if args.tokenizer is not None:
    from inksight_jax.inference import picture_views

    scores |= picture_views.evaluate(
      model, args.tokenizer, args.split, args.samples, args.views, args.seed
    )
  return scores


def _before(
  model: Predictor,
  baseline: str,
  samples: Mapping[str, Sequence[Sample]],
  seed: int,
) -> dict[str, float | int]:
  """Scores of another checkpoint of the same network, under keys of theirs."""
  import jax

  from inksight_jax.inference import evaluation
  from inksight_jax.training import checkpoints

  params = checkpoints.load_params(baseline)
  checkpoints.check_shapes(params, model.params, baseline)
  tuned, model.params = model.params, jax.device_put(params)
  metrics = evaluation.evaluate(model, samples, seed).metrics
  model.params = tuned
  return {
    f"{key}{BEFORE}": value
    for key, value in metrics.items()
    if "/" in key and not key.endswith("_shuffled")
  }


def _numbers(
  metrics: Mapping[str, Any], task: str, columns: list[str], suffix: str
) -> list[str]:
  values = [metrics.get(f"{task}/{column}{suffix}") for column in columns]
  return [
    "" if v is None else str(v) if isinstance(v, int) else f"{v:.3f}"
    for v in values
  ]
