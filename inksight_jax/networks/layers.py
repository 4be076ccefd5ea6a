"""Layers shared by the networks; every parameter is born with logical axes.

Axis names follow T5X so that its standard partitioning rules apply: `embed`,
`mlp`, `heads`, `joined_kv` (heads x kv, kept joined because a minor dimension
of 64 would be padded to 128 in TPU memory), `vocab`, `relpos_buckets`,
`layers`; images add `height`, `width`, `channels`, `patches`.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from flax.typing import Initializer
from jaxtyping import Array, Float, Int

from inksight_jax.networks import fused_attention, row_kernels
from inksight_jax.networks.row_kernels import RowKernel

param_with_axes = partitioning.param_with_axes

REMAT_POLICIES: dict[str, Callable[..., Any] | None] = {
  "none": None,
  "full": jax.checkpoint_policies.nothing_saveable,
  "dots": jax.checkpoint_policies.save_from_both_policies(
    jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    jax.checkpoint_policies.save_only_these_names(fused_attention.KEPT),
  ),
}

# Of bfloat16 in the memory of a TPU.
_TILE_ROWS = 16

DTYPES: dict[str, Any] = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
  # T5 1.1 and the published ViT weights were trained with the tanh form.
  "gelu": lambda x: nn.gelu(x, approximate=True),
  # As PyTorch and `transformers` mean it.
  "gelu_exact": lambda x: nn.gelu(x, approximate=False),
  "linear": lambda x: x,
  "relu": nn.relu,
  "silu": nn.silu,
}


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
  """(height, width) of what is a square if only one side is given."""
  return (size, size) if isinstance(size, int) else (size[0], size[1])


def check_choice(name: str, value: str, choices: Mapping[str, Any]) -> None:
  """Raises ValueError unless `value` is one of the keys of `choices`."""
  if value not in choices:
    raise ValueError(
      f"`{name}` is {value!r}; it must be one of {sorted(choices)}."
    )


def constrain_activations(
  x: Float[Array, "batch length embed"],
) -> Float[Array, "batch length embed"]:
  """Pins the residual stream to the batch sharding; free without a mesh.

  The embedding axis has its own name here: under fully sharded rules the
  parameters' `embed` is split over the very devices that split the batch.
  """
  return partitioning.with_sharding_constraint(
    x, ("batch", "length", "activation_embed")
  )


def matmul(
  inputs: Float[Array, "*batch inputs"],
  kernel: Float[Array, "inputs outputs"] | RowKernel,
  dtype: jnp.dtype,
) -> Float[Array, "*batch outputs"]:
  """Product over the last axis, accumulated and returned in `dtype`.

  Inputs are rounded to the kernel's type where that is narrower.

  The leading axes are merged first: the kernel's gradient is then a plain
  matrix product, which XLA's CPU compiler runs twice as fast as a contraction
  over several axes, and its TPU compiler is done with sooner. But not in
  bfloat16, the accelerators' type, where the last of them fills no whole tiles:
  its rows would be copied to be merged.
  """

  def product(vectors: Float[Array, "*rows inputs"]) -> Array:
    if isinstance(kernel, RowKernel):
      return kernel.multiply(vectors, dtype)
    vectors = vectors.astype(kernel.dtype)
    return jnp.matmul(vectors, kernel, preferred_element_type=dtype)

  rows = inputs.shape[-2] if inputs.ndim > 2 else 1
  in_tiles = dtype != jnp.bfloat16 or rows == 1 or rows % _TILE_ROWS == 0
  if not in_tiles and not isinstance(kernel, RowKernel):
    return product(inputs)
  flat = product(inputs.reshape(-1, inputs.shape[-1]))
  return flat.reshape(*inputs.shape[:-1], flat.shape[-1])


class Dense(nn.Module):
  """Linear map of the last axis.

  Attributes:
    features: output size.
    kernel_axes: logical names of the kernel's (input, output) axes.
    use_bias: adds a bias named by the output axis.
    dtype: computation type; parameters stay float32.
    output_dtype: type of the result where it must be wider than `dtype`, as
      for logits; None for `dtype`.
    kernel_init: initializer of the kernel.
  """

  features: int
  kernel_axes: tuple[str, str]
  use_bias: bool = False
  dtype: str = "float32"
  output_dtype: str | None = None
  kernel_init: Initializer = nn.initializers.variance_scaling(
    1.0, "fan_in", "truncated_normal"
  )

  @nn.compact
  def __call__(
    self, inputs: Float[Array, "*batch inputs"]
  ) -> Float[Array, "*batch features"]:
    output_dtype = jnp.dtype(self.output_dtype or self.dtype)
    outputs = matmul(
      inputs.astype(self.dtype), self._kernel(inputs.shape[-1]), output_dtype
    )
    if self.use_bias:
      bias = param_with_axes(
        "bias",
        nn.initializers.zeros_init(),
        (self.features,),
        jnp.float32,
        axes=self.kernel_axes[1:],
      )
      outputs += jnp.reshape(
        bias.astype(output_dtype), (1,) * (outputs.ndim - 1) + (-1,)
      )
    return outputs

  def _kernel(self, num_inputs: int) -> Array | RowKernel:
    if self.has_variable("params", "kernel"):
      kernel = self.get_variable("params", "kernel")
      # As `row_kernels.arrange` left it.
      if isinstance(kernel, RowKernel) or kernel.dtype == jnp.bfloat16:
        return kernel
    kernel = param_with_axes(
      "kernel",
      self.kernel_init,
      (num_inputs, self.features),
      jnp.float32,
      axes=self.kernel_axes,
    )
    return kernel.astype(self.dtype)


def project(
  parent: nn.Module,
  projections: Sequence[Dense],
  inputs: Float[Array, "*batch inputs"],
) -> list[Float[Array, "*batch features"]]:
  """Several linear maps of the same inputs; call inside a compact method.

  Args:
    parent: the module whose children they are.
    projections: the maps. Where `row_kernels.arrange` has joined them, their
      outputs are parts of one product.
    inputs: what they map.
  """
  joined = row_kernels.joined_name([str(dense.name) for dense in projections])
  if len(projections) == 1 or not parent.has_variable("params", joined):
    return [dense(inputs) for dense in projections]
  ends = list(itertools.accumulate(dense.features for dense in projections))
  first = projections[0]
  outputs = Dense(
    ends[-1],
    first.kernel_axes,
    use_bias=first.use_bias,
    dtype=first.dtype,
    output_dtype=first.output_dtype,
    name=joined,
  )(inputs)
  return jnp.split(outputs, ends[:-1], axis=-1)


class Embed(nn.Module):
  """Token table, read by a gather and, where tied, used for the logits.

  Attributes:
    num_embeddings: vocabulary size.
    features: embedding size.
    dtype: type of the embeddings returned.
    embedding_init: initialiser of the table.
  """

  num_embeddings: int
  features: int
  dtype: str = "float32"
  embedding_init: Initializer = nn.initializers.normal(stddev=1.0)

  def setup(self) -> None:
    self.embedding = param_with_axes(
      "embedding",
      self.embedding_init,
      (self.num_embeddings, self.features),
      jnp.float32,
      axes=("vocab", "embed"),
    )

  def __call__(
    self, tokens: Int[Array, "batch length"]
  ) -> Float[Array, "batch length features"]:
    # An id outside the table reads NaN: a wrong vocabulary size shows at once
    # instead of training on the clipped id.
    return jnp.take(
      self.embedding, tokens, axis=0, mode="fill", fill_value=jnp.nan
    ).astype(self.dtype)

  def attend(
    self, inputs: Float[Array, "batch length features"]
  ) -> Float[Array, "batch length vocab"]:
    """Logits, float32, against the table, scaled by 1/sqrt(features)."""
    logits = matmul(
      inputs.astype(self.dtype),
      self.embedding.astype(self.dtype).T,
      jnp.dtype("float32"),
    )
    return logits * self.features**-0.5


class RMSNorm(nn.Module):
  """Root-mean-square norm without mean or bias (Zhang & Sennrich 2019)."""

  epsilon: float = 1e-6
  dtype: str = "float32"

  @nn.compact
  def __call__(
    self, inputs: Float[Array, "*batch embed"]
  ) -> Float[Array, "*batch embed"]:
    # Squares of bfloat16 activations lose too many digits.
    x = inputs.astype(jnp.float32)
    scale = param_with_axes(
      "scale",
      nn.initializers.ones_init(),
      (x.shape[-1],),
      jnp.float32,
      axes=("embed",),
    )
    mean_square = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
    y = (x * jax.lax.rsqrt(mean_square + self.epsilon)).astype(self.dtype)
    return y * jnp.reshape(
      scale.astype(self.dtype), (1,) * (y.ndim - 1) + (-1,)
    )


class LayerNorm(nn.Module):
  """Layer norm with scale and bias (Ba et al. 2016), in float32."""

  epsilon: float = 1e-6
  dtype: str = "float32"

  @nn.compact
  def __call__(
    self, inputs: Float[Array, "*batch embed"]
  ) -> Float[Array, "*batch embed"]:
    x = inputs.astype(jnp.float32)
    shape = (1,) * (x.ndim - 1) + (-1,)
    size = (x.shape[-1],)
    scale = param_with_axes(
      "scale", nn.initializers.ones_init(), size, jnp.float32, axes=("embed",)
    )
    bias = param_with_axes(
      "bias", nn.initializers.zeros_init(), size, jnp.float32, axes=("embed",)
    )
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
    y = centred * jax.lax.rsqrt(variance + self.epsilon)
    y = y * scale.reshape(shape) + bias.reshape(shape)
    return y.astype(self.dtype)


class GatedMlp(nn.Module):
  """Product of one projection per activation, then back (Shazeer 2020).

  With a single activation this is the plain two-layer MLP.

  Attributes:
    mlp_dim: hidden size.
    activations: names in ACTIVATIONS, for example ("gelu", "linear").
    dropout_rate: dropout of the hidden units, one mask for all positions.
    deterministic: disables dropout.
    dtype: computation type.
  """

  mlp_dim: int
  activations: tuple[str, ...]
  dropout_rate: float
  deterministic: bool
  dtype: str = "float32"

  @nn.compact
  def __call__(
    self, inputs: Float[Array, "batch length embed"]
  ) -> Float[Array, "batch length embed"]:
    branches = [
      Dense(
        self.mlp_dim, ("embed", "mlp"), dtype=self.dtype, name=f"wi_{index}"
      )
      for index in range(len(self.activations))
    ]
    hidden = None
    for activation, branch in zip(
      self.activations, project(self, branches, inputs), strict=True
    ):
      branch = ACTIVATIONS[activation](branch)
      hidden = branch if hidden is None else hidden * branch
    hidden = broadcast_dropout(self.dropout_rate, self.deterministic)(hidden)
    return Dense(
      inputs.shape[-1], ("mlp", "embed"), dtype=self.dtype, name="wo"
    )(hidden)


def broadcast_dropout(rate: float, deterministic: bool) -> nn.Dropout:
  """Dropout that drops a feature at all positions of an example, as T5 does."""
  return nn.Dropout(rate, broadcast_dims=(-2,), deterministic=deterministic)


def run_layers(
  layer: type[nn.Module],
  inputs: Float[Array, "batch length embed"],
  *shared: Any,
  depth: int,
  name: str,
  scan: bool,
  remat_policy: str,
  attributes: Mapping[str, Any],
) -> Float[Array, "batch length embed"]:
  """Applies `depth` layers of one kind; call inside a compact method.

  Args:
    layer: module class whose call `(x, *shared)` returns `(x, None)`.
    inputs: the residual stream.
    *shared: further arguments, the same for all layers.
    depth: number of layers.
    name: parameters live under `{name}_{index}`, or stacked under `name`
      with a leading `layers` axis when scanned.
    scan: compiles the layer once; slower to start with, far faster to compile.
    remat_policy: key of REMAT_POLICIES, what the backward pass keeps.
    attributes: the layer's fields.
  """
  policy = REMAT_POLICIES[remat_policy]
  if policy is not None:
    # Inside a scan the loop already keeps XLA from merging the recomputation.
    layer = nn.remat(layer, policy=policy, prevent_cse=not scan)
  if not scan:
    for index in range(depth):
      inputs, _ = layer(**attributes, name=f"{name}_{index}")(inputs, *shared)
    return inputs
  scanned = partitioning.scan_with_axes(
    layer,
    variable_axes={"params": 0, "cache": 0},
    split_rngs={"params": True, "dropout": True},
    # Annotated as int, documented and read as a tree.
    in_axes=(nn.broadcast,) * len(shared),  # pyright: ignore[reportArgumentType]
    length=depth,
    axis_name="layers",
  )
  outputs, _ = scanned(**attributes, name=name)(inputs, *shared)
  return outputs
