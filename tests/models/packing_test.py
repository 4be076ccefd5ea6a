"""A packed batch has the loss, gradients and metrics of its examples alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.models.sequence_to_sequence import SequenceToSequence
from inksight_jax.networks import inksight, mt5, vit

NETWORK = inksight.InkSight(
  inksight.InkSightConfig(
    vit.ViTConfig(
      image_size=16, patch_size=8, width=16, depth=1, mlp_dim=16, num_heads=2
    ),
    mt5.MT5Config(
      vocab_size=11,
      emb_dim=16,
      num_heads=2,
      head_dim=8,
      mlp_dim=16,
      num_encoder_layers=1,
      num_decoder_layers=2,
    ),
  )
)
TARGETS = ([4, 9, 1], [7, 1], [5, 6, 3, 8, 1], [10, 2, 1])
PROMPTS = ([3, 1, 0], [4, 1, 0], [5, 6, 1], [1, 0, 0])


def _unpacked():
  rng = np.random.default_rng(0)
  length = max(map(len, TARGETS))
  targets = np.array([t + [0] * (length - len(t)) for t in TARGETS], np.int32)
  inputs = np.concatenate([np.zeros((4, 1), np.int32), targets[:, :-1]], axis=1)
  return {
    "encoder_input_image": rng.integers(0, 256, (4, 16, 16, 3), np.uint8),
    "encoder_input_tokens": np.array(PROMPTS, np.int32),
    "decoder_input_tokens": inputs,
    "decoder_target_tokens": targets,
    "decoder_loss_weights": (targets > 0).astype(np.float32),
  }


def _packed(rows):
  """The same examples, `rows` naming those of each row; three slots, one free.

  Written out here and not by the pipeline, which has its own tests.
  """
  single = _unpacked()
  length, slots = 9, 3
  batch = {
    "encoder_input_image": np.full((len(rows), slots, 16, 16, 3), 77, np.uint8),
    "encoder_input_tokens": np.zeros((len(rows), slots, 3), np.int32),
  }
  for name, dtype in [
    ("decoder_input_tokens", np.int32),
    ("decoder_target_tokens", np.int32),
    ("decoder_segment_ids", np.int32),
    ("decoder_positions", np.int32),
    ("decoder_loss_weights", np.float32),
  ]:
    batch[name] = np.zeros((len(rows), length), dtype)
  for row, examples in enumerate(rows):
    start = 0
    for slot, example in enumerate(examples):
      for name in ("encoder_input_image", "encoder_input_tokens"):
        batch[name][row, slot] = single[name][example]
      size = len(TARGETS[example])
      part = np.s_[row, start : start + size]
      for name in ("decoder_input_tokens", "decoder_target_tokens"):
        batch[name][part] = single[name][example, :size]
      batch["decoder_segment_ids"][part] = slot + 1
      batch["decoder_positions"][part] = np.arange(size)
      batch["decoder_loss_weights"][part] = 1
      start += size
  return batch


@pytest.fixture(scope="module")
def params():
  batch = _unpacked()
  inputs = [jnp.asarray(batch[name]) for name in list(batch)[:4]]
  return jax.jit(
    lambda key: NETWORK.init(key, *inputs, enable_dropout=False)["params"]
  )(jax.random.key(1))


@pytest.mark.parametrize(
  "normalizer", ["NUM_REAL_TARGET_TOKENS", "AVERAGE_PER_SEQUENCE"]
)
def test_loss_gradients_and_metrics_equal_those_of_single_rows(
  params, normalizer
):
  model = SequenceToSequence(NETWORK, loss_normalizing_factor=normalizer)
  run = jax.jit(
    lambda p, b: jax.value_and_grad(model.loss_fn, has_aux=True)(p, b, None)
  )
  (loss, metrics), gradients = run(params, _unpacked())
  (packed_loss, packed), packed_gradients = run(
    params, _packed([[0, 2], [3, 1]])
  )
  np.testing.assert_allclose(packed_loss, loss, rtol=1e-5)
  for name in ("loss", "z_loss", "accuracy", "sequence_accuracy"):
    np.testing.assert_allclose(
      packed[name].compute(), metrics[name].compute(), rtol=1e-5, err_msg=name
    )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-6),
    packed_gradients,
    gradients,
  )
  assert float(packed["non_padding_fraction"].compute()) == pytest.approx(
    13 / 18
  )


def test_neither_the_company_nor_a_free_slot_matters(params):
  batch = _packed([[0, 2], [3, 1]])

  apply = jax.jit(functools.partial(NETWORK.apply, enable_dropout=False))

  def logits(images):
    names = [
      "encoder_input_tokens",
      "decoder_input_tokens",
      "decoder_target_tokens",
      "decoder_segment_ids",
    ]
    return np.asarray(
      apply(
        {"params": params},
        jnp.asarray(images),
        *(jnp.asarray(batch[name]) for name in names),
      )
    )

  images = batch["encoder_input_image"]
  other = images.copy()
  other[:, 1:] = 255 - other[:, 1:]
  before, after = logits(images), logits(other)
  np.testing.assert_array_equal(before[0, :3], after[0, :3])
  # The second slot's own tokens do see its picture.
  assert np.abs(before[0, 3:8] - after[0, 3:8]).max() > 1e-4


def test_sequence_accuracy_counts_packed_sequences(params, monkeypatch):
  model = SequenceToSequence(NETWORK)
  batch = _packed([[0, 2], [3, 1]])
  logits = jax.nn.one_hot(batch["decoder_target_tokens"], 11) * 9.0
  # One wrong token in the longer sequence of the first row.
  logits = logits.at[0, 4, 2].set(99.0)
  monkeypatch.setattr(model, "_logits", lambda *_: logits)
  _, metrics = jax.jit(model.eval_fn)(params, batch)
  assert float(metrics["sequence_accuracy"].compute()) == 0.75


def test_slots_and_segment_ids_come_together(params):
  batch = _packed([[0, 2], [3, 1]])
  del batch["decoder_segment_ids"]
  with pytest.raises(ValueError, match="need both"):
    jax.jit(SequenceToSequence(NETWORK).eval_fn)(params, batch)
