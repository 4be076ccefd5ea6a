"""Pictures of single words out of a page, and the way back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.segmentation import binarize
from inksight_jax.inference.segmentation.types import WordRegion
from inksight_jax.ink.types import Ink

Image = NDArray[np.uint8]
FloatArray = NDArray[np.float64]
Mask = NDArray[np.uint8]

# Words that slope more are turned level, degrees.
_LEAST_TURN = 2.0
# The paper is estimated on a page of so many pixels.
_PAPER_PIXELS = 1e6
_MAX_TILES = 24
# How far from even spacing a word may be cut, as a share of its height.
_CUT_REACH = 0.4


@dataclasses.dataclass(frozen=True)
class CropConfig:
  """How words are cut out.

  Attributes:
    margin: paper around a word, as a share of its height.
    mask_neighbours: paint over the ink of other words.
    max_aspect: wider words (width over height) are read in parts. Models of
      wide pictures take words as wide as these, whatever is said here.
    overlap: how far parts reach over the cut, as a share of the height.
  """

  margin: float = 0.15
  mask_neighbours: bool = True
  max_aspect: float = 4.0
  overlap: float = 0.3

  def __post_init__(self) -> None:
    # A part is at least as wide as high between its overlaps and the room for
    # choosing where to cut.
    least = 2 * self.overlap + 2 * _CUT_REACH + 1.0
    if self.margin < 0 or self.overlap < 0 or self.max_aspect < least:
      raise ValueError(
        f"Crops need margin >= 0, overlap >= 0 and max_aspect >= {least:g}; "
        f"got {self.margin}, {self.overlap} and {self.max_aspect}."
      )


DEFAULT_CROPS = CropConfig()


@dataclasses.dataclass(frozen=True, eq=False)
class Tile:
  """A part of a word that is read at once.

  Attributes:
    image: uint8[height, width, 3].
    left: column of the word's crop at which it begins.
    start: from this column on its ink counts; minus infinity in the first.
    stop: up to this column; infinity in the last.
  """

  image: Image
  left: int
  start: float = -math.inf
  stop: float = math.inf


@dataclasses.dataclass(frozen=True, eq=False)
class Crop:
  """A word cut out of a page.

  Attributes:
    tiles: one part, or several of a very wide word, from left to right.
    matrix: float64[2, 2]; page = matrix @ crop + offset, pixel centres.
    offset: float64[2], page pixels.
    height: of the crop, pixels.
    cut_ink: whether ink runs across each cut between tiles.
  """

  tiles: tuple[Tile, ...]
  matrix: FloatArray
  offset: FloatArray
  height: int
  cut_ink: tuple[bool, ...] = ()

  def without_pictures(self) -> Crop:
    """The same crop, its tiles without their pictures."""
    none = np.zeros((0, 0, 3), np.uint8)
    tiles = (dataclasses.replace(tile, image=none) for tile in self.tiles)
    return dataclasses.replace(self, tiles=tuple(tiles))

  def to_page(self, ink: Ink) -> Ink:
    """Moves ink from pixels of the crop to pixels of the page."""
    return ink.transformed(self.matrix, self.offset)


@dataclasses.dataclass(frozen=True, eq=False)
class _Frame:
  """Where a crop lies: page = matrix @ crop + offset, and its size, pixels."""

  matrix: FloatArray
  offset: FloatArray
  width: int
  height: int


def cut_words(
  image: Image,
  regions: Sequence[WordRegion],
  config: CropConfig = DEFAULT_CROPS,
  shape: tuple[int, int] = (224, 224),
) -> list[Crop]:
  """Cuts words out of a page.

  Args:
    image: uint8[height, width, 3] of the page.
    regions: words; those without a mask hide no neighbour and are not hidden
      from them, see `segmentation.masks.with_masks`.
    config: margins and tiles.
    shape: height and width of the picture that crops will be fitted to,
      pixels: the side that does not fill it is chosen to come out whole.

  Returns:
    One crop per region.
  """
  aspect = max(config.max_aspect, shape[1] / shape[0])
  config = dataclasses.replace(config, max_aspect=aspect)
  small, scale = binarize.limit_size(image, _PAPER_PIXELS)
  paper = binarize.estimate_paper(small)
  boxes = np.array([r.box for r in regions], np.float64).reshape(-1, 4)
  crops = []
  for index, region in enumerate(regions):
    frame = _frame(region, image, config, shape)
    picture = _cut(image, frame)
    own = _paint_mask(region, frame, 0.0)
    if config.mask_neighbours and own.any():
      near = _overlapping(boxes, frame)
      others = [regions[i] for i in near if i != index]
      picture = _hide(picture, own, others, frame, paper, scale)
    crops.append(_tiled(picture, own, frame, config, paper, scale))
  return crops


def _frame(
  region: WordRegion, image: Image, config: CropConfig, shape: tuple[int, int]
) -> _Frame:
  """The upright rectangle around a word and its margin."""
  angle = region.angle if abs(region.angle) >= _LEAST_TURN else 0.0
  if region.mask is None:
    angle = 0.0
  turn = np.deg2rad(angle)
  matrix = np.array(
    [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
  )
  if angle and region.mask is not None:
    rows, columns = np.nonzero(region.mask)
    cells = np.stack([columns, rows], 1) * region.mask_cell
    points = (cells + region.mask_origin) @ matrix
    low, high = points.min(axis=0), points.max(axis=0) + region.mask_cell
  else:
    low, high = np.array(region.box[:2]), np.array(region.box[2:])
  margin = config.margin * (high[1] - low[1]) + 1
  low, high = np.floor(low - margin), np.ceil(high + margin)
  if not angle:
    low = np.maximum(low, 0)
    high = np.minimum(high, (image.shape[1], image.shape[0]))
  extra = _missing(high - low, shape) / 2
  low, high = np.floor(low - extra), np.ceil(high + extra)
  if not angle:
    # Beyond the page there is nothing to show; the letterbox pads.
    low = np.maximum(low, 0)
    high = np.minimum(high, (image.shape[1], image.shape[0]))
  width, height = np.maximum(high - low, 1).astype(int).tolist()
  # Pixel centres lie half a pixel inside their edges.
  return _Frame(matrix, matrix @ (low + 0.5) - 0.5, width, height)


def _missing(sides: FloatArray, shape: tuple[int, int]) -> FloatArray:
  """What lets both sides come out whole after a crop is fitted to `shape`."""
  height, width = shape
  cell = max(float((sides / (width, height)).max()), 1.0)
  return np.ceil(sides / cell - 1e-6) * cell - sides


def _cut(image: Image, frame: _Frame) -> Image:
  """The picture within a frame; beyond the page its border goes on."""
  if np.array_equal(frame.matrix, np.eye(2)):
    left, top = np.rint(frame.offset).astype(int).tolist()
    return image[top : top + frame.height, left : left + frame.width].copy()
  # OpenCV takes pictures of fewer than 32,768 pixels a side here.
  corners = np.array(
    [[0, 0], [frame.width, 0], [0, frame.height], [frame.width, frame.height]]
  )
  page = corners @ frame.matrix.T + frame.offset
  height, width = image.shape[:2]
  low = np.clip(np.floor(page.min(axis=0)) - 2, 0, (width - 1, height - 1))
  high = np.clip(np.ceil(page.max(axis=0)) + 3, low + 1, (width, height))
  left, top, right, bottom = np.concatenate([low, high]).astype(int).tolist()
  return _warp(image[top:bottom, left:right], frame, 1.0, low)


def _warp(
  picture: Image | Mask,
  frame: _Frame,
  scale: float,
  corner: FloatArray | Sequence[float] = (0.0, 0.0),
  nearest: bool = False,
) -> Image:
  """Brings a picture of (a part of) the page into a frame.

  Args:
    picture: to be turned; its first pixel lies at `corner` of the page.
    frame: where to.
    scale: pixels of `picture` per page pixel.
    corner: page pixels.
    nearest: take the nearest pixel and 0 beyond the border, else interpolate
      and go on with the border.
  """
  # Edges of pixels correspond: picture = (page + 1/2 - corner) scale - 1/2.
  matrix = frame.matrix * scale
  offset = (frame.offset + 0.5 - np.asarray(corner)) * scale - 0.5
  flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
  border = cv2.BORDER_CONSTANT if nearest else cv2.BORDER_REPLICATE
  turned = cv2.warpAffine(
    picture,
    np.hstack([matrix, offset[:, None]]),
    (frame.width, frame.height),
    flags=flags | cv2.WARP_INVERSE_MAP,
    borderMode=border,
  )
  return turned.astype(np.uint8, copy=False)


def _overlapping(boxes: FloatArray, frame: _Frame) -> list[int]:
  """Which boxes reach into a frame."""
  corners = np.array(
    [[0, 0], [frame.width, 0], [0, frame.height], [frame.width, frame.height]]
  )
  page = corners @ frame.matrix.T + frame.offset
  low, high = page.min(axis=0), page.max(axis=0)
  hit = (boxes[:, :2] < high).all(axis=1) & (boxes[:, 2:] > low).all(axis=1)
  return np.nonzero(hit)[0].tolist()


def _paint_mask(region: WordRegion, frame: _Frame, reach: float) -> Mask:
  """Ink of a word within a frame, uint8[height, width], 0 or 1.

  Args:
    region: the word.
    frame: where.
    reach: by how many page pixels the ink is widened.
  """
  if region.mask is None:
    return np.zeros((frame.height, frame.width), np.uint8)
  mask = np.pad(region.mask.astype(np.uint8), 1)
  corner = np.asarray(region.mask_origin) - region.mask_cell
  painted = _warp(mask, frame, 1 / region.mask_cell, corner, nearest=True)
  if reach:
    side = 2 * math.ceil(reach) + 1
    painted = cv2.dilate(painted, np.ones((side, side), np.uint8))
  return painted.astype(np.uint8, copy=False)


def _hide(
  picture: Image,
  own: Mask,
  others: Sequence[WordRegion],
  frame: _Frame,
  paper: Image,
  scale: float,
) -> Image:
  """Paints over the ink of other words."""
  foreign = np.zeros_like(own)
  for region in others:
    # The soft edge of strokes lies beyond the mask.
    reach = max(1.5, region.mask_cell)
    foreign = np.maximum(foreign, _paint_mask(region, frame, reach))
  if not foreign.any():
    return picture
  kept = cv2.dilate(own, np.ones((3, 3), np.uint8))
  hidden = (foreign > 0) & (kept == 0)
  return np.where(hidden[..., None], _warp(paper, frame, scale), picture)


def _tiled(
  picture: Image,
  own: Mask,
  frame: _Frame,
  config: CropConfig,
  paper: Image,
  scale: float,
) -> Crop:
  """Cuts a very wide crop into tiles at columns of little ink."""
  height, width = picture.shape[:2]
  if width <= config.max_aspect * height:
    return Crop((Tile(picture, 0),), frame.matrix, frame.offset, height)
  body = config.max_aspect - 2 * config.overlap - 2 * _CUT_REACH
  count = min(math.ceil(width / (body * height)), _MAX_TILES)
  cuts = _cut_columns(own, count, max(1, round(_CUT_REACH * height)))
  reach = math.ceil(config.overlap * height)
  edges = [0, *cuts, width]
  ground = _warp(paper, frame, scale) if config.mask_neighbours else picture
  labels = cv2.connectedComponents(own)[1].astype(np.int32, copy=False)
  tiles = []
  for number in range(count):
    start, stop = edges[number], edges[number + 1]
    left = max(0, start - reach)
    right = min(width, stop + reach)
    part = picture[:, left:right]
    foreign = _beyond(labels, start, stop)[:, left:right]
    part = np.where(foreign[..., None], ground[:, left:right], part)
    tiles.append(
      Tile(
        part,
        left,
        -math.inf if number == 0 else start - 0.5,
        math.inf if number == count - 1 else stop - 0.5,
      )
    )
  crossed = tuple(bool(own[:, cut - 1 : cut + 1].any()) for cut in cuts)
  return Crop(tuple(tiles), frame.matrix, frame.offset, height, crossed)


def _cut_columns(own: Mask, count: int, reach: int) -> list[int]:
  """Columns at which to cut: even spacing, moved to where ink is least."""
  width = own.shape[1]
  ink = own.sum(axis=0, dtype=np.float64)
  ink = np.convolve(ink, np.ones(3) / 3, mode="same")
  cuts: list[int] = []
  for number in range(1, count):
    nominal = round(number * width / count)
    low = max(nominal - reach, (cuts[-1] if cuts else 0) + 1)
    high = max(min(nominal + reach, width - 1), low)
    columns = np.arange(low, high + 1)
    # Of equal columns the one nearest to even spacing.
    cost = ink[columns] + 1e-3 * np.abs(columns - nominal) / max(reach, 1)
    cuts.append(int(columns[np.argmin(cost)]))
  return cuts


def _beyond(
  labels: NDArray[np.int32], start: int, stop: int
) -> NDArray[np.bool_]:
  """Ink of pieces that lie (almost) wholly beyond a tile, slightly widened."""
  count = int(labels.max()) + 1
  total = np.bincount(labels.ravel(), minlength=count)
  inside = np.bincount(labels[:, start:stop].ravel(), minlength=count)
  foreign = inside < 0.15 * total
  foreign[0] = False
  mask = foreign[labels].astype(np.uint8)
  kept = ((labels > 0) & (mask == 0)).astype(np.uint8)
  widened = cv2.dilate(mask, np.ones((3, 3), np.uint8))
  return (widened > 0) & (kept == 0)
