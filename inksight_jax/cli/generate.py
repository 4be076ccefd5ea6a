"""`inksight-jax generate`: pictures of words that a model writes."""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Sequence
from typing import Any

from inksight_jax.cli.options import step_option

HELP = "write words as pictures, in any number of styles"
DESCRIPTION = """\
Write words as pictures with a trained handwriting GAN: one PNG for each word
and style, labels.csv beside them (the folder is a data set that `image_folder`
reads) and sheet.png, words by rows and styles by columns.
"""
EPILOG = """\
examples:
  inksight-jax generate --model_dir=runs/gan 123 405 --output_dir=out
  inksight-jax generate --model_dir=runs/gan --text_file=words.txt \\
    --styles=20 --seed=7 --output_dir=synthetic
"""
# A sheet of more is no sheet.
SHEET_ROWS, SHEET_COLUMNS = 24, 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `generate`."""
  parser.add_argument("words", nargs="*", metavar="WORD", help="what to write")
  parser.add_argument(
    "--text_file", metavar="FILE", help="more words, one in a line"
  )
  parser.add_argument(
    "--model_dir", required=True, metavar="DIR", help="a trained model"
  )
  parser.add_argument(
    "--output_dir", required=True, metavar="DIR", help="where the files go"
  )
  parser.add_argument(
    "--styles",
    type=int,
    default=8,
    metavar="N",
    help="random styles, each for all words (default: %(default)s)",
  )
  parser.add_argument(
    "--seed", type=int, default=0, metavar="N", help="of the styles"
  )
  step_option(parser)
  parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
  """Generates; returns the exit code."""
  from inksight_jax.inference import word_generator

  words = list(args.words)
  if args.text_file is not None:
    words += _read_words(args.text_file)
  if not words or args.styles < 1:
    raise ValueError(
      f"{len(words)} words in {args.styles} styles: give words, or a file of "
      "them by --text_file, and at least one style."
    )
  generator = word_generator.load(args.model_dir, args.step)
  styles = generator.draw_styles(args.styles, args.seed)
  # Every word in every style; checked as a whole before anything is written.
  pictures = generator.generate(
    [word for word in words for _ in range(args.styles)],
    styles[list(range(args.styles)) * len(words)],
  )
  rows = [
    pictures[first : first + args.styles]
    for first in range(0, len(pictures), args.styles)
  ]
  os.makedirs(args.output_dir, exist_ok=True)
  labels = os.path.join(args.output_dir, "labels.csv")
  with open(labels, "w", encoding="utf-8", newline="") as file:
    table = csv.writer(file)
    table.writerow(("image", "text", "writer"))
    for number, (word, row) in enumerate(zip(words, rows, strict=True)):
      for style, picture in enumerate(row):
        name = f"{number:05d}_{style:03d}.png"
        _save(os.path.join(args.output_dir, name), picture)
        table.writerow((name, word, f"{args.seed}_{style}"))
  write_sheet(args.output_dir, rows, words)
  print(
    f"{args.output_dir}: {len(pictures)} pictures of {len(words)} words in "
    f"{args.styles} styles, labels.csv, sheet.png"
  )
  return 0


def score(args: argparse.Namespace) -> int:
  """`evaluate` of a model that writes words; returns the exit code."""
  import dataclasses
  import time

  from inksight_jax.inference import held_out, predictor, word_generator
  from inksight_jax.pipeline.task_set import write_text

  start = time.perf_counter()
  generator = word_generator.load(args.model_dir, args.step, args.batch_size)
  tasks = generator.tasks
  if args.path is not None:
    tasks = dataclasses.replace(tasks, path=args.path)
  (task,) = tasks.tasks
  samples = held_out.held_out_samples(
    tasks, args.split, args.samples, args.seed, args.cache
  )[task]
  judge = predictor.load(args.judge, None, args.batch_size)
  scores, made = word_generator.evaluate(generator, judge, samples, args.seed)
  output_dir = args.output_dir or args.model_dir
  os.makedirs(output_dir, exist_ok=True)
  shown = args.pictures
  pairs = [
    [sample.example.image, picture]
    for sample, picture in zip(samples[:shown], made[:shown], strict=True)
  ]
  write_sheet(output_dir, pairs, [sample.text for sample in samples[:shown]])
  metrics: dict[str, Any] = {
    **{f"{task}/{name}": value for name, value in scores.items()},
    "step": generator.step,
    "judge_step": judge.step,
    "seed": args.seed,
    "split": args.split,
    "wall_seconds": round(time.perf_counter() - start, 3),
  }
  text = json.dumps(metrics, indent=2)
  write_text(os.path.join(output_dir, "metrics.json"), text + "\n")
  print(text)
  return 0


def write_sheet(
  output_dir: str, rows: Sequence[Sequence[Any]], words: Sequence[str]
) -> None:
  """Writes sheet.png: a row for each word, as far as they fit."""
  from inksight_jax.rendering.sheet import tile

  shown = [row[:SHEET_COLUMNS] for row in rows[:SHEET_ROWS]]
  sheet = tile(shown, list(words[: len(shown)]), min_side=48)
  _save(os.path.join(output_dir, "sheet.png"), sheet)


def _read_words(path: str) -> list[str]:
  if not os.path.isfile(path):
    raise ValueError(f"{path}: no such file; give one with a word in a line.")
  with open(path, encoding="utf-8") as file:
    return [line.strip() for line in file if line.strip()]


def _save(path: str, picture: Any) -> None:
  from PIL import Image

  Image.fromarray(picture).save(path)
