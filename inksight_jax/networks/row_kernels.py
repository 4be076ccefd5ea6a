"""Kernels as prediction on a CPU is fastest: one row per output, or narrower.

A decoding step multiplies a few vectors with every matrix of the decoder, so
reading the matrices takes its time. XLA's CPU library reads rows of outputs
fastest, and bytes faster than floats. An encoder multiplies many vectors, which
takes the time of the products; those of bfloat16, sums in float32, take a
quarter of it or less where the processor has them. See docs/results.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Float32

WEIGHTS = ("float32", "bfloat16", "int8")
_INT8_MAX = 127.0
# These meet all of the encoded picture, once: many vectors, not few.
_CROSS = "encoder_decoder_attention"
_ONCE = ("key", "value")
# Products of the same vectors, better done as one: each has its overhead.
_SIBLINGS = (("query", "key", "value"), ("wi_0", "wi_1"))


@struct.dataclass
class RowKernel:
  """A kernel whose rows are outputs; takes the place of a `Dense`'s kernel.

  Attributes:
    rows: float32[*layers, outputs, inputs], or int8 where `scales` is given;
      scanned layers are stacked in front.
    scales: float32[*layers, outputs], what a unit of each row of int8 is worth;
      None for float32.
  """

  # JAX rebuilds it with other things than arrays in these places.
  rows: Any
  scales: Any = None

  def multiply(
    self, inputs: Float[Array, "vectors inputs"], dtype: jnp.dtype
  ) -> Float[Array, "vectors outputs"]:
    """Product of each vector with the kernel, in `dtype`.

    With int8 rows each vector is rounded to 8 bits of its own largest value
    too ("dynamic quantisation"), and sums are exact integers.
    """
    # Without barriers XLA folds the transpositions into the product, which
    # then takes a path several times slower.
    barrier = jax.lax.optimization_barrier
    columns = barrier(inputs.T)
    if self.scales is None:
      products = jnp.matmul(self.rows, columns, preferred_element_type=dtype)
      return barrier(products).T
    count = columns.shape[1]
    if count == 1:  # the fast product of integers wants two
      columns = jnp.concatenate([columns, columns], axis=1)
    columns = columns.astype(jnp.float32)
    unit = jnp.max(jnp.abs(columns), axis=0, keepdims=True) / _INT8_MAX
    unit = jnp.maximum(unit, jnp.finfo(jnp.float32).tiny)
    rounded = barrier(jnp.round(columns / unit).astype(jnp.int8))
    sums = barrier(
      jnp.matmul(self.rows, rounded, preferred_element_type=jnp.int32)
    )
    products = sums.astype(jnp.float32) * (self.scales[:, None] * unit)
    return barrier(products[:, :count]).T.astype(dtype)


def quantize(rows: Float32[Array, "*layers outputs inputs"]) -> RowKernel:
  """Rounds each row to 8 bits of its largest value."""
  scales = jnp.max(jnp.abs(rows), axis=-1) / _INT8_MAX
  scales = jnp.maximum(scales, jnp.finfo(jnp.float32).tiny)
  return RowKernel(jnp.round(rows / scales[..., None]).astype(jnp.int8), scales)


def check_weights(weights: str) -> None:
  """Raises ValueError unless `weights` is one of `WEIGHTS`."""
  if weights not in WEIGHTS:
    raise ValueError(
      f"`weights` is {weights!r}; it must be one of {', '.join(WEIGHTS)}."
    )


def joined_name(names: Sequence[str]) -> str:
  """Where `arrange` puts what the kernels of these siblings become."""
  return "+".join(names)


def arrange(params: Any, weights: str) -> Any:
  """Lays a decoder's kernels out by rows, and narrows an encoder's.

  A decoder's kernels that meet the same vectors become one, under their
  `joined_name`.

  Args:
    params: nested dict of float32 arrays.
    weights: "float32", which changes nothing off the CPU; "bfloat16", which an
      encoder's kernels become; "int8" for rows of a quarter of the bytes too.
      With either, answers differ a little.

  Raises:
    ValueError: other `weights`.
  """
  check_weights(weights)
  if weights == "float32" and jax.default_backend() != "cpu":
    return params
  return by_rows(params, weights)


def by_rows(params: Any, weights: str = "float32") -> Any:
  """`arrange` on any device, as files need that may go to another."""
  make: Callable[[Array], RowKernel] = jax.jit(
    lambda kernel: (
      quantize(jnp.swapaxes(kernel, -1, -2))
      if weights == "int8"
      else RowKernel(jnp.swapaxes(kernel, -1, -2))
    )
  )

  def visit(tree: Any, path: tuple[str, ...]) -> Any:
    if isinstance(tree, Mapping):
      return _join({k: visit(x, (*path, k)) for k, x in tree.items()})
    matrix = tree.ndim == (3 if "layers" in path else 2)
    once = _CROSS in path and path[-2] in _ONCE
    if path[-1:] != ("kernel",) or not matrix:
      return tree
    if "decoder" in path and not once:
      return make(tree)
    return tree if weights == "float32" else tree.astype(jnp.bfloat16)

  return visit(params, ())


def _join(children: dict[str, Any]) -> dict[str, Any]:
  """The same modules, siblings that are all by rows as one."""
  for names in _SIBLINGS:
    parts = [children.get(name, {}) for name in names]
    if all(isinstance(part.get("kernel"), RowKernel) for part in parts):
      kept = {k: x for k, x in children.items() if k not in names}
      kernels = [part["kernel"] for part in parts]
      joined: dict[str, Any] = {
        "kernel": RowKernel(
          jnp.concatenate([kernel.rows for kernel in kernels], axis=-2),
          None
          if kernels[0].scales is None
          else jnp.concatenate([kernel.scales for kernel in kernels], axis=-1),
        )
      }
      if "bias" in parts[0]:
        biases = [part["bias"] for part in parts]
        joined["bias"] = jnp.concatenate(biases, axis=-1)
      children = {**kept, joined_name(names): joined}
  return children
