"""Options of the verbs that read: a beam, a word list, n-grams."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from inksight_jax.inference.predictor import Predictor

# In the place of a file: the texts of the training split.
TRAIN = "train"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds what models trained by CTC can be helped with."""
  group = parser.add_argument_group("models trained by CTC")
  group.add_argument(
    "--beam",
    type=int,
    metavar="N",
    help="texts kept after each frame (default: the best id of each frame; 16 "
    "with a word list or n-grams)",
  )
  group.add_argument(
    "--word_list", metavar="FILE", help="read only these, one in a line"
  )
  group.add_argument(
    "--ngrams",
    metavar="FILE",
    help="text from which to count which characters follow each other; `train` "
    "takes the texts that the model was trained on",
  )
  group.add_argument(
    "--ngram_weight",
    type=float,
    default=0.5,
    metavar="W",
    help="(default: %(default)s)",
  )


def apply(args: argparse.Namespace, model: Predictor) -> None:
  """Changes how a model reads, as the options say."""
  if not settings(args):
    return
  from inksight_jax.inference.beam_decoder import read_with_beam

  read_with_beam(
    model,
    16 if args.beam is None else args.beam,
    _lines(args.word_list),
    _training_texts(model) if args.ngrams == TRAIN else _lines(args.ngrams),
    weight=args.ngram_weight,
  )


def settings(args: argparse.Namespace) -> dict[str, Any]:
  """The options that were given, for a journal of what was asked."""
  names = ("beam", "word_list", "ngrams")
  given = {name: getattr(args, name) for name in names}
  found = {name: value for name, value in given.items() if value is not None}
  return {**found, "ngram_weight": args.ngram_weight} if found else {}


def _training_texts(model: Predictor) -> list[str]:
  """Texts of the training split of a model's own data sets, each set once."""
  from inksight_jax.pipeline.records import MixtureRecords

  records = MixtureRecords(model.tasks, TRAIN)
  components = {c.source.key: c for c in records.components.values()}
  lower = getattr(model.tasks, "lower_case", False)
  return [
    text.lower() if lower else text
    for component in components.values()
    for text in records.of(component).texts()
  ]


def _lines(path: str | None) -> list[str] | None:
  if path is None:
    return None
  if not os.path.isfile(path):
    raise ValueError(f"{path}: no such file; give a text file.")
  with open(path, encoding="utf-8") as file:
    return [line.strip() for line in file if line.strip()]
