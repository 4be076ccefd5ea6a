"""Options that several commands share."""

from __future__ import annotations

import argparse


def weights_option(parser: argparse.ArgumentParser) -> None:
  """Adds `--weights`: how exactly the decoder's weights are kept."""
  parser.add_argument(
    "--weights",
    choices=("float32", "int8"),
    default="float32",
    help="int8 decodes faster on a CPU, from a quarter of the memory; answers "
    "differ a little (default: %(default)s)",
  )
