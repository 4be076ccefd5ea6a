"""Every reader on hostile files: a clear error or a counted skip, soon.

    python benchmarks/hostile_files.py --sets=uji,scut_couch

Takes a small valid set of each upstream format, damages one file of it at a
time, and reads all splits, as `inksight-jax data prepare` does, in a process of
its own. Prints a line per set: how many damaged sets were refused, had samples
counted as left out, or were read, and the most processor time and memory. Ends
with an error where a reader raised anything but a ValueError that names the
file, left samples out without a word, gave away a file outside the set, or took
more than 2 s or 200 MB.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import os
import pathlib
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import hostile_archives
import hostile_damage
import hostile_sets
from hostile_damage import PICTURES, is_plain

from inksight_jax.datasets.prepare import SkipLog
from inksight_jax.datasets.registry import dataset_info, load_splits
from inksight_jax.datasets.splits import SPLITS

LIMIT_S = 2.0
LIMIT_BYTES = 200e6
FINE = ("refused", "counted", "shorter", "read")
# Beyond these the process is ended, whatever it does.
_KILL_S = 12
_KILL_BYTES = 2 << 30
_SECRET = "SECRET7731"
_SECRET_PIXEL = (203, 11, 77)


@dataclasses.dataclass(frozen=True)
class Outcome:
  """How a process read a set.

  Attributes:
    kind: "read", "counted" (as left out), "refused", or what went wrong.
    detail: message or traceback.
    seconds: processor time of one pass; a set with official splits is read
      once a split.
    peak: growth of the process in bytes at its worst.
    counts: records, and skips with their places.
  """

  kind: str
  detail: str
  seconds: float
  peak: float
  counts: dict[str, Any]


def _status(key: str) -> int:
  """A memory figure of this process, bytes."""
  text = pathlib.Path("/proc/self/status").read_text()
  line = next(line for line in text.splitlines() if line.startswith(key))
  return int(line.split()[1]) * 1024


def _gives_away(record: Any) -> bool:
  """Whether a record shows what lies outside the set."""
  if _SECRET in record.text or "root:" in record.text:
    return True
  return record.image is not None and bool(
    (record.image.reshape(-1, 3).mean(0).round() == _SECRET_PIXEL).all()
  )


def _read(small: hostile_sets.SmallSet, path: pathlib.Path) -> dict[str, Any]:
  """Reads everything in this process; the JSON-able outcome."""
  report, records, leaks = SkipLog(), 0, 0
  kind, detail = "read", ""
  try:
    for _, record in load_splits(
      small.reader, str(path), report, **small.options
    ):
      records += 1
      leaks += _gives_away(record)
  except ValueError as error:
    kind, detail = "refused", str(error)
    if type(error) is not ValueError:
      kind, detail = f"raw {type(error).__name__}", traceback.format_exc()
  except BaseException as error:
    kind, detail = f"raw {type(error).__name__}", traceback.format_exc()
  if leaks:
    kind = "gave away a file outside"
  # Each with its place, less the folder, which differs from run to run.
  skips = sorted(
    f"{reason}: {where.replace(str(path), '')}"
    for reason, where in report.places
  )
  counts = {"records": records, "skips": skips}
  return {"kind": kind, "detail": detail, "counts": counts}


def run(small: hostile_sets.SmallSet, path: pathlib.Path) -> Outcome:
  """Reads a set in a process of its own and measures it."""
  inlet, outlet = os.pipe()
  child = os.fork()
  if not child:
    os.close(inlet)
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _status("VmRSS")
    room = _status("VmSize") + _KILL_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_CPU, (_KILL_S, _KILL_S))
    start = time.process_time()
    found = _read(small, path)
    passes = 1 if dataset_info(small.reader).by_writer else len(SPLITS)
    found["seconds"] = (time.process_time() - start) / passes
    found["peak"] = _status("VmHWM") - before
    with os.fdopen(outlet, "w") as stream:
      json.dump(found, stream)
    os._exit(0)
  os.close(outlet)
  with os.fdopen(inlet) as stream:
    text = stream.read()
  _, status = os.waitpid(child, 0)
  if status or not text:
    signal = os.waitstatus_to_exitcode(status)
    return Outcome(f"ended by {signal}", "", _KILL_S, 0, {})
  return Outcome(**json.loads(text))


def judge(
  clean: Outcome,
  found: Outcome,
  names: tuple[str, ...],
  what: str,
  plain: bool,
) -> Outcome:
  """Compares a damaged set with the clean one; "read" may turn out otherwise.

  Args:
    clean: how the undamaged set was read.
    found: how the damaged one was.
    names: of which an error must contain one.
    what: was done to it.
    plain: whether it was done to a text of lines.
  """
  kind = found.kind
  if kind == "refused" and not any(name in found.detail for name in names):
    kind = "error without the file's name"
  elif kind == "read":
    if set(found.counts["skips"]) - set(clean.counts["skips"]):
      kind = "counted"
    elif found.counts["records"] < clean.counts["records"]:
      # A list of rows that ends early is a shorter list, and a row with an
      # unknown word a comment; other formats can tell.
      silent = plain and what.startswith(("empty", "cut", "altered"))
      kind = "shorter" if silent else "left out without a word"
  if kind in FINE:
    if found.seconds > LIMIT_S:
      kind = "too slow"
    elif found.peak > LIMIT_BYTES:
      kind = "too much memory"
  return dataclasses.replace(found, kind=kind)


Case = tuple[str, str, Callable[[pathlib.Path], pathlib.Path]]


def cases(
  small: hostile_sets.SmallSet, clean: pathlib.Path, work: pathlib.Path
) -> Iterator[Case]:
  """All damaged versions of a set.

  Args:
    small: the set.
    clean: its folder, which is not touched.
    work: an empty folder.

  Yields:
    (damaged file, what was done, function that writes the set below a folder
    and returns the path for the reader).
  """
  paths = sorted(p for p in clean.rglob("*") if p.is_file())
  names = [p.relative_to(clean).as_posix() for p in paths]
  contents = {n: p.read_bytes() for n, p in zip(names, paths, strict=True)}
  # Pictures of one folder are read alike; one of them will do.
  chosen = {
    (path.parent, path.suffix if path.suffix in PICTURES else path.name): name
    for path, name in zip(reversed(paths), reversed(names), strict=True)
  }
  for name in sorted(chosen.values()):
    data = contents[name]
    # Seeded by the file: a single set repeats what the whole table did.
    rng = np.random.default_rng(list(name.encode()))
    siblings = [other for other in names if other != name]
    for what, make in hostile_damage.damages(name, data, siblings, rng):

      def place(
        folder: pathlib.Path,
        name: str = name,
        make: Callable[[], bytes] = make,
      ) -> pathlib.Path:
        shutil.copytree(clean, folder / "set", copy_function=os.link)
        (folder / "set" / name).unlink()
        (folder / "set" / name).write_bytes(make())
        return folder / "set" / small.member

      yield name, what, place
  if not small.archive:
    return
  for suffix in ("tar.gz", "tar.xz"):
    packed = work / f"set.{suffix}"
    hostile_sets.pack(clean, packed)
    rng = np.random.default_rng(len(suffix))
    for what, make in hostile_archives.archive_damages(
      contents, packed.read_bytes(), rng
    ):

      def archive(
        folder: pathlib.Path,
        suffix: str = suffix,
        make: Callable[[], bytes] = make,
      ) -> pathlib.Path:
        path = folder / f"set.{suffix}"
        path.write_bytes(make())
        return path

      yield f"set.{suffix}", what, archive


def _secrets(folder: pathlib.Path) -> None:
  """Files beside the set that no damaged reference may reach."""
  picture = np.full((40, 40, 3), _SECRET_PIXEL[::-1], np.uint8)
  for suffix in (".png", ".jpg", ".tiff"):
    cv2.imwrite(str(folder / f"secret{suffix}"), picture)
  for suffix in (".txt", ".dat", ".xml", ".inkml"):
    (folder / f"secret{suffix}").write_text(_SECRET)


def try_set(
  small: hostile_sets.SmallSet, verbose: bool
) -> tuple[collections.Counter[str], float, float, list[str]]:
  """Reads all damaged versions of a set.

  Returns:
    (cases by outcome, most seconds, most bytes, complaints).
  """
  kinds: collections.Counter[str] = collections.Counter()
  slowest, largest, complaints = 0.0, 0.0, []
  with tempfile.TemporaryDirectory() as temporary:
    root = pathlib.Path(temporary)
    (root / "clean").mkdir()
    small.write(root / "clean")
    clean = run(small, root / "clean" / small.member)
    if clean.kind != "read" or not clean.counts["records"]:
      raise RuntimeError(f"{small.label}, undamaged: {clean}")
    for name, what, place in cases(small, root / "clean", root):
      folder = root / "damaged"
      folder.mkdir()
      _secrets(folder)
      path = place(folder)
      # The message may name the file, or the folder that lacks one now.
      known = (pathlib.PurePosixPath(name).stem, str(path))
      original = root / "clean" / name
      plain = original.is_file() and is_plain(original.read_bytes())
      found = judge(clean, run(small, path), known, what, plain)
      shutil.rmtree(folder)
      kinds[found.kind] += 1
      slowest = max(slowest, found.seconds)
      largest = max(largest, found.peak)
      line = (
        f"{small.label}, {name}, {what}: {found.kind}, {found.seconds:.2f} s, "
        f"{found.peak / 1e6:.0f} MB"
      )
      if found.kind not in FINE:
        counts = str(found.counts)[:500]
        complaints.append(f"{line} {counts}\n{found.detail[-1500:]}")
        print(complaints[-1], flush=True)
      elif verbose:
        print(f"{line}  {found.detail[:200]}", flush=True)
  return kinds, slowest, largest, complaints


def main() -> None:
  """Runs the benchmark."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
  parser.add_argument("--sets", default="", help="for example uji,unipen")
  parser.add_argument("--verbose", action="store_true")
  arguments = parser.parse_args()
  cv2.setNumThreads(0)
  wanted = [name for name in arguments.sets.split(",") if name]
  complaints, total = [], 0
  columns = "".join(f"{kind:>8}" for kind in FINE)
  print(f"{'set':<22}{'cases':>6}{columns}   max s  max MB")
  for small in hostile_sets.SETS:
    if wanted and small.reader not in wanted:
      continue
    kinds, slowest, largest, found = try_set(small, arguments.verbose)
    complaints += found
    total += kinds.total()
    print(
      f"{small.label:<22}{kinds.total():>6}"
      + "".join(f"{kinds[kind]:>8}" for kind in FINE)
      + f"{slowest:>8.2f}{largest / 1e6:>8.0f}",
      flush=True,
    )
  print(f"{total} damaged sets, {len(complaints)} complaints")
  if complaints:
    raise SystemExit(1)


if __name__ == "__main__":
  main()
