"""`inksight-jax predict`: images of words to ink and text files."""

from __future__ import annotations

import argparse
import glob
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inksight_jax.cli import beam, options
from inksight_jax.cli.page_results import (
  page_results,
  place_lines,
  reads_pages,
)
from inksight_jax.cli.predictions import JOURNAL, Journal
from inksight_jax.cli.progress import Progress
from inksight_jax.ink.formats import FORMATS

if TYPE_CHECKING:
  from inksight_jax.inference.outputs import Outputs
  from inksight_jax.inference.predictor import Predictor
  from inksight_jax.inference.requests import Prepared

HELP = "read images of words or pages: text, ink, files"
DESCRIPTION = f"""\
Predict the text and the pen strokes of images of single words, or with --page
of whole pages. Writes one file per image and format, summary.json, and
{JOURNAL}, by which an interrupted command goes on: images whose files are
complete are not done again, unless the image, the model or the task has
changed. An image that cannot be read is
reported at the end and makes the exit code 1; the others are done all the same.
"""
EPILOG = """\
examples:
  inksight-jax predict --model_dir=runs/mine word.jpg --output_dir=out
  inksight-jax predict --model_dir=runs/mine --task=derender crops/ \\
    --format=svg,gif --output_dir=out
  inksight-jax predict --model_dir=runs/mine --task=derender_with_text \\
    --text=hello hello.png --output_dir=out
  inksight-jax predict --model_dir=runs/mine 'crops/**/*.png' \\
    --output_dir=out --format=html,pdf,xopp,pagexml --overwrite --json
  inksight-jax predict --model_dir=runs/mine --page scans/ --output_dir=out \\
    --format=html,pagexml
  inksight-jax predict --model_dir=runs/pages --task=recognize_page page.png \\
    --format=json,pagexml --output_dir=out
"""
DEFAULT_FORMATS = ("inkml", "svg", "png", "gif", "json", "html")
# Formats that show the photo, which is then read a second time: all photos of
# a batch would fill the memory.
_WITH_PHOTO = frozenset(("png", "xopp", "pdf", "html"))
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
    help="derender, derender_with_text, recognize_and_derender, recognize_ink, "
    "recognize_image, recognize_page, read_digits or recognize (models of "
    "picture tokens); by default recognize_and_derender if the model was "
    "trained for it, else its first task",
  )
  parser.add_argument(
    "--text", metavar="TEXT", help="what is written; for derender_with_text"
  )
  parser.add_argument(
    "--page",
    action="store_true",
    help="the images are pages: find the words, read each, put them together",
  )
  options.scan_options(parser)
  parser.add_argument(
    "--segmenter",
    default="builtin",
    metavar="NAME",
    help="what finds the words of a page, and the places of the lines that a "
    "reader of pages has read: builtin (default), doctr or tesseract",
  )
  parser.add_argument(
    "--format",
    metavar="LIST",
    help="with commas between: inkml, svg, animated (an SVG that writes "
    "itself), png (ink over the photo), gif, mp4 (strokes as they appear), "
    "json, text, xopp (Xournal++), pagexml, alto, pdf, html (a player); "
    f"default: {','.join(DEFAULT_FORMATS)}, for a model that writes no ink "
    "json,text",
  )
  parser.add_argument(
    "--overwrite",
    action="store_true",
    help="do images again whose files are complete",
  )
  options.step_option(parser)
  parser.add_argument(
    "--unconstrained",
    action="store_true",
    help="let the model write any token at any place; by default an answer "
    "holds what its task writes, x before y, and a pen that goes round in "
    "circles is stopped",
  )
  options.batch_size_option(parser, 16)
  options.weights_option(parser)
  parser.add_argument(
    "--json", action="store_true", help="print the summary as JSON"
  )
  beam.add_arguments(parser)
  parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
  """Predicts; returns the exit code."""
  formats = parse_formats(args.format) if args.format else []
  paths = find_images(args.images)
  from inksight_jax.inference import pages, predictor, token_predictor

  model = predictor.load(
    args.model_dir,
    args.step,
    args.batch_size,
    not args.unconstrained,
    args.weights,
  )
  beam.apply(args, model)
  task = args.task or pages.default_task(model.tasks.tasks)
  model.check_task(task)
  if args.text is None and task == "derender_with_text" and not args.page:
    raise ValueError("derender_with_text needs --text: what is written.")
  if args.views != 1:
    token_predictor.set_views(model, args.views)
  if not formats:
    formats = default_formats(model)
  os.makedirs(args.output_dir, exist_ok=True)
  segmented = args.page or reads_pages(model)
  settings = {
    "model_dir": os.path.abspath(args.model_dir),
    "step": model.step,
    "task": task,
    "text": args.text,
    "unconstrained": args.unconstrained,
    "weights": args.weights,
    **({"segmenter": args.segmenter} if segmented else {}),
    **({"scales": args.scales} if args.scales else {}),
    **({"views": args.views} if args.views != 1 else {}),
    **beam.settings(args),
  }
  journal = Journal(args.output_dir, settings, args.overwrite)
  names = output_names(paths, journal.names)
  entries: dict[str, dict[str, Any]] = {}
  for path in paths:
    if entry := journal.done(path, [FORMATS[kind] for kind in formats]):
      entries[path] = {**entry, "image": path, "skipped": True}
  todo = [path for path in paths if path not in entries]
  unit, total = ("words", None) if args.page else ("images", len(todo))
  with Progress(unit, total=total) as progress:
    if args.page:
      results = page_results(model, todo, task, args.segmenter, progress)
    else:
      results = _results(model, todo, task, args)
    for path, result in results:
      entry = _write(path, result, names[path], formats, args.output_dir)
      if "error" not in entry:
        journal.add(path, names[path], entry)
      entries[path] = entry
      _report(progress, entry, quiet=args.json, count=not args.page)
  return _finish([entries[path] for path in paths], task, args)


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

  `**` in a pattern stands for folders of any depth. A path without a file is
  kept: it becomes a reported failure.

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
      found_files = glob.glob(pattern, recursive=True)
      matches = sorted(filter(os.path.isfile, found_files))
    else:
      matches = [pattern]
    if not matches:
      raise ValueError(f"No image found in {pattern!r}.")
    found |= dict.fromkeys(matches)
  return list(found)


