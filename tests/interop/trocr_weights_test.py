"""Import of TrOCR folders: hand-made files, and parity with `transformers`."""

import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.inference import recipe
from inksight_jax.interop import trocr_weights
from inksight_jax.networks import transformer_decoder, trocr, vit
from inksight_jax.training import state

CONFIG = trocr.TrOCRConfig(
  vit.ViTConfig(
    image_size=32,
    patch_size=8,
    width=24,
    depth=2,
    mlp_dim=40,
    num_heads=3,
    prefix_tokens=2,
    activation="gelu_exact",
    norm_epsilon=1e-12,
  ),
  transformer_decoder.DecoderConfig(
    vocab_size=40,
    emb_dim=16,
    num_heads=2,
    mlp_dim=20,
    num_layers=2,
    max_length=18,
    dropout_rate=0.0,
  ),
)
ENCODER = {
  "model_type": "deit",
  "hidden_size": 24,
  "num_hidden_layers": 2,
  "num_attention_heads": 3,
  "intermediate_size": 40,
  "hidden_act": "gelu",
  "layer_norm_eps": 1e-12,
  "image_size": 32,
  "patch_size": 8,
}
DECODER = {
  "model_type": "trocr",
  "vocab_size": 37,
  "d_model": 16,
  "decoder_layers": 2,
  "decoder_attention_heads": 2,
  "decoder_ffn_dim": 20,
  "activation_function": "relu",
  "max_position_embeddings": 18,
  "scale_embedding": True,
  "cross_attention_hidden_size": 24,
}
THEIR_CONFIG = {
  "model_type": "vision-encoder-decoder",
  "encoder": ENCODER,
  "decoder": DECODER,
}
IMAGE = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
TOKENS = np.random.default_rng(1).integers(4, 37, (2, 9))


def _shapes(config=CONFIG):
  return jax.eval_shape(
    lambda: trocr.TrOCR(config).init(
      jax.random.key(0),
      jnp.asarray(IMAGE),
      jnp.asarray(TOKENS),
      enable_dropout=False,
    )["params"]
  )


def _random_params(config=CONFIG):
  rng = np.random.default_rng(2)
  return jax.tree.map(
    lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32),
    _shapes(config),
  )


def _linear(name, inputs, outputs):
  return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name, size):
  return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _their_tensors():
  """Numbers that tell name and place; shapes as PyTorch keeps them."""
  shapes = {
    "encoder.embeddings.cls_token": (1, 1, 24),
    "encoder.embeddings.distillation_token": (1, 1, 24),
    "encoder.embeddings.position_embeddings": (1, 18, 24),
    "encoder.embeddings.patch_embeddings.projection.weight": (24, 3, 8, 8),
    "encoder.embeddings.patch_embeddings.projection.bias": (24,),
    "decoder.model.decoder.embed_tokens.weight": (37, 16),
    "decoder.model.decoder.embed_positions.weight": (20, 16),
    "decoder.output_projection.weight": (37, 16),
    **_norm("encoder.layernorm", 24),
    **_norm("decoder.model.decoder.layernorm_embedding", 16),
    **_linear("encoder.pooler.dense", 24, 24),
  }
  for index in range(2):
    layer = f"encoder.encoder.layer.{index}"
    for name in ("query", "key", "value"):
      shapes |= _linear(f"{layer}.attention.attention.{name}", 24, 24)
    shapes |= _linear(f"{layer}.attention.output.dense", 24, 24)
    shapes |= _linear(f"{layer}.intermediate.dense", 24, 40)
    shapes |= _linear(f"{layer}.output.dense", 40, 24)
    shapes |= _norm(f"{layer}.layernorm_before", 24)
    shapes |= _norm(f"{layer}.layernorm_after", 24)
    layer = f"decoder.model.decoder.layers.{index}"
    for name in ("q", "k", "v", "out"):
      inputs = 24 if name in "kv" else 16
      shapes |= _linear(f"{layer}.self_attn.{name}_proj", 16, 16)
      shapes |= _linear(f"{layer}.encoder_attn.{name}_proj", inputs, 16)
    shapes |= _linear(f"{layer}.fc1", 16, 20) | _linear(f"{layer}.fc2", 20, 16)
    for name in ("self_attn", "encoder_attn"):
      shapes |= _norm(f"{layer}.{name}_layer_norm", 16)
    shapes |= _norm(f"{layer}.final_layer_norm", 16)
  rng = np.random.default_rng(0)
  return {k: rng.normal(size=v).astype(np.float32) for k, v in shapes.items()}


