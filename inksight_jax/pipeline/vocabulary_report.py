"""What a recipe's texts and targets look like, before a chip is billed."""

from __future__ import annotations

import collections
import functools
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inksight_jax.pipeline.examples import (
  TRAIN,
  Skip,
  example_rng,
)
from inksight_jax.pipeline.mixture import Component, component_rates
from inksight_jax.pipeline.records import MixtureRecords
from inksight_jax.pipeline.task_set import TaskSet
from inksight_jax.text.codecs import NUM_SPECIAL_IDS, UNK_ID
from inksight_jax.text.vocabulary import Vocabulary

# Columns of the histograms between 0 and the target length.
_BINS = 8
# Characters that the table shows of a longer list.
_SHOWN = 60


def vocabulary_report(
  tasks: TaskSet, split: str = TRAIN, samples: int = 1000, seed: int = 0
) -> dict[str, Any]:
  """Counts characters of all texts, and lengths of some targets.

  Args:
    tasks: the tasks and their sources.
    split: whose texts to count; the other splits are compared with it.
    samples: examples per component whose targets are measured, drawn at
      random; 0 for none.
    seed: which ones.

  Returns:
    JSON values:
    "components": by component, records, share of the mixture, what is left out
      (of all records) and lengths of targets (of the sample);
    "characters": number of different ones, those outside the vocabulary and
      those of the other splits that this one never shows, with counts;
    "never_seen": characters or bytes of the vocabulary without an occurrence;
    "scripts": share of the UTF-8 bytes of all texts.

  Raises:
    ValueError: a source cannot be read, or a task has no record in any.
  """
  records = MixtureRecords(tasks, split)
  characters = _characters(tasks, split)
  rates = component_rates(tasks.components, tasks.rates, records.sizes)
  total = sum(rates.values())
  components = {}
  for name, component in records.components.items():
    components[name] = {
      "records": records.sizes[name],
      "share": rates.get(name, 0.0) / total,
      "left_out": records.skipped[name],
      "lengths": _lengths(records, component, samples, seed),
    }
  others: collections.Counter[str] = collections.Counter()
  for other in ("train", "validation", "test"):
    if other != split:
      others += _characters(tasks, other)
  unseen = {c: n for c, n in others.items() if c not in characters}
  return {
    "split": split,
    "components": components,
    "characters": {
      "different": len(characters),
      "total": characters.total(),
      "outside_vocabulary": _ordered(outside(characters, tasks.vocabulary)),
      "only_in_other_splits": _ordered(unseen),
    },
    "never_seen": never_seen(characters, tasks.vocabulary),
    "scripts": script_shares(characters),
  }


def _characters(tasks: TaskSet, split: str) -> collections.Counter[str]:
  """Occurrences of each character in the texts of all sources."""
  found: collections.Counter[str] = collections.Counter()
  records = MixtureRecords(tasks, split)
  for source in tasks.all_sources:
    for text in records.table(source).split(split).texts():
      found.update(text)
  return found


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
  return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def outside(
  characters: Mapping[str, int], vocabulary: Vocabulary
) -> dict[str, int]:
  """Characters that the text codec cannot write, with their counts."""
  return {
    c: n for c, n in characters.items() if UNK_ID in vocabulary.encode_text(c)
  }


def never_seen(
  characters: Mapping[str, int], vocabulary: Vocabulary
) -> list[str]:
  """Text ids that no character of the texts uses, as they read.

  Characters are encoded one by one, so pieces of several characters are not
  reported; a byte that is no character reads as `<0xE2>`.
  """
  used = {i for c in characters for i in vocabulary.encode_text(c)}
  config = vocabulary.text.to_config()
  texts = []
  for i in range(NUM_SPECIAL_IDS, vocabulary.text.size):
    if i in used:
      continue
    if config["type"] == "bytes" and i - NUM_SPECIAL_IDS > 127:
      texts.append(f"<0x{i - NUM_SPECIAL_IDS:02X}>")
      continue
    text = vocabulary.text.decode([i])
    if len(text) == 1:
      texts.append(text)
  return texts


@functools.cache
def script_of(character: str) -> str:
  """The script by the first word of the character's Unicode name.

  Letters only: "LATIN", "CJK", "HANGUL", ...; else "digits", "spaces" or
  "signs".
  """
  category = unicodedata.category(character)
  if category[0] == "Z":
    return "spaces"
  if category[0] == "N":
    return "digits"
  if category[0] not in "LM":
    return "signs"
  return unicodedata.name(character, "UNNAMED").split()[0].split("-")[0]


