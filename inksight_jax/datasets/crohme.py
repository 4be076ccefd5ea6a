"""CROHME: online mathematical expressions with LaTeX and symbols.

H. Mouchère et al., ICDAR 2013 and ICFHR 2014, 2016; InkML with the annotations
`truth`, `writer` and `UI`, symbols as groups that refer to traces.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

from inksight_jax.datasets.inkml_files import (
  inkml_files,
  read_documents,
  stem,
)
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import (
  DEFAULT_FRACTIONS,
  check_split,
  split_of,
)
from inksight_jax.ink.inkml import Document

SOURCE = "crohme"
LEVELS = ("expression", "symbol")
# Editions overlap: what was a test once is training data later. A sample is
# taken where it is met first, so it must never be met as training first.
_PRIORITY = ("test", "validation", "train", "")


def part_of(name: str) -> str:
  """Official split by the folders of a file; empty where they name none.

  Folders differ by edition: CROHME_training, trainData, TrainINKML, testGT,
  testDataGT, TestINKMLGT, valid, ...
  """
  folders = "/".join(name.casefold().split("/")[:-1])
  for word, part in (
    ("valid", "validation"),
    ("test", "test"),
    ("train", "train"),
  ):
    if word in folders:
      return part
  return ""


def latex(truth: str) -> str:
  """The LaTeX of an annotation: some editions put it between dollars."""
  text = " ".join(truth.split())
  while len(text) >= 2 and text[0] == text[-1] == "$":
    text = text[1:-1].strip()
  return text


def read_crohme(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = "",
  level: str = "expression",
  validation_share: float = 0.1,
  split_seed: int = 0,
) -> Iterator[Record]:
  """Reads expressions, or their symbols one by one.

  The test split is the test folders of all editions present. Where no folder
  is called validation, a share of the writers of the training folders is.
  Coordinates stay in the donor's units.

  Args:
    path: folder or tar archive with the editions' folders.
    report: counts what was left out and why.
    split: "train", "validation", "test"; "" reads everything.
    level: "expression" (text: LaTeX) or "symbol" (text: its LaTeX).
    validation_share: of the training writers, where no folder is official.
    split_seed: another seed takes other writers.

  Yields:
    Records with the file's path as id, `:` and the number of the symbol added.

  Raises:
    ValueError: unknown level or split, or no InkML there.
  """
  check_split(split)
  if level not in LEVELS:
    raise ValueError(f"Level {level!r} of CROHME; one of {', '.join(LEVELS)}.")
  report = report or SkipReport()
  files = inkml_files(path, "CROHME")
  parts = {name: part_of(name) for name in files}
  fractions = (1 - validation_share, validation_share, 0.0)
  if "validation" in parts.values():
    fractions = (1.0, 0.0, 0.0)
  names = sorted(files, key=lambda name: (_PRIORITY.index(parts[name]), name))
  seen: set[tuple[str, str, int]] = set()
  for name, document in read_documents(files, names, report, groups=True):
    truth = latex(document.annotations.get("truth", ""))
    identity = document.annotations.get("UI", "").strip() or stem(name)
    writer = document.annotations.get("writer", "").strip() or identity
    found = parts[name]
    if found in ("", "train"):
      # Folders of no official part: all three splits by hash.
      found = split_of(
        writer, fractions if found else DEFAULT_FRACTIONS, split_seed
      )
    key = (identity, truth, document.ink.num_points)
    if key in seen:
      if split in ("", found):
        report.skip("already read in another edition", name)
      continue
    seen.add(key)
    if split and found != split:
      continue
    if reason := _lack(document, truth):
      report.skip(reason, name)
    elif level == "expression":
      yield Record(stem(name), SOURCE, truth, writer, ink=document.ink)
    else:
      yield from _symbols(document, stem(name), writer, report)


def _lack(document: Document, truth: str) -> str:
  if not document.ink:
    return "no strokes"
  return "" if truth else "no truth"


def _symbols(
  document: Document, identity: str, writer: str, report: SkipReport
) -> Iterator[Record]:
  leaves = [group for group in document.groups if group.leaf]
  if not leaves:
    report.skip("no segmentation", identity)
  for number, group in enumerate(leaves):
    text = latex(group.annotations.get("truth", ""))
    where = f"{identity}:{number}"
    if not text or not group.ink:
      report.skip("symbol without truth or strokes", where)
    else:
      yield Record(where, SOURCE, text, writer, ink=group.ink)