def _write(folder, tensors, encoder=ENCODER, decoder=DECODER):
  safetensors = pytest.importorskip("safetensors.numpy")
  folder.mkdir(exist_ok=True)
  config = {**THEIR_CONFIG, "encoder": encoder, "decoder": decoder}
  (folder / "config.json").write_text(json.dumps(config))
  safetensors.save_file(tensors, str(folder / "model.safetensors"))
  return str(folder)


def _load(path, config=CONFIG, **options):
  weights = trocr_weights.TrOCRWeights(path, config, **options)
  return weights(_random_params(config) if options else _shapes(config))


@pytest.mark.parametrize("scan", [False, True])
def test_every_tensor_lands_in_its_place(tmp_path, scan):
  theirs = _their_tensors()
  config = dataclasses.replace(
    CONFIG,
    vit=dataclasses.replace(CONFIG.vit, scan_layers=scan),
    decoder=dataclasses.replace(CONFIG.decoder, scan_layers=scan),
  )
  loaded = _load(_write(tmp_path / "trocr", theirs), config)
  wanted = _shapes(config)
  del wanted["decoder"]["token_embedder"], wanted["decoder"]["logits_dense"]
  assert jax.tree.map(jnp.shape, loaded) == jax.tree.map(
    lambda x: x.shape, wanted
  )
  encoder, decoder = loaded["image_encoder"], loaded["decoder"]
  second = (
    jax.tree.map(lambda x: x[1], decoder["layers"])
    if scan
    else decoder["layers_1"]
  )
  name = "decoder.model.decoder.layers.1"
  for got, want in (
    (encoder["prefix"][0], theirs["encoder.embeddings.cls_token"][0, 0]),
    # A value of the patch at row 2, column 5, of channel 1.
    (
      encoder["embedding"]["kernel"][2, 5, 1],
      theirs["encoder.embeddings.patch_embeddings.projection.weight"][
        :, 1, 2, 5
      ],
    ),
    # Their first token stands at row 2 of the table.
    (
      decoder["positions"]["embedding"],
      theirs["decoder.model.decoder.embed_positions.weight"][2:],
    ),
    (
      second["encoder_decoder_attention"]["key"]["kernel"],
      theirs[f"{name}.encoder_attn.k_proj.weight"].T,
    ),
    (second["mlp_norm"]["scale"], theirs[f"{name}.final_layer_norm.weight"]),
  ):
    np.testing.assert_array_equal(got, want)


def test_a_vit_without_biases_gets_zeros_and_one_token(tmp_path):
  theirs = {
    name: tensor
    for name, tensor in _their_tensors().items()
    if "distillation" not in name
    and not ("attention.attention" in name and name.endswith("bias"))
  }
  name = "encoder.embeddings.position_embeddings"
  theirs[name] = theirs[name][:, 1:].copy()
  path = _write(tmp_path / "base", theirs, {**ENCODER, "model_type": "vit"})
  config = dataclasses.replace(
    CONFIG, vit=dataclasses.replace(CONFIG.vit, prefix_tokens=1)
  )
  encoder = _load(path, config)["image_encoder"]
  block = encoder["Transformer"]["encoderblock_1"]
  query = block["MultiHeadDotProductAttention_1"]["query"]
  np.testing.assert_array_equal(query["bias"], np.zeros(24))
  with pytest.raises(ValueError, match=r"\(1, 17, 24\).*prefix_tokens=1"):
    _load(path)


def test_special_ids_are_put_in_our_order(tmp_path):
  theirs = _their_tensors()
  path = _write(tmp_path / "trocr", theirs)
  decoder = _load(path, vocabulary_rows=30)["decoder"]
  inputs = theirs["decoder.model.decoder.embed_tokens.weight"]
  outputs = theirs["decoder.output_projection.weight"]
  table = decoder["token_embedder"]["embedding"]
  logits = decoder["logits_dense"]["kernel"].T
  # <s> 0, <pad> 1, </s> 2, which also starts a text, <unk> 3.
  np.testing.assert_array_equal(table[:4], inputs[[2, 2, 3, 0]])
  np.testing.assert_array_equal(logits[:4], outputs[[1, 2, 3, 0]])
  np.testing.assert_array_equal(table[4:30], inputs[4:30])
  np.testing.assert_array_equal(logits[4:30], outputs[4:30])
  random = _random_params()["decoder"]["token_embedder"]["embedding"]
  np.testing.assert_array_equal(table[30:], random[30:])
  with pytest.raises(ValueError, match=r"has 37 ids, .* 40; .* from 4 to 37"):
    _load(path, vocabulary_rows=38)


