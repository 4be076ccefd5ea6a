"""Trains a recipe for digits with several seeds and scores it: mean, spread.

  python benchmarks/sequence_mnist.py --data_path=mnist --recipe=parallel \
    --output_dir=/tmp/sequence_mnist

Runs `inksight-jax train` and `evaluate` as a user would, one after the other,
and prints a row for each seed with the processor time of the training, start-up
and compiling included.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[1]
COLUMNS = (
  "exact_match",
  "cer",
  "wrong_length",
  "empty_text",
  "calibration_error",
  "exact_match_confident",
)


def run(arguments: Sequence[str]) -> float:
  """Runs a verb of the command line; returns its processor time in seconds."""

  def used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime

  before = used()
  environment = {**os.environ, "PYTHONPATH": str(ROOT)}
  subprocess.run(
    [sys.executable, "-m", "inksight_jax", *arguments],
    env=environment,
    cwd=ROOT,
    check=True,
    stdout=sys.stderr,
  )
  return used() - before


def measure(args: argparse.Namespace, seed: int) -> dict[str, float]:
  """Trains and evaluates with one seed."""
  model_dir = os.path.abspath(f"{args.output_dir}/{args.recipe}_{seed}")
  name = f"sequence_{'' if args.recipe == 'quickstart' else 'mnist_'}"
  recipe = "sequence_digits_quickstart" if name == "sequence_" else None
  data = f"--gin.DATA_PATH={os.path.abspath(args.data_path)!r}"
  seconds = run(
    [
      "train",
      f"--gin_file=gin/recipes/{recipe or name + args.recipe}.gin",
      f"--gin.SEED={seed}",
      "--gin.PICTURE_EVERY=0",
      f"--model_dir={model_dir}",
      "--overwrite",
      *([] if recipe else [data]),
      *(f"--gin.{binding}" for binding in args.set),
    ]
  )
  run(
    [
      "evaluate",
      f"--model_dir={model_dir}",
      f"--samples={args.samples}",
      "--batch_size=100",
    ]
  )
  with open(f"{model_dir}/metrics.json", encoding="utf-8") as file:
    metrics = json.load(file)
  found = {name: metrics[f"read_digits/{name}"] for name in COLUMNS}
  return {**found, "samples": metrics["samples"], "train_cpu_s": seconds}


def table(rows: Mapping[int, Mapping[str, float]]) -> str:
  """A row for each seed, then mean and standard deviation."""
  names = (*COLUMNS, "samples", "train_cpu_s")
  lines = ["| seed | " + " | ".join(names) + " |", "|---" * (len(names) + 1)]
  for seed, row in rows.items():
    lines.append(f"| {seed} | " + " | ".join(f"{row[n]:.4g}" for n in names))
  if len(rows) > 1:
    for title, summary in (
      ("mean", statistics.mean),
      ("standard deviation", statistics.stdev),
    ):
      values = [summary([row[n] for row in rows.values()]) for n in names]
      lines.append(f"| {title} | " + " | ".join(f"{v:.4g}" for v in values))
  return "\n".join(lines)


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
    "--recipe",
    default="parallel",
    choices=("parallel", "autoregressive", "ctc", "quickstart"),
  )
  parser.add_argument("--data_path", default="", help="folder of the idx files")
  parser.add_argument("--output_dir", required=True)
  parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
  parser.add_argument("--samples", type=int, default=2000)
  parser.add_argument(
    "--set", nargs="*", default=[], metavar="NAME=VALUE", help="gin bindings"
  )
  args = parser.parse_args()
  rows = {}
  for seed in args.seeds:
    rows[seed] = measure(args, seed)
    print(table(rows), flush=True)


if __name__ == "__main__":
  main()
