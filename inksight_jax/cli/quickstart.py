"""`inksight-jax quickstart`: the shortest way to a model and its pictures."""

from __future__ import annotations

import argparse

from inksight_jax.cli import evaluate, train

HELP = "train and evaluate a small model on generated words, in minutes"
DESCRIPTION = """\
Train a small InkSight on generated pen data, then evaluate it on held-out
words. Nothing has to be downloaded. The output directory is a model directory
with metrics.json, samples.png and sample.gif in it.
"""
EPILOG = """\
examples:
  inksight-jax quickstart --output_dir=runs/quickstart
  inksight-jax predict --model_dir=runs/quickstart word.jpg --output_dir=out
"""
RECIPE = "gin/recipes/inksight_quickstart.gin"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `quickstart`."""
  parser.add_argument(
    "--output_dir",
    default="runs/quickstart",
    metavar="DIR",
    help="where everything goes (default: %(default)s)",
  )
  parser.add_argument(
    "--overwrite",
    action="store_true",
    help="begin anew; by default an interrupted run goes on",
  )
  parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
  """Trains, then evaluates; returns the exit code."""
  start = "--overwrite" if args.overwrite else "--resume"
  trained = _call(
    train,
    [f"--gin_file={RECIPE}", f"--model_dir={args.output_dir}", start],
  )
  return trained or _call(evaluate, [f"--model_dir={args.output_dir}"])


def _call(verb: object, words: list[str]) -> int:
  """Runs a verb with the defaults of its own command line."""
  parser = argparse.ArgumentParser()
  verb.add_arguments(parser)  # pyright: ignore[reportAttributeAccessIssue]
  args = parser.parse_args(words)
  args.gin_bindings = []
  return args.run(args)
