"""HierText: handwritten, legible words and lines in photos and documents.

S. Long et al., Towards End-to-End Unified Scene Text Detection and Layout
Analysis, CVPR 2022; CC BY-SA 4.0, google-research-datasets/hiertext.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

from inksight_jax.datasets.json_files import json_members, polygon
from inksight_jax.datasets.pictures import Image, Pictures, crop_polygon
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import ALL, expand

SOURCE = "hiertext"
LEVELS = ("word", "line")


def read_hiertext(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = ALL,
  level: str = "word",
  handwritten_only: bool = True,
) -> Iterator[Record]:
  """Reads words or lines, each cut out and set upright.

  Left out and counted: what is printed, illegible, vertical or empty.

  Args:
    path: the folder with gt/<split>.jsonl.gz (or .jsonl, unpacked; one JSON
      object despite the name) and <split>/<image_id>.jpg.
    report: counts what was left out and why.
    split: "train", "validation", "test" or "all".
    level: "word" or "line".
    handwritten_only: False reads print as well.

  Yields:
    Records with ids <image_id>_<running number of the word in the image>, of
    lines <image_id>_l<number>.

  Raises:
    ValueError: the ground truth is absent or broken.
  """
  if level not in LEVELS:
    raise ValueError(f"Level {level!r} of HierText; one of {LEVELS}.")
  report = report or SkipReport()
  root = pathlib.Path(path).expanduser()
  pictures = Pictures(root, report)
  seen: set[str] = set()
  for name in expand(split):
    for page in _pages(root, name, report):
      if page["image_id"] in seen:
        report.skip("image given twice", page["image_id"])
        continue
      seen.add(page["image_id"])
      yield from _records(page, name, pictures, level, handwritten_only)


def _pages(
  root: pathlib.Path, split: str, report: SkipReport
) -> Iterator[dict[str, Any]]:
  names = [f"{split}.jsonl.gz", f"{split}.jsonl", f"{split}.json"]
  files = [root / folder / name for folder in ("gt", ".") for name in names]
  file = next((file for file in files if file.is_file()), None)
  if file is None:
    raise ValueError(f"{root}: no gt/{split}.jsonl.gz; is this HierText?")
  for index, page in json_members(file, "annotations"):
    if isinstance(page, dict) and isinstance(page.get("image_id"), str):
      yield page
    else:
      report.skip("malformed page", f"{file}: annotation {index}")


def _dicts(parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
  children = parent.get(key)
  children = children if isinstance(children, list) else []
  return [child for child in children if isinstance(child, dict)]


def _items(
  page: dict[str, Any], level: str
) -> Iterator[tuple[str, dict[str, Any]]]:
  """(id, word or line) in the order of the file; numbers count every one."""
  lines = [
    line
    for paragraph in _dicts(page, "paragraphs")
    for line in _dicts(paragraph, "lines")
  ]
  if level == "line":
    items, prefix = lines, "l"
  else:
    items, prefix = [w for line in lines for w in _dicts(line, "words")], ""
  for number, item in enumerate(items):
    yield f"{page['image_id']}_{prefix}{number}", item


def _reason(item: dict[str, Any], handwritten_only: bool) -> str:
  if handwritten_only and item.get("handwritten") is not True:
    return "not handwritten"
  if item.get("legible") is not True:
    return "illegible"
  if item.get("vertical") is True:
    return "vertical"
  text = item.get("text")
  return "" if isinstance(text, str) and text.strip() else "empty text"


def _records(
  page: dict[str, Any],
  split: str,
  pictures: Pictures,
  level: str,
  handwritten_only: bool,
) -> Iterator[Record]:
  report = pictures.report
  for identity, item in _items(page, level):
    if reason := _reason(item, handwritten_only):
      report.skip(reason, identity)
      continue
    try:
      corners = polygon(item.get("vertices"))
    except ValueError as error:
      report.skip("malformed polygon", f"{identity}: {error}")
      continue
    name = f"{page['image_id']}.jpg"
    path = pictures.find([f"{split}/{name}", f"images/{name}"], identity)
    image = pictures.read(path, identity) if path else None
    if image is None:
      continue
    crop = crop_polygon(image, _scaled(corners, page, image))
    if crop is None:
      report.skip("polygon outside the picture", identity)
      continue
    yield Record(
      id=identity, source=SOURCE, text=item["text"].strip(), image=crop
    )


def _scaled(
  corners: list[tuple[float, float]], page: dict[str, Any], image: Image
) -> list[tuple[float, float]]:
  """Corners on a picture that was stored at another size."""
  height, width = image.shape[:2]
  declared = page.get("image_width"), page.get("image_height")
  if not all(isinstance(side, int) and side > 0 for side in declared):
    return corners
  x, y = width / declared[0], height / declared[1]
  return [(corner[0] * x, corner[1] * y) for corner in corners]
