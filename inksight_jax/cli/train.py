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
  inksight-jax train --gin_file=gin/recipes/finetune.gin --load=runs/mine \
    --gin.DATA_PATH='"my_samples"' --model_dir=runs/my_hand

Stopped by SIGTERM, it saves and exits with 0; --resume goes on from there.

several processes: start the same command in each, for example
  inksight-jax train ... --coordinator=10.0.0.2:1234 --num_processes=2 \\
    --process_id=0
or set JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID. On a TPU
pod neither is needed. All processes must see the same model directory.
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
    help="start from the parameters of this model directory or checkpoint; "
    "gin files without a network take that of the directory",
  )
  add_process_arguments(parser)
  parser.set_defaults(run=run)


def add_process_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds what tells the processes of one run from each other."""
  group = parser.add_argument_group("several processes")
  group.add_argument(
    "--coordinator",
    metavar="HOST:PORT",
    help="address of process 0; `auto` lets JAX find the cluster",
  )
  group.add_argument(
    "--num_processes", type=int, metavar="N", help="processes of the run"
  )
  group.add_argument(
    "--process_id", type=int, metavar="I", help="this one, from 0"
  )


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
  from inksight_jax.training import distributed
  from inksight_jax.training import run as training

  # Before the gin files: they may ask which process this is.
  distributed.initialize(args.coordinator, args.num_processes, args.process_id)
  with distributed.leave_at_once_on_errors(debug=args.debug):
    recipe.parse(args.gin_file, args.gin_bindings, base=args.load)
    # Options that were not given stay with the configuration.
    options = {
      name: getattr(args, name)
      for name in ("resume", "overwrite", "load")
      if getattr(args, name)
    }
    if recipe.defines("TRAIN_BATCHES"):
      batches = options["batches"] = recipe.resolve("TRAIN_BATCHES")
      if hasattr(batches, "summary") and distributed.process_index() == 0:
        print(batches.summary())
    recipe.configured(training.train)(model_dir=args.model_dir, **options)
  return 0
