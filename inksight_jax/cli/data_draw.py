"""`inksight-jax data draw`: codes back to pictures, by a trained VQ-VAE."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
from typing import TYPE_CHECKING

from inksight_jax.cli.options import (
  batch_size_option,
  splits_option,
  step_option,
)

if TYPE_CHECKING:
  from inksight_jax.datasets.record import Record
  from inksight_jax.inference.reconstructions import PictureCoder

# Grids that are drawn before any of them is written.
_BLOCK = 1024


def add_draw_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `data draw`."""
  parser.add_argument(
    "--model_dir", required=True, metavar="DIR", help="a trained VQ-VAE"
  )
  parser.add_argument(
    "--path",
    required=True,
    metavar="DIR",
    help="what `data tokenize` wrote with it",
  )
  parser.add_argument(
    "--output_dir",
    required=True,
    metavar="DIR",
    help="where the pictures and labels.csv go: an image folder, as recipes "
    "read it",
  )
  splits_option(parser)
  parser.add_argument(
    "--samples",
    type=int,
    default=0,
    metavar="N",
    help="most pictures of a split, its first ones; all by default",
  )
  step_option(parser)
  batch_size_option(parser, 64)
  parser.set_defaults(run=run_draw)


def run_draw(args: argparse.Namespace) -> int:
  """Draws a tokenised data set; returns the exit code."""
  from inksight_jax.cli.progress import Progress
  from inksight_jax.datasets import picture_tokens
  from inksight_jax.datasets.atomic import write_text
  from inksight_jax.inference import reconstructions

  if args.samples < 0 or args.batch_size < 1:
    raise ValueError(
      f"--samples {args.samples} and --batch_size {args.batch_size}: give 0 "
      "or more and at least 1."
    )
  coder = reconstructions.load(args.model_dir, args.step, args.batch_size)
  described = picture_tokens.read_description(args.path)
  if described["num_codes"] != coder.model.num_codes:
    raise ValueError(
      f"{args.path} was tokenised with {described['num_codes']} codes, "
      f"{args.model_dir} has {coder.model.num_codes}; name the model that "
      "tokenised it."
    )
  splits = args.split or list(described["records"])
  if missing := sorted(set(splits) - set(described["records"])):
    raise ValueError(
      f"{args.path} has no split {', '.join(missing)}; it has "
      f"{', '.join(described['records'])}."
    )
  # Written again last: a folder without it is not mistaken for a data set.
  path = os.path.join(args.output_dir, "labels.csv")
  with contextlib.suppress(FileNotFoundError):
    os.remove(path)
  table = io.StringIO()
  labels = csv.writer(table)
  labels.writerow(("image", "text", "writer", "split"))
  drawn = 0
  with Progress("pictures") as progress:
    for split in splits:
      records = list(
        picture_tokens.read_picture_tokens(
          args.path, split=split, count=args.samples
        )
      )
      os.makedirs(os.path.join(args.output_dir, split), exist_ok=True)
      for first in range(0, len(records), _BLOCK):
        block = records[first : first + _BLOCK]
        names = _write(coder, block, args.output_dir, split, first)
        for name, record in zip(names, block, strict=True):
          labels.writerow((name, record.text, record.writer, split))
        progress.advance(split, len(block))
      drawn += len(records)
  write_text(path, table.getvalue())
  print(f"{args.output_dir}: {drawn:,} pictures, labels.csv")
  return 0


def _write(
  coder: PictureCoder,
  records: list[Record],
  output_dir: str,
  split: str,
  first: int,
) -> list[str]:
  """Writes what the codes of some records draw; returns the files' names."""
  import numpy as np
  from PIL import Image

  from inksight_jax.inference.picture_writer import trimmed

  names = []
  codes = [np.asarray(record.codes) for record in records]
  for place, picture in enumerate(coder.decode(codes), start=first):
    names.append(f"{split}/{place:06d}.png")
    Image.fromarray(trimmed(picture, coder.tasks.padding)).save(
      os.path.join(output_dir, names[-1])
    )
  return names
