"""`inksight-jax data list` and `prepare`: what there is, and bringing it in."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

# Reasons that the table shows; the file has every sample.
_SHOWN_REASONS = 12


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `data list`."""
  _add_data_dir(parser)
  parser.add_argument("--json", action="store_true", help="print JSON")
  parser.set_defaults(run=run_list)


def add_prepare_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `data prepare`."""
  parser.add_argument("name", metavar="NAME", help="see `data list`")
  parser.add_argument(
    "--manual_dir",
    default="",
    metavar="PATH",
    help="the downloaded archive or folder, or a folder with a sub-folder NAME",
  )
  _add_data_dir(parser)
  parser.add_argument(
    "--key",
    metavar="KEY",
    help="name of the prepared folder in --data_dir (default: NAME)",
  )
  parser.add_argument(
    "--option",
    action="append",
    default=[],
    metavar="NAME=VALUE",
    help="option of the reader; a comma separates several values",
  )
  parser.add_argument("--json", action="store_true", help="print JSON")
  parser.set_defaults(run=run_prepare)


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
  parser.add_argument(
    "--data_dir",
    default="data",
    metavar="DIR",
    help="folder of the prepared data sets (default: %(default)s)",
  )


def run_list(args: argparse.Namespace) -> int:
  """Prints the table of data sets; returns the exit code."""
  from inksight_jax.datasets.registry import DATASETS

  found = find_stores(args.data_dir)
  if args.json:
    table = {
      name: {
        "kind": info.kind,
        "holds": list(info.holds),
        "licence": info.licence,
        "citation": info.citation,
        "access": info.access,
        "counts": dict(info.counts),
        "splits": info.splits,
        "options": list(info.options),
        "prepared": {
          path: _state(store, info.counts)
          for path, store in found.get(name, {}).items()
        },
      }
      for name, info in DATASETS.items()
    }
    print(json.dumps(table, indent=2, ensure_ascii=False))
    return 0
  for name, info in DATASETS.items():
    counts = ", ".join(f"{part} {n:,}" for part, n in info.counts.items())
    rows = {
      "holds": info.kind,
      "licence": info.licence,
      "access": info.access,
      "samples": counts or "as many as asked for",
      "splits": info.splits,
      "options": ", ".join(info.options),
      "cite": info.citation,
    }
    print(name)
    for key, value in rows.items():
      print(f"  {key:<8} {value}")
    for path, store in found.get(name, {}).items():
      print(f"  {'present':<8} {path}: {_describe(store, info.counts)}")
    if name not in found:
      state = "no" if info.needs_path else "yes, needs no files"
      print(f"  {'present':<8} {state}")
  return 0


def find_stores(
  data_dir: str,
) -> dict[str, dict[str, Mapping[str, Any] | None]]:
  """The prepared folders in a folder, by data set.

  Args:
    data_dir: where to look, one level deep.

  Returns:
    By data set and path, what store.json says, None where it is not finished.
  """
  from inksight_jax.datasets.store import SETTINGS_FILE, STORE_FILE, read_store

  found: dict[str, dict[str, Mapping[str, Any] | None]] = {}
  for path in sorted(pathlib.Path(data_dir).glob(f"*/{SETTINGS_FILE}")):
    name = json.loads(path.read_text(encoding="utf-8"))["name"]
    folder = path.parent
    finished = (folder / STORE_FILE).exists()
    store = read_store(os.fspath(folder)) if finished else None
    found.setdefault(name, {})[os.fspath(folder)] = store
  return found


def _state(
  store: Mapping[str, Any] | None, expected: Mapping[str, int]
) -> dict[str, Any]:
  """What `list --json` says of one prepared folder."""
  if store is None:
    return {"finished": False}
  return {
    "finished": True,
    "records": {split: sum(parts) for split, parts in store["splits"].items()},
    "seen": store["seen"],
    "expected": {p: expected[p] for p in store["seen"] if p in expected},
    "skipped": sum(store["skipped"].values()),
    "options": store["options"],
  }


def _describe(
  store: Mapping[str, Any] | None, expected: Mapping[str, int]
) -> str:
  """One line about a prepared folder."""
  if store is None:
    return "begun, not finished; run `data prepare` again"
  splits = ", ".join(
    f"{split} {sum(parts):,}" for split, parts in store["splits"].items()
  )
  seen = ", ".join(
    f"{part} {count:,}"
    + (f" of {expected[part]:,}" if part in expected else "")
    for part, count in store["seen"].items()
  )
  skipped = sum(store["skipped"].values())
  return f"{splits}; {seen}; {skipped:,} left out"


def run_prepare(args: argparse.Namespace) -> int:
  """Writes a store of a data set; returns the exit code."""
  from inksight_jax.cli.data import parse_options
  from inksight_jax.cli.progress import Progress
  from inksight_jax.datasets.prepare import prepare
  from inksight_jax.datasets.registry import dataset_info

  info = dataset_info(args.name)
  directory = os.path.join(args.data_dir, args.key or args.name)
  path = args.manual_dir
  if path and os.path.isdir(os.path.join(path, args.name)):
    path = os.path.join(path, args.name)
  with Progress("records") as progress:
    store = prepare(
      args.name,
      path,
      directory,
      parse_options(args.option),
      lambda count: progress.advance(args.name),
    )
  if args.json:
    print(json.dumps(_state(store, info.counts), indent=2, ensure_ascii=False))
    return 0
  print(f"{directory}: {_describe(store, info.counts)}")
  reasons = list(store["skipped"].items())
  for reason, count in reasons[:_SHOWN_REASONS]:
    print(f"{count:>9,}  {reason}")
  if len(reasons) > _SHOWN_REASONS:
    print(f"{'...':>9}  {len(reasons) - _SHOWN_REASONS} more reasons")
  if reasons:
    print(f"each of them: {os.path.join(directory, 'skipped.tsv')}")
  print(f"licence: {info.licence}")
  return 0
