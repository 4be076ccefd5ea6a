"""Masks of ink for segmenters that give boxes only."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from inksight_jax.inference.segmentation import binarize
from inksight_jax.inference.segmentation.components import connected_pieces
from inksight_jax.inference.segmentation.rules import remove_rules
from inksight_jax.inference.segmentation.types import Image, WordRegion

_MAX_PIXELS = 4e6


def with_masks(image: Image, regions: Sequence[WordRegion]) -> list[WordRegion]:
  """Gives every region the ink that is its own.

  A connected piece of ink belongs to the word that most of it lies in the box
  of; its whole shape does, also where it reaches into the next word's box.

  Args:
    image: uint8[height, width, 3] of the page.
    regions: those that have a mask are returned as they are.
  """
  if all(region.mask is not None for region in regions):
    return list(regions)
  small, scale = binarize.limit_size(image, _MAX_PIXELS)
  ink = binarize.find_ink(small)
  mask = remove_rules(ink.mask, ink.contrast, ink.least)
  pieces = connected_pieces(mask)
  # How much of each piece the best box so far holds, and which one that is.
  most = np.zeros(len(pieces) + 1, np.int64)
  owner = np.full(len(pieces) + 1, -1, np.int64)
  for number, region in enumerate(regions):
    left, top, right, bottom = np.rint(np.array(region.box) * scale).astype(int)
    inside = pieces.labels[max(top, 0) : bottom, max(left, 0) : right]
    found, count = np.unique(inside, return_counts=True)
    better = (count > most[found]) & (found > 0)
    most[found[better]] = count[better]
    owner[found[better]] = number
  # Lines, pictures: what mostly lies outside all boxes is no word's.
  owner[2 * most < pieces.area] = -1
  masked = []
  for number, region in enumerate(regions):
    own = np.nonzero(owner == number)[0]
    if region.mask is not None or not len(own):
      masked.append(region)
      continue
    left, top = int(pieces.left[own].min()), int(pieces.top[own].min())
    right, bottom = int(pieces.right[own].max()), int(pieces.bottom[own].max())
    cells = np.isin(pieces.labels[top:bottom, left:right], own)
    masked.append(
      dataclasses.replace(
        region,
        mask=cells,
        mask_origin=(left / scale, top / scale),
        mask_cell=1 / scale,
      )
    )
  return masked
