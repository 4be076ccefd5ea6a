"""Options that several commands share."""

from __future__ import annotations

import argparse

SPLITS = ("train", "validation", "test")


def weights_option(parser: argparse.ArgumentParser) -> None:
  """Adds `--weights`: how exactly weights are kept."""
  parser.add_argument(
    "--weights",
    choices=("float32", "bfloat16", "int8"),
    default="float32",
    help="bfloat16 encodes pictures faster on a CPU that has its products "
    "(AMX); int8 does so too and decodes faster, from a quarter of the memory; "
    "answers differ a little (default: %(default)s)",
  )


def step_option(parser: argparse.ArgumentParser) -> None:
  """Adds --step, None for the latest checkpoint."""
  parser.add_argument(
    "--step",
    type=parse_step,
    metavar="N",
    help="checkpoint, or `best` of those that were kept by a metric; the "
    "latest by default",
  )


def splits_option(parser: argparse.ArgumentParser) -> None:
  """Adds --split, a list; None for all three."""
  parser.add_argument(
    "--split",
    action="append",
    choices=SPLITS,
    help="a split to write; all three by default",
  )


def parse_step(text: str) -> int | str:
  """A number or "best"; argparse reports what is neither."""
  return text if text == "best" else int(text)


def batch_size_option(parser: argparse.ArgumentParser, default: int) -> None:
  """Adds --batch_size."""
  parser.add_argument(
    "--batch_size",
    type=int,
    default=default,
    metavar="N",
    help="images decoded together (default: %(default)s)",
  )


def scan_options(parser: argparse.ArgumentParser) -> None:
  """Adds --scales and --views: in how many ways to look at one picture."""
  parser.add_argument(
    "--scales",
    type=parse_scales,
    metavar="LIST",
    help="for readers of pages, scans of unknown resolution: factors to try, "
    "such as 0.25,0.35,0.5; the answer of least perplexity is kept",
  )
  parser.add_argument(
    "--views",
    type=int,
    default=1,
    metavar="N",
    help="for models of picture tokens: read N - 1 changed views of each "
    "image too, and add up the confidences (default: %(default)s)",
  )


def parse_scales(text: str) -> list[float]:
  """Numbers with commas between; argparse reports what is none."""
  return [float(part) for part in text.split(",")]
