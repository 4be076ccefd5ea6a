"""`generate`, and `evaluate --judge`, of language models of picture tokens."""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Sequence
from typing import Any

# A sheet of more is no sheet.
SHEET_ROWS, SHEET_COLUMNS = 24, 12
STYLES = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments that other models that write pictures have not."""
  group = parser.add_argument_group(
    "language models of picture tokens",
    "With texts first they write words. With pictures first they go on with "
    "those of --continue, or with nothing, and label them with what they read.",
  )
  group.add_argument(
    "--continue",
    dest="beginnings",
    nargs="+",
    default=[],
    metavar="IMAGE",
    help="pictures to go on with",
  )
  group.add_argument(
    "--keep",
    type=float,
    default=0.5,
    metavar="SHARE",
    help="of the tokens of such a picture (default: %(default)s)",
  )
  temperature_option(group)


def temperature_option(group: Any) -> None:
  """Adds --temperature to a group of options."""
  group.add_argument(
    "--temperature",
    type=float,
    default=1.0,
    metavar="T",
    help="of sampled tokens; below 1 for likelier ones, which are easier to "
    "read and more alike (default: %(default)s)",
  )


def handles(model_dir: str) -> bool:
  """Whether a model directory holds such a model.

  Raises:
    ValueError: it holds none at all.
  """
  from inksight_jax.inference import recipe
  from inksight_jax.models.token_language_model import TokenLanguageModel

  return isinstance(recipe.read(model_dir).model, TokenLanguageModel)


def run(args: argparse.Namespace, words: Sequence[str]) -> int:
  """Generates; returns the exit code.

  Args:
    args: of the command line.
    words: to be written.
  """
  from inksight_jax.inference import picture_writer

  writer = picture_writer.load(
    args.model_dir, args.step, temperature=args.temperature
  )
  count = STYLES if args.styles is None else args.styles
  if count < 1:
    raise ValueError(f"At least one style is needed; got {count}.")
  if writer.tasks.picture_first:
    return _go_on(args, writer, words, count)
  if not words:
    raise ValueError(
      "Nothing to write: give words, or a file of them by --text_file."
    )
  styles = writer.draw_styles(count, args.seed)
  pictures = writer.generate(
    [word for word in words for _ in range(count)],
    styles[list(range(count)) * len(words)],
  )
  texts = [word for word in words for _ in range(count)]
  _write(args, pictures, texts, count)
  print(
    f"{args.output_dir}: {len(pictures)} pictures of {len(words)} words, "
    "labels.csv, sheet.png"
  )
  return 0


def score(args: argparse.Namespace) -> int:
  """`evaluate --judge`; returns the exit code."""
  import dataclasses
  import time

  from inksight_jax.inference import held_out, picture_writer, predictor
  from inksight_jax.pipeline.task_set import write_text

  start = time.perf_counter()
  writer = picture_writer.load(
    args.model_dir, args.step, args.batch_size, args.temperature
  )
  tasks = writer.tasks
  if args.path is not None:
    tasks = dataclasses.replace(tasks, path=args.path)
  task = tasks.tasks[0]
  samples = held_out.held_out_samples(
    tasks, args.split, args.samples, args.seed, args.cache
  )[task]
  judge = predictor.load(args.judge, None, args.batch_size)
  result = picture_writer.evaluate(writer, judge, samples, args.seed)
  output_dir = args.output_dir or args.model_dir
  os.makedirs(output_dir, exist_ok=True)
  shown = args.pictures
  rows = [
    list(pair)
    for pair in zip(result.real[:shown], result.made[:shown], strict=True)
  ]
  _sheet(output_dir, rows, result.texts[:shown])
  metrics: dict[str, Any] = {
    **{f"{task}/{name}": value for name, value in result.metrics.items()},
    "step": writer.step,
    "judge_step": judge.step,
    "temperature": args.temperature,
    "seed": args.seed,
    "split": args.split,
    "wall_seconds": round(time.perf_counter() - start, 3),
  }
  text = json.dumps(metrics, indent=2)
  # What a model reads has metrics of its own.
  name = "judged.json" if tasks.picture_first else "metrics.json"
  write_text(os.path.join(output_dir, name), text + "\n")
  print(text)
  return 0


def _go_on(
  args: argparse.Namespace, writer: Any, words: Sequence[str], count: int
) -> int:
  """Goes on with pictures, or begins some; returns the exit code."""
  import numpy as np

  from inksight_jax.rendering.images import read_image

  if words:
    raise ValueError(
      "This model has pictures first and writes texts; to write words it must "
      "be fine-tuned with PICTURE_FIRST = False. Leave the words out for "
      "pictures of its own."
    )
  if not 0.0 <= args.keep <= 1.0:
    raise ValueError(f"--keep is a share, 0 to 1; got {args.keep}.")
  predictor = writer.predictor
  given = [
    predictor.tasks.vocabulary.encode_picture(codes)
    for codes in predictor.encode(map(read_image, args.beginnings))
  ]
  length = predictor.tasks.codec.length
  kept = max(1, round(args.keep * length)) if given else 1
  row = np.full(length, predictor.model.grammar.row_id, np.int32)
  starts = np.repeat(np.stack(given or [row])[:, :kept], count, axis=0)
  styles = writer.draw_styles(len(starts), args.seed)
  ids = writer.continue_pictures(starts, styles)
  texts, pictures = writer.caption(list(ids)), writer.draw(list(ids))
  _write(args, pictures, texts, count)
  print(
    f"{args.output_dir}: {len(pictures)} pictures, labels.csv with what the "
    "model reads in them, sheet.png"
  )
  return 0


def _in_rows(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
  return [items[i : i + size] for i in range(0, len(items), size)]


def _write(
  args: argparse.Namespace,
  pictures: Sequence[Any],
  texts: Sequence[str],
  count: int,
) -> None:
  """Writes the pictures, `count` in a row, labels.csv and the sheet."""
  from PIL import Image

  os.makedirs(args.output_dir, exist_ok=True)
  labels = os.path.join(args.output_dir, "labels.csv")
  with open(labels, "w", encoding="utf-8", newline="") as file:
    table = csv.writer(file)
    table.writerow(("image", "text", "writer"))
    for place, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
      number, style = divmod(place, count)
      name = f"{number:05d}_{style:03d}.png"
      Image.fromarray(picture).save(os.path.join(args.output_dir, name))
      table.writerow((name, text, f"{args.seed}_{style}"))
  _sheet(args.output_dir, _in_rows(pictures, count), _in_rows(texts, count))


def _sheet(
  output_dir: str,
  rows: Sequence[Sequence[Any]],
  texts: Sequence[str] | Sequence[Sequence[str]],
) -> None:
  """Writes sheet.png, with a text below each row or each picture."""
  from PIL import Image

  from inksight_jax.rendering.sheet import tile

  shown = [row[:SHEET_COLUMNS] for row in rows[:SHEET_ROWS]]
  captions: Any = [
    text if isinstance(text, str) else text[:SHEET_COLUMNS]
    for text in texts[: len(shown)]
  ]
  sheet = tile(shown, captions, min_side=48)
  Image.fromarray(sheet).save(os.path.join(output_dir, "sheet.png"))
