"""The key/value cache of decoding: a pytree with rows for hypotheses.

Its leaves' names say what they are. `cached_*` has positions on the axis behind
the rows; `cross_*` is equal for all hypotheses of an example. Leaves with too
few axes for the axis of the rows belong to all of them. Where the axis of the
rows is a multiple of their number, a row is several entries next to each other,
say heads.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

Cache = Any
# A number, or the symbol that stands for it while a model is exported.
Size = Any

_POSITIONS = "cached_"
_SHARED = "cross_"


def repeat_rows(cache: Cache, axis: int, num_rows: Size, times: int) -> Cache:
  """Each row `times` times, next to each other.

  Args:
    cache: as decoding begins with.
    axis: of the rows.
    num_rows: of the cache.
    times: 1 for nothing to change.
  """
  if times == 1:
    return cache
  return _map_rows(
    lambda x: jnp.repeat(x, times, axis=axis), cache, axis, num_rows
  )


def reorder_rows(
  cache: Cache, axis: int, parents: Int[Array, "batch decodes"]
) -> Cache:
  """Takes each example's hypotheses in another order; `cross_*` stays.

  Args:
    cache: has batch * decodes rows.
    axis: of the rows.
    parents: place of the hypothesis that each goes on from.
  """
  batch, num_decodes = parents.shape
  rows = (jnp.arange(batch)[:, None] * num_decodes + parents).reshape(-1)
  return _map_rows(
    lambda x: jnp.take(x, rows, axis=axis),
    cache,
    axis,
    batch * num_decodes,
    skip_prefix=_SHARED,
  )


def add_positions(cache: Cache, axis: int, more: int) -> Cache:
  """Makes room for `more` positions in `cached_*`.

  Args:
    cache: of any length.
    axis: of the rows; the positions are on the next.
    more: 0 for nothing to change.
  """

  def visit(path: tuple[Any, ...], leaf: Array) -> Array:
    if not more or not _name(path).startswith(_POSITIONS):
      return leaf
    widths = [(0, 0)] * leaf.ndim
    widths[axis + 1] = (0, more)
    return jnp.pad(leaf, widths)

  return jax.tree_util.tree_map_with_path(visit, cache)


def _map_rows(
  function: Callable[[Array], Array],
  cache: Cache,
  axis: int,
  num_rows: Size,
  skip_prefix: str | None = None,
) -> Cache:
  """Maps the cache leaves that have a row per hypothesis.

  Where a row has several entries on the axis, `function` is given an axis of
  rows followed by one of their entries.
  """

  def by_rows(leaf: Array) -> Array:
    front, back = leaf.shape[:axis], leaf.shape[axis + 1 :]
    rows = function(leaf.reshape(*front, num_rows, -1, *back))
    return rows.reshape(*front, -1, *back)

  def visit(path: tuple[Any, ...], leaf: Array) -> Array:
    skipped = skip_prefix is not None and _name(path).startswith(skip_prefix)
    return leaf if leaf.ndim <= axis or skipped else by_rows(leaf)

  return jax.tree_util.tree_map_with_path(visit, cache)


def _name(path: tuple[Any, ...]) -> str:
  """Last part of a path."""
  return str(getattr(path[-1], "key", "")) if path else ""
