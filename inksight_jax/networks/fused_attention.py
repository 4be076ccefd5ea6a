"""Attention as one kernel of a TPU's program: where it can run, and how it is
spread over devices."""

import functools
import math
import warnings
from typing import Any

import jax
from flax.linen import partitioning
from jax.ad_checkpoint import checkpoint_name
from jax.interpreters import pxla
from jax.sharding import AbstractMesh, Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float, Shaped

from inksight_jax.networks import attention_kernels

# Name of what a rematerialised layer should keep. Without the results, the
# backward pass runs the forward kernel once more; what dropout drew is small,
# and every device draws that of all.
KEPT = "attended"


def usable(
  sequences: Shaped[Array, "batch ..."], num_heads: int, head_dim: int
) -> bool:
  """Whether `attend` can be used where this is called.

  It can on a mesh of TPUs where the heads of each device fill whole vectors.
  Programs without a mesh, for prediction and export, may run anywhere.

  Args:
    sequences: what attends, the examples of all devices; an exported program
      may not know how many.
    num_heads: number of heads on all devices.
    head_dim: size of each head.
  """
  mesh = _mesh()
  if mesh is None or _platform(mesh) != "tpu":
    return False
  batch_axes, _, head_axes = _split(mesh)
  own_heads, rest = divmod(num_heads, _count(mesh, head_axes))
  return (
    sequences.shape[0] % _count(mesh, batch_axes) == 0
    and rest == 0
    and attention_kernels.fills_vectors(own_heads, head_dim)
  )


def attend(
  query: Float[Array, "batch queries joined"],
  key: Float[Array, "batch keys joined"],
  value: Float[Array, "batch keys joined"],
  mask: Bool[Array, "#batch #queries keys"] | None,
  bias: Float[Array, "heads offsets"] | None,
  kept: Float[Array, "batch heads keys"] | None = None,
  *,
  head_dim: int,
  causal: bool = False,
) -> Float[Array, "batch queries joined"]:
  """Softmax attention, logits and softmax in float32; see `usable`.

  Under a mesh each device attends to its own examples and heads, as the rules
  for the logical axes `batch` and `joined_kv` say.

  Args:
    query: queries, already scaled where scaling is wanted, the heads side by
      side.
    key: keys.
    value: values, averaged in their own type.
    mask: True where a query may look, the same for all heads.
    bias: float32 added to the logits by key minus query position, from
      1 - queries to keys - 1.
    kept: what dropout multiplies the weights of each key with.
    head_dim: size of each head.
    causal: whether queries see no key behind their own position; these are not
      computed. Needs as many queries as keys.
  """
  run = functools.partial(
    attention_kernels.attend, head_dim=head_dim, causal=causal
  )
  mesh = _mesh()
  if mesh is not None:
    rows, _, heads = _split(mesh)
    joined = PartitionSpec(rows, None, heads)
    shared = mask is None or mask.shape[0] == 1
    run = jax.shard_map(
      run,
      mesh=mesh,
      in_specs=(
        joined,
        joined,
        joined,
        PartitionSpec() if shared else PartitionSpec(rows),
        PartitionSpec(heads),
        PartitionSpec(rows, heads),
      ),
      out_specs=joined,
      # Kernels do not say over which axes their results vary.
      check_vma=False,
    )
  if kept is not None:
    kept = checkpoint_name(kept, KEPT)
  attended = run(query, key, value, mask, bias, kept)
  return checkpoint_name(attended, KEPT)


def _mesh() -> Mesh | AbstractMesh | None:
  """The mesh that the program is traced for."""
  mesh = jax.sharding.get_abstract_mesh()
  if not mesh.empty:
    return mesh
  # T5X enters its mesh by `with mesh:`, which the function above does not see.
  with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    resources = getattr(pxla, "thread_resources", None)
  # JAX will drop it together with `with mesh:`.
  if resources is None or resources.env.physical_mesh.empty:
    return None
  return resources.env.physical_mesh


def _platform(mesh: Mesh | AbstractMesh) -> str:
  if isinstance(mesh, Mesh):
    return mesh.devices.flat[0].platform
  device = mesh.abstract_device
  return "" if device is None else device.platform


def _split(mesh: Mesh | AbstractMesh) -> tuple[Any, Any, Any]:
  """Mesh axes over which batch, positions and heads are spread."""
  axes = partitioning.logical_to_mesh_axes(("batch", None, "joined_kv"))
  # Axes of one device may be missing from the mesh.
  return tuple(
    tuple(name for name in _names(entry) if name in mesh.shape) or None
    for entry in axes or (None,) * 3
  )  # pyright: ignore[reportReturnType]


def _names(entry: Any) -> tuple[str, ...]:
  return (entry,) if isinstance(entry, str) else tuple(entry or ())


def _count(mesh: Mesh | AbstractMesh, axes: Any) -> int:
  return math.prod(mesh.shape[name] for name in _names(axes))
