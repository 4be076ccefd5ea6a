"""Device meshes, and shardings from the logical axes of parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax
import jax
import numpy as np
from flax.linen import partitioning
from jax.sharding import (
  AbstractMesh,
  AxisType,
  Mesh,
  NamedSharding,
  PartitionSpec,
)

LogicalAxisRules = Sequence[
  tuple[str, str | tuple[str, ...] | None] | list[Any]
]
MESH_AXES = ("data", "fsdp", "model")
BATCH_AXES = ("data", "fsdp")

# Earlier rules win. Activations carry "batch", so their "embed" stays whole;
# parameters do not, so theirs is split over `fsdp` (ZeRO-3). With model > 1
# the wide inner axes are split as in Megatron.
LOGICAL_AXIS_RULES: LogicalAxisRules = (
  ("batch", BATCH_AXES),
  ("vocab", "model"),
  ("mlp", "model"),
  ("heads", "model"),
  ("joined_kv", "model"),
  ("embed", "fsdp"),
)


def make_mesh(
  data: int = -1,
  fsdp: int = 1,
  model: int = 1,
  devices: Sequence[Any] | None = None,
) -> Mesh:
  """Arranges the devices of all processes as (data, fsdp, model).

  Args:
    data: plain data parallelism; -1 takes all devices the others leave.
    fsdp: data parallelism that also splits parameters and optimiser state.
    model: tensor parallelism; keep it within one host's fast links.
    devices: devices to use; all by default.

  Returns:
    A mesh with Auto axes, which linen's logical rules need.

  Raises:
    ValueError: if the sizes do not multiply to the number of devices.
  """
  devices = list(jax.devices() if devices is None else devices)
  return jax.make_mesh(
    mesh_sizes(len(devices), data, fsdp, model),
    MESH_AXES,
    axis_types=(AxisType.Auto,) * 3,
    devices=devices,
  )


def mesh_sizes(
  count: int, data: int = -1, fsdp: int = 1, model: int = 1
) -> tuple[int, int, int]:
  """Sizes of the axes of a mesh; see `make_mesh`.

  Args:
    count: number of devices.
    data, fsdp, model: as asked for.

  Returns:
    (data, fsdp, model), whose product is `count`.

  Raises:
    ValueError: if the sizes do not multiply to the number of devices.
  """
  rest = fsdp * model
  if data == -1 and rest > 0 and count % rest == 0:
    data = count // rest
  if min(data, fsdp, model) < 1 or data * rest != count:
    raise ValueError(
      f"A mesh of data={data}, fsdp={fsdp}, model={model} does not cover "
      f"{count} devices; set data=-1 and choose fsdp * model as a divisor of "
      "the number of devices."
    )
  return data, fsdp, model


def replicated(mesh: Mesh) -> NamedSharding:
  """Sharding of a value that every device holds whole."""
  return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
  """Sharding of a batch: its first axis over data and fsdp."""
  return NamedSharding(mesh, PartitionSpec(BATCH_AXES))


def parameter_shardings(
  params: Mapping[str, Any],
  params_axes: Mapping[str, Any] | None,
  rules: LogicalAxisRules,
  mesh: Mesh,
) -> dict[str, Any]:
  """Shardings of parameters from the axes they were born with.

  An axis whose length the mesh does not divide stays whole: jit refuses uneven
  shards, and a vocabulary of 710 should not stop a run on 4 devices.

  Args:
    params: (abstract) parameters as nested dicts.
    params_axes: the `params_axes` collection of `param_with_axes`; without it
      everything is replicated.
    rules: (logical axis, mesh axis, axes or None) in order of precedence.
    mesh: the mesh.

  Returns:
    `NamedSharding` for every parameter, same structure.

  Raises:
    ValueError: if a parameter's axes do not fit its rank.
  """
  flat_axes = {}
  if params_axes is not None:
    flat_axes = flatten(
      partitioning.get_axis_names(flax.core.freeze(params_axes))
    )
  flat = flatten(params)
  rules = as_linen_rules(rules)
  shardings = {}
  for path, leaf in flat.items():
    axes = flat_axes.get(path)
    if axes is None:
      shardings[path] = replicated(mesh)
      continue
    if len(axes) != len(leaf.shape):
      raise ValueError(
        f"Parameter {'/'.join(path)} has shape {tuple(leaf.shape)} but "
        f"{len(axes)} logical axes {tuple(axes)}; give param_with_axes one "
        "name per axis."
      )
    spec = partitioning.logical_to_mesh_axes(tuple(axes), rules)
    shardings[path] = NamedSharding(
      mesh, _divisible(spec or PartitionSpec(), leaf.shape, mesh)
    )
  return flax.traverse_util.unflatten_dict(shardings)


def uneven_axes(
  params: Mapping[str, Any],
  params_axes: Mapping[str, Any] | None,
  rules: LogicalAxisRules,
  mesh: Mesh | AbstractMesh,
) -> dict[str, tuple[int, int]]:
  """Axes of parameters that stay whole because the mesh does not divide them.

  Args:
    params, params_axes, rules, mesh: see `parameter_shardings`; the mesh may be
      of devices that are not here.

  Returns:
    Logical axis to (its length, the number of shards asked for).
  """
  if params_axes is None:
    return {}
  flat = flatten(params)
  axes_of = flatten(partitioning.get_axis_names(flax.core.freeze(params_axes)))
  uneven = {}
  for path, axes in axes_of.items():
    spec = (
      partitioning.logical_to_mesh_axes(tuple(axes), as_linen_rules(rules))
      or PartitionSpec()
    )
    for name, size, mesh_axes in zip(
      axes, flat[path].shape, spec, strict=False
    ):
      shards = _shards(mesh_axes, mesh)
      if size % shards:
        uneven[name] = (size, shards)
  return uneven


def like_parameters(
  tree: Any, params: Mapping[str, Any], shardings: Mapping[str, Any], mesh: Mesh
) -> Any:
  """Shardings of a tree that holds statistics of parameters.

  Args:
    tree: (abstract) optimiser state.
    params: (abstract) parameters, nested dicts.
    shardings: their shardings.
    mesh: the mesh.

  Returns:
    Shardings with the structure of `tree`; replicated where no parameter fits.
  """
  specs = jax.tree.map(lambda sharding: sharding.spec, dict(shardings))
  return jax.tree.map(
    lambda spec: NamedSharding(mesh, spec), specs_like(tree, params, specs)
  )


def specs_like(
  tree: Any, params: Mapping[str, Any], specs: Mapping[str, Any]
) -> Any:
  """Axes of a tree that holds statistics of parameters.

  Optimisers keep copies of the parameter tree (moments), or of its axes with
  one left out (Adafactor's rows and columns), somewhere inside their state; a
  leaf belongs to the parameter whose path its own path ends with.

  Args:
    tree: (abstract) optimiser state.
    params: (abstract) parameters, nested dicts.
    specs: a `PartitionSpec` for each, of mesh axes or of logical ones.

  Returns:
    `PartitionSpec`s with the structure of `tree`; empty where no parameter
    fits.
  """
  shapes, flat_specs = flatten(params), flatten(specs)

  def spec(path: tuple[Any, ...], leaf: Any) -> PartitionSpec:
    keys: list[str] = []
    for entry in reversed(path):
      if not isinstance(entry, jax.tree_util.DictKey):
        break
      keys.insert(0, entry.key)
    for start in range(len(keys)):
      name = tuple(keys[start:])
      if name in shapes:
        return _statistic_spec(leaf, shapes[name], flat_specs[name])
    return PartitionSpec()

  return jax.tree_util.tree_map_with_path(spec, tree)


def _statistic_spec(
  leaf: Any, param: Any, spec: PartitionSpec
) -> PartitionSpec:
  """Axes of one statistic of one parameter."""
  shape, full = tuple(leaf.shape), tuple(param.shape)
  if shape == full:
    return spec
  axes = tuple(spec) + (None,) * (len(full) - len(spec))
  for axis in range(len(full)):
    if shape == full[:axis] + full[axis + 1 :]:
      return PartitionSpec(*axes[:axis], *axes[axis + 1 :])
  return PartitionSpec()


def rename_axes(
  names: Mapping[str, str | None],
  rules: LogicalAxisRules = LOGICAL_AXIS_RULES,
) -> tuple[tuple[str, Any], ...]:
  """The same rules for a mesh whose axes have other names, or that lacks some.

  Args:
    names: mesh axis to its name there; None, or a name already in the same
      rule, leaves it out. Axes not mentioned keep their names.
    rules: logical axis rules.

  Returns:
    Rules in the same order.
  """
  renamed = []
  for logical, axes in as_linen_rules(rules):
    old = (axes,) if isinstance(axes, str) else axes or ()
    new = dict.fromkeys(names.get(axis, axis) for axis in old)
    kept = tuple(axis for axis in new if axis is not None)
    renamed.append((logical, kept if len(kept) > 1 else (*kept, None)[0]))
  return tuple(renamed)


def flatten(tree: Any) -> dict[tuple[str, ...], Any]:
  """Leaves of nested dicts, frozen ones among them, by their path."""
  return flax.traverse_util.flatten_dict(flax.core.unfreeze(tree))


def as_linen_rules(rules: LogicalAxisRules) -> tuple[tuple[str, Any], ...]:
  """Gin writes pairs and tuples of axes as lists; linen wants tuples."""
  return tuple(
    (name, tuple(axes) if isinstance(axes, list) else axes)
    for name, axes in rules
  )


def _divisible(
  spec: PartitionSpec, shape: Sequence[int], mesh: Mesh
) -> PartitionSpec:
  """Drops the mesh axes that do not divide their dimension."""
  kept = []
  for size, axes in zip(shape, spec, strict=False):
    kept.append(axes if axes and size % _shards(axes, mesh) == 0 else None)
  return PartitionSpec(*kept)


def _shards(axes: Any, mesh: Mesh | AbstractMesh) -> int:
  """Number of parts that an entry of a `PartitionSpec` stands for."""
  names = (axes,) if isinstance(axes, str) else tuple(axes or ())
  return int(np.prod([mesh.shape[name] for name in names], initial=1))
