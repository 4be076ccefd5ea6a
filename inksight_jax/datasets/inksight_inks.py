"""Inks that InkSight's models derendered, as released, with their pictures.

B. Mitrevski et al., InkSight, 2024 (arXiv 2402.05804);
huggingface.co/datasets/Derendering/InkSight-Derenderings. All of them come
from test samples of IMGUR5K, IAM and HierText.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence

from inksight_jax.datasets.inkml_files import (
  inkml_files,
  read_documents,
)
from inksight_jax.datasets.pictures import Pictures
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import check_split
from inksight_jax.rendering.letterbox import letterbox

SOURCE = "inksight_inks"
MODELS = ("small-i", "small-p", "large-i")
MODES = ("d+t", "vanilla", "r+d")
CANVAS = 224  # pixels; the inks lie on this letterboxed square

# Folders are `small-i_HierText_inkml` or, in older copies, lower-case.
_NAME = re.compile(
  r"(?:.*/)?([^/_]+)_([^/_]+)_inkml/([^/]+)/([^/]+)\.inkml", re.IGNORECASE
)


def read_inksight_inks(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = "",
  models: Sequence[str] = ("small-p",),
  modes: Sequence[str] = ("d+t",),
  images: bool = True,
) -> Iterator[Record]:
  """Reads derendered inks; where a sample's picture is there, that too.

  Ink and picture are on the canvas of 224 pixels, the picture padded white.

  Args:
    path: folder with `<model>_<data set>_inkml/<mode>/<id>.inkml` and
      `<data set>/images_sample/<id>.png`.
    report: counts what was left out and why.
    split: "test" or "" for everything; the other splits are empty.
    models: of "small-i", "small-p", "large-i".
    modes: of "d+t" (derender with text), "vanilla", "r+d".
    images: whether pictures are looked for.

  Yields:
    Records with ids `<model>/<data set>/<mode>/<example>`.

  Raises:
    ValueError: unknown split, model or mode, or no InkML there.
  """
  check_split(split)
  for given, known in ((models, MODELS), (modes, MODES)):
    if unknown := sorted(set(given) - set(known)):
      raise ValueError(f"{', '.join(unknown)}; known are {', '.join(known)}.")
  report = report or SkipReport()
  root = pathlib.Path(path).expanduser()
  files = inkml_files(root, "InkSight's released inks")
  if split in ("train", "validation"):
    return
  pictures = Pictures(root, report)
  placed = _placed(files)
  wanted = [
    n for n in placed if placed[n][0] in models and placed[n][2] in modes
  ]
  for name, document in read_documents(files, wanted, report):
    model, data_set, mode, example = placed[name]
    identity = f"{model}/{data_set}/{mode}/{example}"
    if not document.ink:
      report.skip("no strokes", name)
      continue
    image = None
    if images and root.is_dir():
      found = pictures.find(
        [f"{data_set}/images_sample/{example}.png"], identity
      )
      picture = pictures.read(found, identity) if found else None
      if picture is not None:
        image, _ = letterbox(picture, CANVAS, "white")
    yield Record(
      id=identity,
      source=SOURCE,
      text=document.annotations.get("textField", ""),
      image=image,
      ink=document.ink,
    )


def _placed(files: Mapping[str, bytes]) -> dict[str, tuple[str, ...]]:
  """(model, data set, mode, example) by path, in order of path."""
  placed = {}
  for name in sorted(files):
    match = _NAME.fullmatch(name)
    if match:
      model, data_set, mode, example = match.groups()
      placed[name] = (model.casefold(), data_set, mode.casefold(), example)
  return placed
