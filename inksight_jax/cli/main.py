"""`inksight-jax VERB ...`: finds the verb, reports errors, sets exit codes.

Only argparse is imported up here, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from inksight_jax import __version__
from inksight_jax.cli import (
  data,
  doctor,
  evaluate,
  export,
  generate,
  grid,
  plan,
  predict,
  serve,
  train,
)

VERBS = {
  "train": train,
  "evaluate": evaluate,
  "predict": predict,
  "generate": generate,
  "grid": grid,
  "export": export,
  "serve": serve,
  "plan": plan,
  "data": data,
  "doctor": doctor,
}

DESCRIPTION = """\
Train, evaluate and use handwriting models: from a picture of a word to its
text and to the pen strokes that wrote it.
"""
EPILOG = """\
examples:
  inksight-jax train --gin_file=gin/recipes/inksight_quickstart.gin \\
    --model_dir=runs/mine
  inksight-jax evaluate --model_dir=runs/mine
  inksight-jax predict --model_dir=runs/mine word.jpg --output_dir=out

`inksight-jax VERB --help` explains each verb.
"""


def make_parser() -> argparse.ArgumentParser:
  """The parser of the whole command line."""
  parser = argparse.ArgumentParser(
    prog="inksight-jax",
    description=DESCRIPTION,
    epilog=EPILOG,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  parser.add_argument(
    "--version", action="version", version=f"%(prog)s {__version__}"
  )
  parser.add_argument(
    "--debug",
    action="store_true",
    help="show where in the program an error arose",
  )
  verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
  for name, module in VERBS.items():
    verb = verbs.add_parser(
      name,
      help=module.HELP,
      description=module.DESCRIPTION,
      epilog=module.EPILOG,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False,
    )
    module.add_arguments(verb)
  return parser


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
  """Parses a command line; `--gin.NAME=VALUE` lands in `gin_bindings`.

  Args:
    arguments: the words after `inksight-jax`.

  Raises:
    SystemExit: with 2 for a wrong command line, 0 after `--help`.
  """
  parser = make_parser()
  # Taken out first: argparse would read a value such as -1 as an option.
  gin_words = [word for word in arguments if word.startswith("--gin.")]
  rest = [word for word in arguments if not word.startswith("--gin.")]
  args = parser.parse_args(rest)
  if gin_words and not hasattr(args, "gin_file"):
    parser.error(f"`{args.verb}` takes no gin bindings: {gin_words[0]}")
  bindings = []
  for word in gin_words:
    name, equals, value = word.removeprefix("--gin.").partition("=")
    if not equals or not name:
      parser.error(f"{word}: write --gin.NAME=VALUE, in one word")
    bindings.append(f"{name} = {value}")
  args.gin_bindings = bindings
  return args


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs a command line.

  Args:
    arguments: the words after `inksight-jax`; those of the process by default.

  Returns:
    The exit code: 0 for success, 1 for an error or a partial failure, 2 for a
    wrong command line, 130 after Ctrl-C.
  """
  try:
    args = parse_arguments(sys.argv[1:] if arguments is None else arguments)
  except SystemExit as exit_:
    return exit_.code if isinstance(exit_.code, int) else 2
  try:
    return args.run(args)
  except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
    return 130
  except BrokenPipeError:
    # The reader, `head` say, has had enough; not an error, but nothing more
    # can be written, not even at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
  except (ValueError, OSError) as error:
    if args.debug:
      raise
    # Errors from inside a configured call carry gin's own trace of calls.
    print(f"error: {str(error).split(_GIN_TRACE)[0]}", file=sys.stderr)
    return 1


_GIN_TRACE = "\n  In call to configurable"
