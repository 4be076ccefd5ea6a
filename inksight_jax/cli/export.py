"""`inksight-jax export`: a trained model for other programs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from inksight_jax.cli.options import step_option

if TYPE_CHECKING:
  from inksight_jax.inference.predictor import Predictor

HELP = "write a SavedModel or a StableHLO file that other programs run"
DESCRIPTION = """\
Write a trained model as a folder that needs nothing of this project. A
TensorFlow SavedModel takes picture files and prompts as they are, with the
signature of InkSight's published model; a StableHLO file runs with JAX alone.
Beside it: model card, licence, configuration, vocabulary. See docs/export.md.
"""
EPILOG = """\
examples:
  inksight-jax export --model_dir=runs/mine --output_dir=exported
  inksight-jax export --model_dir=runs/mine --output_dir=exported \\
    --format=stablehlo --weights=bfloat16
  inksight-jax export --t5x_checkpoint=runs/t5x --output_dir=exported \\
    --gin_file=gin/recipes/inksight_quickstart.gin
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `export`."""
  source = parser.add_mutually_exclusive_group(required=True)
  source.add_argument("--model_dir", metavar="DIR", help="a trained model")
  source.add_argument(
    "--t5x_checkpoint",
    metavar="DIR",
    help="a checkpoint of T5X, or the MODEL_DIR of its run; needs --gin_file",
  )
  parser.add_argument(
    "--gin_file",
    action="append",
    default=[],
    metavar="FILE",
    help="recipe of the T5X run; repeat to add. --gin.NAME=VALUE binds",
  )
  parser.add_argument(
    "--output_dir", required=True, metavar="DIR", help="a new or empty folder"
  )
  parser.add_argument(
    "--format",
    default="savedmodel",
    choices=("savedmodel", "stablehlo"),
    help="(default: %(default)s)",
  )
  parser.add_argument(
    "--weights",
    default="float32",
    choices=("float32", "bfloat16"),
    help="how parameters are stored (default: %(default)s)",
  )
  parser.add_argument(
    "--batch_size",
    type=int,
    default=32,
    metavar="N",
    help="images that a SavedModel decodes together; requests of any size are "
    "cut into such batches (default: %(default)s)",
  )
  parser.add_argument(
    "--unconstrained",
    action="store_true",
    help="let answers take any form, as `evaluate` does",
  )
  step_option(parser)
  parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
  """Exports; returns the exit code."""
  import pathlib

  from inksight_jax.interop import export

  predictor, config = _from_t5x(args) if args.t5x_checkpoint else _ours(args)
  export.export(
    predictor,
    config,
    args.output_dir,
    args.format,
    args.weights,
    args.model_dir,
  )
  files = [p for p in pathlib.Path(args.output_dir).rglob("*") if p.is_file()]
  size = sum(path.stat().st_size for path in files)
  print(f"{args.output_dir}: {args.format}, {size / 1e6:.1f} MB")
  return 0


def _ours(args: argparse.Namespace) -> tuple[Predictor, str]:
  """Opens a model directory."""
  from inksight_jax.inference import predictor, recipe

  if args.gin_file or args.gin_bindings:
    raise ValueError(
      "A model directory brings its configuration; --gin_file and --gin.NAME "
      "go with --t5x_checkpoint."
    )
  constrained = not args.unconstrained
  model = predictor.load(
    args.model_dir, args.step, args.batch_size, constrained
  )
  return model, recipe.read(args.model_dir).config


def _from_t5x(args: argparse.Namespace) -> tuple[Predictor, str]:
  """Builds a recipe and takes T5X's parameters."""
  import jax

  from inksight_jax.inference import recipe
  from inksight_jax.inference.predictor import Predictor
  from inksight_jax.interop import t5x_checkpoint
  from inksight_jax.training import checkpoints

  if not args.gin_file:
    raise ValueError(
      "--t5x_checkpoint needs the recipe of the run: --gin_file=gin/recipes/..."
    )
  recipe.parse(args.gin_file, args.gin_bindings)
  built = recipe.build()
  folder = t5x_checkpoint.t5x_checkpoint_folder(args.t5x_checkpoint)
  params = t5x_checkpoint.load_t5x_params(folder)
  shapes = jax.eval_shape(
    lambda: built.model.get_initial_variables(
      jax.random.PRNGKey(0), built.tasks.input_shapes(1)
    )["params"]
  )
  checkpoints.check_shapes(params, shapes.unfreeze(), str(folder))
  model = Predictor(
    built.model,
    jax.device_put(params),
    built.tasks,
    t5x_checkpoint.t5x_step(folder),
    args.batch_size,
    constrained=not args.unconstrained,
  )
  return model, built.config
