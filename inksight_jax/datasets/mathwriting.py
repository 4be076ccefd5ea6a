"""MathWriting 2024: online handwritten mathematics with LaTeX.

P. Gervais, A. Fadeeva, A. Maksai, 2024 (arXiv 2404.10690); CC BY-NC-SA 4.0.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence

from inksight_jax.datasets.inkml_files import (
  inkml_files,
  read_documents,
  stem,
)
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import check_split

SOURCE = "mathwriting"
PARTS = ("train", "valid", "test", "synthetic", "symbols")
_OFFICIAL = {"validation": "valid", "test": "test"}


def read_mathwriting(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = "",
  train_parts: Sequence[str] = ("train",),
  label: str = "normalizedLabel",
) -> Iterator[Record]:
  """Reads expressions; times are ms from 0.

  The set names no writers and some wrote for all three official splits, so
  its test says nothing about unseen hands.

  Args:
    path: folder or tar archive with the folders train, valid, test, ...
    report: counts what was left out and why.
    split: "train", "validation", "test"; "" reads all parts.
    train_parts: folders that make the training split; "synthetic" (no human
      wrote them as a whole) and "symbols" (cut from train) may be added.
    label: annotation with the text; where absent, `label` is taken, as the
      symbols have no other.

  Yields:
    Records with ids such as `train/0123456789abcdef`.

  Raises:
    ValueError: unknown split or part, or no InkML there.
  """
  check_split(split)
  parts: Sequence[str] = PARTS
  if split:
    parts = train_parts if split == "train" else (_OFFICIAL[split],)
  if unknown := sorted(set(parts) - set(PARTS)):
    raise ValueError(
      f"MathWriting has no part {', '.join(unknown)}; it has "
      f"{', '.join(PARTS)}."
    )
  report = report or SkipReport()
  files = inkml_files(path, "MathWriting")
  names = [
    name
    for part in parts
    for name in sorted(files)
    if f"/{name}".split("/")[-2] == part
  ]
  for name, document in read_documents(files, names, report):
    notes = document.annotations
    text = (notes.get(label, "") or notes.get("label", "")).strip()
    if not document.ink:
      report.skip("no strokes", name)
    elif not text:
      report.skip("no label", name)
    else:
      identity = "/".join(stem(name).split("/")[-2:])
      yield Record(identity, SOURCE, text, ink=document.ink)
