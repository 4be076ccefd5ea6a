"""The page reader: cached decoding, padding, the second head."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.models.joint_ctc import JointCTC
from inksight_jax.networks import decoding, mt5, page_reader, resnet

VOCAB = 16
BLANK = 12


def config(**changes) -> page_reader.PageReaderConfig:
  return page_reader.PageReaderConfig(
    resnet=resnet.ResNetConfig(
      width=24,
      blocks=(1, 1),
      channels=(8, 16),
      stride=(8, 4),
      stem_kernel=3,
    ),
    decoder=mt5.MT5Config(
      vocab_size=VOCAB,
      emb_dim=16,
      num_heads=2,
      head_dim=8,
      mlp_dim=16,
      num_encoder_layers=0,
      num_decoder_layers=2,
      dropout_rate=0.0,
    ),
    **changes,
  )


def pages(rows: int, columns: int, count: int = 3):
  image = np.full((count, rows, columns, 3), 255, np.uint8)
  rng = np.random.default_rng(0)
  ink = rng.integers(0, 256, (count, 24, 32, 3), np.uint8)
  image[:, :24, :32] = ink[:, :rows, :columns]
  return image


@pytest.fixture(scope="module")
def model() -> JointCTC:
  return JointCTC(
    page_reader.PageReader(config(frame_vocab_size=VOCAB)),
    blank_id=BLANK,
    ctc_weight=0.25,
  )


@pytest.fixture(scope="module")
def params(model):
  shapes = {
    "encoder_input_image": (1, 24, 32, 3),
    "decoder_input_tokens": (1, 4),
    "decoder_target_tokens": (1, 4),
  }
  variables = model.get_initial_variables(jax.random.key(0), shapes)
  # Far from a fresh network, so that answers differ and are clear.
  leaves, tree = jax.tree.flatten(variables["params"])
  keys = jax.random.split(jax.random.key(1), len(leaves))
  noisy = [
    x + 0.7 * jax.random.normal(key, x.shape)
    for x, key in zip(leaves, keys, strict=True)
  ]
  return tree.unflatten(noisy)


def answer(model, params, image, length: int) -> decoding.Decoded:
  # No end, so that every place is compared.
  limit = decoding.DecodeConfig(max_length=length, eos_id=VOCAB + 1)
  return model.decode_batch(
    params, {"encoder_input_image": image}, config=limit
  )


def test_cached_decoding_is_the_best_token_of_teacher_forcing(model, params):
  image = pages(24, 32)
  tokens = np.asarray(answer(model, params, image, 12).tokens[:, 0])
  inputs = np.pad(tokens[:, :-1], ((0, 0), (1, 0)))
  logits = model.module.apply(
    {"params": params},
    jnp.asarray(image),
    jnp.asarray(inputs),
    enable_dropout=False,
  )
  np.testing.assert_array_equal(np.argmax(logits, axis=-1), tokens)
  # It says something, not one token for ever.
  assert len(np.unique(tokens)) > 1, tokens


def test_a_larger_frame_gives_the_same_text(model, params):
  small = answer(model, params, pages(24, 32), 8)
  large = answer(model, params, pages(40, 48), 8)
  np.testing.assert_array_equal(small.tokens, large.tokens)
  np.testing.assert_allclose(small.log_probs, large.log_probs, atol=1e-3)


def test_the_second_loss_is_that_of_the_page_alone(model, params):
  targets = np.array([[3, 4, 1], [5, 1, 0], [3, 3, 1]], np.int32)
  features = {
    "decoder_input_tokens": np.pad(targets[:, :-1], ((0, 0), (1, 0))),
    "decoder_target_tokens": targets,
  }
  losses = []
  for frame in ((24, 32), (40, 48)):
    batch = {"encoder_input_image": pages(*frame), **features}
    loss, metrics = model.loss_fn(params, batch, None)
    parts = {k: float(metrics[k].compute()) for k in ("loss", "ctc_loss")}
    assert loss == pytest.approx(
      0.75 * parts["loss"] + 0.25 * parts["ctc_loss"], rel=1e-4
    )
    losses.append(parts["ctc_loss"])
  assert losses[0] == pytest.approx(losses[1], rel=1e-3)
  # Against all paths of 2 tokens through the frames of the second page.
  log_probs = np.asarray(
    model.read_frames(params, {"encoder_input_image": pages(24, 32)})
  )
  last = log_probs[1]
  frames = len(last)
  total = -np.inf
  for first in range(frames):
    for end in range(first, frames):
      inside = last[first : end + 1, 5].sum()
      outside = np.delete(last[:, BLANK], np.s_[first : end + 1]).sum()
      total = np.logaddexp(total, inside + outside)
  single = {k: v[1:2] for k, v in features.items()}
  batch = {"encoder_input_image": pages(24, 32)[1:2], **single}
  ctc = model.loss_fn(params, batch, None)[1]["ctc_loss"].compute()
  # Per token, and the end counts as one.
  assert float(ctc) == pytest.approx(-total / 2, rel=1e-4)


def test_a_text_without_an_alignment_adds_nothing(model, params):
  image = pages(8, 8, 1)
  targets = np.array([[3] * 9 + [1]], np.int32)
  batch = {
    "encoder_input_image": image,
    "decoder_input_tokens": np.pad(targets[:, :-1], ((0, 0), (1, 0))),
    "decoder_target_tokens": targets,
  }
  assert float(model.loss_fn(params, batch, None)[1]["ctc_loss"].compute()) == 0


def test_the_frames_read_by_themselves(model, params):
  decoded = model.read_by_frames(
    params, {"encoder_input_image": pages(40, 48)}, 30
  )
  small = model.read_by_frames(
    params, {"encoder_input_image": pages(24, 32)}, 30
  )
  np.testing.assert_array_equal(decoded.tokens, small.tokens)


def test_a_weight_out_of_range_is_refused():
  with pytest.raises(ValueError, match="ctc_weight"):
    JointCTC(page_reader.PageReader(config()), blank_id=1, ctc_weight=1.0)
