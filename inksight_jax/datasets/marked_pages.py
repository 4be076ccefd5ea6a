"""Pages with marked lines, whatever XML the marks came in."""

from __future__ import annotations

import dataclasses
import itertools
import math
import pathlib
import re
import statistics
from collections.abc import Callable, Iterator, Sequence

from inksight_jax.datasets.pictures import (
  SUFFIXES,
  Image,
  Pictures,
  Points,
  crop_polygon,
)
from inksight_jax.datasets.record import PageLine, Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import (
  DEFAULT_FRACTIONS,
  expand,
  named_split,
  split_of,
)

LEVELS = ("line", "page")
_MAX_POINTS = 10_000
# Of a baseline without an outline: this much of the line pitch lies above it.
_ABOVE = 0.75
# Line pitch of a page with a single baseline, as a share of its height.
_LONE_PITCH = 1 / 30


@dataclasses.dataclass(frozen=True)
class MarkedLine:
  """One line of a page.

  Attributes:
    id: as in the file; may be empty.
    text: what is written.
    polygon: outline, in the file's units; empty if there is none.
    baseline: points from the start of the line to its end; may be empty.
    where: file and line number.
  """

  id: str
  text: str
  polygon: Points
  baseline: Points
  where: str


@dataclasses.dataclass(frozen=True)
class MarkedPage:
  """A page; width and height, 0 if not given, are in the file's units."""

  image: str
  width: float
  height: float
  lines: tuple[MarkedLine, ...]


def parse_points(text: str) -> list[tuple[float, float]]:
  """Parses `x,y x,y`, or numbers x y x y separated by anything usual.

  Raises:
    ValueError: not numbers, an odd count, or too many.
  """
  words = [w for w in re.split(r"[\s,;]+", text[: 40 * _MAX_POINTS]) if w]
  if len(words) % 2 or len(words) > 2 * _MAX_POINTS:
    raise ValueError(
      f"{text[:40]!r} holds {len(words)} numbers; wanted pairs, at most "
      f"{_MAX_POINTS}"
    )
  try:
    values = [float(word) for word in words]
  except ValueError:
    raise ValueError(f"{text[:40]!r} is not a list of numbers") from None
  if not all(abs(value) < 1e9 for value in values):
    raise ValueError(f"{text[:40]!r} is out of range")
  return list(zip(values[::2], values[1::2], strict=True))


def read_marked_pages(
  path: str | pathlib.Path,
  parse: Callable[[pathlib.Path, SkipReport], MarkedPage],
  source: str,
  report: SkipReport,
  split: str,
  level: str,
  mask: bool,
  fractions: Sequence[float] = DEFAULT_FRACTIONS,
  split_seed: int = 0,
) -> Iterator[Record]:
  """Reads lines or pages of all XML files below a folder, sorted.

  Args:
    path: the folder, or one XML file.
    parse: reads one file; raises ValueError if it is none of its format.
    source: registry name of the data set.
    report: counts what was left out and why.
    split: "train", "validation", "test" or "all"; by a folder called so in the
      path, else by a hash of the path of the page.
    level: "line" or "page".
    mask: paints what lies outside a line's outline in the paper's colour.
    fractions: shares of the three splits.
    split_seed: another seed deals anew.

  Yields:
    Records with ids <file>#<line id>, or <file> for pages.

  Raises:
    ValueError: no XML there.
  """
  wanted = expand(split)
  if level not in LEVELS:
    raise ValueError(f"Level {level!r}; one of {', '.join(LEVELS)}.")
  root = pathlib.Path(path).expanduser().resolve()
  files = [root] if root.is_file() else sorted(root.rglob("*.[xX][mM][lL]"))
  if root.is_file():
    # Pictures of an export lie beside the folder of its XML files.
    root = root.parent.parent
  if not files:
    raise ValueError(f"{root}: no *.xml below it; is this an export of pages?")
  pictures = Pictures(root, report)
  for file in files:
    relative = file.relative_to(root).with_suffix("")
    own = named_split(relative.parts[:-1]) or split_of(
      relative.as_posix(), fractions, split_seed
    )
    if own not in wanted:
      continue
    try:
      page = parse(file, report)
    except ValueError as error:
      report.skip("unreadable XML", str(error))
      continue
    name = relative.as_posix()
    image_path = pictures.find(_candidates(relative, page.image), name)
    image = pictures.read(image_path, name) if image_path else None
    if image is None:
      continue
    lines = _on_picture(page, image)
    if level == "page":
      yield from _page(name, source, image, lines, report)
    else:
      yield from _lines(name, source, image, lines, mask, report)


