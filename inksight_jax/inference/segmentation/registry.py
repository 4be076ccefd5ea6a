"""Segmenters by name."""

from __future__ import annotations

from inksight_jax.inference.segmentation.builtin import BuiltinSegmenter
from inksight_jax.inference.segmentation.engines import (
  DoctrSegmenter,
  TesseractSegmenter,
)
from inksight_jax.inference.segmentation.types import Segmenter

SEGMENTERS = ("builtin", "doctr", "tesseract")


def make_segmenter(segmenter: str | Segmenter = "builtin") -> Segmenter:
  """The segmenter of a name; others are returned as they are.

  Args:
    segmenter: one of SEGMENTERS, or a callable from image to regions.

  Raises:
    ValueError: the name is unknown, or what it needs is not installed.
  """
  if not isinstance(segmenter, str):
    return segmenter
  if segmenter == "builtin":
    return BuiltinSegmenter()
  if segmenter == "doctr":
    return DoctrSegmenter()
  if segmenter == "tesseract":
    return TesseractSegmenter()
  raise ValueError(
    f"Unknown segmenter {segmenter!r}; choose from {', '.join(SEGMENTERS)}."
  )
