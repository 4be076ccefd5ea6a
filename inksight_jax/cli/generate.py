"""`inksight-jax generate`: pictures of words that a model writes."""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from inksight_jax.cli import generate_tokens
from inksight_jax.cli.options import step_option

if TYPE_CHECKING:
  from inksight_jax.inference.word_generator import WordGenerator

HELP = "write words, or pages, as pictures in any number of styles"
DESCRIPTION = """\
Write words as pictures with a trained handwriting GAN: one PNG for each word
and style, labels.csv beside them (the folder is a data set that `image_folder`
reads) and sheet.png, words by rows and styles by columns. With --count, that
many pictures of words and styles drawn at random; with --page, the words as one
page.
"""
EPILOG = """\
examples:
  inksight-jax generate --model_dir=runs/gan 123 405 --output_dir=out
  inksight-jax generate --model_dir=runs/gan --text_file=words.txt \\
    --count=100000 --seed=7 --output_dir=synthetic
  inksight-jax generate --model_dir=runs/gan hello --style=3 --to_style=8 \\
    --styles=6 --output_dir=between
  inksight-jax generate --model_dir=runs/gan --page --text_file=letter.txt \\
    --style_from=my_words --output_dir=letter
"""
# A sheet of more is no sheet.
SHEET_ROWS, SHEET_COLUMNS = 24, 12
# Pictures made, and written, at a time.
CHUNK = 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `generate`."""
  parser.add_argument("words", nargs="*", metavar="WORD", help="what to write")
  parser.add_argument(
    "--text_file",
    metavar="FILE",
    help="more words, one in a line; with --page the lines of the page",
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
    metavar="N",
    help="random styles, each for all words; or steps to --to_style "
    "(default: 8)",
  )
  parser.add_argument(
    "--style", type=int, metavar="N", help="only the random style number N"
  )
  parser.add_argument(
    "--to_style",
    type=int,
    metavar="N",
    help="with --style: from that style to this one",
  )
  parser.add_argument(
    "--style_from",
    metavar="FOLDER",
    help="the style of these pictures of words, better with their texts, as "
    "`image_folder` reads them",
  )
  parser.add_argument(
    "--count",
    type=int,
    metavar="N",
    help="so many pictures, of words at random, each in a style of its own",
  )
  parser.add_argument(
    "--page", action="store_true", help="the words as a page, in one style"
  )
  parser.add_argument(
    "--page_width",
    type=int,
    default=640,
    metavar="PIXELS",
    help="(default: %(default)s)",
  )
  parser.add_argument(
    "--seed", type=int, default=0, metavar="N", help="of what is random"
  )
  step_option(parser)
  generate_tokens.add_arguments(parser)
  parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
  """Generates; returns the exit code."""
  from inksight_jax.inference import word_generator

  lines = [] if args.text_file is None else _read_lines(args.text_file)
  words = [*args.words, *(line.strip() for line in lines if line.strip())]
  if generate_tokens.handles(args.model_dir):
    return generate_tokens.run(args, words)
  _check(args, words)
  generator = word_generator.load(args.model_dir, args.step)
  if args.page:
    return _page(args, generator, lines)
  if args.count is not None:
    return _random(args, generator, words)
  styles, names = _styles(args, generator)
  # Every word in every style; checked as a whole before anything is written.
  pictures = generator.generate(
    [word for word in words for _ in names],
    styles[list(range(len(names))) * len(words)],
  )
  rows = [
    pictures[first : first + len(names)]
    for first in range(0, len(pictures), len(names))
  ]
  os.makedirs(args.output_dir, exist_ok=True)
  _write(
    args.output_dir,
    (
      (f"{number:05d}_{style:03d}.png", picture, word, names[style])
      for number, (word, row) in enumerate(zip(words, rows, strict=True))
      for style, picture in enumerate(row)
    ),
  )
  write_sheet(args.output_dir, rows, words)
  print(
    f"{args.output_dir}: {len(pictures)} pictures of {len(words)} words in "
    f"{len(names)} styles, labels.csv, sheet.png"
  )
  return 0


def _check(args: argparse.Namespace, words: Sequence[str]) -> None:
  """Refuses words and options that say nothing, or two things at once."""
  if not words or (args.styles is not None and args.styles < 1):
    raise ValueError(
      f"{len(words)} words in {args.styles} styles: give words, or a file of "
      "them by --text_file, and at least one style."
    )
  for one, other in (
    ("style_from", "style"),
    ("style_from", "to_style"),
    ("count", "page"),
    ("count", "styles"),
    ("count", "to_style"),
    ("page", "styles"),
    ("page", "to_style"),
  ):
    given = [getattr(args, name) not in (None, False) for name in (one, other)]
    if all(given):
      raise ValueError(f"--{one} and --{other} exclude each other.")
  if args.to_style is not None and args.style is None:
    raise ValueError("--to_style needs --style, where it comes from.")
  for name in ("style", "to_style"):
    if (getattr(args, name) or 0) < 0:
      raise ValueError(f"--{name} is the number of a style, from 0.")
  if args.count is not None and args.count < 1:
    raise ValueError(f"--count must be at least 1; got {args.count}.")


def _styles(
  args: argparse.Namespace, generator: WordGenerator
) -> tuple[Any, list[str]]:
  """The styles that were asked for, float32[styles, style], and their names."""
  from inksight_jax.inference.word_generator import styles_between

  if args.style_from is not None:
    name = os.path.basename(os.path.normpath(args.style_from))
    return _imitated(generator, args.style_from)[None], [f"like_{name}"]
  if args.style is None:
    count = args.styles or (1 if args.page else 8)
    names = [f"{args.seed}_{style}" for style in range(count)]
    return generator.draw_styles(count, args.seed), names
  last = max(args.style, args.to_style or 0)
  drawn = generator.draw_styles(last + 1, args.seed)
  if args.to_style is None:
    return drawn[args.style][None], [f"{args.seed}_{args.style}"]
  count = args.styles or 8
  between = styles_between(drawn[args.style], drawn[args.to_style], count)
  ends = f"{args.seed}_{args.style}_{args.to_style}"
  return between, [f"{ends}_{step}" for step in range(count)]


def _imitated(generator: WordGenerator, folder: str) -> Any:
  """The style of the pictures in a folder, with their texts if it has any."""
  from inksight_jax.datasets.image_folder import read_image_folder
  from inksight_jax.datasets.pictures import SUFFIXES

  if not os.path.isdir(folder):
    raise ValueError(f"{folder}: no such folder of pictures.")
  try:
    records = [r for r in read_image_folder(folder) if r.image is not None]
  except ValueError:
    records = []
  if records:
    texts = [record.text for record in records]
    return generator.imitate(
      [r.image for r in records if r.image is not None], texts
    )
  files = sorted(
    entry.path
    for entry in os.scandir(folder)
    if os.path.splitext(entry.name)[1].lower() in SUFFIXES
  )
  return generator.imitate(files)


def _random(
  args: argparse.Namespace, generator: WordGenerator, words: Sequence[str]
) -> int:
  """Writes a data set of any size; what is in memory does not grow with it."""
  import numpy as np

  generator.check(words)
  fixed = None
  if args.style is not None or args.style_from is not None:
    fixed = _styles(args, generator)
  os.makedirs(args.output_dir, exist_ok=True)

  def pictures() -> Iterable[tuple[str, Any, str, str]]:
    for first in range(0, args.count, CHUNK):
      count = min(CHUNK, args.count - first)
      rng = np.random.default_rng((args.seed, first))
      chosen = [words[int(i)] for i in rng.integers(len(words), size=count)]
      size = generator.draw_styles(1, 0).shape[1]
      styles = rng.standard_normal((count, size), np.float32)
      if fixed is not None:
        styles = np.repeat(fixed[0], count, axis=0)
      made = generator.generate(chosen, styles)
      for place, (word, picture) in enumerate(zip(chosen, made, strict=True)):
        number = first + place
        writer = f"{args.seed}_{number}" if fixed is None else fixed[1][0]
        yield f"{number:07d}.png", picture, word, writer

  _write(args.output_dir, pictures())
  print(f"{args.output_dir}: {args.count} pictures, labels.csv")
  return 0


def _page(
  args: argparse.Namespace, generator: WordGenerator, lines: Sequence[str]
) -> int:
  from inksight_jax.inference.written_page import write_page

  styles, _ = _styles(args, generator)
  # Words of the command line stand in one line.
  text = "\n".join([" ".join(args.words)] * bool(args.words) + [*lines])
  page, texts = write_page(
    generator, text, styles[0], args.page_width, args.seed
  )
  os.makedirs(args.output_dir, exist_ok=True)
  _save(os.path.join(args.output_dir, "page.png"), page)
  path = os.path.join(args.output_dir, "page.txt")
  with open(path, "w", encoding="utf-8") as file:
    file.write("\n".join(texts) + "\n")
  print(f"{args.output_dir}: page.png of {len(texts)} lines, page.txt")
  return 0


def _write(
  output_dir: str, pictures: Iterable[tuple[str, Any, str, str]]
) -> None:
  """Writes (name, picture, text, writer) and the table of them."""
  labels = os.path.join(output_dir, "labels.csv")
  with open(labels, "w", encoding="utf-8", newline="") as file:
    table = csv.writer(file)
    table.writerow(("image", "text", "writer"))
    for name, picture, text, writer in pictures:
      _save(os.path.join(output_dir, name), picture)
      table.writerow((name, text, writer))


def write_sheet(
  output_dir: str, rows: Sequence[Sequence[Any]], words: Sequence[str]
) -> None:
  """Writes sheet.png: a row for each word, as far as they fit."""
  from inksight_jax.rendering.sheet import tile

  shown = [row[:SHEET_COLUMNS] for row in rows[:SHEET_ROWS]]
  sheet = tile(shown, list(words[: len(shown)]), min_side=48)
  _save(os.path.join(output_dir, "sheet.png"), sheet)


def _read_lines(path: str) -> list[str]:
  if not os.path.isfile(path):
    raise ValueError(f"{path}: no such file; give one with a word in a line.")
  with open(path, encoding="utf-8") as file:
    return file.read().splitlines()


def _save(path: str, picture: Any) -> None:
  from PIL import Image

  Image.fromarray(picture).save(path)