@pytest.mark.parametrize(
  ("part", "changes", "message"),
  [
    (
      "vit",
      {"mlp_dim": 48},
      r"intermediate.dense.bias has shape \(40,\) there; this model wants "
      r"\(48,\)\. The folder holds a TrOCR: set ViTConfig to image_size=32",
    ),
    ("vit", {"num_heads": 4}, "has num_heads=3 and this model has 4"),
    ("vit", {"activation": "gelu"}, "has activation='gelu_exact' and"),
    ("decoder", {"scale_embedding": False}, "scale_embedding=True and"),
    ("decoder", {"num_layers": 3}, r"has no decoder/layers_2/\S+, .* 23 more"),
    (
      "decoder",
      {"num_layers": 1},
      r"has decoder.model.decoder.layers.1.\S+, .*, for which this model has",
    ),
  ],
)
def test_the_first_misfit_is_named_with_what_to_set(
  tmp_path, part, changes, message
):
  path = _write(tmp_path / "trocr", _their_tensors())
  changed = dataclasses.replace(getattr(CONFIG, part), **changes)
  with pytest.raises(ValueError, match=message):
    _load(path, dataclasses.replace(CONFIG, **{part: changed}))


def test_another_kind_of_model_is_refused(tmp_path):
  (tmp_path / "config.json").write_text('{"model_type": "t5"}')
  with pytest.raises(ValueError, match="wanted a vision-encoder-decoder, got"):
    _load(str(tmp_path))
  decoder = {**DECODER, "use_learned_position_embeddings": False}
  path = _write(tmp_path / "stage1", _their_tensors(), decoder=decoder)
  with pytest.raises(ValueError, match="sinusoidal"):
    _load(path)


def test_the_published_small_size_has_its_parameters():
  # 61,596,672 of trocr-small-*, of them 147,840 in the pooler and two rows of
  # positions at which no token ever stands.
  root = pathlib.Path(__file__).parents[2] / "gin"
  files = [
    str(root / "networks/trocr.gin"),
    str(root / "sizes/trocr_small.gin"),
  ]
  bindings = ["IMAGE_SIZE = 384", "TARGET_LENGTH = 6"]
  recipe.parse(
    files, [*bindings, "transformer_decoder.DecoderConfig.vocab_size = 64044"]
  )
  model = recipe.resolve("MODEL")
  shapes = {
    "encoder_input_image": (1, 384, 384, 3),
    "decoder_input_tokens": (1, 6),
  }
  params = jax.eval_shape(
    lambda: model.get_initial_variables(jax.random.key(0), shapes)
  )["params"]
  assert state.count_parameters(params) == 61_596_672 - 147_840 - 2 * 256


@pytest.mark.filterwarnings("default")
def test_outputs_equal_those_of_transformers(tmp_path):
  torch = pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  torch.manual_seed(0)
  encoder = {k: v for k, v in ENCODER.items() if k != "model_type"}
  decoder = {k: v for k, v in DECODER.items() if k != "model_type"}
  theirs = transformers.VisionEncoderDecoderModel(
    encoder=transformers.DeiTModel(transformers.DeiTConfig(**encoder)),
    decoder=transformers.TrOCRForCausalLM(
      transformers.TrOCRConfig(
        **decoder, is_decoder=True, tie_word_embeddings=False
      )
    ),
  ).eval()
  with torch.no_grad():
    for parameter in theirs.parameters():
      noise = torch.randn(parameter.shape)
      if parameter.ndim == 1:
        parameter.add_(0.3 * noise)
      else:
        parameter.copy_(noise * parameter.shape[-1] ** -0.5)
  theirs.save_pretrained(tmp_path)
  pixels = torch.tensor(IMAGE).permute(0, 3, 1, 2) / 127.5 - 1.0
  tokens = np.concatenate([np.full((2, 1), 2), TOKENS], axis=1)
  with torch.no_grad():
    want = theirs(
      pixel_values=pixels, decoder_input_ids=torch.tensor(tokens)
    ).logits.numpy()
  params = _load(str(tmp_path), vocabulary_rows=37)
  # Our texts start with 0.
  tokens[:, 0] = 0
  got = jax.jit(lambda *x: trocr.TrOCR(CONFIG).apply(*x, enable_dropout=False))(
    {"params": params}, jnp.asarray(IMAGE), jnp.asarray(tokens)
  )
  assert np.abs(want).max() > 1.0
  np.testing.assert_allclose(
    got[..., 4:37], want[..., 4:], rtol=1e-4, atol=1e-4
  )
  np.testing.assert_allclose(got[..., 1], want[..., 2], rtol=1e-4, atol=1e-4)