def _candidates(file: pathlib.PurePath, image: str) -> list[str]:
  """Where exports put the picture of a page, relative to the root."""
  clean = image.strip().replace("\\", "/")
  base = clean.rpartition("/")[2]
  folder, above = file.parent, file.parent.parent
  names = [folder / clean] if clean else []
  for name in dict.fromkeys([base, *(file.name + s for s in sorted(SUFFIXES))]):
    if name:
      names += [folder / name, above / name]
      names += [above / "images" / name, folder / "images" / name]
  return [name.as_posix() for name in names]


def _on_picture(page: MarkedPage, image: Image) -> list[MarkedLine]:
  """Lines in pixels of the picture, an outline for each.

  Exports scale pictures down, and ALTO counts in tenths of a millimetre too.
  """
  height, width = image.shape[:2]
  x = width / page.width if page.width > 0 else 1.0
  y = height / page.height if page.height > 0 else 1.0
  lines = [
    dataclasses.replace(
      line,
      polygon=[(px * x, py * y) for px, py in line.polygon],
      baseline=[(px * x, py * y) for px, py in line.baseline],
    )
    for line in page.lines
  ]
  pitch = _pitch(lines, height)
  return [
    line
    if len(line.polygon) >= 3
    else dataclasses.replace(line, polygon=_band(line.baseline, pitch))
    for line in lines
  ]


def _pitch(lines: Sequence[MarkedLine], height: int) -> float:
  """Usual distance of baselines, pixels."""
  levels = sorted(
    statistics.fmean(y for _, y in line.baseline)
    for line in lines
    if line.baseline
  )
  gaps = [b - a for a, b in itertools.pairwise(levels) if b - a > 4]
  return statistics.median(gaps) if gaps else height * _LONE_PITCH


def _band(baseline: Points, pitch: float) -> Points:
  """Outline of a line of which only the baseline is known."""
  if len(baseline) < 2:
    return ()
  top = [(x, y - _ABOVE * pitch) for x, y in baseline]
  bottom = [(x, y + (1 - _ABOVE) * pitch) for x, y in baseline]
  return [*top, *reversed(bottom)]


def _angle(line: MarkedLine) -> float:
  """Slope of the baseline; 0 without one: corners come in any order."""
  if len(line.baseline) < 2:
    return 0.0
  (x0, y0), (x1, y1) = line.baseline[0], line.baseline[-1]
  return math.atan2(y1 - y0, x1 - x0)


def _lines(
  name: str,
  source: str,
  image: Image,
  lines: Sequence[MarkedLine],
  mask: bool,
  report: SkipReport,
) -> Iterator[Record]:
  seen: set[str] = set()
  for number, line in enumerate(lines):
    if not line.text:
      report.skip("line without text", line.where)
      continue
    if not line.polygon:
      report.skip("line without outline or baseline", line.where)
      continue
    crop = crop_polygon(image, line.polygon, _angle(line), mask)
    if crop is None:
      report.skip("line outside the picture", line.where)
      continue
    identity = line.id if line.id and line.id not in seen else f"{number:04d}"
    seen.add(identity)
    yield Record(
      id=f"{name}#{identity}", source=source, text=line.text, image=crop
    )


def _page(
  name: str,
  source: str,
  image: Image,
  lines: Sequence[MarkedLine],
  report: SkipReport,
) -> Iterator[Record]:
  height, width = image.shape[:2]
  kept = []
  for line in lines:
    if not line.text:
      report.skip("line without text", line.where)
      continue
    xs, ys = [x for x, _ in line.polygon], [y for _, y in line.polygon]
    box = (0.0, 0.0, 0.0, 0.0)
    if xs:
      left, right = (min(max(v, 0.0), width) for v in (min(xs), max(xs)))
      top, bottom = (min(max(v, 0.0), height) for v in (min(ys), max(ys)))
      box = (left, top, right, bottom)
    kept.append(PageLine(line.text, box))
  if not kept:
    report.skip("page without text", name)
    return
  yield Record(
    id=name,
    source=source,
    text="\n".join(line.text for line in kept),
    image=image,
    lines=tuple(kept),
  )
