"""`inksight-jax data`: data sets in, samples shown, texts counted, cached."""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from inksight_jax.cli import data_draw, data_prepare, data_tokenize
from inksight_jax.cli.options import SPLITS, splits_option
from inksight_jax.cli.train import add_gin_arguments

if TYPE_CHECKING:
  from inksight_jax.datasets.record import Record

HELP = "list, prepare and show data sets, write shards to train from"
DESCRIPTION = """\
What there is to train on. `list` names the data sets and says which are there,
`prepare` checks a download and writes it in the one shape that recipes read
fast, `show` draws samples, `vocabulary` counts characters and target lengths of
a recipe, `cache` renders its tasks into array shards, which train without
TensorFlow and without rendering again, `tokenize` turns pictures into codes by
a trained VQ-VAE, `draw` codes into pictures.
"""
EPILOG = """\
examples:
  inksight-jax data list
  inksight-jax data prepare unipen --manual_dir=unipen.tar.xz \
    --option categories=7 --data_dir=data
  inksight-jax data show generated_words --output=words.png
  inksight-jax data show unipen --path=unipen.tar.xz --option categories=7
  inksight-jax data cache --gin_file=gin/recipes/unipen_characters.gin \\
    --output_dir=caches/characters --repeats=4
  inksight-jax data tokenize --model_dir=runs/codes --output_dir=tokens \\
    --repeats=10
  inksight-jax data draw --model_dir=runs/codes --path=tokens \\
    --output_dir=drawn
  inksight-jax data vocabulary --gin_file=gin/recipes/unipen_words.gin \
    --gin.DATA_PATH='"data/unipen"'

An interrupted `prepare` or `cache` goes on where it stopped when it is run
again, and ends with the same files.
"""
# Side of the pictures that `show` draws, pixels.
SHOW_SIZE = 160


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `data`."""
  verbs = parser.add_subparsers(dest="data_verb", metavar="WHAT", required=True)
  data_prepare.add_list_arguments(
    verbs.add_parser("list", help="name the data sets, and which are there")
  )
  data_prepare.add_prepare_arguments(
    verbs.add_parser("prepare", help="check a data set and write its records")
  )
  _add_show_arguments(verbs.add_parser("show", help="draw samples"))
  _add_cache_arguments(
    verbs.add_parser("cache", help="write array shards of a recipe's tasks")
  )
  data_tokenize.add_tokenize_arguments(
    verbs.add_parser("tokenize", help="write the codes of pictures")
  )
  data_draw.add_draw_arguments(
    verbs.add_parser("draw", help="write the pictures of codes")
  )
  _add_vocabulary_arguments(
    verbs.add_parser("vocabulary", help="count characters and target lengths")
  )


def _add_show_arguments(parser: argparse.ArgumentParser) -> None:
  parser.add_argument("name", metavar="NAME", help="see `data list`")
  parser.add_argument(
    "--path", default="", metavar="PATH", help="store, archive or folder"
  )
  parser.add_argument("--split", default="train", choices=SPLITS)
  parser.add_argument(
    "--option",
    action="append",
    default=[],
    metavar="NAME=VALUE",
    help="option of the reader; a comma separates several values",
  )
  parser.add_argument(
    "--samples",
    type=int,
    default=32,
    metavar="N",
    help="(default: %(default)s)",
  )
  parser.add_argument(
    "--seed", type=int, default=0, metavar="N", help="which samples"
  )
  parser.add_argument(
    "--output",
    metavar="FILE",
    help="picture to write (default: NAME.png)",
  )
  parser.set_defaults(run=run_show)


def _add_cache_arguments(parser: argparse.ArgumentParser) -> None:
  add_gin_arguments(parser)
  parser.add_argument(
    "--output_dir", required=True, metavar="DIR", help="where the shards go"
  )
  splits_option(parser)
  parser.add_argument(
    "--repeats",
    type=int,
    default=1,
    metavar="N",
    help="passes over the training split, each augmented afresh",
  )
  parser.add_argument(
    "--seed", type=int, default=0, metavar="N", help="(default: %(default)s)"
  )
  parser.add_argument(
    "--workers",
    type=int,
    metavar="N",
    help="processes; one per core by default, 0 for none",
  )
  parser.add_argument("--json", action="store_true", help="print the reports")
  parser.set_defaults(run=run_cache)


def _add_vocabulary_arguments(parser: argparse.ArgumentParser) -> None:
  add_gin_arguments(parser)
  parser.add_argument("--split", default="train", choices=SPLITS)
  parser.add_argument(
    "--samples",
    type=int,
    default=1000,
    metavar="N",
    help="targets measured per task and data set (default: %(default)s)",
  )
  parser.add_argument("--json", action="store_true", help="print JSON")
  parser.set_defaults(run=run_vocabulary)


def run_vocabulary(args: argparse.Namespace) -> int:
  """Prints what a recipe's texts and targets are; returns the exit code."""
  from inksight_jax.inference import recipe
  from inksight_jax.pipeline import vocabulary_report

  recipe.parse(args.gin_file, args.gin_bindings)
  report = vocabulary_report.vocabulary_report(
    recipe.resolve("TASKS"), args.split, args.samples
  )
  if args.json:
    print(json.dumps(report, indent=2, ensure_ascii=False))
  else:
    print(vocabulary_report.report_table(report))
  return 0


