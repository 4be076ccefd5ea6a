"""Kinds of errors of recognised texts: lengths, and what stands for what."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any

from rapidfuzz.distance import Levenshtein

LENGTH_ERRORS = ("empty", "too short", "too long")


def error_groups(truth: str, prediction: str) -> list[str]:
  """The groups of one error; none where the prediction is right.

  Args:
    truth: true text.
    prediction: recognised text.

  Returns:
    One of LENGTH_ERRORS, or for equal lengths every "a -> b" of them.
  """
  if truth == prediction:
    return []
  if not prediction:
    return ["empty"]
  if len(prediction) != len(truth):
    short = len(prediction) < len(truth)
    return ["too short" if short else "too long"]
  return [
    f"{a} -> {b}" for a, b in zip(truth, prediction, strict=True) if a != b
  ]


def count_errors(
  truths: Sequence[str], predictions: Sequence[str]
) -> dict[str, Any]:
  """How often each error occurs.

  Returns:
    JSON values: "wrong" texts, "lengths" by group, "substitutions" by
    "a -> b" (of texts of the right length), commonest first, and
    "insertions", "deletions" by character in the others' best alignment.
  """
  groups: collections.Counter[str] = collections.Counter()
  inserted: collections.Counter[str] = collections.Counter()
  deleted: collections.Counter[str] = collections.Counter()
  wrong = 0
  for truth, prediction in zip(truths, predictions, strict=True):
    found = error_groups(truth, prediction)
    wrong += bool(found)
    groups.update(found)
    if len(truth) != len(prediction):
      for edit in Levenshtein.editops(truth, prediction):
        if edit.tag == "insert":
          inserted[prediction[edit.dest_pos]] += 1
        elif edit.tag == "delete":
          deleted[truth[edit.src_pos]] += 1
  return {
    "wrong": wrong,
    "lengths": {name: groups.pop(name, 0) for name in LENGTH_ERRORS},
    "substitutions": dict(groups.most_common()),
    "insertions": dict(inserted.most_common()),
    "deletions": dict(deleted.most_common()),
  }


def differences(truth: str, prediction: str) -> list[tuple[str, str, str]]:
  """Where two texts part, by fewest edits.

  Args:
    truth: true text.
    prediction: recognised text.

  Returns:
    Triples (what both have, what only the truth has there, what only the
    prediction has there). All first and second parts make up the truth, all
    first and third ones the prediction.
  """
  parts: list[tuple[str, str, str]] = []
  same = ""
  for code in Levenshtein.opcodes(truth, prediction):
    lost = truth[code.src_start : code.src_end]
    added = prediction[code.dest_start : code.dest_end]
    if code.tag == "equal":
      same = lost
      continue
    parts.append((same, lost, added))
    same = ""
  return [*parts, (same, "", "")] if same or not parts else parts
