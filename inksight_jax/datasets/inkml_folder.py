"""A folder of InkML files of any origin, with their texts."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping, Sequence

from inksight_jax.datasets.inkml_files import (
  inkml_files,
  read_documents,
  stem,
)
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import (
  ALL,
  DEFAULT_FRACTIONS,
  check_split,
  check_split_by,
  in_split,
  split_of_sample,
)
from inksight_jax.ink.inkml import Document

SOURCE = "inkml_folder"
TEXT_ANNOTATIONS = (
  "textField",
  "truth",
  "normalizedLabel",
  "label",
  "text",
  "transcription",
)


def _text(
  files: Mapping[str, bytes],
  name: str,
  document: Document,
  annotations: Sequence[str],
) -> str:
  sidecar = f"{stem(name)}.txt"
  if sidecar in files:
    try:
      return files[sidecar].decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
      raise ValueError(
        f"{sidecar}: byte {error.start + 1} is not UTF-8 ({error.reason})."
      ) from None
  for kind in annotations:
    if text := document.annotations.get(kind, "").strip():
      return text
  return ""


def read_inkml_folder(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = "",
  text_annotations: Sequence[str] = TEXT_ANNOTATIONS,
  keep_without_text: bool = False,
  split_by: str = "writer",
  fractions: Sequence[float] = DEFAULT_FRACTIONS,
  split_seed: int = 0,
) -> Iterator[Record]:
  """Reads every .inkml file below a folder as one sample.

  Args:
    path: folder or tar archive.
    report: counts what was left out and why.
    split: "train", "validation", "test"; "" reads everything. By the
      annotation `writer`; where there is none, by the folder below `path`;
      for files at the top by the file. See `split_by`.
    text_annotations: annotations that may hold the text, first found first.
      A file `<name>.txt` beside `<name>.inkml` comes before all of them.
    keep_without_text: whether ink without text is read.
    split_by: "writer"; or "sample", for samples of one hand: then by a folder
      called train, validation or test in the path, else by the file.
    fractions: expected shares of the writers, or samples, in the splits.
    split_seed: another seed deals them anew.

  Yields:
    Records sorted by path, with the path as id.

  Raises:
    ValueError: unknown split or `split_by`, or no InkML there.
  """
  check_split(split)  # a wrong name fails before anything is read
  check_split_by(split_by)
  report = report or SkipReport()
  files = inkml_files(
    path, "a folder of InkML", lambda name: name.endswith(".txt")
  )
  names = sorted(name for name in files if name.endswith(".inkml"))
  for name, document in read_documents(files, names, report):
    identity = stem(name)
    writer = document.annotations.get("writer", "").strip()
    writer = writer or identity.split("/")[0]
    if split_by == "sample":
      found = split_of_sample(identity, fractions, split_seed)
      if split not in (ALL, found):
        continue
    elif not in_split(writer, split, fractions, split_seed):
      continue
    try:
      text = _text(files, name, document, text_annotations)
    except ValueError as error:
      report.skip("unreadable text", str(error))
      continue
    if not document.ink:
      report.skip("no strokes", name)
    elif not text and not keep_without_text:
      report.skip("no text", name)
    else:
      yield Record(identity, SOURCE, text, writer, ink=document.ink)
