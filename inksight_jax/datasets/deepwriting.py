"""DeepWriting: segmented English handwriting of 294 writers.

E. Aksan, F. Pece, O. Hilliges, DeepWriting, CHI 2018; 94 own writers and 200
of IAM-OnDB (register there, too). Pieces of at most some 300 points with a
label per point, in deepwriting_training.npz and deepwriting_validation.npz.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.npz import array_shapes, read_npz
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import (
  DEFAULT_FRACTIONS,
  check_split,
  in_split,
)
from inksight_jax.ink.types import Ink, Stroke

SOURCE = "deepwriting"
LEVELS = ("line", "word", "character")
# Its authors' code and its files do not agree on all names.
_KEYS = {
  "samples": ("samples", "strokes"),
  "char_labels": ("char_labels",),
  "ends": ("eoc_labels",),
  "begins": ("boc_labels", "soc_labels"),
  "words": ("bow_labels", "sow_labels"),
  "subjects": ("subject_labels",),
  "alphabet": ("alphabet",),
}
# Of the whole set: what `positions` undoes, and the order of its steps.
_SMALL = ("preprocessing", "mean", "std", "min", "max")
_MAX_SMALL = 10_000
_STEPS = ("scale", "relative_representation", "normalization")


@dataclasses.dataclass(frozen=True)
class Character:
  """A character of a piece: points `start` to `stop` (exclusive)."""

  label: int
  word: int
  start: int
  stop: int


def characters(
  labels: Sequence[int],
  ends: Sequence[int],
  begins: Sequence[int],
  words: Sequence[int],
) -> list[Character]:
  """Joins points to characters.

  A character ends where its end is marked, where the next one's begin is, or
  where the label changes. Points without a label (0) are ligatures and noise;
  they end nothing.

  Args:
    labels: of each point, 0 for none.
    ends: 1 on the last point of a character.
    begins: 1 on the first point of a character.
    words: 1 on the first point of a word.
  """
  found: list[Character] = []
  open_label, word = 0, 0
  for index, label in enumerate(labels):
    word += bool(words[index])
    if not label:
      continue
    if label == open_label and not begins[index]:
      found[-1] = dataclasses.replace(found[-1], stop=index + 1)
    else:
      found.append(Character(label, word, index, index + 1))
    open_label = 0 if ends[index] else label
  return found


def positions(
  sample: NDArray[Any], arrays: Mapping[str, NDArray[Any]], steps: Sequence[str]
) -> NDArray[np.float64]:
  """Undoes the preprocessing: offsets to positions, device units, y down.

  Args:
    sample: float[points, 3], dx, dy and pen.
    arrays: with mean, std, min and max, of which x and y count.
    steps: names of the preprocessing in the order in which it was done.
  """

  def statistic(name: str) -> NDArray[np.float64]:
    if name not in arrays:
      raise ValueError(f"the array {name!r} is missing")
    return np.ravel(arrays[name])[:2].astype(np.float64)

  values = np.asarray(sample[:, :2], np.float64)
  for step in reversed(steps):
    if step == "normalization":
      values = values * statistic("std") + statistic("mean")
    elif step == "relative_representation":
      values = np.cumsum(values, axis=0)
    elif step == "scale":
      low = statistic("min")
      values = values * (statistic("max") - low) + low
  return values


def _ink(points: NDArray[np.float64], lifts: NDArray[np.bool_]) -> Ink:
  """Cuts after every point at which the pen was lifted."""
  cuts = np.flatnonzero(lifts) + 1
  return Ink(tuple(Stroke(p) for p in np.split(points, cuts) if len(p)))


class _File:
  """One .npz file."""

  def __init__(self, path: pathlib.Path) -> None:
    self.name = path.stem.removeprefix("deepwriting_")
    shapes = array_shapes(path)
    names: dict[str, str] = {}
    for key, choices in _KEYS.items():
      found = next((n for n in choices if n in shapes), None)
      if found is None:
        raise ValueError(
          f"{path}: no array {' or '.join(choices)}; it has "
          f"{', '.join(sorted(shapes))}. Is this DeepWriting?"
        )
      names[key] = found
    sizes = {k: shapes[n][:1] for k, n in names.items() if k != "alphabet"}
    if len(set(sizes.values())) != 1:
      raise ValueError(f"{path}: arrays of different lengths: {sizes}.")
    small = (names["alphabet"], *(n for n in _SMALL if n in shapes))
    for name in small:
      if math.prod(shapes[name]) > _MAX_SMALL:
        raise ValueError(
          f"{path}: {name} has the shape {shapes[name]}; at most {_MAX_SMALL} "
          "values are expected of it. Is this DeepWriting?"
        )
    self.arrays = read_npz(path, {*names.values(), *small})
    self.columns = {key: self.arrays[name] for key, name in names.items()}
    # The labels come from scikit-learn's LabelEncoder, which sorts; the array
    # is stored in another order. NUL, once a NumPy string, is empty.
    self.alphabet = sorted(str(c) for c in self.columns["alphabet"].ravel())
    steps = self.arrays.get("preprocessing")
    self.steps = _STEPS if steps is None else tuple(map(str, steps.ravel()))

  def __len__(self) -> int:
    return len(self.columns["samples"])

  def writer(self, index: int) -> str:
    return str(self.columns["subjects"][index])

  def piece(
    self, index: int
  ) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[Character]]:
    """Positions, pen lifts and characters of a piece."""
    sample = np.asarray(self.columns["samples"][index], np.float64)
    if sample.ndim != 2 or sample.shape[1] != 3 or not len(sample):
      raise ValueError(f"a sample of shape {list(sample.shape)}")
    labels = []
    for key in ("char_labels", "ends", "begins", "words"):
      values = np.asarray(self.columns[key][index]).ravel().tolist()
      if len(values) != len(sample):
        raise ValueError(f"{len(values)} {key} for {len(sample)} points")
      labels.append([int(value) for value in values])
    points = positions(sample, self.arrays, self.steps)
    if not np.isfinite(points).all():
      raise ValueError("a coordinate that is not finite")
    found = characters(*labels)
    if wrong := [c.label for c in found if c.label >= len(self.alphabet)]:
      raise ValueError(
        f"label {wrong[0]} of an alphabet of {len(self.alphabet)}"
      )
    return points, sample[:, 2] > 0.5, found

  def text(self, found: Sequence[Character]) -> str:
    """Characters of one or more words, blanks between words."""
    text, word = "", found[0].word
    for character in found:
      text += " " * (character.word != word) + self.alphabet[character.label]
      word = character.word
    return text


def read_deepwriting(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = "",
  level: str = "line",
  fractions: Sequence[float] = DEFAULT_FRACTIONS,
  split_seed: int = 0,
) -> Iterator[Record]:
  """Reads pieces of lines, their words or their characters.

  Text comes from the labels, because `texts` repeats the whole source line
  for every piece of it. The set's own validation file is a random hundredth of
  the pieces, so it shares writers and lines with training: both files are read
  and dealt by writer.

  Args:
    path: folder with the .npz files, or one of them.
    report: counts what was left out and why.
    split: "train", "validation", "test"; "" reads everything.
    level: "line" (a piece of a line), "word" or "character".
    fractions: expected shares of the writers in the splits.
    split_seed: another seed deals the writers anew.

  Yields:
    Records with ids `<file>/<piece>` and, for words and characters, `:` and
    their number.

  Raises:
    ValueError: unknown level or split, no such files, or damaged ones.
  """
  check_split(split)
  if level not in LEVELS:
    raise ValueError(
      f"Level {level!r} of DeepWriting; one of {', '.join(LEVELS)}."
    )
  report = report or SkipReport()
  path = pathlib.Path(path).expanduser()
  paths = sorted(path.glob("deepwriting_*.npz")) if path.is_dir() else [path]
  if not paths:
    raise ValueError(f"{path}: no deepwriting_*.npz inside.")
  for file in map(_File, paths):
    for index in range(len(file)):
      identity, writer = f"{file.name}/{index:06}", file.writer(index)
      if not in_split(writer, split, fractions, split_seed):
        continue
      try:
        points, lifts, found = file.piece(index)
      except (TypeError, ValueError) as error:
        report.skip("unreadable piece", f"{identity}: {error}")
        continue
      if not found:
        report.skip("no labels", identity)
        continue
      for suffix, part in _parts(found, level):
        kept = slice(part[0].start, part[-1].stop)
        if level == "line":
          kept = slice(0, len(points))
        yield Record(
          id=identity + suffix,
          source=SOURCE,
          text=file.text(part),
          writer=writer,
          ink=_ink(points[kept], lifts[kept]),
        )


def _parts(
  found: list[Character], level: str
) -> Iterator[tuple[str, list[Character]]]:
  if level == "line":
    yield "", found
  elif level == "character":
    for number, character in enumerate(found):
      yield f":{number}", [character]
  else:
    words = sorted({character.word for character in found})
    for number, word in enumerate(words):
      yield f":{number}", [c for c in found if c.word == word]
