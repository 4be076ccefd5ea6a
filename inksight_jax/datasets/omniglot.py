"""Omniglot: characters of 50 alphabets as pen strokes and pictures.

B. Lake, R. Salakhutdinov, J. Tenenbaum, Science 2015; MIT licence;
github.com/brendenlake/omniglot, `strokes_*.zip` and `images_*.zip`.
"""

from __future__ import annotations

import contextlib
import pathlib
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.ink.types import Ink

SOURCE = "omniglot"
_NAME = re.compile(r"(?:.*/)?([^/]+)/(character\d+)/(\d{4})_(\d{2})\.(txt|png)")
# A drawing takes some kilobytes, a picture of 105 x 105 pixels less.
_MAX_MEMBER_BYTES = 2**20
_MAX_PIXELS = 2**20


def _members(
  path: pathlib.Path, suffix: str
) -> tuple[zipfile.ZipFile, dict[tuple[str, str, str], zipfile.ZipInfo]]:
  """Opens a zip and indexes it by (alphabet, character, class_drawer)."""
  if not path.is_file():
    raise ValueError(f"{path}: no such file; give a zip of Omniglot.")
  try:
    archive = zipfile.ZipFile(path)
  except (zipfile.BadZipFile, OSError) as error:
    raise ValueError(
      f"{path}: not a complete zip archive ({error}); download it again."
    ) from None
  members = {}
  for info in archive.infolist():
    match = _NAME.fullmatch(info.filename)
    if match is None or match[5] != suffix or "__MACOSX" in info.filename:
      continue
    members[match[1], match[2], f"{match[3]}_{match[4]}"] = info
  if not members:
    archive.close()
    raise ValueError(
      f"{path}: no <alphabet>/characterNN/NNNN_NN.{suffix} inside; is this the "
      f"{'strokes' if suffix == 'txt' else 'images'} zip of Omniglot?"
    )
  return archive, members


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
  if info.file_size > _MAX_MEMBER_BYTES:
    raise ValueError(f"{info.filename}: {info.file_size} bytes is too large.")
  try:
    return archive.read(info)
  except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
    raise ValueError(f"{info.filename}: damaged ({error}).") from None


def parse_strokes(text: str, name: str) -> Ink:
  """Parses a drawing: START, `x,y,t` lines, each stroke ended by BREAK.

  Args:
    text: the file; y is negative downwards, t in ms from the first point.
    name: file name for messages.

  Returns:
    Ink in pixels of the 105 by 105 picture, y down.

  Raises:
    ValueError: a line that is none of these; it names file and line.
  """
  strokes: list[list[tuple[float, float, float]]] = []
  points: list[tuple[float, float, float]] = []
  for number, line in enumerate(text.splitlines(), 1):
    word = line.strip()
    if word in ("", "START"):
      continue
    if word == "BREAK":
      if points:
        strokes.append(points)
      points = []
      continue
    try:
      x, y, t = (float(part) for part in word.split(","))
    except ValueError:
      raise ValueError(
        f"{name}:{number}: {word[:40]!r}; wanted `x,y,t`, START or BREAK."
      ) from None
    if not np.isfinite((x, y, t)).all():
      raise ValueError(f"{name}:{number}: {word[:40]!r} is not finite.")
    points.append((x, -y, t))
  if points:
    raise ValueError(
      f"{name}: ends inside a stroke; the last BREAK is missing."
    )
  return Ink.from_arrays(strokes)


def _picture(data: bytes, name: str) -> NDArray[np.uint8]:
  """Decodes a PNG to uint8[height, width, 3]."""
  import cv2

  # Width and height of a PNG, before anything is allocated for them.
  size = np.frombuffer(data[16:24], ">u4").astype(float)
  if len(size) < 2 or not 0 < size.prod() <= _MAX_PIXELS:
    raise ValueError(f"{name}: not a PNG of at most {_MAX_PIXELS} pixels.")
  image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
  if image is None:
    raise ValueError(f"{name}: not a readable PNG.")
  return np.asarray(image, np.uint8)


def read_omniglot(
  strokes_zip: str | pathlib.Path,
  images_zip: str | pathlib.Path | None = None,
  report: SkipReport | None = None,
  keep: Callable[[str], bool] = lambda writer: True,
) -> Iterator[Record]:
  """Reads drawings, with their pictures where the second zip is given.

  The characters have numbers, not names, so `text` is empty. The writer is the
  drawer number, over all alphabets: drawers of different alphabets need not be
  one person, but a split by number is disjoint either way.

  Args:
    strokes_zip: `strokes_background.zip` or another part.
    images_zip: the images of the same part.
    report: counts what was left out and why.
    keep: says by writer whose drawings to read.

  Yields:
    Records sorted by alphabet, character and drawer, with ids such as
    `Latin/character03/0682_07`.

  Raises:
    ValueError: a zip is absent, damaged or another one.
  """
  report = report or SkipReport()
  with contextlib.ExitStack() as stack:
    archive, drawings = _members(pathlib.Path(strokes_zip), "txt")
    stack.enter_context(archive)
    pictures, images = None, {}
    if images_zip is not None:
      pictures, images = _members(pathlib.Path(images_zip), "png")
      stack.enter_context(pictures)
    for key in sorted(drawings):
      name = "/".join(key)
      writer = "drawer" + key[2].split("_")[1]
      if not keep(writer):
        continue
      image = None
      try:
        text = _read(archive, drawings[key]).decode("ascii", "replace")
        ink = parse_strokes(text, drawings[key].filename)
        if pictures is not None and key in images:
          image = _picture(_read(pictures, images[key]), name)
      except ValueError as error:
        report.skip("unreadable drawing", str(error))
        continue
      if not ink:
        report.skip("drawing without points", name)
        continue
      if pictures is not None and image is None:
        report.skip("picture missing, ink kept", name)
      yield Record(id=name, source=SOURCE, writer=writer, image=image, ink=ink)
