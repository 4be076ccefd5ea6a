"""Where the wall time of a run goes."""

import contextlib
import time
from collections.abc import Iterator, Sequence


class Clock:
  """Splits wall time into named shares; what no name claims is stepping."""

  def __init__(self) -> None:
    """Starts now."""
    self._start = time.perf_counter()
    self._spent: dict[str, float] = {}

  @contextlib.contextmanager
  def time(self, name: str) -> Iterator[None]:
    """Books the time of a `with` block under a name."""
    begin = time.perf_counter()
    try:
      yield
    finally:
      elapsed = time.perf_counter() - begin
      self._spent[name] = self._spent.get(name, 0.0) + elapsed

  def seconds(self, without: Sequence[str] = ()) -> float:
    """Wall time since the start, less that booked under some names."""
    left_out = sum(self._spent.get(name, 0.0) for name in without)
    return time.perf_counter() - self._start - left_out

  def shares(self) -> dict[str, float]:
    """Fractions of the wall time so far; they sum to one.

    Returns:
      `step` and every booked name, for example `data`, `compile`, `save`.
    """
    total = max(self.seconds(), 1e-9)
    shares = {name: spent / total for name, spent in self._spent.items()}
    return {"step": 1.0 - sum(shares.values()), **shares}
