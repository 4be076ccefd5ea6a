"""Starts a ViT from the published `.npz` files (ImageNet-21k and others).

Two layouts are read, both of a flat archive whose names are joined by "/":

- vision_transformer (Dosovitskiy et al. 2021, Steiner et al. 2022):
  `Transformer/encoderblock_0/MultiHeadDotProductAttention_1/...`, positions at
  `Transformer/posembed_input/pos_embedding` with the class token's first;
- big_vision: sub-modules counted by kind (`LayerNorm_1`,
  `MultiHeadDotProductAttention_0`, `MlpBlock_0`), layers stacked under
  `encoderblock` where they were scanned, positions at `pos_embedding`.

Either may lie below `params/`, `opt/target/` or, in a model of pictures and
text, `params/img/`. Class token, `head`, `pre_logits` and `MAPHead_0` are left
out: our network returns the embeddings of the patches.
"""

import dataclasses
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import flax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from inksight_jax.interop import naming
from inksight_jax.networks import vit
from inksight_jax.training import mesh

_LAYERS = "encoderblock"
_ATTENTION = "MultiHeadDotProductAttention_1"
_POSITIONS = ("Transformer", "posembed_input", "pos_embedding")
_POSITION_NAMES = (
  "Transformer/posembed_input/pos_embedding",
  "Transformer/pos_embedding",
  "pos_embedding",
)
# Ours are vision_transformer's, which counts all sub-modules of a block.
_BIG_VISION_NAMES = {
  "LayerNorm_1": "LayerNorm_2",
  "MultiHeadDotProductAttention_0": _ATTENTION,
  "MlpBlock_0": "MlpBlock_3",
}
_NOT_USED = ("cls", "head", "pre_logits", "MAPHead_0")
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError)


@dataclasses.dataclass(frozen=True)
class VitNpz:
  """Initial weights (`INITIAL_WEIGHTS` in gin) of an image encoder.

  Attributes:
    path: the `.npz` file, on a disk that every process sees.
    config: the ViT's; gives the number of heads, which no shape tells.
    under: module that holds the ViT; "" where it is the whole model.
  """

  path: str
  config: vit.ViTConfig
  under: str = "image_encoder"

  def __call__(self, params: Mapping[str, Any]) -> dict[str, Any]:
    """Reads the weights; a position grid of another size is resized.

    Args:
      params: parameters of the model, or their shapes.

    Returns:
      float32 arrays under the names of `params`, those of the ViT alone.

    Raises:
      ValueError: if the file is damaged, holds no ViT or another one, or the
        model has no such module; the first tensor that does not fit is named.
    """
    if self.under and self.under not in params:
      raise ValueError(
        f"The model has no module {self.under!r} to load {self.path} into; "
        f"its modules are {', '.join(sorted(params))}. Set `under`."
      )
    own = mesh.flatten(params[self.under] if self.under else params)
    wanted = naming.unstacked_shapes(own, _LAYERS)
    found = read_npz(self.path)
    advice = _advice(found)
    tensor = found.get(_POSITIONS)
    if tensor is not None and _POSITIONS in wanted and tensor.array.ndim == 3:
      length = wanted[_POSITIONS][1]
      array = resize_positions(tensor.array, length, self.path)
      found[_POSITIONS] = naming.Found(tensor.name, array)
    split = {k: _split_heads(k, v, self.config) for k, v in wanted.items()}
    naming.check_fit(found, split, self.path, advice)
    arrays = {
      path: found[path].array.reshape(shape) for path, shape in wanted.items()
    }
    tree = flax.traverse_util.unflatten_dict(
      naming.stacked(arrays, own, _LAYERS)
    )
    return {self.under: tree} if self.under else tree


def read_npz(path: str) -> dict[naming.Path, naming.Found]:
  """Reads the ViT of an archive.

  Args:
    path: the file.

  Returns:
    float32 arrays by our names, one entry per layer; what we have no use for
    is not read.

  Raises:
    ValueError: if the file is absent, damaged, pickled, or holds no ViT.
  """
  if not os.path.isfile(path):
    raise ValueError(
      f"There is no file {path}. Download the weights first, for example with "
      "`gcloud storage cp`; docs/tpu.md tells where from."
    )
  found: dict[naming.Path, naming.Found] = {}
  try:
    # Opened here: numpy leaves a damaged file open.
    with open(path, "rb") as file:
      archive = np.load(file, allow_pickle=False)
      if isinstance(archive, np.ndarray):
        raise ValueError("it holds a single array")
      root = _root(archive.files)
      for name in archive.files:
        short = name.removeprefix(root)
        if name.startswith(root) and short.split("/")[0] not in _NOT_USED:
          found |= _by_our_names(name, short, _as_float32(archive[name]))
  except _DAMAGED as error:
    raise ValueError(
      f"{path} is damaged, perhaps not downloaded to its end "
      f"({os.path.getsize(path):,} bytes): {error}"
    ) from error
  except ValueError as error:
    raise ValueError(
      f"{path} is no .npz file of ViT weights: {error}"
    ) from error
  return found


