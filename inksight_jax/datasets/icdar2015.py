"""ICDAR 2015 historical documents ("ANDAR text lines") with one's own texts.

M. Murdock et al., ICDAR 2015 competition on text line detection in historical
documents. The ground truth of the competition is the origin of each line, not
its text; so the texts come in a table that the user adds.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

from inksight_jax.datasets.image_folder import read_image_folder
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import ALL, DEFAULT_FRACTIONS

SOURCE = "icdar2015_historical"


def read_icdar2015(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = ALL,
  labels: str = "lines.csv",
  fractions: Sequence[float] = DEFAULT_FRACTIONS,
  split_seed: int = 0,
) -> Iterator[Record]:
  """Reads lines, cut out of pages as a table says.

  Args:
    path: folder of the pages and of the table.
    report: counts what was left out and why.
    split: "train", "validation", "test" or "all"; dealt by page.
    labels: the table, CSV or TSV in UTF-8 with the columns image, x0, y0, x1,
      y1 (pixels, upright box) and text.
    fractions: shares of the three splits.
    split_seed: another seed deals anew.

  Yields:
    Records with ids <picture>:<x0>,<y0>, in the order of the table.

  Raises:
    ValueError: the table is absent or broken.
  """
  folder = pathlib.Path(path).expanduser()
  if not (folder / labels).is_file():
    raise ValueError(
      f"{folder / labels}: no such file. The competition gives no texts: write "
      "a table with the columns image,x0,y0,x1,y1,text."
    )
  for record in read_image_folder(
    folder,
    report,
    split=split,
    labels=labels,
    fractions=fractions,
    split_seed=split_seed,
  ):
    yield dataclasses.replace(record, source=SOURCE)
