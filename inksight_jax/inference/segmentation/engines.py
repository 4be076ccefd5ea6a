"""Word boxes of other people's engines: docTR and Tesseract.

Both are optional (`pip install inksight-jax[page]`) and imported at the first
use. They were made for print: on handwriting the built-in segmenter is worth a
comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from inksight_jax.inference.segmentation.types import Image, WordRegion

# docTR cuts words tightly; InkSight's own pipeline widens them by as much.
_DOCTR_MARGIN = 0.1


class TesseractSegmenter:
  """Words as Tesseract 4 or 5 finds and reads them.

  Args:
    language: its name of the language, for example "eng" or "deu+eng".

  Raises:
    ValueError: pytesseract, or the program itself, is not installed.
  """

  def __init__(self, language: str = "eng") -> None:
    try:
      import pytesseract
    except ImportError as error:
      raise ValueError(
        "--segmenter=tesseract needs pytesseract: pip install "
        "'inksight-jax[page]'."
      ) from error
    self._engine = pytesseract
    self._language = language
    try:
      known = pytesseract.get_languages()
    except pytesseract.TesseractNotFoundError as error:
      raise ValueError(
        "--segmenter=tesseract needs the program `tesseract` on the PATH: for "
        "example apt-get install tesseract-ocr, or brew install tesseract."
      ) from error
    for name in language.split("+"):
      if name not in known:
        raise ValueError(
          f"Tesseract has no data for the language {name!r}, only for "
          f"{', '.join(known)}; on Debian install tesseract-ocr-{name}."
        )

  def __call__(self, image: Image) -> Sequence[WordRegion]:
    """Finds the words of a page, with Tesseract's reading as `text`."""
    try:
      table = self._engine.image_to_data(
        image, lang=self._language, output_type=self._engine.Output.DICT
      )
    except (self._engine.TesseractError, SystemError) as error:
      raise ValueError(f"Tesseract refused the page: {error}.") from error
    lines: dict[tuple[int, int, int], int] = {}
    regions = []
    for index, text in enumerate(table["text"]):
      # Blocks, paragraphs and lines have rows of their own, without text.
      if not text.strip():
        continue
      key = (
        table["block_num"][index],
        table["par_num"][index],
        table["line_num"][index],
      )
      left, top, width, height = (
        float(table[name][index]) for name in ("left", "top", "width", "height")
      )
      regions.append(
        WordRegion(
          box=(left, top, left + width, top + height),
          line=lines.setdefault(key, len(lines)),
          text=text.strip(),
        )
      )
    return regions


class DoctrSegmenter:
  """Words as docTR finds and reads them.

  It downloads its models at the first use; without a network set
  DOCTR_CACHE_DIR to a folder that holds them.

  Raises:
    ValueError: docTR is not installed, or its models cannot be loaded.
  """

  def __init__(self) -> None:
    try:
      from doctr.models import ocr_predictor
    except ImportError as error:
      raise ValueError(
        "--segmenter=doctr needs docTR: pip install 'inksight-jax[page]'."
      ) from error
    try:
      self._engine: Any = ocr_predictor(pretrained=True)
    except (OSError, RuntimeError, ValueError) as error:
      raise ValueError(
        f"docTR cannot load its models: {error}. It downloads them once; "
        "without a network set DOCTR_CACHE_DIR to a folder that holds them."
      ) from error

  def __call__(self, image: Image) -> Sequence[WordRegion]:
    """Finds the words of a page, with docTR's reading as `text`."""
    height, width = image.shape[:2]
    (page,) = self._engine([image]).pages
    regions = []
    number = 0
    for block in page.blocks:
      for line in block.lines:
        for word in line.words:
          if not word.value.strip():
            continue
          # Corners as shares of the page; four of them where it is turned.
          corners = np.asarray(word.geometry, np.float64) * (width, height)
          regions.append(
            WordRegion(
              box=_widened(corners, width, height),
              line=number,
              text=word.value.strip(),
            )
          )
        number += 1
    return regions


def _widened(
  corners: np.ndarray, width: int, height: int
) -> tuple[float, float, float, float]:
  """Box around corners and a margin, within the page."""
  low, high = corners.min(axis=0), corners.max(axis=0)
  margin = _DOCTR_MARGIN * (high - low)
  left, top = np.maximum(low - margin, 0).tolist()
  right, bottom = np.minimum(high + margin, (width, height)).tolist()
  return left, top, right, bottom
