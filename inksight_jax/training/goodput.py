"""What share of a run's wall time was training, over all of its starts."""

import json
import os
from typing import Any

import jax

from inksight_jax.training import clock as clock_lib

FILE = "goodput.json"
# Steps that a later start had to do again, as they were not yet saved.
LOST = "lost"


class Goodput:
  """Adds the clock of this start to those of earlier ones.

  Seconds are known up to the last report of each start: a killed run loses
  count of what came after it, at most one reporting period.
  """

  def __init__(
    self, clock: clock_lib.Clock, model_dir: str | None, first_step: int
  ) -> None:
    """Reads what earlier starts have spent.

    Args:
      clock: of this start.
      model_dir: holds `goodput.json`; None counts this start alone.
      first_step: step this start begins after; 0 forgets earlier ones.
    """
    self._clock = clock
    self._path = None if model_dir is None else os.path.join(model_dir, FILE)
    self._first = first_step
    self._earlier = read(self._path) if self._path and first_step else []

  def report(self, step: int) -> dict[str, float]:
    """Shares of all wall time so far; writes them down for the next start.

    Args:
      step: steps done.

    Returns:
      `time/<what>` for stepping, data, compile, save and so on, which sum to
      one; `time/seconds`, what they are shares of; `time/starts`.
    """
    total = self._clock.seconds()
    shares = self._clock.shares()
    now = {
      "first": self._first,
      "last": step,
      "seconds": {name: share * total for name, share in shares.items()},
    }
    starts = [*self._earlier, now]
    if self._path is not None and jax.process_index() == 0:
      partial = f"{self._path}.partial"
      with open(partial, "w", encoding="utf-8") as file:
        json.dump({"starts": starts}, file, indent=1)
      os.replace(partial, self._path)
    seconds = add_up(starts)
    total = max(sum(seconds.values()), 1e-9)
    return {
      **{f"time/{name}": value / total for name, value in seconds.items()},
      "time/seconds": total,
      "time/starts": float(len(starts)),
    }


def read(path: str) -> list[dict[str, Any]]:
  """The starts written down in a file; none if it is absent or torn."""
  try:
    with open(path, encoding="utf-8") as file:
      return json.load(file)["starts"]
  except (OSError, ValueError, KeyError):
    return []


def add_up(starts: list[dict[str, Any]]) -> dict[str, float]:
  """Seconds by kind over several starts.

  Steps that a later start did again count as `lost`, in proportion to the
  steps of their start.

  Args:
    starts: each with its `first` and `last` step and `seconds` by kind.

  Returns:
    Seconds by kind, `step` first.
  """
  total: dict[str, float] = {"step": 0.0}
  for index, start in enumerate(starts):
    seconds = dict(start["seconds"])
    kept = min([start["last"], *(s["first"] for s in starts[index + 1 :])])
    done = start["last"] - start["first"]
    if kept < start["last"] and done > 0:
      again = (start["last"] - max(kept, start["first"])) / done
      lost = seconds.get("step", 0.0) * again
      seconds["step"] = seconds.get("step", 0.0) - lost
      seconds[LOST] = seconds.get(LOST, 0.0) + lost
    for name, value in seconds.items():
      total[name] = total.get(name, 0.0) + value
  return total
