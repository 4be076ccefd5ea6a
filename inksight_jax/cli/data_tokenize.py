"""`inksight-jax data tokenize`: pictures to codes, by a trained VQ-VAE."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from inksight_jax.cli.options import (
  SPLITS,
  batch_size_option,
  splits_option,
  step_option,
)

if TYPE_CHECKING:
  from inksight_jax.datasets.record import Record
  from inksight_jax.inference.reconstructions import Image, PictureCoder

# Canvases that wait for others of their shape.
_BLOCK = 1024


def add_tokenize_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `data tokenize`."""
  parser.add_argument(
    "--model_dir", required=True, metavar="DIR", help="a trained VQ-VAE"
  )
  parser.add_argument(
    "--output_dir", required=True, metavar="DIR", help="where the codes go"
  )
  splits_option(parser)
  parser.add_argument(
    "--path",
    metavar="PATH",
    help="where the data set lies, if not where training found it",
  )
  parser.add_argument(
    "--repeats",
    type=int,
    default=1,
    metavar="N",
    help="passes over the training split, each augmented afresh as stage 1 was "
    "trained; the other splits come once, as they are",
  )
  parser.add_argument(
    "--seed", type=int, default=0, metavar="N", help="of the augmentation"
  )
  parser.add_argument(
    "--square",
    action="store_true",
    help="put all pictures on one square canvas of the same budget, as a "
    "control",
  )
  step_option(parser)
  batch_size_option(parser, 64)
  parser.add_argument("--json", action="store_true", help="print JSON")
  parser.set_defaults(run=run_tokenize)


def run_tokenize(args: argparse.Namespace) -> int:
  """Writes the codes of a data set; returns the exit code."""
  from inksight_jax.cli.progress import Progress
  from inksight_jax.datasets.picture_tokens import write_picture_tokens
  from inksight_jax.inference import reconstructions

  if args.repeats < 1 or args.batch_size < 1:
    raise ValueError(
      f"--repeats {args.repeats} and --batch_size {args.batch_size} must be at "
      "least 1."
    )
  coder = reconstructions.load(args.model_dir, args.step, args.batch_size)
  if args.path is not None:
    coder.tasks = dataclasses.replace(coder.tasks, path=args.path)
  if args.square:
    coder.tasks = dataclasses.replace(coder.tasks, square=True)
  tasks = coder.tasks
  with Progress("pictures") as progress:
    described = write_picture_tokens(
      args.output_dir,
      {
        split: tokenized(
          coder,
          split,
          args.repeats,
          args.seed,
          functools.partial(progress.advance, split),
        )
        for split in args.split or SPLITS
      },
      num_codes=coder.model.num_codes,
      length=tasks.budget,
      patch=tasks.patch,
      square=tasks.square,
      tasks=tasks.name,
      step=coder.step,
    )
  if args.json:
    print(json.dumps(described, indent=2))
  else:
    counts = ", ".join(f"{s} {n:,}" for s, n in described["records"].items())
    print(
      f"{args.output_dir}: {counts}; {described['num_codes']} codes, "
      f"{described['length']} tokens a picture"
    )
  return 0


def tokenized(
  coder: PictureCoder,
  split: str,
  repeats: int = 1,
  seed: int = 0,
  progress: Callable[[int], Any] | None = None,
) -> Iterator[Record]:
  """The records of a split with codes instead of pictures and ink.

  Args:
    coder: a trained VQ-VAE; its tasks name the data set and the canvases.
    split: a split name.
    repeats: passes over the training split; the others come once.
    seed: of the augmentation.
    progress: called with the number of records done.
  """
  waiting: list[tuple[Record, Image]] = []

  def coded() -> Iterator[Record]:
    grids = coder.encode([image for _, image in waiting])
    for (record, _), codes in zip(waiting, grids, strict=True):
      yield dataclasses.replace(record, codes=codes)
    if progress is not None:
      progress(len(waiting))
    waiting.clear()

  for found in _canvases(coder, split, repeats, seed):
    waiting.append(found)
    if len(waiting) == _BLOCK:
      yield from coded()
  if waiting:
    yield from coded()


def _canvases(
  coder: PictureCoder, split: str, repeats: int, seed: int
) -> Iterator[tuple[Record, Image]]:
  """Records, stripped of what is not needed, with their canvases."""
  from inksight_jax.datasets.record import Record
  from inksight_jax.pipeline import examples
  from inksight_jax.pipeline.joined import record_at
  from inksight_jax.pipeline.records import MixtureRecords

  tasks = coder.tasks
  training = split == examples.TRAIN
  mixture = MixtureRecords(tasks, split)
  for component in mixture.components.values():
    records = mixture.of(component)
    for repeat in range(repeats if training else 1):
      for index in mixture.indices[component.name].tolist():
        record = record_at(records, index, repeat)
        rng = examples.example_rng(
          seed, split, component.task, record.id, repeat
        )
        example = tasks.build(
          record, component.task, rng, training, (), component.source
        )
        if isinstance(example, examples.Skip):
          continue
        name = f"{record.id}#{repeat}" if training else record.id
        bare = Record(name, record.source, record.text, record.writer)
        yield bare, example.image
