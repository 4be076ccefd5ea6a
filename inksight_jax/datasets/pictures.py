"""Pictures of a data set: found within its folder, read once, cut out.

Coordinates are pixels, origin top left, y down.
"""

from __future__ import annotations

import collections
import math
import pathlib
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.rendering.images import read_image
from inksight_jax.rendering.letterbox import border_color

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]
Points = Sequence[tuple[float, float]]

SUFFIXES = frozenset(
  (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif")
)
# Below this slope a word is cut out upright, which keeps its very pixels.
_MIN_SLOPE = math.radians(0.5)
# A crop larger than this many times the page is a damaged box.
_MAX_ENLARGEMENT = 4
_MAX_COORDINATE = 1e9


class Pictures:
  """Finds and reads the pictures below a folder.

  Consecutive samples mostly come from one page, so the last pages are kept.

  Args:
    root: folder that references are relative to.
    report: counts pictures that are absent, refused or broken.
    capacity: decoded pages kept.
  """

  def __init__(
    self, root: pathlib.Path, report: SkipReport, capacity: int = 2
  ) -> None:
    self.root = root
    self.report = report
    self._resolved = root.resolve()
    self._capacity = capacity
    self._cache: collections.OrderedDict[
      pathlib.Path, tuple[Image | None, str]
    ] = collections.OrderedDict()

  def find(
    self, references: str | Sequence[str], where: str
  ) -> pathlib.Path | None:
    """Finds the first of the references that is a file within the folder.

    Args:
      references: relative paths with `/` or, from Windows, with a backslash.
      where: sample id, or file and line, for the report.

    Returns:
      The path, or None after counting the sample as skipped.
    """
    if isinstance(references, str):
      references = [references]
    reason = "picture missing"
    for reference in references:
      clean = reference.replace("\\", "/")
      # macOS unpacks to NFD.
      for form in (
        clean,
        unicodedata.normalize("NFC", clean),
        unicodedata.normalize("NFD", clean),
      ):
        try:
          path = self.root / form
          if not path.is_file():
            continue
          inside = path.resolve().is_relative_to(self._resolved)
        except (OSError, ValueError):  # too long, or with a zero byte
          continue
        if inside:
          return path
        reason = "reference points out of the folder"
    self.report.skip(reason, f"{where} ({_shown(references)})")
    return None

  def read(self, path: pathlib.Path, where: str) -> Image | None:
    """Reads a picture; None after counting the sample as skipped.

    Args:
      path: of the picture.
      where: sample id, or file and line, for the report.

    Returns:
      uint8[height, width, 3], shared between calls: do not write into it.
    """
    if path in self._cache:
      self._cache.move_to_end(path)
    else:
      try:
        image, problem = read_image(path), ""
        if min(image.shape[:2]) < 2:
          image, problem = None, f"{path} is one pixel high or wide"
      except ValueError as error:
        image, problem = None, str(error)
      self._cache[path] = image, problem
      while len(self._cache) > self._capacity:
        self._cache.popitem(last=False)
    image, problem = self._cache[path]
    if image is None:
      self.report.skip("unreadable picture", f"{where} ({problem})")
    return image


def _shown(references: Sequence[str]) -> str:
  return references[0][:80] if references else "no reference"


def _sane(*numbers: float) -> bool:
  """Neither infinite nor NaN, nor integers that no float can hold."""
  return all(-_MAX_COORDINATE < number < _MAX_COORDINATE for number in numbers)


def crop_box(image: Image, box: Box) -> Image | None:
  """Cuts out an upright box, clamped to the picture.

  Args:
    image: uint8[height, width, 3].
    box: left, top, right, bottom; may reach out of the picture.

  Returns:
    A copy, or None where nothing of the box lies within the picture.
  """
  if not _sane(*box):
    return None
  height, width = image.shape[:2]
  left, right = (round(min(max(v, 0), width)) for v in (box[0], box[2]))
  top, bottom = (round(min(max(v, 0), height)) for v in (box[1], box[3]))
  if right <= left or bottom <= top:
    return None
  # A copy: a view would keep the whole page in memory.
  return image[top:bottom, left:right].copy()


def crop_turned(
  image: Image,
  corner: tuple[float, float],
  angle: float,
  size: tuple[float, float],
) -> Image | None:
  """Cuts out a turned box and sets it upright.

  Args:
    image: uint8[height, width, 3].
    corner: the box's own top left corner.
    angle: radians by which its reading direction is turned clockwise as seen
      on the screen: the direction is (cos, sin) with y down.
    size: width along the reading direction, and height.

  Returns:
    uint8[round(height), round(width), 3], continued by the picture's border
    where the box reaches out; None where it lies outside or is absurd.
  """
  import cv2

  if not _sane(*corner, angle, *size):
    return None
  along = np.array([math.cos(angle), math.sin(angle)])
  across = np.array([-along[1], along[0]])
  corners = [
    np.asarray(corner) + a * size[0] * along + b * size[1] * across
    for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))
  ]
  low, high = np.min(corners, 0), np.max(corners, 0)
  upright = (*low.tolist(), *high.tolist())
  if abs(angle) < _MIN_SLOPE:
    return crop_box(image, upright)
  width, height = round(size[0]), round(size[1])
  # OpenCV warps no side beyond 16 bits, and a page may have one: so only the
  # part around the box, with a pixel more for the interpolation.
  corner_low = np.clip(np.floor(low).astype(int) - 1, 0, None)
  corner_high = np.clip(np.ceil(high).astype(int) + 2, 0, None)
  part = crop_box(image, (*corner_low.tolist(), *corner_high.tolist()))
  if (
    part is None
    or crop_box(image, upright) is None
    or min(width, height) < 1
    or width * height > _MAX_ENLARGEMENT * image.shape[0] * image.shape[1]
    or max(width, height, *part.shape[:2]) >= 2**15 - 1
  ):
    return None
  # Pixel centres lie at half numbers of the box and at whole ones of OpenCV.
  start = np.asarray(corner) + 0.5 * (along + across) - 0.5 - corner_low
  return np.asarray(
    cv2.warpAffine(
      part,
      np.stack([along, across, start], 1),
      (width, height),
      flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
      borderMode=cv2.BORDER_REPLICATE,
    ),
    np.uint8,
  )


