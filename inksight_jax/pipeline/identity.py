"""What tasks and vocabularies are, as values that JSON gives back unchanged."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

from inksight_jax.text.vocabulary import Vocabulary


def plain(value: Any) -> Any:
  """Turns tuples and mappings into what JSON gives back."""
  if isinstance(value, Mapping):
    return {str(k): plain(v) for k, v in sorted(value.items())}
  if isinstance(value, (list, tuple)):
    return [plain(v) for v in value]
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    return plain(dataclasses.asdict(value))
  return value


def vocabulary_identity(vocabulary: Vocabulary) -> dict[str, Any]:
  """What a vocabulary is, wherever its files lie."""
  text = plain(vocabulary.text.to_config())
  if "path" in text:
    with open(text.pop("path"), "rb") as file:
      text["sha256"] = hashlib.sha256(file.read()).hexdigest()
  return {
    "text": text,
    "canvas": vocabulary.ink and vocabulary.ink.canvas,
    # Left out where there is none: caches keep their names.
    **({"pictures": plain(vocabulary.pictures)} if vocabulary.pictures else {}),
  }
