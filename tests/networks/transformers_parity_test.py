"""Equality with the independent PyTorch networks of `transformers`.

Skipped where torch or transformers is absent; needs no download, the weights
are random and copied over.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from inksight_jax.networks import mt5, transformer_decoder, vit

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("default")


def _array(tensor) -> jax.Array:
  return jnp.asarray(tensor.detach().numpy())


def _kernel(linear) -> dict:
  """A torch Linear stores its kernel transposed."""
  params = {"kernel": _array(linear.weight).T}
  if linear.bias is not None:
    params["bias"] = _array(linear.bias)
  return params


def _randomise(module) -> None:
  """Weights large enough that every part matters, norms and biases too."""
  generator = torch.Generator().manual_seed(0)
  with torch.no_grad():
    for parameter in module.parameters():
      noise = torch.randn(parameter.shape, generator=generator)
      if parameter.ndim == 1:
        parameter.add_(0.3 * noise)
      else:
        parameter.copy_(noise * parameter.shape[-1] ** -0.5)


class _TextToText(nn.Module):
  config: mt5.MT5Config

  def setup(self):
    self.token_embedder = mt5.token_embedder(self.config)
    self.encoder = mt5.Encoder(self.config)
    self.decoder = mt5.Decoder(self.config, self.token_embedder)

  def __call__(self, inputs, mask, tokens):
    encoded = self.encoder(self.token_embedder(inputs), mask)
    return self.decoder(encoded, mask, tokens)


def _attention(module) -> dict:
  return {
    "query": _kernel(module.q),
    "key": _kernel(module.k),
    "value": _kernel(module.v),
    "out": _kernel(module.o),
  }


def _mlp(module) -> dict:
  return {
    name: _kernel(getattr(module, name)) for name in ("wi_0", "wi_1", "wo")
  }


def _scale(norm) -> dict:
  return {"scale": _array(norm.weight)}


def _t5_stack(stack, norm_name: str) -> dict:
  bias = stack.block[0].layer[0].SelfAttention.relative_attention_bias
  params = {
    norm_name: _scale(stack.final_layer_norm),
    "relpos_bias": {"rel_embedding": _array(bias.weight).T},
  }
  for index, block in enumerate(stack.block):
    first, last = block.layer[0], block.layer[-1]
    layer = {
      "mlp": _mlp(last.DenseReluDense),
      "pre_mlp_layer_norm": _scale(last.layer_norm),
    }
    if len(block.layer) == 2:
      layer["attention"] = _attention(first.SelfAttention)
      layer["pre_attention_layer_norm"] = _scale(first.layer_norm)
    else:
      cross = block.layer[1]
      layer["self_attention"] = _attention(first.SelfAttention)
      layer["pre_self_attention_layer_norm"] = _scale(first.layer_norm)
      layer["encoder_decoder_attention"] = _attention(cross.EncDecAttention)
      layer["pre_cross_attention_layer_norm"] = _scale(cross.layer_norm)
    params[f"layers_{index}"] = layer
  return params


def test_mt5_equals_the_pytorch_one():
  sizes = {"vocab_size": 37, "num_heads": 3, "dropout_rate": 0.0}
  theirs = transformers.MT5ForConditionalGeneration(
    transformers.MT5Config(
      **sizes,
      d_model=24,
      d_kv=8,
      d_ff=40,
      num_layers=2,
      num_decoder_layers=3,
      feed_forward_proj="gated-gelu",
      tie_word_embeddings=False,
    )
  ).eval()
  _randomise(theirs)
  ours = _TextToText(
    mt5.MT5Config(
      **sizes,
      emb_dim=24,
      head_dim=8,
      mlp_dim=40,
      num_encoder_layers=2,
      num_decoder_layers=3,
    )
  )
  decoder = _t5_stack(theirs.decoder, "decoder_norm")
  decoder["logits_dense"] = _kernel(theirs.lm_head)
  params = {
    "token_embedder": {"embedding": _array(theirs.shared.weight)},
    "encoder": _t5_stack(theirs.encoder, "encoder_norm"),
    "decoder": decoder,
  }
  rng = np.random.default_rng(0)
  # Longer than the last relative position bucket's start.
  inputs = rng.integers(2, 37, (2, 150))
  mask = np.ones((2, 150), bool)
  mask[1, 100:] = False
  tokens = rng.integers(2, 37, (2, 140))
  with torch.no_grad():
    want = theirs(
      input_ids=torch.tensor(inputs),
      attention_mask=torch.tensor(mask),
      decoder_input_ids=torch.tensor(tokens),
    ).logits.numpy()
  got = jax.jit(ours.apply)(
    {"params": params},
    jnp.asarray(inputs),
    jnp.asarray(mask),
    jnp.asarray(tokens),
  )
  assert np.abs(want).max() > 1.0
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def _vit_block(layer) -> dict:
  attention = layer.attention
  if hasattr(attention, "attention"):  # transformers 4
    query, key, value = (
      getattr(attention.attention, name) for name in ("query", "key", "value")
    )
    out, dense_0, dense_1 = (
      attention.output.dense,
      layer.intermediate.dense,
      layer.output.dense,
    )
  else:
    query, key, value = attention.q_proj, attention.k_proj, attention.v_proj
    out, dense_0, dense_1 = attention.o_proj, layer.mlp.fc1, layer.mlp.fc2
  return {
    "LayerNorm_0": _norm(layer.layernorm_before),
    "LayerNorm_2": _norm(layer.layernorm_after),
    "MultiHeadDotProductAttention_1": {
      "query": _kernel(query),
      "key": _kernel(key),
      "value": _kernel(value),
      "out": _kernel(out),
    },
    "MlpBlock_3": {"Dense_0": _kernel(dense_0), "Dense_1": _kernel(dense_1)},
  }


def _norm(norm) -> dict:
  return {"scale": _array(norm.weight), "bias": _array(norm.bias)}


def test_vit_equals_the_pytorch_one():
  theirs = transformers.ViTModel(
    transformers.ViTConfig(
      hidden_size=24,
      num_hidden_layers=2,
      num_attention_heads=3,
      intermediate_size=40,
      hidden_act="gelu_pytorch_tanh",
      hidden_dropout_prob=0.0,
      attention_probs_dropout_prob=0.0,
      layer_norm_eps=1e-6,
      image_size=32,
      patch_size=8,
    ),
    add_pooling_layer=False,
  ).eval()
  _randomise(theirs)
  config = vit.ViTConfig(
    image_size=32, patch_size=8, width=24, depth=2, mlp_dim=40, num_heads=3
  )
  projection = theirs.embeddings.patch_embeddings.projection
  # Ours has no class token, so their blocks run on the patches alone.
  blocks = getattr(theirs, "layers", None) or theirs.encoder.layer
  params = {
    "embedding": {
      "kernel": jnp.transpose(_array(projection.weight), (2, 3, 1, 0)),
      "bias": _array(projection.bias),
    },
    "Transformer": {
      "posembed_input": {
        "pos_embedding": _array(theirs.embeddings.position_embeddings)[:, 1:]
      },
      "encoder_norm": _norm(theirs.layernorm),
      **{
        f"encoderblock_{index}": _vit_block(layer)
        for index, layer in enumerate(blocks)
      },
    },
  }
  image = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
  pixels = torch.tensor(image).permute(0, 3, 1, 2) / 127.5 - 1.0
  with torch.no_grad():
    x = theirs.embeddings.patch_embeddings(pixels)
    x = x + theirs.embeddings.position_embeddings[:, 1:]
    for layer in blocks:
      x = layer(x)
      x = x[0] if isinstance(x, tuple) else x
    want = theirs.layernorm(x).numpy()
  got = jax.jit(vit.ViT(config).apply)({"params": params}, jnp.asarray(image))
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_gpt2_equals_the_pytorch_one():
  theirs = transformers.GPT2LMHeadModel(
    transformers.GPT2Config(
      vocab_size=37, n_positions=20, n_embd=24, n_layer=2, n_head=3
    )
  ).eval()
  _randomise(theirs)
  ours = transformer_decoder.Decoder(
    transformer_decoder.DecoderConfig(
      vocab_size=37,
      emb_dim=24,
      num_heads=3,
      mlp_dim=96,
      num_layers=2,
      activation="gelu",
      max_length=20,
      norm="pre",
      embedding_norm=False,
      scale_embedding=False,
      dropout_rate=0.0,
      cross_attention=False,
      tied=True,
    )
  )

  def linear(weight, bias) -> dict:
    # GPT-2's own kind of layer is not transposed.
    return {"kernel": _array(weight), "bias": _array(bias)}

  def norm(module) -> dict:
    return {"scale": _array(module.weight), "bias": _array(module.bias)}

  params = {
    "token_embedder": {"embedding": _array(theirs.transformer.wte.weight)},
    "positions": {"embedding": _array(theirs.transformer.wpe.weight)},
    "decoder_norm": norm(theirs.transformer.ln_f),
  }
  for index, block in enumerate(theirs.transformer.h):
    joined = block.attn.c_attn
    weights, biases = joined.weight.chunk(3, dim=1), joined.bias.chunk(3)
    names = ("query", "key", "value")
    params[f"layers_{index}"] = {
      "self_attention_norm": norm(block.ln_1),
      "self_attention": {
        "out": linear(block.attn.c_proj.weight, block.attn.c_proj.bias),
        **{n: linear(*x) for n, *x in zip(names, weights, biases, strict=True)},
      },
      "mlp_norm": norm(block.ln_2),
      "wi": linear(block.mlp.c_fc.weight, block.mlp.c_fc.bias),
      "wo": linear(block.mlp.c_proj.weight, block.mlp.c_proj.bias),
    }
  tokens = np.random.default_rng(0).integers(0, 37, (2, 20))
  with torch.no_grad():
    want = theirs(torch.tensor(tokens)).logits.numpy()
  got = jax.jit(ours.apply)({"params": params}, None, None, jnp.asarray(tokens))
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
