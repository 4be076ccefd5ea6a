"""Korean text in pictures, as AI-Hub publishes it.

AI-Hub 105, outdoor pictures: one JSON per picture with boxes. AI-Hub 81,
handwriting: one large JSON, a whole picture per text. CSV with img_path and
text: what the inverse DALL-E repository makes of them.
"""

from __future__ import annotations

import collections
import dataclasses
import pathlib
import unicodedata
from collections.abc import Iterator
from typing import Any

from inksight_jax.datasets.image_folder import read_image_folder
from inksight_jax.datasets.json_files import json_members, load_json, numbers
from inksight_jax.datasets.pictures import SUFFIXES, Pictures, crop_box
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import ALL, expand, hash_fraction

SOURCE = "aihub"
_ILLEGIBLE = "xxx"
_WHOLE_SET = "data_info"


def read_aihub(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = ALL,
  validation_share: float = 0.02,
  horizontal_only: bool = False,
) -> Iterator[Record]:
  """Reads Korean words and phrases.

  Args:
    path: a CSV with the columns img_path and text; or the folder of the JSON
      and picture folders, under whatever names (decomposed Hangul included).
    report: counts what was left out and why.
    split: "train", "validation", "test" or "all". AI-Hub's Validation folders
      are the test set; validation is a share of the rest, by picture. A CSV is
      split as `read_image_folder` does.
    validation_share: that share.
    horizontal_only: leaves out boxes of pictures marked as vertical text.

  Yields:
    Records with ids <JSON's path>#<annotation>, sorted by JSON.

  Raises:
    ValueError: no labels there, or a broken table or large JSON.
  """
  wanted = expand(split)
  report = report or SkipReport()
  root = pathlib.Path(path).expanduser()
  if root.is_file() and root.suffix.lower() in (".csv", ".tsv"):
    for record in read_image_folder(root, report, split=split):
      yield dataclasses.replace(record, source=SOURCE)
    return
  if not root.is_dir():
    raise ValueError(f"{root}: neither a folder nor a CSV.")
  files = sorted(root.rglob("*.json"))
  if not files:
    raise ValueError(f"{root}: no JSON below it; is this unpacked AI-Hub data?")
  reader = _AiHub(root, report, wanted, validation_share, horizontal_only)
  for file in files:
    whole = _WHOLE_SET in file.name
    yield from reader.whole_set(file) if whole else reader.page(file)


def _nfc(text: str) -> str:
  return unicodedata.normalize("NFC", text)


