"""Starts a TrOCR from published weights (Li et al. 2021, arXiv 2109.10282).

Read from a folder of `transformers`, see `transformers_folder`: a
VisionEncoderDecoderModel of a DeiT or ViT and a TrOCR decoder with learned
positions, such as trocr-small-printed. The encoder's pooler is left out; it
reads nothing. Biases that the file has not are 0.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax
import jax
import numpy as np
from jaxtyping import Array, Float

from inksight_jax.interop import naming, transformers_folder
from inksight_jax.networks import trocr
from inksight_jax.training import mesh

# Modules, what their layers are called, and both tables of tokens.
_STACKS = {"image_encoder": "encoderblock", "decoder": "layers"}
_TABLE = ("decoder", "token_embedder", "embedding")
_LOGITS = ("decoder", "logits_dense", "kernel")
_POSITIONS = ("decoder", "positions", "embedding")
_PREFIX = ("image_encoder", "prefix")
_ENCODER, _DECODER = "encoder", "decoder.model.decoder"
_TABLE_NAME = f"{_DECODER}.embed_tokens.weight"
_LOGITS_NAME = "decoder.output_projection.weight"
_POSITIONS_NAME = f"{_DECODER}.embed_positions.weight"
_PREFIX_NAMES = tuple(
  f"{_ENCODER}.embeddings.{name}"
  for name in ("cls_token", "distillation_token")
)
# Rows of their positions that no token ever stands at.
_FIRST_POSITION = 2
# Their ids of our 0 to 3: start, EOS, UNK and SentencePiece's <s>. The output
# for 0, which is never an answer, is that of their padding.
_SPECIAL_INPUTS, _SPECIAL_OUTPUTS = (2, 2, 3, 0), (1, 2, 3, 0)
_PLACES = {
  "embedding": f"{_ENCODER}.embeddings.patch_embeddings.projection",
  "posembed_input": f"{_ENCODER}.embeddings.position_embeddings",
  "encoder_norm": f"{_ENCODER}.layernorm",
  "embedding_norm": f"{_DECODER}.layernorm_embedding",
  "LayerNorm_0": "layernorm_before",
  "LayerNorm_2": "layernorm_after",
  "MultiHeadDotProductAttention_1/query": "attention.attention.query",
  "MultiHeadDotProductAttention_1/key": "attention.attention.key",
  "MultiHeadDotProductAttention_1/value": "attention.attention.value",
  "MultiHeadDotProductAttention_1/out": "attention.output.dense",
  "MlpBlock_3/Dense_0": "intermediate.dense",
  "MlpBlock_3/Dense_1": "output.dense",
  "self_attention_norm": "self_attn_layer_norm",
  "cross_attention_norm": "encoder_attn_layer_norm",
  "mlp_norm": "final_layer_norm",
  "wi": "fc1",
  "wo": "fc2",
  **{
    f"{ours}/{name}": f"{theirs}.{projection}_proj"
    for ours, theirs in (
      ("self_attention", "self_attn"),
      ("encoder_decoder_attention", "encoder_attn"),
    )
    for name, projection in (
      ("query", "q"),
      ("key", "k"),
      ("value", "v"),
      ("out", "out"),
    )
  },
}
_ACTIVATIONS = {
  "gelu": "gelu_exact",
  "gelu_pytorch_tanh": "gelu",
  "gelu_new": "gelu",
  "relu": "relu",
  "silu": "silu",
  "swish": "silu",
}


@dataclasses.dataclass(frozen=True)
class TrOCRWeights:
  """Initial weights (`INITIAL_WEIGHTS` in gin) of a TrOCR.

  Attributes:
    path: folder with config.json and the weights.
    config: of the network.
    vocabulary_rows: number of ids, from 0 on, whose embeddings and outputs are
      taken over; 0 for none, where the ids of the model mean something else.
      From 4 on they are taken as they are; those before are SentencePiece's
      special ones, in our order.
  """

  path: str
  config: trocr.TrOCRConfig
  vocabulary_rows: int = 0

  def __call__(self, params: Mapping[str, Any]) -> dict[str, Any]:
    """Reads the weights.

    Args:
      params: parameters of the model; where rows are taken over, arrays.

    Returns:
      Arrays under the names of `params`: all but the two tables of tokens,
      these with `vocabulary_rows` alone.

    Raises:
      ValueError: if the folder is damaged or holds another model; the first
        tensor that does not fit is named.
    """
    theirs = transformers_folder.read_config(self.path, "TrOCR")
    encoder, decoder = theirs.get("encoder"), theirs.get("decoder")
    if not isinstance(encoder, dict) or not isinstance(decoder, dict):
      raise ValueError(
        f"{self.path}/config.json has no encoder and decoder: wanted a "
        f"vision-encoder-decoder, got {theirs.get('model_type')!r}."
      )
    _check_choices(encoder, decoder, self.config, self.path)
    tensors = dict(transformers_folder.read_tensors(self.path))
    flat = mesh.flatten(params)
    result = self._core(flat, tensors, _advice(encoder, decoder))
    if self.vocabulary_rows:
      result |= self._rows(flat, tensors)
    return flax.traverse_util.unflatten_dict(result)

  def _core(
    self,
    flat: Mapping[naming.Path, Any],
    tensors: Mapping[str, np.ndarray],
    advice: str,
  ) -> dict[naming.Path, Any]:
    """All parameters but the tables of tokens."""
    wanted: dict[naming.Path, naming.Shape] = {}
    parts = {}
    for stack, layers in _STACKS.items():
      parts[stack] = {
        path: leaf
        for path, leaf in flat.items()
        if path[0] == stack and path not in (_TABLE, _LOGITS)
      }
      wanted |= naming.unstacked_shapes(parts[stack], layers)
    found = _by_our_names(wanted, tensors)
    in_file = {
      path: _shape_there(path, shape) for path, shape in wanted.items()
    }
    naming.check_fit(found, in_file, self.path, advice)
    arrays = {path: _ours(path, found[path].array) for path in wanted}
    result = {}
    for stack, layers in _STACKS.items():
      result |= naming.stacked(arrays, parts[stack], layers)
    return result

  def _rows(
    self,
    flat: Mapping[naming.Path, Any],
    tensors: Mapping[str, np.ndarray],
  ) -> dict[naming.Path, Any]:
    """Token table and output layer with the first rows from the file."""
    table = tensors[_TABLE_NAME]
    # Where both are tied, the file has one of them.
    outputs = tensors.get(_LOGITS_NAME, table)
    most = min(len(table), flat[_TABLE].shape[0])
    if not len(_SPECIAL_INPUTS) <= self.vocabulary_rows <= most:
      raise ValueError(
        f"vocabulary_rows={self.vocabulary_rows}: {self.path} has "
        f"{len(table)} ids, this model {flat[_TABLE].shape[0]}; set it to 0, "
        f"or to a number from {len(_SPECIAL_INPUTS)} to {most}."
      )
    rest = range(len(_SPECIAL_INPUTS), self.vocabulary_rows)
    inputs = table[[*_SPECIAL_INPUTS, *rest]]
    outputs = outputs[[*_SPECIAL_OUTPUTS, *rest]]
    return {
      _TABLE: _with_rows(flat[_TABLE], inputs),
      _LOGITS: _with_rows(flat[_LOGITS].T, outputs).T,
    }


@jax.jit
def _with_rows(
  table: Float[Array, "ids embed"], rows: Float[Array, "rows embed"]
) -> Float[Array, "ids embed"]:
  # Under jit, so that a table spread over several hosts can be written to.
  return table.at[: len(rows)].set(rows)


def _by_our_names(
  wanted: Mapping[naming.Path, naming.Shape],
  tensors: Mapping[str, np.ndarray],
) -> dict[naming.Path, naming.Found]:
  """Their tensors by our names; what we have no name for under its own."""
  rest = {
    name: array
    for name, array in tensors.items()
    if name not in (_TABLE_NAME, _LOGITS_NAME)
    and not name.startswith(f"{_ENCODER}.pooler.")
  }
  found = {}
  prefixes = [rest.pop(name) for name in _PREFIX_NAMES if name in rest]
  if prefixes:
    joined = np.concatenate([x.reshape(1, -1) for x in prefixes])
    found[_PREFIX] = naming.Found(_PREFIX_NAMES[0], joined)
  if _POSITIONS_NAME in rest:
    array = rest.pop(_POSITIONS_NAME)[_FIRST_POSITION:]
    found[_POSITIONS] = naming.Found(_POSITIONS_NAME, array)
  ours = {_their_name(path): path for path in wanted if path not in found}
  for name, array in rest.items():
    found[ours.get(name, (name,))] = naming.Found(name, array)
  for name, path in ours.items():
    # TrOCR-base has no biases in the attention of its ViT.
    is_bias = "attention.attention." in name and path[-1] == "bias"
    if path not in found and is_bias:
      found[path] = naming.Found(name, np.zeros(wanted[path], np.float32))
  return found


def _their_name(path: naming.Path) -> str:
  """What `transformers` calls one of our parameters."""
  inner = [part for part in path[1:] if part != "Transformer"]
  block, place = "", inner[:-1]
  for layers, name in (
    ("encoderblock_", f"{_ENCODER}.encoder.layer."),
    ("layers_", f"{_DECODER}.layers."),
  ):
    if inner[0].startswith(layers):
      block, place = f"{name}{inner[0].removeprefix(layers)}.", inner[1:-1]
  name = f"{block}{_PLACES.get('/'.join(place), '/'.join(place))}"
  if inner[-1] == "pos_embedding":
    return name
  return f"{name}.{'bias' if inner[-1] == 'bias' else 'weight'}"


def _shape_there(path: naming.Path, shape: naming.Shape) -> naming.Shape:
  """Shape of a parameter in the file: PyTorch puts outputs before inputs."""
  if path[-1] != "kernel":
    return shape
  return shape[::-1] if len(shape) == 2 else (shape[3], shape[2], *shape[:2])


def _ours(path: naming.Path, array: np.ndarray) -> np.ndarray:
  """A tensor of the file in our layout."""
  if path[-1] != "kernel":
    return array
  return array.T if array.ndim == 2 else array.transpose(2, 3, 1, 0)


def _check_choices(
  encoder: Mapping[str, Any],
  decoder: Mapping[str, Any],
  ours: trocr.TrOCRConfig,
  folder: str,
) -> None:
  """Compares what no shape tells."""
  there = _settings(encoder, decoder)
  for part in ("vit", "decoder"):
    for name in _NO_SHAPE_TELLS[part]:
      got, expected = there[part][name], getattr(getattr(ours, part), name)
      if got != expected:
        raise ValueError(
          f"{folder} has {name}={got!r} and this model has {expected!r}. "
          f"{_advice(encoder, decoder)}"
        )


_NO_SHAPE_TELLS = {
  "vit": ("num_heads", "activation", "norm_epsilon", "stem", "position"),
  "decoder": ("num_heads", "activation", "norm", "position", "scale_embedding"),
}


def _settings(
  encoder: Mapping[str, Any], decoder: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
  """What the folder holds, in the words of our configurations."""
  learned = decoder.get("use_learned_position_embeddings", True)
  return {
    "vit": {
      "image_size": encoder.get("image_size"),
      "patch_size": encoder.get("patch_size"),
      "width": encoder.get("hidden_size"),
      "depth": encoder.get("num_hidden_layers"),
      "mlp_dim": encoder.get("intermediate_size"),
      "num_heads": encoder.get("num_attention_heads"),
      "prefix_tokens": 2 if encoder.get("model_type") == "deit" else 1,
      "activation": _ACTIVATIONS.get(str(encoder.get("hidden_act"))),
      "norm_epsilon": encoder.get("layer_norm_eps"),
      "stem": "patch",
      "position": "learned",
    },
    "decoder": {
      "emb_dim": decoder.get("d_model"),
      "num_heads": decoder.get("decoder_attention_heads"),
      "mlp_dim": decoder.get("decoder_ffn_dim"),
      "num_layers": decoder.get("decoder_layers"),
      "max_length": decoder.get("max_position_embeddings"),
      "activation": _ACTIVATIONS.get(str(decoder.get("activation_function"))),
      "norm": "post",
      "position": "learned" if learned else "sinusoidal (not supported)",
      "embedding_norm": decoder.get("layernorm_embedding", True),
      "scale_embedding": decoder.get("scale_embedding", False),
    },
  }


def _advice(encoder: Mapping[str, Any], decoder: Mapping[str, Any]) -> str:
  """What the folder holds and what to set."""
  there = _settings(encoder, decoder)
  words = [
    f"{kind} to {', '.join(f'{k}={v!r}' for k, v in there[part].items())}"
    for kind, part in (("ViTConfig", "vit"), ("DecoderConfig", "decoder"))
  ]
  return f"The folder holds a TrOCR: set {' and '.join(words)}."
