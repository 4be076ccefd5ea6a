"""Counts what a reader left out, and why, so that nothing vanishes silently."""

from __future__ import annotations

import collections

_EXAMPLES_KEPT = 3


class SkipReport:
  """Samples left out, by reason, with the first places they occurred."""

  def __init__(self) -> None:
    self.counts: collections.Counter[str] = collections.Counter()
    self.examples: dict[str, list[str]] = collections.defaultdict(list)

  def skip(self, reason: str, where: str) -> None:
    """Counts one sample.

    Args:
      reason: short and the same for all samples of the kind.
      where: file and line, or sample id.
    """
    self.counts[reason] += 1
    if len(self.examples[reason]) < _EXAMPLES_KEPT:
      self.examples[reason].append(where)

  @property
  def total(self) -> int:
    """Number of samples left out."""
    return self.counts.total()

  def table(self) -> str:
    """One line per reason: count, reason, first examples."""
    if not self.counts:
      return "nothing skipped"
    return "\n".join(
      f"{count:>8}  {reason} (first: {', '.join(self.examples[reason])})"
      for reason, count in self.counts.most_common()
    )
