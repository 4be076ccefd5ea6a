"""Canvases for pictures of any aspect ratio that cost equally many tokens.

A picture becomes rows of codes, one for each patch of pixels, and each row
begins with a token of its own. All canvases that fill the same budget of tokens
are tabled once; a picture takes the one closest to its aspect ratio, so a wide
sign and a tall one are coded at the same cost, without the bars that a square
would put around them.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.normalize import Placement
from inksight_jax.rendering.letterbox import Padding, letterbox

Image = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, order=True)
class Template:
  """A grid of codes.

  Attributes:
    rows, columns: of codes.
  """

  rows: int
  columns: int

  @property
  def ratio(self) -> float:
    """Columns to each row: width over height of the canvas."""
    return self.columns / self.rows

  @property
  def tokens(self) -> int:
    """Tokens of the grid, with the one that begins each row."""
    return self.rows * (self.columns + 1)


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
  """A picture on its canvas.

  Attributes:
    image: uint8[rows * patch, columns * patch, 3]; the picture is in the top
      left, background to the right or below.
    template: of the canvas.
    covered: (rows, columns) of cells from the top left that hold any of the
      picture; the others are padding.
    placement: maps pixel centres of the picture to those of the canvas.
  """

  image: Image
  template: Template
  covered: tuple[int, int]
  placement: Placement

  @property
  def mask(self) -> NDArray[np.bool_]:
    """bool[rows, columns], which cells hold any of the picture."""
    return covered_mask(self.template, self.covered)


@dataclasses.dataclass(frozen=True)
class Templates:
  """The canvases of a budget of tokens.

  Attributes:
    budget: most tokens of a picture, those that begin rows included.
    patch: side of the square of pixels that one code stands for.
    square: only the largest square canvas within the budget, whatever the
      picture: what the table is to be compared with.
  """

  budget: int = 128
  patch: int = 16
  square: bool = False

  def __post_init__(self) -> None:
    if self.budget < 2 or self.patch < 1:
      raise ValueError(
        f"A budget of {self.budget} tokens with patches of {self.patch} pixels "
        "holds no picture: one code and the token of its row are 2 tokens, "
        "and a patch has at least 1 pixel."
      )

  @functools.cached_property
  def table(self) -> tuple[Template, ...]:
    """The canvases, by rows."""
    if self.square:
      return (square_template(self.budget),)
    return template_table(self.budget)

  def choose(self, height: float, width: float) -> Template:
    """The template whose aspect ratio is nearest.

    By plain difference of the ratios; of two as near, the one of fewer rows.

    Args:
      height, width: of a picture, any unit.

    Raises:
      ValueError: the picture is empty, or so thin that nothing of it would be
        left on any canvas.
    """
    if not (height > 0 and width > 0):
      raise ValueError(
        f"A picture of {width} x {height} pixels is empty; leave it out."
      )
    ratio = width / height
    template = min(self.table, key=lambda t: abs(t.ratio - ratio))
    scale = self.scale(height, width, template)
    if min(height, width) * scale < 0.5:
      rows, columns = self.size(template)
      raise ValueError(
        f"A picture of {width} x {height} pixels is too thin: on the canvas "
        f"of {columns} x {rows} that suits it best it would be less than a "
        "pixel across. Cut it into shorter pieces, or raise the budget of "
        f"{self.budget} tokens."
      )
    return template

  def size(self, template: Template) -> tuple[int, int]:
    """(height, width) of a canvas, pixels."""
    return template.rows * self.patch, template.columns * self.patch

  def scale(self, height: float, width: float, template: Template) -> float:
    """Factor by which a picture is enlarged or shrunk onto its canvas."""
    rows, columns = self.size(template)
    return min(rows / height, columns / width)

  def cells(
    self, height: float, width: float, template: Template
  ) -> tuple[int, int]:
    """(rows, columns) of cells that a picture covers on its canvas.

    Args:
      height, width: of the picture, any unit.
      template: of the canvas.
    """
    scale = self.scale(height, width, template)
    # Rounded to pixels as `letterbox` does.
    rows = math.ceil(max(1, round(height * scale)) / self.patch)
    columns = math.ceil(max(1, round(width * scale)) / self.patch)
    return min(rows, template.rows), min(columns, template.columns)

  def fit(self, image: Image, padding: Padding = "black") -> Fitted:
    """Fits a picture to the canvas of the nearest aspect ratio.

    It is enlarged or shrunk until it touches two sides.

    Args:
      image: uint8[height, width, 3] RGB.
      padding: see `letterbox`.

    Raises:
      ValueError: see `choose` and `letterbox`.
    """
    height, width = image.shape[:2]
    template = self.choose(height, width)
    canvas, placement = letterbox(image, self.size(template), padding, "corner")
    covered = self.cells(height, width, template)
    return Fitted(canvas, template, covered, placement)


def grids(budget: int) -> tuple[tuple[int, int], ...]:
  """(rows, columns) of every canvas of a budget, for what is sampled freely."""
  return tuple((one.rows, one.columns) for one in template_table(budget))


@functools.cache
def template_table(budget: int) -> tuple[Template, ...]:
  """All canvases that nearly fill a budget of tokens.

  To every number of rows belong the most columns that the budget allows; a
  canvas that leaves sqrt(budget) tokens or more unused is left out.

  Args:
    budget: tokens; a row of n codes costs n + 1.
  """
  found = []
  for rows in range(1, budget + 1):
    columns = budget // rows - 1
    template = Template(rows, columns)
    unused = budget - template.tokens
    if columns > 0 and unused * unused < budget:
      found.append(template)
  return tuple(found)


def square_template(budget: int) -> Template:
  """The largest square canvas within a budget of tokens."""
  side = (math.isqrt(4 * budget + 1) - 1) // 2
  return Template(side, side)


def covered_mask(
  template: Template, covered: tuple[int, int]
) -> NDArray[np.bool_]:
  """bool[rows, columns]: the first `covered` rows and columns of a grid."""
  mask = np.zeros((template.rows, template.columns), np.bool_)
  mask[: covered[0], : covered[1]] = True
  return mask
