"""The order of a mixture: a function of its seed and of nothing that ran."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

# Examples over which the mixture keeps its rates exactly; longer where a rate
# is so small that rounding would change it.
PERIOD = 1000
MAX_PERIOD = 100_000
# Least examples of each kind in a period, unless it has its greatest length.
MIN_QUOTA = 10


class Schedule:
  """Which component, and which example of it, stands at a position.

  Every period holds each component (a task, or a task over one of several
  sources) in proportion to its rate, in a random arrangement; each component
  goes through its own examples in a new permutation per epoch. Any position
  costs the same to reach.

  Args:
    sizes: examples per component.
    rates: share per component, any positive scale.
    seed: seed of the order.
    shuffle: False keeps the stored order within each component.
    groups: int[examples] for some components: where these are shuffled, two
      examples of one group stand side by side, as far as there are pairs.

  Attributes:
    period: examples over which the rates hold exactly.

  Raises:
    ValueError: a component has no example, or a rate too small for any period.
  """

  def __init__(
    self,
    sizes: Mapping[str, int],
    rates: Mapping[str, float],
    seed: int,
    shuffle: bool = True,
    groups: Mapping[str, NDArray] | None = None,
  ) -> None:
    self.components = tuple(sizes)
    empty = [name for name in self.components if not sizes[name]]
    if empty:
      raise ValueError(
        f"No example of {', '.join(empty)}; see report.json for what was "
        "skipped, or set the rate to 0."
      )
    self._sizes = [sizes[name] for name in self.components]
    self._quotas = _quotas({name: rates[name] for name in self.components})
    self.period = sum(self._quotas)
    self._seed = seed
    self._shuffle = shuffle
    self._groups = dict(groups or {})
    self._orders: dict[int, tuple[int, NDArray]] = {}
    self._pattern: tuple[int, NDArray, NDArray] | None = None

  def __getitem__(self, position: int) -> tuple[str, int, int]:
    """(component, example, epoch of the component) at a position >= 0."""
    block, place = divmod(position, self.period)
    if self._pattern is None or self._pattern[0] != block:
      self._pattern = (block, *self._arrange(block))
    _, pattern, ranks = self._pattern
    kind = int(pattern[place])
    count = block * self._quotas[kind] + int(ranks[place])
    epoch, index = divmod(count, self._sizes[kind])
    return self.components[kind], int(self._order(kind, epoch)[index]), epoch

  def _arrange(self, block: int) -> tuple[NDArray, NDArray]:
    """Component at each place of a block, and its rank among its own kind."""
    pattern = np.repeat(np.arange(len(self._quotas)), self._quotas)
    rng = np.random.default_rng((self._seed, 0, block))
    pattern = rng.permutation(pattern)
    ranks = np.zeros(self.period, np.int64)
    for kind, quota in enumerate(self._quotas):
      ranks[pattern == kind] = np.arange(quota)
    return pattern, ranks

  def _order(self, kind: int, epoch: int) -> NDArray:
    """Permutation of a component's examples; that of one epoch is kept."""
    kept = self._orders.get(kind)
    if kept is None or kept[0] != epoch:
      size = self._sizes[kind]
      order = np.arange(size)
      if self._shuffle:
        rng = np.random.default_rng((self._seed, 1, kind, epoch))
        order = rng.permutation(size)
        groups = self._groups.get(self.components[kind])
        if groups is not None:
          order = _in_pairs(order, groups, rng)
      kept = self._orders[kind] = (epoch, order)
    return kept[1]


def rows_of_host(batch_size: int, host: int, num_hosts: int) -> range:
  """Rows of each global batch that belong to a host."""
  if batch_size < 1 or batch_size % num_hosts:
    raise ValueError(
      f"The batch size {batch_size} must be a positive multiple of the number "
      f"of hosts, {num_hosts}."
    )
  if not 0 <= host < num_hosts:
    raise ValueError(f"Host {host} is not one of {num_hosts}.")
  local = batch_size // num_hosts
  return range(host * local, (host + 1) * local)


def _in_pairs(
  order: NDArray, groups: NDArray, rng: np.random.Generator
) -> NDArray:
  """The same examples, by twos of one group; those left over by twos too."""
  grouped = order[np.argsort(groups[order], kind="stable")]
  _, first, count = np.unique(
    groups[grouped], return_index=True, return_counts=True
  )
  rank = np.arange(len(order)) - np.repeat(first, count)
  paired = rank < np.repeat(count - count % 2, count)
  # Twos of the left over are mixed in: they shall not all come at the end.
  flat = np.concatenate([grouped[paired], rng.permutation(grouped[~paired])])
  even = len(flat) - len(flat) % 2
  twos = rng.permutation(flat[:even].reshape(-1, 2))
  return np.concatenate([twos.reshape(-1), flat[even:]])


def _quotas(rates: Mapping[str, float]) -> list[int]:
  """Shares a period out by largest remainder."""
  total = sum(rates.values())
  least = min(rates.values()) / total
  period = PERIOD
  while period < MAX_PERIOD and least * period < MIN_QUOTA:
    period *= 10
  shares = np.asarray([period * rate / total for rate in rates.values()])
  quotas = np.floor(shares).astype(int)
  rest = period - quotas.sum()
  quotas[np.argsort(quotas - shares, kind="stable")[:rest]] += 1
  if not quotas.all():
    raise ValueError(
      f"A rate is below 1/{MAX_PERIOD} of the mixture: {dict(rates)}; raise it "
      "or set it to 0."
    )
  return quotas.tolist()
