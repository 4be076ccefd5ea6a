"""How far a long command is: a bar on a terminal, now and then a line else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

# Seconds between lines where there is no terminal.
_INTERVAL = 10.0


class Progress:
  """Counts what is done, on standard error.

  Args:
    unit: what is counted, in the plural.
    terminal: whether to draw a bar; None looks.
    clock: seconds.
    total: how much there is to do, where it is known.
  """

  def __init__(
    self,
    unit: str,
    terminal: bool | None = None,
    clock: Callable[[], float] = time.monotonic,
    total: int | None = None,
  ) -> None:
    self._unit = unit
    self._clock = clock
    self._count = 0
    self._start = self._last = clock()
    self._bar = None
    if sys.stderr.isatty() if terminal is None else terminal:
      from tqdm import tqdm

      self._bar = tqdm(unit=f" {unit}", total=total)

  def __enter__(self) -> Progress:
    return self

  def __exit__(self, *error: object) -> None:
    if self._bar is not None:
      self._bar.close()

  @property
  def has_bar(self) -> bool:
    """Whether a bar is drawn, so that lines of success would only disturb."""
    return self._bar is not None

  def say(self, line: str) -> None:
    """Prints a line on standard error, above the bar if there is one."""
    if self._bar is not None:
      self._bar.write(line, file=sys.stderr)
    else:
      print(line, file=sys.stderr, flush=True)

  def advance(self, name: str, count: int = 1) -> None:
    """Adds to the count.

    Args:
      name: what is being worked on.
      count: how much of it was done.
    """
    self._count += count
    if self._bar is not None:
      if name != self._bar.desc.removesuffix(": "):
        self._bar.set_description(name, refresh=False)
      self._bar.update(count)
      return
    now = self._clock()
    if now - self._last >= _INTERVAL:
      self._last = now
      rate = self._count / (now - self._start)
      print(
        f"{name}: {self._count:,} {self._unit}, {rate:,.0f} per second",
        file=sys.stderr,
      )