def output_names(
  paths: Sequence[str], known: Mapping[str, str] | None = None
) -> dict[str, str]:
  """A file name without ending for each path; equal ones get numbers.

  Args:
    paths: of images.
    known: names that earlier runs gave, by absolute path: they stay.
  """
  known = known or {}
  names: dict[str, str] = {}
  # Its JSON file would overwrite the summary.
  taken = {SUMMARY, *(name.lower() for name in known.values())}
  for path in paths:
    if os.path.abspath(path) in known:
      names[path] = known[os.path.abspath(path)]
      continue
    stem = os.path.splitext(os.path.basename(path))[0] or "image"
    name, number = stem, 1
    while name.lower() in taken:
      number += 1
      name = f"{stem}_{number}"
    taken.add(name.lower())
    names[path] = name
  return names


def default_formats(model: Predictor) -> list[str]:
  """All that people look at; of a model that only reads just the text."""
  tasks = model.tasks
  writes_ink = any(tasks.info(task).writes_ink for task in tasks.tasks)
  return list(DEFAULT_FORMATS) if writes_ink else ["json", "text"]


def _results(
  model: Predictor,
  paths: Sequence[str],
  task: str,
  args: argparse.Namespace,
) -> Iterator[tuple[str, Outputs | Exception]]:
  """Results in the order of the paths; an error where an image is bad."""
  from inksight_jax.inference import resolution

  for first in range(0, len(paths), args.batch_size):
    chunk = paths[first : first + args.batch_size]
    prepared: dict[str, Prepared] = {}
    results: dict[str, Outputs | Exception] = {}
    for path in chunk:
      try:
        prepared[path] = model.prepare(path)
      # Whatever a file makes a decoder do, the others are done.
      except Exception as error:
        results[path] = error
    texts = None if args.text is None else [args.text] * len(prepared)
    if args.scales:
      answers = resolution.predict_at_best_scale(
        model, list(prepared), task, args.scales
      )
    else:
      answers = model.predict_prepared(list(prepared.values()), task, texts)
    if reads_pages(model):
      answers = place_lines(list(prepared), answers, args.segmenter)
    results |= dict(zip(prepared, answers, strict=True))
    for path in chunk:
      yield path, results[path]


