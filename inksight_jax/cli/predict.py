"""`inksight-jax predict`: images of words to ink and text files."""

from __future__ import annotations

import argparse
import glob
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from inksight_jax.inference.predictor import Predictor, Prepared
  from inksight_jax.inference.results import Result

HELP = "read images of words: text, ink, files"
DESCRIPTION = """\
Predict the text and the pen strokes of images of single words. Writes one file
per image and format, and summary.json. An image that cannot be read is
reported at the end and makes the exit code 1; the others are done all the same.
"""
EPILOG = """\
examples:
  inksight-jax predict --model_dir=runs/mine word.jpg --output_dir=out
  inksight-jax predict --model_dir=runs/mine --task=derender crops/ \\
    --format=svg,gif --output_dir=out
  inksight-jax predict --model_dir=runs/mine --task=derender_with_text \\
    --text=hello hello.png --output_dir=out
  inksight-jax predict --model_dir=runs/mine 'crops/*.png' --output_dir=out \\
    --json
"""
FORMATS = ("inkml", "svg", "png", "gif", "json")
EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
SUMMARY = "summary"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `predict`."""
  parser.add_argument(
    "images", nargs="+", metavar="IMAGE", help="file, folder or glob pattern"
  )
  parser.add_argument(
    "--model_dir", required=True, metavar="DIR", help="a trained model"
  )
  parser.add_argument(
    "--output_dir", required=True, metavar="DIR", help="where the files go"
  )
  parser.add_argument(
    "--task",
    metavar="TASK",
    help="derender, derender_with_text, recognize_and_derender, recognize_ink "
    "or recognize_image; by default recognize_and_derender if the model was "
    "trained for it, else its first task",
  )
  parser.add_argument(
    "--text", metavar="TEXT", help="what is written; for derender_with_text"
  )
  parser.add_argument(
    "--format",
    default=",".join(FORMATS),
    metavar="LIST",
    help="some of inkml, svg, png (ink over the photo), gif (strokes as they "
    "appear) and json, with commas between; all by default",
  )
  parser.add_argument(
    "--step", type=int, metavar="N", help="checkpoint; the latest by default"
  )
  parser.add_argument(
    "--batch_size",
    type=int,
    default=16,
    metavar="N",
    help="images decoded together (default: %(default)s)",
  )
  parser.add_argument(
    "--json", action="store_true", help="print the summary as JSON"
  )
  parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
  """Predicts; returns the exit code."""
  formats = parse_formats(args.format)
  paths = find_images(args.images)
  from inksight_jax.inference import predictor

  model = predictor.load(args.model_dir, args.step, args.batch_size)
  task = args.task or default_task(model.tasks.tasks)
  model.check_task(task)
  if args.text is None and task == "derender_with_text":
    raise ValueError("derender_with_text needs --text: what is written.")
  os.makedirs(args.output_dir, exist_ok=True)
  names = output_names(paths)
  entries: list[dict[str, Any]] = []
  for first in range(0, len(paths), args.batch_size):
    chunk = paths[first : first + args.batch_size]
    for path, result in _predict_chunk(model, chunk, task, args.text):
      entry = _write(path, result, names[path], formats, args.output_dir)
      entries.append(entry)
      if not args.json:
        print(describe(entry), file=sys.stderr, flush=True)
  return _finish(entries, task, args)


def parse_formats(text: str) -> list[str]:
  """The formats of a list such as "inkml,svg".

  Raises:
    ValueError: one of them is unknown.
  """
  formats = [name.strip() for name in text.split(",") if name.strip()]
  for name in formats:
    if name not in FORMATS:
      raise ValueError(
        f"Unknown format {name!r}; choose from {', '.join(FORMATS)}."
      )
  return formats


def find_images(patterns: Sequence[str]) -> list[str]:
  """Files that paths, folders and glob patterns name, each once, in order.

  A path without a file is kept: it becomes a reported failure.

  Raises:
    ValueError: a folder holds no image, or a pattern matches nothing.
  """
  found: dict[str, None] = {}
  for pattern in patterns:
    if os.path.isdir(pattern):
      matches = sorted(
        os.path.join(pattern, name)
        for name in os.listdir(pattern)
        if name.lower().endswith(EXTENSIONS)
      )
    elif glob.has_magic(pattern) and not os.path.exists(pattern):
      matches = sorted(filter(os.path.isfile, glob.glob(pattern)))
    else:
      matches = [pattern]
    if not matches:
      raise ValueError(f"No image found in {pattern!r}.")
    found |= dict.fromkeys(matches)
  return list(found)


def output_names(paths: Sequence[str]) -> dict[str, str]:
  """A file name without ending for each path; equal ones get numbers."""
  names: dict[str, str] = {}
  # Its JSON file would overwrite the summary.
  taken = {SUMMARY}
  for path in paths:
    stem = os.path.splitext(os.path.basename(path))[0] or "image"
    name, number = stem, 1
    while name.lower() in taken:
      number += 1
      name = f"{stem}_{number}"
    taken.add(name.lower())
    names[path] = name
  return names


def default_task(tasks: Sequence[str]) -> str:
  """The task that gives most without being told the text."""
  for task in ("recognize_and_derender", "derender", "recognize_image"):
    if task in tasks:
      return task
  return tasks[0]


def _predict_chunk(
  model: Predictor, paths: Sequence[str], task: str, text: str | None
) -> Iterator[tuple[str, Result | ValueError]]:
  """Results in the order of the paths; an error where an image is bad."""
  prepared: dict[str, Prepared] = {}
  results: dict[str, Result | ValueError] = {}
  for path in paths:
    try:
      prepared[path] = model.prepare(path)
    except ValueError as error:
      results[path] = error
  texts = None if text is None else [text] * len(prepared)
  answers = model.predict_prepared(list(prepared.values()), task, texts)
  results |= dict(zip(prepared, answers, strict=True))
  for path in paths:
    yield path, results[path]


def _write(
  path: str,
  result: Result | ValueError,
  name: str,
  formats: Sequence[str],
  output_dir: str,
) -> dict[str, Any]:
  """Writes the files of one image and returns its entry in the summary."""
  if isinstance(result, ValueError):
    return {"image": path, "error": str(result)}
  files = []
  try:
    for kind in formats:
      file = os.path.join(output_dir, f"{name}.{kind}")
      _write_file(file, kind, result, path, name)
      files.append(os.path.basename(file))
  except (OSError, ValueError) as error:
    return {"image": path, "error": f"{error}"}
  return {
    "image": path,
    "text": result.text,
    "strokes": len(result.ink),
    "confidence": round(result.confidence, 4),
    "truncated": result.truncated,
    "empty": result.empty,
    "files": files,
  }


def _write_file(
  file: str, kind: str, result: Result, path: str, name: str
) -> None:
  from PIL import Image

  from inksight_jax.rendering.images import read_image

  if kind == "png":
    # Read again rather than kept: a batch of photos would fill the memory.
    Image.fromarray(result.overlay(read_image(path))).save(file)
  elif kind == "gif":
    result.save_gif(file)
  else:
    text = {
      "inkml": lambda: result.to_inkml(name),
      "svg": lambda: result.to_svg(color_by_order=True),
      "json": result.to_json,
    }[kind]()
    with open(file, "w", encoding="utf-8") as stream:
      stream.write(text)


def describe(entry: dict[str, Any]) -> str:
  """One line about one image."""
  if "error" in entry:
    return f"failed  {entry['image']}: {entry['error']}"
  notes = [name for name in ("truncated", "empty") if entry[name]]
  return (
    f"done    {entry['image']}: {entry['text']!r}, {entry['strokes']} strokes, "
    f"confidence {entry['confidence']:.2f}{''.join(f', {n}' for n in notes)}"
  )


def _finish(
  entries: Sequence[dict[str, Any]], task: str, args: argparse.Namespace
) -> int:
  """Writes and prints the summary; returns the exit code."""
  failures = [entry for entry in entries if "error" in entry]
  summary = {
    "task": task,
    "images": len(entries),
    "failures": len(failures),
    "results": list(entries),
  }
  text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
  path = os.path.join(args.output_dir, f"{SUMMARY}.json")
  with open(path, "w", encoding="utf-8") as file:
    file.write(text)
  if args.json:
    print(text, end="")
  else:
    print(
      f"{len(entries) - len(failures)} of {len(entries)} images done, files in "
      f"{args.output_dir}"
    )
    for entry in failures:
      print(f"  failed: {entry['image']}: {entry['error']}")
  return 1 if failures else 0