def run_show(args: argparse.Namespace) -> int:
  """Writes a picture sheet of samples; returns the exit code."""
  import cv2

  from inksight_jax.datasets.registry import load_records
  from inksight_jax.datasets.skipped import SkipReport
  from inksight_jax.datasets.store import StoreSplit, is_store
  from inksight_jax.rendering.sheet import tile

  if args.samples < 1:
    raise ValueError(f"--samples must be at least 1; got {args.samples}.")
  report = SkipReport()
  options = parse_options(args.option)
  if is_store(args.path):
    stream = iter(StoreSplit(args.path, args.split))
  else:
    stream = load_records(args.name, args.path, args.split, report, **options)
  records, seen = _sample(stream, args.samples, args.seed)
  if not records:
    raise ValueError(
      f"The split {args.split!r} of {args.name} holds no record. "
      f"{report.table()}"
    )
  # Four samples side by side, each as wide as its pictures.
  rows, captions = [], []
  for start in range(0, len(records), 4):
    row, texts = [], []
    for record in records[start : start + 4]:
      pictures = _pictures(record)
      row += pictures
      texts += [f"{record.text or '-'} ({record.writer or record.id})"]
      texts += [""] * (len(pictures) - 1)
    rows.append(row)
    captions.append(texts)
  output = args.output or f"{args.name}.png"
  if not cv2.imwrite(output, tile(rows, captions)[:, :, ::-1]):
    raise ValueError(f"{output} cannot be written; end it in .png or .jpg.")
  print(f"{output}: {len(records)} of {seen:,} records of {args.split!r}")
  print(report.table())
  return 0


def _sample(stream: Any, count: int, seed: int) -> tuple[list[Record], int]:
  """Reservoir sample: any size of data set in the memory of a few records."""
  import numpy as np

  rng = np.random.default_rng(seed)
  kept: list[Record] = []
  seen = 0
  for seen, record in enumerate(stream, 1):
    place = seen - 1 if seen <= count else int(rng.integers(seen))
    if place < len(kept):
      kept[place] = record
    elif seen <= count:
      kept.append(record)
  return kept, seen


def _pictures(record: Record) -> list[Any]:
  """The record's picture, and its ink coloured by order, as far as it has."""
  import numpy as np

  from inksight_jax.ink.normalize import fit_placement
  from inksight_jax.rendering.letterbox import letterbox
  from inksight_jax.rendering.strokes import draw_ordered

  pictures = []
  if record.image is not None:
    pictures.append(letterbox(record.image, SHOW_SIZE, "paper")[0])
  if record.ink:
    placement = fit_placement(record.ink.bounds, SHOW_SIZE - 1, margin=8.0)
    ink = placement.apply(record.ink)
    pictures.append(draw_ordered(ink, SHOW_SIZE, SHOW_SIZE, 2.5))
  return pictures or [np.full((SHOW_SIZE, SHOW_SIZE, 3), 255, np.uint8)]


def parse_options(words: list[str]) -> dict[str, Any]:
  """Reads NAME=VALUE words; values are Python literals or else text.

  A value with a comma becomes a tuple. `categories` is always one, its
  members text, so that `categories=7` means ("7",).

  Raises:
    ValueError: a word has no `=`.
  """
  options: dict[str, Any] = {}
  for word in words:
    name, equals, value = word.partition("=")
    if not equals or not name:
      raise ValueError(f"--option {word!r}: write NAME=VALUE.")
    if name == "categories":
      options[name] = tuple(value.split(","))
      continue
    parts = [_literal(part) for part in value.split(",")]
    options[name] = tuple(parts) if len(parts) > 1 else parts[0]
  return options


def _literal(text: str) -> Any:
  """A Python literal, or the text itself."""
  try:
    return ast.literal_eval(text)
  except (ValueError, SyntaxError):
    return text


def run_cache(args: argparse.Namespace) -> int:
  """Writes the shards of a recipe's tasks; returns the exit code."""
  from inksight_jax.cli.progress import Progress
  from inksight_jax.inference import recipe
  from inksight_jax.pipeline.shard_writer import write_shards

  recipe.parse(args.gin_file, args.gin_bindings)
  tasks = recipe.resolve("TASKS")
  with Progress("examples") as progress:
    reports = write_shards(
      args.output_dir,
      tasks,
      args.split or SPLITS,
      seed=args.seed,
      repeats=args.repeats,
      workers=args.workers,
      progress=progress.advance,
    )
  if args.json:
    print(json.dumps(reports, indent=2))
  else:
    print(cache_table(reports))
  return 0


def cache_table(reports: Mapping[str, Mapping[str, Any]]) -> str:
  """Examples, lengths and skips of each task and split, for people."""
  lines = [
    f"{'task/split':<34}{'records':>9}{'examples':>10}{'tokens':>8}"
    f"{'longest':>9}  skipped"
  ]
  for name, report in reports.items():
    mean = report["target_tokens"] / max(1, report["examples"])
    skipped = ", ".join(
      f"{reason} {entry['count']}"
      for reason, entry in report["skipped"].items()
    )
    lines.append(
      f"{name:<34}{report['records']:>9}{report['examples']:>10}"
      f"{mean:>8.1f}{report['longest_target']:>9}  {skipped or '-'}"
    )
  return "\n".join(lines)
