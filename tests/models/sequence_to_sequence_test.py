import dataclasses
import functools
import math
import re

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from inksight_jax.models.sequence_to_sequence import SequenceToSequence
from inksight_jax.networks import decoding, inksight, mt5, vit

VOCAB = 13


@pytest.fixture(scope="module")
def model():
  config = inksight.InkSightConfig(
    vit.ViTConfig(
      image_size=8, patch_size=4, width=8, depth=1, mlp_dim=8, num_heads=2
    ),
    mt5.MT5Config(
      vocab_size=VOCAB,
      emb_dim=8,
      num_heads=2,
      head_dim=4,
      mlp_dim=8,
      num_encoder_layers=1,
      num_decoder_layers=1,
      dropout_rate=0.3,
    ),
  )
  return SequenceToSequence(inksight.InkSight(config))


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  targets = rng.integers(2, VOCAB, (3, 5)).astype(np.int32)
  targets[0, 3:] = 0
  return {
    "encoder_input_image": rng.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8),
    "encoder_input_tokens": rng.integers(1, VOCAB, (3, 2)).astype(np.int32),
    "decoder_target_tokens": targets,
    "decoder_input_tokens": np.pad(targets[:, :-1], ((0, 0), (1, 0))),
    "decoder_loss_weights": (targets > 0).astype(np.float32),
  }


@pytest.fixture(scope="module")
def variables(model, batch):
  shapes = {name: x.shape for name, x in batch.items()}
  return jax.jit(lambda key: model.get_initial_variables(key, shapes))(
    jax.random.key(0)
  )


@pytest.fixture(scope="module")
def params(variables):
  # Livelier than the initial values, so that answers differ by row.
  return jax.tree.map(lambda x: x * 3, flax.core.unfreeze(variables["params"]))


def log_probabilities(model, params, batch):
  names = (
    "encoder_input_image",
    "encoder_input_tokens",
    "decoder_input_tokens",
    "decoder_target_tokens",
  )
  apply = functools.partial(model.module.apply, enable_dropout=False)
  logits = jax.jit(apply)(
    {"params": params}, *(jnp.asarray(batch[name]) for name in names)
  )
  return np.asarray(jax.nn.log_softmax(logits))


def test_initial_variables_are_what_t5x_unpacks(variables):
  assert isinstance(variables, flax.core.FrozenDict)
  assert {"params", "params_axes"} <= set(variables)
  modules = {"image_encoder", "token_embedder", "encoder", "decoder"}
  assert modules <= set(variables["params"])


def test_loss_and_metrics_against_sums_by_hand(model, params, batch):
  logp = log_probabilities(model, params, batch)
  targets, weights = (
    batch["decoder_target_tokens"],
    batch["decoder_loss_weights"] > 0,
  )
  picked = np.take_along_axis(logp, targets[..., None], axis=-1)[..., 0]
  right = (logp.argmax(-1) == targets) & weights
  loss, metrics = jax.jit(model.eval_fn)(params, batch)
  values = {name: float(m.compute()) for name, m in metrics.items()}
  nll = -picked[weights].sum() / weights.sum()
  assert values["loss"] - values["z_loss"] == pytest.approx(nll, rel=1e-5)
  assert values["z_loss"] > 0
  assert float(loss) == pytest.approx(values["loss"], rel=1e-6)
  assert values["accuracy"] == pytest.approx(right.sum() / weights.sum())
  assert values["non_padding_fraction"] == pytest.approx(weights.mean())
  assert values["sequence_accuracy"] == 0.0


def test_accuracy_is_one_on_the_model_own_answers(model, params, batch):
  # Position by position: the answers so far decide the next logits.
  answers = np.zeros_like(batch["decoder_target_tokens"])
  own = dict(batch, decoder_loss_weights=np.ones(answers.shape, np.float32))
  for position in range(answers.shape[1]):
    own["decoder_input_tokens"] = np.pad(answers[:, :-1], ((0, 0), (1, 0)))
    logp = log_probabilities(model, params, own)
    answers[:, position] = logp[:, position].argmax(-1)
  own["decoder_target_tokens"] = answers
  own["decoder_input_tokens"] = np.pad(answers[:, :-1], ((0, 0), (1, 0)))
  _, metrics = jax.jit(model.eval_fn)(params, own)
  assert float(metrics["accuracy"].compute()) == 1.0
  assert float(metrics["sequence_accuracy"].compute()) == 1.0
  # Cached greedy decoding takes the same decisions, up to EOS.
  tokens, aux = jax.jit(model.predict_batch_with_aux)(params, batch)
  for row, answer in zip(np.asarray(tokens), answers, strict=True):
    ends = np.flatnonzero(answer == 1)
    end = ends[0] + 1 if len(ends) else len(answer)
    np.testing.assert_array_equal(row[:end], answer[:end])
    assert not row[end:].any()
  np.testing.assert_allclose(
    aux["scores"], aux["log_probs"].sum(axis=1), rtol=1e-5
  )
  np.testing.assert_array_equal(
    tokens, jax.jit(model.predict_batch)(params, batch)
  )


def test_scores_of_predictions_are_their_decoding_log_probabilities(
  model, params, batch
):
  tokens, aux = jax.jit(model.predict_batch_with_aux)(params, batch)
  tokens = np.asarray(tokens)
  scored = dict(
    batch,
    decoder_target_tokens=tokens,
    decoder_input_tokens=np.pad(tokens[:, :-1], ((0, 0), (1, 0))),
    decoder_loss_weights=(tokens > 0).astype(np.float32),
  )
  lengths = (np.asarray(aux["log_probs"]) != 0).sum(axis=1)
  if (tokens[:, 0] == 0).any() or (lengths != (tokens > 0).sum(axis=1)).any():
    pytest.fail("PAD was predicted; choose another seed for this test")
  np.testing.assert_allclose(
    jax.jit(model.score_batch)(params, scored), aux["scores"], rtol=1e-4
  )


