"""What importers share: layers stacked or not, errors for what does not fit."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

Path = tuple[str, ...]
Shape = tuple[int, ...]


class Found(NamedTuple):
  """A tensor of a file: its name there and its values."""

  name: str
  array: np.ndarray


def unstacked_shapes(
  params: Mapping[Path, Any], layers: str
) -> dict[Path, Shape]:
  """Shapes as they were without a scan over the layers.

  Args:
    params: (abstract) arrays; scanned ones lie under the name `layers` with a
      leading axis.
    layers: e.g. "encoderblock"; becomes "encoderblock_0" and so on.
  """
  shapes = {}
  for path, leaf in params.items():
    if layers not in path:
      shapes[path] = tuple(leaf.shape)
      continue
    for index in range(leaf.shape[0]):
      shapes[_layer(path, layers, index)] = tuple(leaf.shape[1:])
  return shapes


def stacked(
  arrays: Mapping[Path, np.ndarray], params: Mapping[Path, Any], layers: str
) -> dict[Path, np.ndarray]:
  """Arrays by unscanned paths, stacked where `params` are; the inverse.

  Args:
    arrays: one for every path of `unstacked_shapes`; others are left out.
    params: (abstract) arrays whose paths to give.
    layers: as in `unstacked_shapes`.
  """
  result = {}
  for path, leaf in params.items():
    if layers not in path:
      result[path] = arrays[path]
      continue
    parts = [
      arrays[_layer(path, layers, index)] for index in range(leaf.shape[0])
    ]
    result[path] = np.stack(parts)
  return result


def check_fit(
  found: Mapping[Path, Found],
  wanted: Mapping[Path, Shape],
  where: str,
  advice: str,
) -> None:
  """Compares what a file holds with what a model needs.

  Args:
    found: tensors of the file by the model's names for them; a tensor that the
      model has no name for stands under its own.
    wanted: shapes by name, as the file would hold them.
    where: the file, for the error.
    advice: ends the error: what the file is, what to set.

  Raises:
    ValueError: naming the first tensor of another shape, else all that are
      missing, else all that are left over.
  """
  for path, shape in wanted.items():
    tensor = found.get(path)
    if tensor is not None and tuple(tensor.array.shape) != tuple(shape):
      raise ValueError(
        f"{where} does not fit: {tensor.name} has shape "
        f"{tuple(tensor.array.shape)} there; this model wants {tuple(shape)}. "
        f"{advice}"
      )
  missing = ["/".join(path) for path in wanted if path not in found]
  if missing:
    raise ValueError(f"{where} has no {_listed(missing)}. {advice}")
  unused = [t.name for path, t in found.items() if path not in wanted]
  if unused:
    raise ValueError(
      f"{where} has {_listed(unused)}, for which this model has no place. "
      f"{advice}"
    )


def _layer(path: Path, layers: str, index: int) -> Path:
  return tuple(f"{name}_{index}" if name == layers else name for name in path)


def _listed(names: Iterable[str], most: int = 3) -> str:
  names = list(names)
  rest = f" and {len(names) - most} more" if len(names) > most else ""
  return ", ".join(names[:most]) + rest