def crop_polygon(
  image: Image,
  polygon: Points,
  angle: float | None = None,
  mask: bool = False,
) -> Image | None:
  """Cuts out the box around a polygon, set upright along its text.

  Args:
    image: uint8[height, width, 3].
    polygon: three or more corners, the first two along the top edge in reading
      order, as far as `angle` is to be found from them.
    angle: see `crop_turned`; found from the corners if None.
    mask: paints what lies outside the polygon, such as neighbouring lines, in
      the colour of the paper.

  Returns:
    The crop, or None where it is empty or the polygon is none.
  """
  points = np.asarray(polygon, np.float64)
  if len(points) < 3 or not np.isfinite(points).all():
    return None
  if angle is None:
    half = len(points) // 2
    begin = (points[0] + points[-1]) / 2
    end = (points[half - 1] + points[half]) / 2
    angle = math.atan2(end[1] - begin[1], end[0] - begin[0])
  turn = np.array(
    [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
  )
  own = points @ turn
  low, high = own.min(0), own.max(0)
  if mask:
    image = _masked(image, points)
  corner = turn @ low
  width, height = (high - low).tolist()
  if abs(angle) < _MIN_SLOPE:
    low, high = points.min(0), points.max(0)
    return crop_box(image, (*low.tolist(), *high.tolist()))
  return crop_turned(image, (corner[0], corner[1]), angle, (width, height))


def _masked(image: Image, points: NDArray[np.float64]) -> Image:
  """A copy with paper where the polygon is not."""
  import cv2

  bound = np.asarray(image.shape[1::-1], np.int64)
  rounded = np.clip(np.rint(points), -bound, 2 * bound).astype(np.int32)
  inside = np.zeros(image.shape[:2], np.uint8)
  cv2.fillPoly(inside, [rounded], 1)
  paper = np.asarray(border_color(image), np.uint8)
  return np.where(inside[:, :, None] == 1, image, paper)
