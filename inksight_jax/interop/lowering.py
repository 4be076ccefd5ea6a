"""A model lowered once, for every kind of exported file.

What is lowered is the function that `inference.decoder` compiles, so an
exported model decodes as the predictor does: with its cache, its early stop
and its rules.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from inksight_jax.networks import row_kernels
from inksight_jax.networks.ink_points import ink_points

if TYPE_CHECKING:
  from inksight_jax.inference.predictor import Predictor

PLATFORMS = ("cpu", "cuda", "tpu")
WEIGHTS = ("float32", "bfloat16")
# The first StableHLO that holds the program: 1.0.0 for greedy decoding; beams
# are reordered by a gather that came later, and that TensorFlow 2.19 reads. And
# the newest calling convention that TensorFlow 2.17 knows: see docs/export.md.
STABLEHLO_VERSIONS = ("1.0.0", "1.9.1")
CALLING_CONVENTION = 9


@dataclasses.dataclass(frozen=True, eq=False)
class Lowered:
  """A program without weights, and the weights.

  Attributes:
    exported: takes (tuple of arrays as in `weights`, inputs by name), returns
      outputs by name; the batch is symbolic.
    names: path of each weight.
    weights: arrays in the order in which the program takes them.
    inputs: names, sorted: "image" uint8[batch, height, width, 3]; where the
      model reads prompts "prompt" int32[batch, length]; where answers are held
      to a form "writes_text" and "writes_ink" bool[batch].
    outputs: names, sorted: "tokens" int32[batch, length], "log_probs",
      "lengths"; with ink also "points" int32[batch, points, 2] on the canvas,
      "strokes" int32[batch, points] and "point_count".
  """

  exported: Any
  names: tuple[str, ...]
  weights: tuple[NDArray[Any], ...]
  inputs: tuple[str, ...]
  outputs: tuple[str, ...]


def lower(
  predictor: Predictor,
  weights: str = "float32",
  platforms: tuple[str, ...] = PLATFORMS,
) -> Lowered:
  """Lowers the decoding of a predictor for any batch of at least one row.

  Args:
    predictor: the model, its parameters and how it decodes.
    weights: type in which float32 parameters are stored; the program computes
      with what the network's own type asks for either way.
    platforms: what the program runs on.

  Raises:
    ValueError: another type of weights, or answers that are drawn at random.
  """
  if weights not in WEIGHTS:
    raise ValueError(f"`weights` is one of {', '.join(WEIGHTS)}: {weights!r}.")
  if predictor.decoder.config.method == "sample":
    raise ValueError(
      "An exported model answers the same each time; this one samples. Set "
      'DecodeConfig.method to "greedy" or "beam".'
    )
  # Kernels of the decoder lie as they are read fastest on a CPU, for that is
  # where a layout matters.
  flat, tree = jax.tree_util.tree_flatten_with_path(
    row_kernels.by_rows(predictor.params)
  )
  names = tuple("/".join(map(_key_name, path)) for path, _ in flat)
  arrays = tuple(_stored(np.asarray(leaf), weights) for _, leaf in flat)
  types = [np.asarray(leaf).dtype for _, leaf in flat]

  def run(
    leaves: tuple[jax.Array, ...], inputs: dict[str, jax.Array]
  ) -> dict[str, jax.Array]:
    params = jax.tree_util.tree_unflatten(
      tree, [leaf.astype(t) for leaf, t in zip(leaves, types, strict=True)]
    )
    return _answer(predictor, params, inputs)

  (batch,) = jax.export.symbolic_shape("b")
  shapes = _input_shapes(predictor, batch)
  leaves = tuple(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arrays)
  # Answers must not depend on how a device shortens products by default.
  with _calling_convention(), jax.default_matmul_precision("highest"):
    exported = jax.export.export(jax.jit(run), platforms=platforms)(
      leaves, shapes
    )
  outputs = sorted(jax.eval_shape(run, leaves, _input_shapes(predictor, 1)))
  exported = dataclasses.replace(
    exported, mlir_module_serialized=_portable(exported)
  )
  return Lowered(exported, names, arrays, tuple(sorted(shapes)), tuple(outputs))


def _key_name(key: Any) -> str:
  """Of a dictionary's entry, or of a field."""
  return str(getattr(key, "key", None) or getattr(key, "name", key))


def _stored(array: NDArray[Any], weights: str) -> NDArray[Any]:
  if array.dtype != np.float32:
    return array
  return array.astype(jnp.dtype(weights))


def _input_shapes(predictor: Predictor, batch: Any) -> dict[str, Any]:
  tasks = predictor.tasks
  image = (batch, *tasks.image_shape, 3)
  shapes = {"image": jax.ShapeDtypeStruct(image, jnp.uint8)}
  if tasks.prompt_length:
    shape = (batch, tasks.prompt_length)
    shapes["prompt"] = jax.ShapeDtypeStruct(shape, jnp.int32)
  if predictor.decoder.constrained:
    for name in ("writes_ink", "writes_text"):
      shapes[name] = jax.ShapeDtypeStruct((batch,), jnp.bool_)
  return shapes


def _answer(
  predictor: Predictor, params: Any, inputs: dict[str, jax.Array]
) -> dict[str, jax.Array]:
  """The outputs by name."""
  batch = {"encoder_input_image": inputs["image"]}
  if "prompt" in inputs:
    batch["encoder_input_tokens"] = inputs["prompt"]
  writes = None
  if "writes_text" in inputs:
    writes = inputs["writes_text"], inputs["writes_ink"]
  decoder = predictor.decoder
  tokens, log_probs, lengths = decoder.function(
    params, batch, jax.random.PRNGKey(0), writes
  )
  outputs = {"tokens": tokens, "log_probs": log_probs, "lengths": lengths}
  vocabulary = predictor.tasks.vocabulary
  if vocabulary.ink is not None:
    points, strokes, count = ink_points(
      tokens,
      lengths,
      vocabulary.ink_offset,
      vocabulary.ink.canvas,
      decoder.config.eos_id,
    )
    outputs |= {"points": points, "strokes": strokes, "point_count": count}
  return outputs


@contextlib.contextmanager
def _calling_convention() -> Iterator[None]:
  name = "jax_export_calling_convention_version"
  before = getattr(jax.config, name)
  jax.config.update(name, CALLING_CONVENTION)
  try:
    yield
  finally:
    jax.config.update(name, before)


def _portable(exported: Any) -> bytes:
  """The module in an old StableHLO, without the paths of source files."""
  from jax.extend.mlir import passmanager
  from jax.extend.mlir.dialects import stablehlo
  from jax.interpreters import mlir

  with mlir.make_ir_context() as context:
    module = stablehlo.deserialize_portable_artifact(
      context, exported.mlir_module_serialized
    )
    strip = passmanager.PassManager.parse("builtin.module(strip-debuginfo)")
    strip.run(module.operation)
    for version in STABLEHLO_VERSIONS[:-1]:
      with contextlib.suppress(ValueError):
        return stablehlo.serialize_portable_artifact(module, version)
    return stablehlo.serialize_portable_artifact(module, STABLEHLO_VERSIONS[-1])
