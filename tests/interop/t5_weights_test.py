"""Import of T5 folders: hand-made files, and parity with `transformers`."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from inksight_jax.interop import t5_weights
from inksight_jax.networks import mt5

CONFIG = mt5.MT5Config(
  vocab_size=40,
  emb_dim=24,
  num_heads=3,
  head_dim=8,
  mlp_dim=40,
  num_encoder_layers=2,
  num_decoder_layers=3,
  dropout_rate=0.0,
)
THEIR_CONFIG = {
  "d_model": 24,
  "d_kv": 8,
  "d_ff": 40,
  "num_layers": 2,
  "num_decoder_layers": 3,
  "num_heads": 3,
  "vocab_size": 37,
  "feed_forward_proj": "gated-gelu",
  "tie_word_embeddings": False,
}


# Stack, layer, our name and theirs.
_PLACES = """
encoder 1 attention/out/kernel                    0.SelfAttention.o
encoder 0 mlp/wi_1/kernel                         1.DenseReluDense.wi_1
encoder 1 pre_attention_layer_norm/scale          0.layer_norm
encoder 1 pre_mlp_layer_norm/scale                1.layer_norm
decoder 2 self_attention/key/kernel               0.SelfAttention.k
decoder 1 encoder_decoder_attention/query/kernel  1.EncDecAttention.q
decoder 0 encoder_decoder_attention/value/kernel  1.EncDecAttention.v
decoder 2 mlp/wo/kernel                           2.DenseReluDense.wo
decoder 1 pre_self_attention_layer_norm/scale     0.layer_norm
decoder 1 pre_cross_attention_layer_norm/scale    1.layer_norm
decoder 1 pre_mlp_layer_norm/scale                2.layer_norm
"""


class _TextToText(nn.Module):
  config: mt5.MT5Config

  def setup(self):
    self.token_embedder = mt5.token_embedder(self.config)
    self.encoder = mt5.Encoder(self.config)
    self.decoder = mt5.Decoder(self.config, self.token_embedder)

  def __call__(self, inputs, mask, tokens):
    encoded = self.encoder(self.token_embedder(inputs), mask)
    return self.decoder(encoded, mask, tokens)


def _random_params(config=CONFIG):
  tokens = jnp.ones((1, 2), jnp.int32)

  @jax.jit
  def init(key):
    return _TextToText(config).init(key, tokens, tokens > 0, tokens)["params"]

  return init(jax.random.key(0))


def _shapes(config=CONFIG):
  return jax.eval_shape(lambda: _random_params(config))


def _their_tensors():
  """Numbers that tell name and place; shapes as PyTorch keeps them."""
  shapes = {"shared.weight": (37, 24), "lm_head.weight": (37, 24)}
  for stack, depth in (("encoder", 2), ("decoder", 3)):
    shapes[f"{stack}.final_layer_norm.weight"] = (24,)
    shapes[f"{stack}.embed_tokens.weight"] = (37, 24)
    for i in range(depth):
      attention = {0: "SelfAttention"}
      if stack == "decoder":
        attention[1] = "EncDecAttention"
      block, mlp = f"{stack}.block.{i}.layer", len(attention)
      for j, module in attention.items():
        for name in "qkvo":
          shapes[f"{block}.{j}.{module}.{name}.weight"] = (24, 24)
      for j in range(mlp + 1):
        shapes[f"{block}.{j}.layer_norm.weight"] = (24,)
      dense = f"{block}.{mlp}.DenseReluDense"
      shapes |= {
        f"{dense}.wi_0.weight": (40, 24),
        f"{dense}.wi_1.weight": (40, 24),
        f"{dense}.wo.weight": (24, 40),
      }
    bias = "layer.0.SelfAttention.relative_attention_bias.weight"
    shapes[f"{stack}.block.0.{bias}"] = (32, 3)
  # Of early conversions.
  shapes[t5_weights._NEVER_READ] = (32, 3)
  rng = np.random.default_rng(0)
  return {k: rng.normal(size=v).astype(np.float32) for k, v in shapes.items()}


def _write(folder, tensors, config=THEIR_CONFIG):
  safetensors = pytest.importorskip("safetensors.numpy")
  folder.mkdir(exist_ok=True)
  (folder / "config.json").write_text(json.dumps(config))
  safetensors.save_file(tensors, str(folder / "model.safetensors"))
  return str(folder)


def _load(path, config=CONFIG, **options):
  weights = t5_weights.T5Weights(path, config, **options)
  return weights(_random_params(config) if options else _shapes(config))


@pytest.mark.parametrize("scan", [False, True])
def test_every_tensor_lands_in_its_place(tmp_path, scan):
  theirs = _their_tensors()
  config = dataclasses.replace(CONFIG, scan_layers=scan)
  loaded = _load(_write(tmp_path / "t5", theirs), config)
  # All but the tables, with the very shapes of the model.
  wanted = _shapes(config)
  del wanted["token_embedder"], wanted["decoder"]["logits_dense"]
  assert jax.tree.map(jnp.shape, loaded) == jax.tree.map(
    lambda x: x.shape, wanted
  )

  for line in _PLACES.split("\n")[1:-1]:
    stack, index, ours, name = line.split()
    layers = loaded[stack]
    got = (
      jax.tree.map(lambda x, i=index: x[int(i)], layers["layers"])
      if scan
      else layers[f"layers_{index}"]
    )
    for part in ours.split("/"):
      got = got[part]
    want = theirs[f"{stack}.block.{index}.layer.{name}.weight"]
    np.testing.assert_array_equal(got, want.T)
  bias = "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
  np.testing.assert_array_equal(
    loaded["decoder"]["relpos_bias"]["rel_embedding"], theirs[bias].T
  )


def test_rows_of_the_vocabulary_are_taken_by_choice(tmp_path):
  theirs = _their_tensors()
  path = _write(tmp_path / "t5", theirs)
  random = _random_params()
  loaded = _load(path, vocabulary_rows=30)
  table = loaded["token_embedder"]["embedding"]
  logits = loaded["decoder"]["logits_dense"]["kernel"]
  np.testing.assert_array_equal(table[:30], theirs["shared.weight"][:30])
  np.testing.assert_array_equal(logits[:, :30].T, theirs["lm_head.weight"][:30])
  # Our 40 ids are more than their 37; those not taken keep their random rows.
  np.testing.assert_array_equal(
    table[30:], random["token_embedder"]["embedding"][30:]
  )
  np.testing.assert_array_equal(
    logits[:, 30:], random["decoder"]["logits_dense"]["kernel"][:, 30:]
  )
  with pytest.raises(ValueError, match=r"\(37, 24\).*\(40, 24\).*at most 37"):
    _load(path, vocabulary_rows=38)
  tied = dataclasses.replace(CONFIG, logits_via_embedding=True)
  with pytest.raises(ValueError, match="logits_via_embedding=False"):
    _load(path, tied, vocabulary_rows=30)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (
      {"mlp_dim": 48},
      r"wi_0.weight has shape \(40, 24\) there; this model wants \(48, 24\)\. "
      r"The folder holds a T5: set MT5Config to emb_dim=24, num_heads=3",
    ),
    # Heads of the same joint size show in the position bias alone.
    (
      {"num_heads": 4, "head_dim": 6},
      r"relative_attention_bias.weight has shape \(32, 3\).*\(32, 4\)",
    ),
    (
      {"num_decoder_layers": 4},
      r"has no decoder/layers_3/\S+, .* and 11 more\. .*num_decoder_layers=3",
    ),
    (
      {"num_encoder_layers": 1},
      r"has encoder\.block\.1\.layer\S+, .*, for which this model has no place",
    ),
    ({"mlp_activations": ("relu", "linear")}, "feed_forward_proj='gated-gelu'"),
  ],
)
def test_the_first_misfit_is_named_with_what_to_set(tmp_path, changes, message):
  path = _write(tmp_path / "t5", _their_tensors())
  with pytest.raises(ValueError, match=message):
    _load(path, dataclasses.replace(CONFIG, **changes))


def test_parts_are_read_by_their_index(tmp_path):
  safetensors = pytest.importorskip("safetensors.numpy")
  theirs = _their_tensors()
  folder = tmp_path / "t5"
  path = _write(folder, theirs)
  whole = _load(path)
  (folder / "model.safetensors").unlink()
  names, index = sorted(theirs), {}
  for number, part in enumerate((names[:20], names[20:])):
    file = f"model-{number}.safetensors"
    safetensors.save_file({k: theirs[k] for k in part}, str(folder / file))
    index |= dict.fromkeys(part, file)
  (folder / "model.safetensors.index.json").write_text(
    json.dumps({"weight_map": index})
  )
  jax.tree.map(np.testing.assert_array_equal, _load(path), whole)


def test_bfloat16_is_read(tmp_path):
  theirs = _their_tensors()
  short = {k: np.asarray(v, jnp.bfloat16) for k, v in theirs.items()}
  loaded = _load(_write(tmp_path / "t5", short))
  np.testing.assert_allclose(
    loaded["encoder"]["layers_0"]["mlp"]["wo"]["kernel"],
    theirs["encoder.block.0.layer.1.DenseReluDense.wo.weight"].T,
    rtol=1e-2,
  )


def test_damaged_and_empty_folders_are_refused(tmp_path):
  with pytest.raises(ValueError, match=r"config\.json cannot be read"):
    _load(str(tmp_path))
  (tmp_path / "config.json").write_text('{"hidden_size": 4}')
  with pytest.raises(ValueError, match="not the configuration of a T5"):
    _load(str(tmp_path))
  (tmp_path / "config.json").write_text(json.dumps(THEIR_CONFIG))
  with pytest.raises(ValueError, match=r"holds none of model\.safetensors"):
    _load(str(tmp_path))
  path = _write(tmp_path, _their_tensors())
  file = tmp_path / "model.safetensors"
  file.write_bytes(file.read_bytes()[:-100])
  with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
    _load(path)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("tied", [True, False])
def test_outputs_equal_those_of_transformers(tmp_path, tied):
  torch = pytest.importorskip("torch")
  transformers = pytest.importorskip("transformers")
  torch.manual_seed(0)
  theirs = transformers.MT5ForConditionalGeneration(
    transformers.MT5Config(**{**THEIR_CONFIG, "vocab_size": 40})
  ).eval()
  if not tied:
    # As published; releases from 5 on would tie it when they build the model.
    theirs.lm_head.weight = torch.nn.Parameter(torch.randn(40, 24))
  with torch.no_grad():
    for parameter in theirs.parameters():
      noise = torch.randn(parameter.shape)
      if parameter.ndim == 1:
        parameter.add_(0.3 * noise)
      else:
        parameter.copy_(noise * parameter.shape[-1] ** -0.5)
  if tied:
    theirs.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").exists()
  else:
    (tmp_path / "config.json").write_text(json.dumps(THEIR_CONFIG))
    torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
  rng = np.random.default_rng(0)
  inputs, tokens = rng.integers(2, 40, (2, 2, 30))
  mask = np.arange(30)[None, :] < np.array([[30], [20]])
  with torch.no_grad():
    want = theirs(
      input_ids=torch.tensor(inputs),
      attention_mask=torch.tensor(mask),
      decoder_input_ids=torch.tensor(tokens),
    ).logits.numpy()
  config = dataclasses.replace(CONFIG, scan_layers=True)
  params = _load(str(tmp_path), config, vocabulary_rows=40)
  got = jax.jit(_TextToText(config).apply)(
    {"params": params}, *map(jnp.asarray, (inputs, mask, tokens))
  )
  assert np.abs(want).max() > 1.0
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