def test_beams_are_sorted_and_the_first_is_no_worse_than_greedy(
  model, params, batch
):
  config = decoding.DecodeConfig(
    max_length=4, method="beam", num_decodes=3, length_penalty=0.0
  )
  beams = model.decode_batch(params, batch, config=config)
  greedy = model.decode_batch(
    params, batch, config=decoding.DecodeConfig(max_length=4)
  )
  assert beams.tokens.shape == (3, 3, 4)
  assert np.all(np.diff(beams.scores, axis=1) <= 0)
  assert np.all(beams.scores[:, 0] >= greedy.scores[:, 0] - 1e-5)


@pytest.mark.parametrize("scan", [False, True])
@pytest.mark.parametrize("method", ["greedy", "beam"])
def test_a_cache_that_grows_gives_the_same_answers(
  model, params, batch, method, scan, monkeypatch
):
  if scan:
    mt5_config = dataclasses.replace(model.module.config.mt5, scan_layers=True)
    config = dataclasses.replace(model.module.config, mt5=mt5_config)
    model = SequenceToSequence(inksight.InkSight(config))
    shapes = {name: x.shape for name, x in batch.items()}
    params = jax.jit(
      lambda key: model.get_initial_variables(key, shapes)["params"]
    )(jax.random.key(0))
  beams = 3 if method == "beam" else 1
  config = decoding.DecodeConfig(9, method, num_decodes=beams, eos_id=VOCAB)

  @jax.jit
  def decode():
    return model.decode_batch(params, batch, config=config)

  assert config.cache_lengths == (9,)
  want = decode()
  monkeypatch.setattr(decoding, "_FIRST_CACHE_LENGTH", 3)
  assert config.cache_lengths == (3, 6, 9)
  jax.clear_caches()
  got = decode()
  assert want.tokens[:, 0].min() >= 0 and len(np.unique(want.tokens)) > 2
  np.testing.assert_array_equal(got.tokens, want.tokens)
  np.testing.assert_allclose(got.log_probs, want.log_probs, rtol=1e-4)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_step_copies_no_cache(model, params, batch, rows):
  length = 11
  config = decoding.DecodeConfig(length)
  decode = jax.jit(lambda p, batch: model.decode_batch(p, batch, config=config))
  some = {name: x[:rows] for name, x in batch.items()}
  text = decode.lower(params, some).compile().as_text()
  (body,) = set(re.findall(r"body=%([\w.-]+)", text))
  start = text.index(f"\n%{body} (")
  lines = text[start : text.index("\n}", start)].splitlines()
  assert any("dynamic-update-slice" in line for line in lines)
  cache_size = rows * 2 * length * 4
  for line in lines:
    copied = re.search(r"= f32\[([\d,]+)\]\S* copy\(", line)
    size = math.prod(map(int, copied[1].split(","))) if copied else 0
    assert size < cache_size, line


def test_dropout_is_on_with_a_key_and_off_without(model, params, batch):
  losses = [
    float(jax.jit(model.loss_fn)(params, batch, key)[0])
    for key in (None, None, jax.random.key(0), jax.random.key(1))
  ]
  assert losses[0] == losses[1]
  assert len(set(losses)) == 3


def test_padding_changes_nothing(model, params, batch):
  def longer(name, width):
    return np.pad(batch[name], ((0, 0), (0, width)))

  padded = dict(
    batch,
    encoder_input_tokens=longer("encoder_input_tokens", 2),
    **{name: longer(name, 3) for name in batch if name.startswith("decoder_")},
  )
  np.testing.assert_allclose(
    jax.jit(model.eval_fn)(params, padded)[0],
    jax.jit(model.eval_fn)(params, batch)[0],
    rtol=1e-5,
  )
  np.testing.assert_allclose(
    jax.jit(model.score_batch)(params, padded),
    jax.jit(model.score_batch)(params, batch),
    rtol=1e-5,
  )


def test_a_network_without_encoder_features_works():
  class Unigram(nn.Module):
    @nn.compact
    def __call__(
      self, decoder_input_tokens, decoder_target_tokens, *, enable_dropout
    ):
      logits = self.param("logits", nn.initializers.zeros, (4,))
      shape = (*decoder_input_tokens.shape, 4)
      return jnp.broadcast_to(logits[None, None, :], shape)

  tokens = np.array([[1, 2, 3]], np.int32)
  batch = {"decoder_input_tokens": tokens, "decoder_target_tokens": tokens}
  model = SequenceToSequence(Unigram(), z_loss=0.0)
  params = model.get_initial_variables(
    jax.random.key(0), {name: x.shape for name, x in batch.items()}
  )["params"]
  assert float(jax.jit(model.eval_fn)(params, batch)[0]) == pytest.approx(
    np.log(4)
  )


def test_the_feature_converter_is_injected(model):
  converter = type("Converter", (), {})
  injected = SequenceToSequence(model.module, feature_converter_cls=converter)
  assert injected.FEATURE_CONVERTER_CLS is converter
  assert SequenceToSequence.FEATURE_CONVERTER_CLS is None


def test_a_prediction_without_a_length_is_refused(model, params, batch):
  encoder_only = {
    name: x for name, x in batch.items() if name.startswith("encoder_")
  }
  with pytest.raises(ValueError, match="How long may a prediction be"):
    jax.jit(model.predict_batch)(params, encoder_only)