class _AiHub:
  """Pictures by name, and the splits."""

  def __init__(
    self,
    root: pathlib.Path,
    report: SkipReport,
    wanted: tuple[str, ...],
    validation_share: float,
    horizontal_only: bool,
  ) -> None:
    self.root = root
    self.report = report
    self.wanted = wanted
    self.validation_share = validation_share
    self.horizontal_only = horizontal_only
    self.pictures = Pictures(root, report)
    self.by_name: dict[str, list[str]] = collections.defaultdict(list)
    for file in sorted(root.rglob("*")):
      if file.suffix.lower() in SUFFIXES:
        relative = file.relative_to(root).as_posix()
        self.by_name[_nfc(file.name)].append(relative)

  def is_wanted(self, file: pathlib.Path, name: str) -> bool:
    """Whether a picture belongs to the splits that are read."""
    folders = file.relative_to(self.root).parent.parts
    if any("validation" in part.lower() for part in folders):
      own = "test"
    else:
      held_out = hash_fraction(_nfc(name)) < self.validation_share
      own = "validation" if held_out else "train"
    return own in self.wanted

  def candidates(self, file: pathlib.Path, name: str) -> list[str]:
    """Where the picture of a label file may be, likeliest first."""
    relative = file.relative_to(self.root)
    beside = (relative.parent / name).as_posix()
    # Label folders have source folders of the same shape.
    found = self.by_name.get(_nfc(name.replace("\\", "/")).split("/")[-1], [])
    tail = _nfc(relative.parent.name)
    alike = [f for f in found if _nfc(f).split("/")[-2:-1] == [tail]]
    return [beside, *alike, *found] if len(found) < 2 or alike else [beside]

  def page(self, file: pathlib.Path) -> Iterator[Record]:
    """Records of one picture with boxes."""
    relative = _nfc(file.relative_to(self.root).as_posix())
    try:
      document = load_json(file)
      image = document["images"][0]
      name, key = image["file_name"], image["id"]
      annotations = document["annotations"]
      if not isinstance(name, str) or not isinstance(annotations, list):
        raise TypeError("file_name or annotations is of another type")
    except (ValueError, KeyError, IndexError, TypeError) as error:
      self.report.skip("unreadable labels", f"{relative}: {error!r}"[:200])
      return
    if not self.is_wanted(file, name):
      return
    if self.horizontal_only and _is_vertical(document):
      for _ in annotations:
        self.report.skip("vertical", relative)
      return
    for number, annotation in enumerate(annotations):
      where = f"{relative}#{number}"
      record = self._word(file, name, key, annotation, where)
      if record is not None:
        yield record

  def _word(
    self,
    file: pathlib.Path,
    name: str,
    key: Any,
    annotation: Any,
    where: str,
  ) -> Record | None:
    skip = self.report.skip
    if not isinstance(annotation, dict) or annotation.get("image_id") != key:
      skip("annotation of no picture", where)
      return None
    text = annotation.get("text")
    if not isinstance(text, str) or not text.strip():
      skip("empty text", where)
      return None
    if text.strip() == _ILLEGIBLE:
      skip("illegible (xxx)", where)
      return None
    try:
      x, y, width, height = numbers(annotation.get("bbox"), 4)
    except ValueError as error:
      skip("malformed box", f"{where}: {error}")
      return None
    path = self.pictures.find(self.candidates(file, name), where)
    image = self.pictures.read(path, where) if path else None
    if image is None:
      return None
    crop = crop_box(image, (x, y, x + width, y + height))
    if crop is None:
      skip("box outside the picture", where)
      return None
    return Record(id=where, source=SOURCE, text=_nfc(text.strip()), image=crop)

  def whole_set(self, file: pathlib.Path) -> Iterator[Record]:
    """Records of a JSON that lists many pictures, one text each."""
    relative = _nfc(file.relative_to(self.root).as_posix())
    texts: dict[int | str, str] = {}
    for index, annotation in json_members(file, "annotations"):
      where = f"{relative}: annotation {index}"
      if not isinstance(annotation, dict) or not isinstance(
        annotation.get("image_id"), (int, str)
      ):
        self.report.skip("annotation of no picture", where)
        continue
      text, key = annotation.get("text"), annotation["image_id"]
      if not isinstance(text, str) or not text.strip():
        self.report.skip("empty text", where)
      elif key in texts:
        self.report.skip("picture with several texts", where)
      else:
        texts[key] = _nfc(text.strip())
    for index, image in json_members(file, "images"):
      where = f"{relative}#{index}"
      name = image.get("file_name") if isinstance(image, dict) else None
      key = image.get("id") if isinstance(image, dict) else None
      if not isinstance(name, str) or not isinstance(key, (int, str)):
        self.report.skip("malformed picture entry", where)
        continue
      if key not in texts:
        self.report.skip("picture without a text", where)
        continue
      if not self.is_wanted(file, name):
        continue
      path = self.pictures.find(self.candidates(file, name), where)
      pixels = self.pictures.read(path, where) if path else None
      if pixels is not None:
        yield Record(
          id=f"{relative}#{key}",
          source=SOURCE,
          text=texts.pop(key),
          image=pixels,
        )


def _is_vertical(document: dict[str, Any]) -> bool:
  metadata = document.get("metadata")
  first = metadata[0] if isinstance(metadata, list) and metadata else {}
  orientation = first.get("wordorientation") if isinstance(first, dict) else ""
  return isinstance(orientation, str) and _nfc(orientation) not in ("", "가로")
