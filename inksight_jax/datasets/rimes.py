"""RIMES: French letters as pages, lines and words (ICDAR 2011 releases).

E. Grosicki, H. El Abed, ICDAR 2011; A2iA, signed agreement.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Iterator

from inksight_jax.datasets.pictures import Box, Pictures, crop_box
from inksight_jax.datasets.record import PageLine, Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import ALL, expand
from inksight_jax.datasets.text_files import read_lines
from inksight_jax.ink.safe_xml import Element, parse_xml

SOURCE = "rimes"
LEVELS = ("word", "line", "page")
# Surrounds doubtful words; not in the picture.
_DOUBT = "¤"
# The set has no validation pages; papers take the last of the training set.
VALIDATION_PAGES = 100
_XML = {
  "train": "training_2011.xml",
  "validation": "training_2011.xml",
  "test": "eval_2011_annotated.xml",
}
# "grount" is how the set spells it.
_WORDS = {
  "train": ("groundtruth_training_icdar2011.txt", "training_WR"),
  "validation": ("ground_truth_validation_icdar2011.txt", "testdataset_ICDAR"),
  "test": ("grount_truth_test_icdar2011.txt", "data_test"),
}


@dataclasses.dataclass(frozen=True)
class _Line:
  box: Box
  text: str


def read_rimes(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = ALL,
  level: str = "line",
  crop_pages: bool = True,
) -> Iterator[Record]:
  """Reads words, lines or pages.

  Boxes that reach out of the page, negative ones among them, are clamped. On a
  page with an empty line the texts of the others are one line off, so its
  lines are left out; its page is read.

  Args:
    path: the folder with training_2011.xml, eval_2011_annotated.xml and
      images_gray/ (lines, pages), or with the groundtruth_*.txt of the word
      task beside their picture folders; or with subfolders line/ and word/.
    report: counts what was left out and why.
    split: "train", "validation" (of lines and pages: the last 100 pages of the
      training set by number), "test" or "all".
    level: "word", "line" or "page".
    crop_pages: cuts pages to their lines; else the whole letter is the image.

  Yields:
    Records with ids train2011-7 (page), train2011-7-03 (line), or the path of
    a word's picture. Pages have `lines`.

  Raises:
    ValueError: the labels are absent or broken.
  """
  if level not in LEVELS:
    raise ValueError(f"Level {level!r} of RIMES; one of {', '.join(LEVELS)}.")
  report = report or SkipReport()
  root = pathlib.Path(path).expanduser()
  folder = root / ("word" if level == "word" else "line")
  if not folder.is_dir():
    folder = root
  pictures = Pictures(folder, report)
  for name in expand(split):
    if level == "word":
      yield from _words(pictures, name)
      continue
    for page, lines in _pages(folder, name, report):
      if level == "page":
        yield from _page(pictures, page, lines, crop_pages)
      else:
        yield from _lines(pictures, page, lines)


def _number(page: str) -> int:
  """Pages count 1, 2, ..., 10: without leading zeros."""
  match = re.search(r"(\d{1,9})$", page)
  return int(match[1]) if match else 0


def _pages(
  folder: pathlib.Path, split: str, report: SkipReport
) -> Iterator[tuple[str, list[_Line]]]:
  path = folder / _XML[split]
  if not path.is_file():
    raise ValueError(f"{path}: no such file; is this the RIMES line release?")
  root = parse_xml(path, ("DocumentList",), "RIMES XML")
  pages: dict[str, list[_Line]] = {}
  for page in root.iter("{*}SinglePage"):
    where = f"{path}:{page.sourceline}"
    # FileName names a folder that is not the pictures'.
    name = pathlib.PurePosixPath(page.get("FileName", "")).stem
    if not name or name in pages:
      report.skip("page without a name of its own", where)
      continue
    pages[name] = [
      line
      for element in page.iter("{*}Line")
      if (line := _line(element, str(path), report)) is not None
    ]
  names = sorted(pages, key=lambda name: (_number(name), name))
  if split == "validation":
    names = names[-VALIDATION_PAGES:]
  elif split == "train":
    names = names[:-VALIDATION_PAGES]
  for name in names:
    yield name, pages[name]


def _line(element: Element, path: str, report: SkipReport) -> _Line | None:
  where = f"{path}:{element.sourceline}"
  try:
    left, top, right, bottom = (
      int(element.get(side, "")) for side in ("Left", "Top", "Right", "Bottom")
    )
  except ValueError:
    report.skip("malformed box", where)
    return None
  text = element.get("Value", "").replace(_DOUBT, "")
  return _Line((left, top, right, bottom), " ".join(text.split()))


def _lines(
  pictures: Pictures, page: str, lines: list[_Line]
) -> Iterator[Record]:
  report = pictures.report
  if not all(line.text for line in lines):
    for _ in lines:
      report.skip("page with an empty line: texts may be one line off", page)
    return
  for number, line in enumerate(lines):
    identity = f"{page}-{number:02d}"
    path = pictures.find(_candidates(page), identity)
    image = pictures.read(path, identity) if path else None
    if image is None:
      continue
    crop = crop_box(image, line.box)
    if crop is None:
      report.skip("box outside the picture", identity)
      continue
    yield Record(id=identity, source=SOURCE, text=line.text, image=crop)


def _candidates(page: str) -> list[str]:
  return [f"images_gray/{page}.png", f"images/{page}.png", f"{page}.png"]


def _page(
  pictures: Pictures, page: str, lines: list[_Line], crop: bool
) -> Iterator[Record]:
  lines = [line for line in lines if line.text]
  if not lines:
    pictures.report.skip("page without text", page)
    return
  path = pictures.find(_candidates(page), page)
  image = pictures.read(path, page) if path else None
  if image is None:
    return
  height, width = image.shape[:2]
  box: Box = (0, 0, width, height)
  if crop:
    left, top, right, bottom = zip(*(line.box for line in lines), strict=True)
    box = (max(0, min(left)), max(0, min(top)), max(right), max(bottom))
  part = crop_box(image, box)
  if part is None:
    pictures.report.skip("box outside the picture", page)
    return
  yield Record(
    id=page,
    source=SOURCE,
    text="\n".join(line.text for line in lines),
    image=part,
    lines=tuple(
      PageLine(
        line.text,
        (
          max(line.box[0], 0) - box[0],
          max(line.box[1], 0) - box[1],
          min(line.box[2], width) - box[0],
          min(line.box[3], height) - box[1],
        ),
      )
      for line in lines
    ),
  )


def _words(pictures: Pictures, split: str) -> Iterator[Record]:
  report = pictures.report
  name, folder = _WORDS[split]
  path = pictures.root / name
  if not path.is_file():
    raise ValueError(f"{path}: no such file; is this the RIMES word release?")
  seen: set[str] = set()
  number = 0
  # Begins with a byte order mark, which `read_lines` drops.
  for number, line in read_lines(path):
    if not line.strip():
      continue
    where = f"{path}:{number}"
    reference, _, text = line.strip().partition(" ")
    text = text.strip().replace(_DOUBT, "")
    if not text:
      report.skip("row without a text", where)
      continue
    if reference in seen:
      report.skip("id given twice", where)
      continue
    seen.add(reference)
    file = pictures.find([reference, f"{folder}/{reference}"], where)
    image = pictures.read(file, where) if file else None
    if image is None:
      continue
    identity = f"{split}/{pathlib.PurePosixPath(reference).with_suffix('')}"
    yield Record(id=identity, source=SOURCE, text=text, image=image)
  if not number:
    report.skip("empty file", str(path))
