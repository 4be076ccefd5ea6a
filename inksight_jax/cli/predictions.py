"""Which images are done: the journal that lets `predict` go on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

JOURNAL = "predictions.jsonl"
# What the journal keeps for itself.
_PRIVATE = ("source", "settings")


class Journal:
  """A line of JSON per predicted image, added when its files are complete.

  The last line of an image counts; a line cut off by a kill does not.

  Attributes:
    path: of the file.
  """

  def __init__(
    self, output_dir: str, settings: Mapping[str, Any], overwrite: bool = False
  ) -> None:
    """Reads what earlier runs have done.

    Args:
      output_dir: where the files go.
      settings: what results depend on beside the image: model, task, text.
      overwrite: whether to count nothing as done.
    """
    self.path = os.path.join(output_dir, JOURNAL)
    self._output_dir = output_dir
    self._settings = dict(settings)
    self._overwrite = overwrite
    self._entries: dict[str, dict[str, Any]] = {}
    for entry in _read(self.path):
      self._entries[entry["source"]["path"]] = entry

  @property
  def names(self) -> dict[str, str]:
    """File names without ending that absolute paths of images have got."""
    return {path: entry["name"] for path, entry in self._entries.items()}

  def done(self, image: str, endings: Sequence[str]) -> dict[str, Any] | None:
    """The entry of an image whose files need not be made again.

    Args:
      image: path.
      endings: of the files that are wanted.

    Returns:
      None if the image, the model or the task is another than then, or a file
      is missing.
    """
    if self._overwrite:
      return None
    entry = self._entries.get(os.path.abspath(image))
    if entry is None or entry["settings"] != self._settings:
      return None
    if entry["source"] != _state(image):
      return None
    files = {entry["name"] + ending for ending in endings}
    if not files <= set(entry["files"]) or not all(
      os.path.isfile(os.path.join(self._output_dir, name)) for name in files
    ):
      return None
    return public(entry)

  def add(self, image: str, name: str, entry: Mapping[str, Any]) -> None:
    """Notes that all files of an image are complete."""
    source = _state(image)
    if source is None:
      return
    full = {
      **entry,
      "name": name,
      "source": source,
      "settings": self._settings,
    }
    before = self._entries.get(source["path"], {})
    if all(before.get(key) == full[key] for key in ("name", *_PRIVATE)):
      # Other formats of the same results are still good.
      full["files"] = list(dict.fromkeys([*before["files"], *entry["files"]]))
    self._entries[source["path"]] = full
    # ASCII: names of files need not be Unicode.
    line = json.dumps(full) + "\n"
    with open(self.path, "a+b") as file:
      # Behind a line that was cut off, begin a new one.
      if file.tell() and not _ends_with_newline(file):
        line = "\n" + line
      file.write(line.encode("ascii"))


def public(entry: Mapping[str, Any]) -> dict[str, Any]:
  """An entry as the summary shows it."""
  return {key: value for key, value in entry.items() if key not in _PRIVATE}


def _state(image: str) -> dict[str, Any] | None:
  """What tells whether an image has changed; None if it is gone."""
  try:
    stat = os.stat(image)
  except OSError:
    return None
  return {
    "path": os.path.abspath(image),
    "size": stat.st_size,
    "mtime_ns": stat.st_mtime_ns,
  }


def _ends_with_newline(file: Any) -> bool:
  file.seek(-1, os.SEEK_END)
  return file.read(1) == b"\n"


def _read(path: str) -> list[dict[str, Any]]:
  """Entries of a journal; lines that are none are passed over."""
  if not os.path.isfile(path):
    return []
  entries = []
  with open(path, "rb") as file:
    for line in file:
      try:
        entry = json.loads(line)
      except ValueError:
        continue
      if isinstance(entry, dict) and all(
        isinstance(entry.get(key), kind)
        for key, kind in (("source", dict), ("files", list), ("name", str))
      ):
        entries.append({"settings": None} | entry)
  return [e for e in entries if isinstance(e["source"].get("path"), str)]