def script_shares(characters: Mapping[str, int]) -> dict[str, float]:
  """Share of each script in the UTF-8 bytes of all texts, largest first."""
  sizes: collections.Counter[str] = collections.Counter()
  for character, count in characters.items():
    sizes[script_of(character)] += count * len(
      character.encode("utf-8", "replace")
    )
  total = sizes.total()
  return {script: n / total for script, n in sizes.most_common()}


def _lengths(
  records: MixtureRecords, component: Component, samples: int, seed: int
) -> dict[str, Any] | None:
  """Lengths of the targets of a random sample; None where there is none."""
  indices = records.indices[component.name]
  if not samples or not len(indices):
    return None
  spec, split = records.tasks, records.split
  lengths, coarsened = [], 0
  skipped: collections.Counter[str] = collections.Counter()
  order = np.random.default_rng(seed).permutation(len(indices))[:samples]
  rows = records.of(component)
  for index in indices[order].tolist():
    record = rows[index]
    rng = example_rng(seed, split, component.task, record.id, 0)
    tokens = spec.measure(
      record, component.task, rng, split == TRAIN, component.source
    )
    if isinstance(tokens, Skip):
      skipped[tokens.reason] += 1
      continue
    lengths.append(len(tokens.targets))
    coarsened += tokens.coarsened > 0
  edges = [spec.target_length * i // _BINS for i in range(_BINS + 1)]
  counts = np.histogram(lengths, edges)[0] if lengths else np.zeros(_BINS, int)
  return {
    "samples": len(order),
    "skipped": dict(skipped),
    "coarsened": coarsened,
    "median": float(np.median(lengths)) if lengths else None,
    "p99": float(np.percentile(lengths, 99)) if lengths else None,
    "longest": max(lengths, default=None),
    "edges": edges,
    "counts": counts.tolist(),
  }


def report_table(report: Mapping[str, Any]) -> str:
  """The report for people."""
  lines = [
    f"{'task/data set':<36}{'records':>10}{'share':>8}{'median':>8}{'p99':>7}"
    f"{'longest':>8}  targets by length, then what is left out"
  ]
  for name, entry in report["components"].items():
    row = f"{name:<36}{entry['records']:>10,}{entry['share']:>8.1%}"
    lengths = entry["lengths"]
    if lengths and lengths["median"] is not None:
      row += f"{lengths['median']:>8.0f}{lengths['p99']:>7.0f}"
      row += f"{lengths['longest']:>8}  {_bars(lengths['counts'])}"
    notes = [f"{r} {n:,}" for r, n in entry["left_out"].items()]
    if lengths:
      notes += [
        f"{r} {n} of {lengths['samples']}"
        for r, n in lengths["skipped"].items()
      ]
      if lengths["coarsened"]:
        notes.append(
          f"simplified harder {lengths['coarsened']} of {lengths['samples']}"
        )
    lines.append(f"{row}  {', '.join(notes)}".rstrip())
  characters = report["characters"]
  lines += [
    "",
    f"{characters['total']:,} characters, "
    f"{characters['different']:,} different",
    "outside the vocabulary: " + _listed(characters["outside_vocabulary"]),
    f"not in {report['split']}, but in other splits: "
    + _listed(characters["only_in_other_splits"]),
    "of the vocabulary, never seen: " + _listed(report["never_seen"]),
    "bytes by script: "
    + (
      ", ".join(f"{s} {share:.1%}" for s, share in report["scripts"].items())
      or "no text"
    ),
  ]
  return "\n".join(lines)


def _bars(counts: Sequence[int]) -> str:
  """A histogram in one line; a dot for nothing at all."""
  most = max(*counts, 1)
  return "".join(
    "▁▂▃▄▅▆▇█"[min(7, 8 * n // most)] if n else "." for n in counts
  )


def _listed(characters: Mapping[str, int] | Sequence[str]) -> str:
  if not characters:
    return "none"
  shown = [repr(c)[1:-1] if len(c) == 1 else c for c in characters][:_SHOWN]
  rest = len(characters) - len(shown)
  return " ".join(shown) + (f" and {rest:,} more" if rest else "")
