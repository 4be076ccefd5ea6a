"""`inksight-jax train`: gin files to a model directory."""

from __future__ import annotations

import argparse

HELP = "train a model from gin files"
DESCRIPTION = """\
Train a model. What to train is said by gin files; every name in them can be
changed on the command line with --gin.NAME=VALUE. The model directory gets
all that `evaluate` and `predict` need: config.gin, vocabulary, checkpoints,
curve.jsonl, TensorBoard events and pictures of held-out samples.
"""
EPILOG = """\
examples:
  inksight-jax train --gin_file=gin/recipes/inksight_quickstart.gin \\
    --model_dir=runs/mine
  inksight-jax train --gin_file=gin/recipes/unipen_characters.gin \\
    --gin.TRAIN_STEPS=2000 --gin.DATA_PATH='"data/unipen.tar.xz"' \\
    --model_dir=runs/characters
  inksight-jax train --gin_file=gin/recipes/inksight_quickstart.gin \\
    --model_dir=runs/mine --resume
  inksight-jax train --gin_file=my.gin --model_dir=runs/tuned --load=runs/mine

Stopped by SIGTERM, it saves and exits with 0; --resume goes on from there.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `train`."""
  add_gin_arguments(parser)
  parser.add_argument(
    "--model_dir", required=True, metavar="DIR", help="where the model goes"
  )
  start = parser.add_mutually_exclusive_group()
  start.add_argument(
    "--resume",
    action="store_true",
    help="go on from the latest checkpoint in the model directory, if any",
  )
  start.add_argument(
    "--overwrite",
    action="store_true",
    help="remove the run that is in the model directory",
  )
  parser.add_argument(
    "--load",
    metavar="CKPT",
    help="start from the parameters of this model directory or checkpoint",
  )
  parser.set_defaults(run=run)


def add_gin_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds --gin_file, and to the help --gin.NAME=VALUE."""
  parser.add_argument(
    "--gin_file",
    action="append",
    required=True,
    metavar="FILE",
    help="gin file; may be given more than once, later files win",
  )
  # Taken from the command line before argparse sees it; here for the help.
  parser.add_argument(
    "--gin.NAME",
    dest="gin_bindings",
    metavar="VALUE",
    help="bind a gin name; strings keep quotes: --gin.SOURCE='\"unipen\"'",
  )


def run(args: argparse.Namespace) -> int:
  """Trains; returns the exit code."""
  from inksight_jax.inference import recipe
  from inksight_jax.training import run as training

  recipe.parse(args.gin_file, args.gin_bindings)
  # Options that were not given stay with the configuration.
  options = {
    name: getattr(args, name)
    for name in ("resume", "overwrite", "load")
    if getattr(args, name)
  }
  if recipe.defines("TRAIN_BATCHES"):
    batches = options["batches"] = recipe.resolve("TRAIN_BATCHES")
    if hasattr(batches, "summary"):
      print(batches.summary())
  recipe.configured(training.train)(model_dir=args.model_dir, **options)
  return 0
