"""IMGUR5K: English words in photos, in turned boxes.

P. Krishnan et al., TextStyleBrush, 2021; annotations CC BY-NC 4.0,
github.com/facebookresearch/IMGUR5K-Handwriting-Dataset.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import pathlib
from collections.abc import Iterator
from typing import Any

from inksight_jax.datasets.json_files import json_members
from inksight_jax.datasets.pictures import Image, Pictures, crop_turned
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import ALL, SPLITS, expand
from inksight_jax.datasets.text_files import read_lines

SOURCE = "imgur5k"
UNANNOTATED = "."
_NAMES = {"train": "train", "validation": "val", "test": "test"}


@dataclasses.dataclass(frozen=True)
class TurnedBox:
  """A box as the set writes it.

  Attributes:
    center: x, y in pixels.
    size: width along the reading direction, height.
    degrees: turned counter-clockwise as seen on the screen.
  """

  center: tuple[float, float]
  size: tuple[float, float]
  degrees: float


def parse_box(text: Any) -> TurnedBox:
  """Parses `"[xc, yc, w, h, angle]"`, a string; brackets may be lost.

  Raises:
    ValueError: not five finite numbers, or no extent.
  """
  if not isinstance(text, str) or len(text) > 200:
    raise ValueError(f"{str(text)[:60]!r} is not a box '[x, y, w, h, angle]'")
  parts = text.strip().removeprefix("[").removesuffix("]").split(",")
  try:
    x, y, width, height, degrees = map(float, parts)
  except ValueError:
    raise ValueError(
      f"{text[:60]!r} is not a box '[x, y, w, h, angle]'"
    ) from None
  if not all(map(math.isfinite, (x, y, degrees))) or not (
    0 < width < 1e6 and 0 < height < 1e6
  ):
    raise ValueError(f"{text[:60]!r} is a box without extent")
  return TurnedBox((x, y), (width, height), degrees)


def crop_word(image: Image, box: TurnedBox) -> Image | None:
  """Cuts out a word and sets it upright; None where it lies outside."""
  # y points down, so counter-clockwise is the negative direction.
  angle = -math.radians(box.degrees)
  cosine, sine = math.cos(angle), math.sin(angle)
  right, down = box.size[0] / 2, box.size[1] / 2
  corner = (
    box.center[0] - right * cosine + down * sine,
    box.center[1] - right * sine - down * cosine,
  )
  return crop_turned(image, corner, angle, box.size)


class _Labels:
  """The files of dataset_info/."""

  def __init__(self, root: pathlib.Path) -> None:
    self.folder = root / "dataset_info"
    if not self.folder.is_dir():
      self.folder = root
    self.whole = self.folder / "imgur5k_annotations.json"

  def annotations(self, split: str) -> pathlib.Path:
    own = self.folder / f"imgur5k_annotations_{_NAMES[split]}.json"
    return own if own.is_file() or not self.whole.is_file() else self.whole

  def pages(self, split: str) -> frozenset[str]:
    """Page ids of a split, as the lists or else the annotations say."""
    path = self.folder / f"{_NAMES[split]}_index_ids.lst"
    if path.is_file():
      return frozenset(line.strip() for _, line in read_lines(path))
    own = self.annotations(split)
    if own == self.whole or not own.is_file():
      return frozenset()
    return frozenset(key for key, _ in json_members(own, "index_id"))


def read_imgur5k(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = ALL,
  check_md5: bool = True,
) -> Iterator[Record]:
  """Reads words, each cut out and set upright.

  Pages listed in two splits count for the later of train, validation, test.
  The word `.` means "not annotated" and is left out, as are pages that are no
  longer on the net.

  Args:
    path: the folder with dataset_info/ and images/.
    report: counts what was left out and why.
    split: "train", "validation", "test" or "all".
    check_md5: whether a picture must have the sum of the annotations; imgur
      serves a placeholder in place of removed pictures.

  Yields:
    Records with the set's annotation ids, page by page.

  Raises:
    ValueError: the annotations are absent or broken.
  """
  report = report or SkipReport()
  root = pathlib.Path(path).expanduser()
  labels = _Labels(root)
  pages = {name: labels.pages(name) for name in SPLITS}
  taken: frozenset[str] = frozenset()
  # From test to train, so that a page of two splits is never trained on.
  allowed = {}
  for name in reversed(SPLITS):
    allowed[name] = pages[name] - taken
    taken |= pages[name]
  seen: set[str] = set()
  for name in expand(split):
    file = labels.annotations(name)
    if not file.is_file():
      raise ValueError(
        f"{file}: no such file; wanted dataset_info/ of IMGUR5K beside images/."
      )
    if file == labels.whole and not pages[name]:
      raise ValueError(f"{labels.folder}: no {_NAMES[name]}_index_ids.lst.")
    words = _Words(root, file, report, check_md5)
    yield from words.records(allowed[name], seen)


class _Words:
  """Words of one annotation file."""

  def __init__(
    self,
    root: pathlib.Path,
    file: pathlib.Path,
    report: SkipReport,
    check_md5: bool,
  ) -> None:
    self.file = file
    self.report = report
    self.check_md5 = check_md5
    self.pictures = Pictures(root, report)
    self.pages = dict(json_members(file, "index_id"))
    # Of the page at hand: (id, picture's path or None, reason).
    self._page: tuple[str, pathlib.Path | None, str] = ("", None, "")

  def records(
    self, allowed: frozenset[str], seen: set[str]
  ) -> Iterator[Record]:
    for identity, label in json_members(self.file, "ann_id"):
      page = identity.rpartition("_")[0]
      if page not in allowed:
        if page not in self.pages:
          self.report.skip("word of an unknown page", identity)
        continue
      if identity in seen:
        self.report.skip("id given twice", identity)
        continue
      seen.add(identity)
      record = self._record(identity, page, label)
      if record is not None:
        yield record

  def _record(self, identity: str, page: str, label: Any) -> Record | None:
    where = f"{self.file.name}: {identity}"
    word = label.get("word") if isinstance(label, dict) else None
    if not isinstance(word, str) or not word.strip():
      self.report.skip("empty word", where)
      return None
    if word == UNANNOTATED:
      self.report.skip("word not annotated (.)", where)
      return None
    try:
      box = parse_box(label.get("bounding_box"))
    except ValueError as error:
      self.report.skip("malformed box", f"{where}: {error}")
      return None
    image = self._image(page, where)
    if image is None:
      return None
    crop = crop_word(image, box)
    if crop is None:
      self.report.skip("box outside the picture", where)
      return None
    return Record(id=identity, source=SOURCE, text=word, image=crop)

  def _image(self, page: str, where: str) -> Image | None:
    if self._page[0] != page:
      self._page = page, *self._locate(page)
    _, path, reason = self._page
    if path is None:
      self.report.skip(reason, where)
      return None
    return self.pictures.read(path, where)

  def _locate(self, page: str) -> tuple[pathlib.Path | None, str]:
    """The page's picture, or why there is none."""
    entry = self.pages.get(page)
    entry = entry if isinstance(entry, dict) else {}
    reference = entry.get("image_path")
    reference = reference if isinstance(reference, str) else ""
    own = SkipReport()  # counted once per word, by the caller
    pictures = Pictures(self.pictures.root, own)
    path = pictures.find([reference or f"images/{page}.jpg"], page)
    if path is None:
      return None, next(iter(own.counts))
    if self.check_md5 and isinstance(entry.get("image_hash"), str):
      with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
      if found != entry["image_hash"].lower():
        return None, "picture with another md5 (removed from imgur?)"
    return path, ""
