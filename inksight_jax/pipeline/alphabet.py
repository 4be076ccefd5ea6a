"""The characters of a data set, for vocabularies: of its training split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inksight_jax.pipeline.examples import TRAIN
from inksight_jax.pipeline.mixture import Source
from inksight_jax.pipeline.records import SourceRecords


def training_characters(
  source: str, path: str = "", options: Mapping[str, Any] | None = None
) -> str:
  """Every character of the texts to train on once, in the order of Unicode.

  What only the other splits have is not among them: it reads as unknown, as it
  would in use.

  Args:
    source: name of a data set.
    path: where it lies.
    options: of its reader.

  Raises:
    ValueError: the data set cannot be read, or has no text.
  """
  records = SourceRecords(Source(source, path, options=options or {}))
  found = {c for text in records.split(TRAIN).texts() for c in text}
  if not found:
    raise ValueError(f"{path or source} has no text in its training split.")
  return "".join(sorted(found))
