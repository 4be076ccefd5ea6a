"""Starts encoder and decoder from T5 1.1 or mT5 weights of `transformers`.

Read from a folder as `transformers_folder` describes it.

Vocabularies differ: ours holds text ids and, after them, ink ids. So rows of
the token table and columns of the output layer are taken only as far as
`vocabulary_rows` says: none, or the first n where the first n ids of both
vocabularies mean the same.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax
import jax
import numpy as np
from jaxtyping import Array, Float

from inksight_jax.interop import naming, transformers_folder
from inksight_jax.networks import mt5
from inksight_jax.training import mesh

_LAYERS = "layers"
_TABLE = ("token_embedder", "embedding")
_LOGITS = ("decoder", "logits_dense", "kernel")
_STACKS = ("encoder", "decoder")
_PROJECTIONS = {"query": "q", "key": "k", "value": "v", "out": "o"}
# Their token tables, read apart from the rest; and a bias of the first layer's
# cross-attention that early conversions wrote and nothing ever read.
_TABLE_NAMES = (
  "shared.weight",
  "encoder.embed_tokens.weight",
  "decoder.embed_tokens.weight",
)
_LOGITS_NAME = "lm_head.weight"
_NEVER_READ = (
  "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
)


@dataclasses.dataclass(frozen=True)
class T5Weights:
  """Initial weights (`INITIAL_WEIGHTS` in gin) of encoder and decoder.

  Attributes:
    path: folder with config.json and the weights.
    config: of the model's encoder and decoder.
    vocabulary_rows: number of ids, from 0 on, whose embeddings and outputs are
      taken over; 0 for none.
  """

  path: str
  config: mt5.MT5Config
  vocabulary_rows: int = 0

  def __call__(self, params: Mapping[str, Any]) -> dict[str, Any]:
    """Reads the weights.

    Args:
      params: parameters of the model; where rows are taken over, arrays.

    Returns:
      Arrays under the names of `params`: modules `encoder` and `decoder`, the
      latter's output layer and `token_embedder` with `vocabulary_rows` alone.

    Raises:
      ValueError: if the folder is damaged or holds another model; the first
        tensor that does not fit is named.
    """
    theirs = transformers_folder.read_config(self.path, "T5 1.1 or mT5")
    if "d_model" not in theirs:
      raise ValueError(
        f"{self.path}/config.json is not the configuration of a T5 or mT5."
      )
    advice = _advice(theirs)
    _check_choices(theirs, self.config, self.path)
    tensors = dict(transformers_folder.read_tensors(self.path))
    flat = mesh.flatten(params)
    core = {
      path: leaf
      for path, leaf in flat.items()
      if path[0] in _STACKS and path != _LOGITS
    }
    wanted = naming.unstacked_shapes(core, _LAYERS)
    names = {path: _their_name(path) for path in wanted}
    tables = (*_TABLE_NAMES, _LOGITS_NAME, _NEVER_READ)
    ours = {name: path for path, name in names.items()}
    found = {
      ours.get(name, (name,)): naming.Found(name, array)
      for name, array in tensors.items()
      if name not in tables
    }
    # A PyTorch linear layer keeps its kernel as [outputs, inputs].
    transposed = {path: shape[::-1] for path, shape in wanted.items()}
    naming.check_fit(found, transposed, self.path, advice)
    arrays = {path: found[path].array.T for path in wanted}
    result = naming.stacked(arrays, core, _LAYERS)
    if self.vocabulary_rows:
      result |= self._rows(flat, tensors)
    return flax.traverse_util.unflatten_dict(result)

  def _rows(
    self,
    flat: Mapping[naming.Path, Any],
    tensors: Mapping[str, np.ndarray],
  ) -> dict[naming.Path, Any]:
    """Token table and output layer with the first rows from the file."""
    if self.config.logits_via_embedding:
      raise ValueError(
        "T5 1.1 and mT5 do not scale their outputs as a tied output layer "
        "does; set MT5Config.logits_via_embedding=False, or vocabulary_rows=0."
      )
    table = next((n for n in _TABLE_NAMES if n in tensors), None)
    if table is None:
      raise ValueError(
        f"{self.path} has no shared.weight; set vocabulary_rows=0."
      )
    # Saved by a recent `transformers`, mT5 shares one table and has no lm_head.
    outputs = _LOGITS_NAME if _LOGITS_NAME in tensors else table
    sources: dict[naming.Path, str] = {_TABLE: table, _LOGITS: outputs}
    result = {}
    for path, name in sources.items():
      rows, old = tensors[name], flat[path]
      old = old if path == _TABLE else old.T
      most = min(len(rows), old.shape[0])
      if self.vocabulary_rows > most or rows.shape[1] != old.shape[1]:
        raise ValueError(
          f"{name} of {self.path} has shape {rows.shape}, this model's table "
          f"{tuple(old.shape)}: vocabulary_rows={self.vocabulary_rows} is more "
          f"than both have; set it to at most {most}."
        )
      new = _with_rows(old, rows[: self.vocabulary_rows])
      result[path] = new if path == _TABLE else new.T
    return result


@jax.jit
def _with_rows(
  table: Float[Array, "ids embed"], rows: Float[Array, "rows embed"]
) -> Float[Array, "ids embed"]:
  # Under jit, so that a table spread over several hosts can be written to.
  return table.at[: len(rows)].set(rows)


def _their_name(path: naming.Path) -> str:
  """What `transformers` calls one of our parameters."""
  stack, *inner = path
  if inner[0] == "relpos_bias":
    return (
      f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    )
  if inner[0] == f"{stack}_norm":
    return f"{stack}.final_layer_norm.weight"
  block = f"{stack}.block.{inner[0].removeprefix(f'{_LAYERS}_')}.layer"
  mlp = 1 if stack == "encoder" else 2
  module = inner[1]
  if module in ("attention", "self_attention"):
    return f"{block}.0.SelfAttention.{_PROJECTIONS[inner[2]]}.weight"
  if module == "encoder_decoder_attention":
    return f"{block}.1.EncDecAttention.{_PROJECTIONS[inner[2]]}.weight"
  if module == "mlp":
    return f"{block}.{mlp}.DenseReluDense.{inner[2]}.weight"
  index = {
    "pre_attention_layer_norm": 0,
    "pre_self_attention_layer_norm": 0,
    "pre_cross_attention_layer_norm": 1,
    "pre_mlp_layer_norm": mlp,
  }[module]
  return f"{block}.{index}.layer_norm.weight"


def _check_choices(
  theirs: Mapping[str, Any], ours: mt5.MT5Config, folder: str
) -> None:
  """Compares what no shape tells."""
  activations = "-".join(ours.mlp_activations)
  for name, expected in (
    ("feed_forward_proj", {"gelu-linear": "gated-gelu"}.get(activations)),
    (
      "relative_attention_max_distance",
      ours.relative_attention_max_distance,
    ),
    ("layer_norm_epsilon", 1e-6),
  ):
    if name in theirs and theirs[name] != expected:
      raise ValueError(
        f"{folder} has {name}={theirs[name]!r} and this model has "
        f"{expected!r}. T5 1.1 and mT5 are read, with MT5Config's defaults for "
        "the activations."
      )


def _advice(theirs: Mapping[str, Any]) -> str:
  """What the folder holds, in the words of MT5Config."""
  depth = theirs.get("num_layers")
  sizes = {
    "emb_dim": theirs["d_model"],
    "num_heads": theirs.get("num_heads"),
    "head_dim": theirs.get("d_kv"),
    "mlp_dim": theirs.get("d_ff"),
    "num_encoder_layers": depth,
    "num_decoder_layers": theirs.get("num_decoder_layers") or depth,
  }
  known = [k for k, v in mt5.MT5_SIZES.items() if v.items() <= sizes.items()]
  values = ", ".join(f"{name}={value}" for name, value in sizes.items())
  named = f"an mT5 {known[0]}" if known else "a T5"
  return f"The folder holds {named}: set MT5Config to {values}."