def _write(
  path: str,
  result: Outputs | Exception,
  name: str,
  formats: Sequence[str],
  output_dir: str,
) -> dict[str, Any]:
  """Writes the files of one image and returns its entry in the summary."""
  if isinstance(result, Exception):
    return {"image": path, "error": _words(result)}
  from inksight_jax.datasets import atomic
  from inksight_jax.rendering.images import read_image

  files = []
  try:
    photo = read_image(path) if _WITH_PHOTO & set(formats) else None
    for kind in formats:
      file = os.path.join(output_dir, name + FORMATS[kind])
      with atomic.replacing(file) as partial:
        result.save(partial, kind, photo, path)
      files.append(os.path.basename(file))
  # A disk that is full, a photo that has gone: the others are done.
  except Exception as error:
    return {"image": path, "error": _words(error)}
  return {
    "image": path,
    "text": result.text,
    "strokes": len(result.ink),
    "confidence": round(result.confidence, 4),
    "truncated": result.truncated,
    "empty": result.empty,
    "files": files,
  }


def _words(error: Exception) -> str:
  """What went wrong; the kind of error where its words are not ours."""
  expected = isinstance(error, (OSError, ValueError)) and str(error)
  return str(error) if expected else f"{type(error).__name__}: {error}"


def describe(entry: Mapping[str, Any]) -> str:
  """One line about one image."""
  if "error" in entry:
    line = f"failed  {entry['image']}: {entry['error']}"
  else:
    notes = [name for name in ("truncated", "empty") if entry[name]]
    line = (
      f"done    {entry['image']}: {entry['text']!r}, {entry['strokes']} "
      f"strokes, confidence {entry['confidence']:.2f}"
      f"{''.join(f', {n}' for n in notes)}"
    )
  return _printable(line)


def _printable(text: str) -> str:
  """Names of files need not be Unicode; what is printed must."""
  return text.encode("utf-8", "replace").decode("utf-8")


def _report(
  progress: Progress, entry: Mapping[str, Any], quiet: bool, count: bool
) -> None:
  if progress.has_bar and count:
    progress.advance("predict")
  if "error" in entry or not (quiet or progress.has_bar):
    progress.say(describe(entry))


def _finish(
  entries: Sequence[dict[str, Any]], task: str, args: argparse.Namespace
) -> int:
  """Writes and prints the summary; returns the exit code."""
  from inksight_jax.datasets import atomic

  failures = [entry for entry in entries if "error" in entry]
  skipped = sum(1 for entry in entries if entry.get("skipped"))
  summary = {
    "task": task,
    "images": len(entries),
    "failures": len(failures),
    "skipped": skipped,
    "results": list(entries),
  }
  text = _printable(json.dumps(summary, indent=2, ensure_ascii=False)) + "\n"
  atomic.write_text(os.path.join(args.output_dir, f"{SUMMARY}.json"), text)
  if args.json:
    print(text, end="")
  else:
    done = len(entries) - len(failures)
    before = f", {skipped} of them before" if skipped else ""
    print(
      f"{done} of {len(entries)} images done{before}, files in "
      f"{args.output_dir}"
    )
    for entry in failures:
      print(f"  {describe(entry)}")
  return 1 if failures else 0
