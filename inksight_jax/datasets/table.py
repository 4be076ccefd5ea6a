"""The data sets as a page of documentation: docs/datasets.md.

python -m inksight_jax.datasets.table gin > docs/datasets.md
"""

from __future__ import annotations

import pathlib
import re
import sys
from collections.abc import Iterable, Mapping, Sequence

from inksight_jax.datasets.info import DatasetInfo
from inksight_jax.datasets.registry import DATASETS

_HEAD = """\
# Data sets

Written by `python -m inksight_jax.datasets.table gin > docs/datasets.md` from
the registry; a test says when it is out of date. `inksight-jax data list` shows
the same, and what is present. Counts are those published for the whole set,
before anything is left out. No data comes with this project: licence and
access are between you and the owner. "Used by" names the files under `gin/`.

| name | holds | counts | licence | splits | used by |
|---|---|---|---|---|---|
"""
_SOURCE = re.compile(r'^\s*(?:SOURCE|name) = "(\w+)"', re.M)


def used_by(gin_folder: pathlib.Path) -> dict[str, list[str]]:
  """Recipes and task files that name each data set, by data set.

  Args:
    gin_folder: the folder with recipes/ and tasks/.
  """
  found: dict[str, list[str]] = {}
  for kind in ("recipes", "tasks"):
    for path in sorted((gin_folder / kind).glob("*.gin")):
      names = _SOURCE.findall(path.read_text(encoding="utf-8"))
      for name in dict.fromkeys(names):
        found.setdefault(name, []).append(f"{kind}/{path.stem}")
  return found


def markdown(
  infos: Iterable[DatasetInfo], users: Mapping[str, Sequence[str]]
) -> str:
  """The page: a table, then access and citation of each data set.

  Args:
    infos: rows, in order.
    users: gin files by data set.
  """
  infos = list(infos)
  lines = [_HEAD]
  for info in infos:
    counts = ", ".join(f"{part} {n:,}" for part, n in info.counts.items())
    cells = (
      f"`{info.name}`",
      info.kind,
      counts or "–",
      info.licence,
      info.splits,
      ", ".join(users.get(info.name, ())) or "–",
    )
    lines.append("| " + " | ".join(c.replace("|", "/") for c in cells) + " |\n")
  lines.append("\n## Access and citation\n")
  for info in infos:
    options = ", ".join(f"`{option}`" for option in info.options)
    lines.append(
      f"\n**{info.name}** – {info.access}.\n"
      f"Options: {options or 'none'}. Cite: {info.citation}.\n"
    )
  return "".join(lines)


if __name__ == "__main__":
  folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "gin")
  sys.stdout.write(markdown(DATASETS.values(), used_by(folder)))
