"""Registry entries of the data sets with pictures of handwriting."""

from __future__ import annotations

from inksight_jax.datasets.info import DatasetInfo

IMAGE_SETS: tuple[DatasetInfo, ...] = ()
