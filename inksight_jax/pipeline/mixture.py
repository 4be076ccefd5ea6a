"""Data sets of a mixture: where they lie, what of them is used, how often.

Imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from inksight_jax.pipeline.composed import Compose
from inksight_jax.pipeline.joined import Join

_KEY = re.compile(r"[A-Za-z0-9_.-]+")


def tuples(value: Any) -> Any:
  """Turns the lists of JSON and gin into tuples, so that configs compare."""
  if isinstance(value, Mapping):
    return {k: tuples(v) for k, v in value.items()}
  if isinstance(value, (list, tuple)):
    return tuple(tuples(v) for v in value)
  return value


@dataclasses.dataclass(frozen=True)
class Source:
  """One data set of a mixture.

  Of the examples of a task, a source gives a share in proportion to
  `rate * min(examples, cap)`: by size up to a limit (examples-proportional
  mixing, Raffel et al. 2020, arXiv 1910.10683, section 3.5.2). A cap limits
  how often examples come, not which: over a long run all are seen.

  Attributes:
    name: of the data set in the registry.
    path: prepared store, archive or folder; None leaves the source out.
    root: folder that a relative `path` starts from.
    options: options of the reader, e.g. {"categories": ("1a", "1c")}.
    rate: one factor for all tasks, or a factor by task; a task that is not
      named then takes nothing from this source.
    cap: most examples that count towards the share; None for all, 1 to give
      sources shares by `rate` alone.
    key: name within the mixture, where a data set is in it more than once.
    aspect: least and greatest width over height of photos, both exclusive.
    min_side: least side of photos, pixels.
    join: how many records, side by side, make one; None for each alone.
    compose: how records, words, make lines and pages; None for each alone.
  """

  name: str
  path: str | None = ""
  root: str = ""
  options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  rate: float | Mapping[str, float] = 1.0
  cap: int | None = None
  key: str = ""
  aspect: tuple[float, float] | None = None
  min_side: int = 0
  join: Join | None = None
  compose: Compose | None = None

  def __post_init__(self) -> None:
    object.__setattr__(self, "options", tuples(self.options))
    object.__setattr__(self, "key", self.key or self.name)
    if self.aspect is not None:
      object.__setattr__(self, "aspect", tuple(self.aspect))
    if isinstance(self.join, Mapping):
      object.__setattr__(self, "join", Join(**self.join))
    if isinstance(self.compose, Mapping):
      object.__setattr__(self, "compose", Compose(**tuples(self.compose)))
    if self.join is not None and self.compose is not None:
      raise ValueError(
        f"{self.key!r} has both `join` and `compose`; records stand side by "
        "side, or they make pages."
      )
    if not _KEY.fullmatch(self.key):
      raise ValueError(
        f"The key {self.key!r} of a source names a folder; use letters, "
        "digits, `_`, `-` and `.` only."
      )
    rates = (
      self.rate.values() if isinstance(self.rate, Mapping) else [self.rate]
    )
    if any(not 0 <= rate < math.inf for rate in rates):
      raise ValueError(
        f"The rate of {self.key!r} must be 0 or positive; got {self.rate}."
      )
    if self.cap is not None and self.cap < 1:
      raise ValueError(
        f"The cap of {self.key!r} must be at least 1; got {self.cap}. To leave "
        "a source out, set its path to None."
      )

  @property
  def location(self) -> str:
    """Where the data lies; empty for generated data."""
    return os.path.join(self.root, self.path) if self.path else ""

  def rate_of(self, task: str) -> float:
    """The factor of this source within a task; 0 where it takes no part."""
    if isinstance(self.rate, Mapping):
      return float(self.rate.get(task, 0.0))
    return float(self.rate)

  def identity(self) -> dict[str, Any]:
    """What decides the examples, as opposed to their place and their share."""
    return {
      "key": self.key,
      "name": self.name,
      "options": self.options,
      "aspect": self.aspect,
      "min_side": self.min_side,
      # Left out where there is none: caches keep their names.
      **({"join": dataclasses.asdict(self.join)} if self.join else {}),
      **({"compose": dataclasses.asdict(self.compose)} if self.compose else {}),
    }


@dataclasses.dataclass(frozen=True)
class Component:
  """One task over one data set: the unit that is mixed and cached.

  Attributes:
    task: a task name.
    source: the data set.
    name: "derender", or "derender/unipen" where there are several sources;
      also the folder of its shards.
  """

  task: str
  source: Source
  name: str


def component_rates(
  components: Iterable[Component],
  rates: Mapping[str, float],
  sizes: Mapping[str, int],
) -> dict[str, float]:
  """Shares of the mixture by component.

  Args:
    components: of all tasks.
    rates: by task, any positive scale; tasks without one are left out.
    sizes: examples by component.

  Returns:
    Positive shares by component, in the order given; components without
    examples are left out. The shares of a task sum to its rate.

  Raises:
    ValueError: a task has no example in any source.
  """
  members: dict[str, list[tuple[str, float]]] = {
    task: [] for task, rate in rates.items() if rate
  }
  order = []
  for component in components:
    if component.task not in members:
      continue
    size = min(sizes[component.name], component.source.cap or math.inf)
    weight = size * component.source.rate_of(component.task)
    if weight > 0:
      members[component.task].append((component.name, weight))
      order.append(component.name)
  empty = [task for task, found in members.items() if not found]
  if empty:
    raise ValueError(
      f"No example of {', '.join(empty)}; see `inksight-jax data vocabulary` "
      "for what was skipped and why, or set the rate to 0."
    )
  shares = {}
  for task, found in members.items():
    total = sum(weight for _, weight in found)
    for name, weight in found:
      shares[name] = rates[task] * (weight / total)
  return {name: shares[name] for name in order}


def check_sources(sources: Sequence[Source]) -> tuple[Source, ...]:
  """The sources that are not left out.

  Raises:
    ValueError: there is none, or two have one key.
  """
  kept = tuple(source for source in sources if source.path is not None)
  if not kept:
    raise ValueError(
      "Every source is left out (its path is None); give at least one a path."
    )
  keys = [source.key for source in kept]
  twice = sorted({key for key in keys if keys.count(key) > 1})
  if twice:
    raise ValueError(
      f"Two sources are called {', '.join(twice)}; give each a `key` of its "
      "own."
    )
  return kept