def resize_positions(
  positions: Float[np.ndarray, "1 tokens embed"], length: int, where: str
) -> Float[np.ndarray, "1 patches embed"]:
  """Fits learned positions to another number of patches.

  Bilinear between the corners, which stay where they are, as both projects do
  it when they fine-tune on larger images. A class token's position, which
  makes the length one more than a square, is dropped.

  Args:
    positions: of a square grid, row by row.
    length: number of patches wanted, a square.
    where: the file, for the error.

  Raises:
    ValueError: if either grid is not a square.
  """
  if math.isqrt(positions.shape[1] - 1) ** 2 == positions.shape[1] - 1 > 0:
    positions = positions[:, 1:]
  old, new = math.isqrt(positions.shape[1]), math.isqrt(length)
  if old * old != positions.shape[1] or new * new != length:
    raise ValueError(
      f"{where} has positions for {positions.shape[1]} patches and this model "
      f"wants {length}; only square grids can be resized."
    )
  if old == new:
    return positions
  # Hat functions around the old places, read at the new ones.
  places = np.linspace(0.0, old - 1.0, new)
  hats = np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(old)))
  grid = positions.reshape(old, old, -1)
  resized = np.einsum("ya,xb,abe->yxe", hats, hats, grid)
  return resized.reshape(1, length, -1).astype(np.float32)


def _root(names: list[str]) -> str:
  """What stands before the names of the ViT."""
  # The optimiser's statistics repeat the names of the parameters.
  outer = ""
  for prefix in ("opt/target/", "params/"):
    if any(name.startswith(prefix) for name in names):
      outer = prefix
  stem, norm = "embedding/kernel", "Transformer/encoder_norm/scale"
  roots = [
    name.removesuffix(stem)
    for name in names
    if name.startswith(outer)
    and name.endswith(stem)
    and name.removesuffix(stem) + norm in names
  ]
  if len(roots) != 1:
    found = " and ".join(repr(root) for root in roots) or "none"
    raise ValueError(
      f"one ViT is wanted, {found} was found among {', '.join(names[:3])}, ..."
    )
  return roots[0]


def _as_float32(array: np.ndarray) -> np.ndarray:
  if array.dtype.kind == "V" and array.dtype.itemsize == 2:
    # numpy has no bfloat16 and stores it as two bytes without a meaning.
    array = array.view(jnp.bfloat16)
  return array.astype(np.float32)


def _by_our_names(
  name: str, short: str, array: np.ndarray
) -> dict[naming.Path, naming.Found]:
  """One tensor under our name for it; stacked layers one by one."""
  if short in _POSITION_NAMES:
    return {_POSITIONS: naming.Found(name, array)}
  path = tuple(_BIG_VISION_NAMES.get(part, part) for part in short.split("/"))
  if _LAYERS not in path:
    return {path: naming.Found(name, array)}
  return {
    tuple(
      f"{_LAYERS}_{index}" if part == _LAYERS else part for part in path
    ): naming.Found(f"{name}[{index}]", layer)
    for index, layer in enumerate(array)
  }


def _split_heads(
  path: naming.Path, shape: naming.Shape, config: vit.ViTConfig
) -> naming.Shape:
  """Shape in the file, where attention has an axis for the heads."""
  if _ATTENTION not in path:
    return shape
  heads = (config.num_heads, config.width // config.num_heads)
  is_out, is_bias = path[-2] == "out", path[-1] == "bias"
  if is_out:
    return shape if is_bias else (*heads, shape[1])
  return heads if is_bias else (shape[0], *heads)


def _advice(found: Mapping[naming.Path, naming.Found]) -> str:
  """What the file is, in the words of ViTConfig."""
  block = ("Transformer", f"{_LAYERS}_0")
  stem = found["embedding", "kernel"].array.shape
  query = found.get((*block, _ATTENTION, "query", "kernel"))
  dense = found.get((*block, "MlpBlock_3", "Dense_0", "kernel"))
  if len(stem) != 4 or query is None or dense is None or query.array.ndim != 3:
    return "The file holds no plain ViT."
  blocks = {path[1] for path in found if path[1].startswith(_LAYERS)}
  sizes = {
    "patch_size": stem[0],
    "width": stem[3],
    "depth": len(blocks),
    "mlp_dim": dense.array.shape[1],
    "num_heads": query.array.shape[1],
  }
  known = [
    name
    for name, config in vit.VIT_SIZES.items()
    if sizes.items() <= dataclasses.asdict(config).items()
  ]
  position = "learned" if _POSITIONS in found else "sincos2d"
  values = ", ".join(f"{name}={value}" for name, value in sizes.items())
  return (
    f"The file holds a ViT{f'-{known[0]}' if known else ''}: set ViTConfig to "
    f'{values}, position="{position}", stem="patch".'
  )
