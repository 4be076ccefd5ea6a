"""GNHK: English words in photos of notes.

A. W. C. Lee, J. Chung, M. Lee, GNHK: A Dataset for English Handwriting in the
Wild, ICDAR 2021; GoodNotes.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

from inksight_jax.datasets.json_files import (
  load_json,
  numbers,
  parse_json,
  polygon,
)
from inksight_jax.datasets.pictures import SUFFIXES, Pictures, crop_polygon
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import ALL, expand, hash_fraction
from inksight_jax.datasets.text_files import read_lines

SOURCE = "gnhk"
# Stand-ins for formulas, scribbles and what nobody could read.
_NO_TEXT = frozenset({"%math%", "%SC%", "%NA%"})
_CORNERS = ("x0", "y0", "x1", "y1", "x2", "y2", "x3", "y3")


# A photo of notes has some hundred.
_MAX_WORDS = 10_000


def read_gnhk(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = ALL,
  validation_share: float = 0.1,
) -> Iterator[Record]:
  """Reads words, each cut out and set upright.

  Both forms are read: one JSON per picture, beside it (the original release),
  and manifests with one JSON per line. The orientation that a camera noted is
  applied first, as the polygons demand.

  Args:
    path: the folder; what lies below a folder named test* is the test set.
    report: counts what was left out and why.
    split: "train", "validation", "test" or "all".
    validation_share: share of the training pictures that validation gets; the
      set has none of its own.

  Yields:
    Records with ids <picture>_<number>, sorted by file.

  Raises:
    ValueError: no labels there, or a manifest that is not UTF-8 text.
  """
  wanted = expand(split)
  report = report or SkipReport()
  root = pathlib.Path(path).expanduser()
  found = False
  seen: set[str] = set()
  for folder, name, labels in _pages(root, report):
    found = True
    page = pathlib.PurePosixPath(name.replace("\\", "/")).stem
    own = _split_of(folder.relative_to(root), page, validation_share)
    if own not in wanted:
      continue
    if page in seen:
      report.skip("picture given twice", f"{folder}/{name}"[-80:])
      continue
    seen.add(page)
    yield from _words(Pictures(root, report), folder, name, labels)
  if not found:
    raise ValueError(
      f"{root}: no *.manifest and no *.json beside a picture; is this GNHK?"
    )


def _split_of(folder: pathlib.Path, page: str, validation_share: float) -> str:
  if any(part.lower().startswith("test") for part in folder.parts):
    return "test"
  held_out = hash_fraction(page) < validation_share
  return "validation" if held_out else "train"


def _pages(
  root: pathlib.Path, report: SkipReport
) -> Iterator[tuple[pathlib.Path, str, list[Any]]]:
  """(folder, picture's name, labels) of each picture."""
  for file in sorted(root.rglob("*.manifest")):
    number = 0
    for number, line in read_lines(file):
      if not line.strip():
        continue
      try:
        row = parse_json(line)
        name = row["source-ref"]
        labels = row["annotations"]["texts"]
        if not isinstance(name, str) or not isinstance(labels, list):
          raise TypeError("source-ref or texts is of another type")
      except (ValueError, KeyError, TypeError) as error:
        report.skip("malformed row", f"{file}:{number}: {error}")
        continue
      # A manifest names pictures by a bucket of its maker.
      yield file.parent, name.rpartition("/")[2], labels
    if not number:
      report.skip("empty file", str(file))
  for file in sorted(root.rglob("*.json")):
    picture = next(
      (
        file.with_suffix(suffix)
        for suffix in sorted(SUFFIXES)
        if file.with_suffix(suffix).is_file()
      ),
      None,
    )
    if picture is None:
      continue
    try:
      labels = load_json(file)
    except ValueError as error:
      report.skip("unreadable labels", str(error))
      labels = []
    if not isinstance(labels, list) or len(labels) > _MAX_WORDS:
      problem = f"no list of at most {_MAX_WORDS} words"
      report.skip("unreadable labels", f"{file}: {problem}")
      labels = []
    yield file.parent, picture.name, labels


def _corners(label: dict[str, Any]) -> list[tuple[float, float]]:
  given = label.get("polygon")
  if isinstance(given, dict):
    values = numbers([given.get(name) for name in _CORNERS], 8)
    return list(zip(values[::2], values[1::2], strict=True))
  return polygon(given)


def _words(
  pictures: Pictures, folder: pathlib.Path, name: str, labels: list[Any]
) -> Iterator[Record]:
  report = pictures.report
  local = folder.relative_to(pictures.root)
  page = pathlib.PurePosixPath(name).stem
  for number, label in enumerate(labels):
    where = f"{local / name} word {number}"
    text = label.get("text") if isinstance(label, dict) else None
    if not isinstance(text, str) or not text.strip() or text in _NO_TEXT:
      report.skip("no transcription", where)
      continue
    if label.get("type") == "P":
      report.skip("printed", where)
      continue
    try:
      corners = _corners(label)
    except ValueError as error:
      report.skip("malformed polygon", f"{where}: {error}")
      continue
    path = pictures.find([f"{local}/{name}", f"{local}/images/{name}"], where)
    image = pictures.read(path, where) if path else None
    if image is None:
      continue
    crop = crop_polygon(image, corners)
    if crop is None:
      report.skip("polygon outside the picture", where)
      continue
    yield Record(
      id=f"{page}_{number}", source=SOURCE, text=text.strip(), image=crop
    )
