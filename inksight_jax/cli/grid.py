"""`inksight-jax grid`: sheets to write words into by hand, and back."""

from __future__ import annotations

import argparse
import csv
import os

HELP = "print boxes for handwritten words, cut the words out of photos"
DESCRIPTION = """\
A data set of one's own hand. `grid print` makes sheets with a box for each
word; fill them in, take a photo of each; `grid cut` finds the sheets in the
photos and writes one picture for each word and labels.csv: a folder that
`image_folder` reads. Boxes that were left empty are left out.
"""
EPILOG = """\
examples:
  inksight-jax grid print --words=words.txt --output=grid.pdf
  inksight-jax grid cut --grid=grid.json photo1.jpg photo2.jpg \\
    --writer=me --output_dir=my_words
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `grid`."""
  actions = parser.add_subparsers(
    dest="action", metavar="ACTION", required=True
  )
  printing = actions.add_parser("print", help="sheets as a PDF")
  printing.add_argument(
    "--words", required=True, metavar="FILE", help="a word in a line"
  )
  printing.add_argument(
    "--output",
    required=True,
    metavar="FILE",
    help="the PDF; its description goes beside it, same name but .json",
  )
  printing.add_argument("--columns", type=int, default=3, metavar="N")
  printing.add_argument("--rows", type=int, default=12, metavar="N")
  printing.add_argument(
    "--paper", choices=("a4", "letter"), default="a4", help="(default: a4)"
  )
  printing.set_defaults(run=_print)
  cutting = actions.add_parser("cut", help="words out of photos")
  cutting.add_argument("photos", nargs="+", metavar="PHOTO")
  cutting.add_argument(
    "--grid", required=True, metavar="FILE", help="the description, .json"
  )
  cutting.add_argument(
    "--output_dir", required=True, metavar="DIR", help="where the words go"
  )
  cutting.add_argument(
    "--writer", default="", metavar="NAME", help="who wrote them"
  )
  cutting.set_defaults(run=_cut)


def _print(args: argparse.Namespace) -> int:
  from PIL import Image

  from inksight_jax.pipeline.task_set import write_text
  from inksight_jax.rendering.grid import Grid, draw_sheet

  with open(args.words, encoding="utf-8") as file:
    words = tuple(line.strip() for line in file if line.strip())
  width, height = (210.0, 297.0) if args.paper == "a4" else (215.9, 279.4)
  grid = Grid(words, args.columns, args.rows, width, height)
  sheets = [
    Image.fromarray(draw_sheet(grid, sheet)) for sheet in range(grid.sheets)
  ]
  sheets[0].save(
    args.output, "PDF", save_all=True, append_images=sheets[1:], resolution=300
  )
  description = os.path.splitext(args.output)[0] + ".json"
  write_text(description, grid.to_json())
  print(
    f"{args.output}: {len(words)} boxes on {len(sheets)} sheets; print at full "
    f"size. {description}: keep it for `grid cut`."
  )
  return 0


def _cut(args: argparse.Namespace) -> int:
  from PIL import Image

  from inksight_jax.rendering.grid import Grid, cut_sheet
  from inksight_jax.rendering.images import read_image

  with open(args.grid, encoding="utf-8") as file:
    grid = Grid.from_json(file.read())
  rows: list[tuple[str, str, str]] = []
  empty, seen = 0, set()
  os.makedirs(args.output_dir, exist_ok=True)
  for path in args.photos:
    try:
      sheet, cells = cut_sheet(read_image(path), grid)
    except ValueError as error:
      raise ValueError(f"{path}: {error}") from error
    if sheet in seen:
      raise ValueError(f"{path}: sheet {sheet + 1} was in an earlier photo.")
    seen.add(sheet)
    for place, (word, picture) in enumerate(cells):
      if picture is None:
        empty += 1
        continue
      name = f"{sheet + 1:03d}_{place + 1:03d}.png"
      Image.fromarray(picture).save(os.path.join(args.output_dir, name))
      rows.append((name, word, args.writer))
  labels = os.path.join(args.output_dir, "labels.csv")
  with open(labels, "w", encoding="utf-8", newline="") as file:
    table = csv.writer(file)
    table.writerow(("image", "text", "writer"))
    table.writerows(rows)
  print(
    f"{args.output_dir}: {len(rows)} words of {len(args.photos)} photos, "
    f"{empty} boxes empty, labels.csv"
  )
  return 0
