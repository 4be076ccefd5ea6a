"""CTC against sums over all alignments, written out."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.models.ctc import CTC, collapse
from inksight_jax.networks import decoding, readers, vit

BLANK = 5
VOCAB = 6
FRAMES = 4


@pytest.fixture(scope="module")
def model() -> CTC:
  encoder = vit.ViTConfig(
    image_size=(8, 16),
    patch_size=(8, 4),
    width=16,
    depth=0,
    mlp_dim=8,
    num_heads=2,
    stem="conv",
    position="sincos2d",
  )
  config = readers.ReaderConfig(encoder, VOCAB, num_heads=2)
  return CTC(readers.FrameReader(config), blank_id=BLANK)


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  targets = np.array([[3, 4, 1, 0], [3, 3, 1, 0], [4, 1, 0, 0]], np.int32)
  return {
    "encoder_input_image": rng.integers(0, 256, (3, 8, 16, 3), np.uint8),
    "decoder_input_tokens": np.pad(targets[:, :-1], ((0, 0), (1, 0))),
    "decoder_target_tokens": targets,
    "decoder_loss_weights": (targets > 0).astype(np.float32),
  }


@pytest.fixture(scope="module")
def params(model, batch):
  shapes = {name: x.shape for name, x in batch.items()}
  variables = jax.jit(lambda key: model.get_initial_variables(key, shapes))(
    jax.random.key(0)
  )
  return jax.tree.map(lambda x: x * 3, variables["params"])


def reduce(path: tuple[int, ...]) -> tuple[int, ...]:
  return tuple(i for i, _ in itertools.groupby(path) if i != BLANK)


def frame_log_probs(model, params, batch) -> np.ndarray:
  logits = jax.jit(model.module.apply)(
    {"params": params}, jnp.asarray(batch["encoder_input_image"])
  )
  assert logits.shape == (3, FRAMES, VOCAB)
  return np.asarray(jax.nn.log_softmax(logits), np.float64)


def test_scores_and_loss_sum_over_all_alignments(model, params, batch):
  log_probs = frame_log_probs(model, params, batch)
  texts = [(3, 4), (3, 3), (4,)]
  expected = [
    np.logaddexp.reduce(
      [
        rows[np.arange(FRAMES), path].sum()
        for path in itertools.product(range(VOCAB), repeat=FRAMES)
        if reduce(path) == text
      ]
    )
    for rows, text in zip(log_probs, texts, strict=True)
  ]
  scores = jax.jit(model.score_batch)(params, batch)
  np.testing.assert_allclose(scores, expected, rtol=1e-4)
  loss, metrics = jax.jit(model.loss_fn)(params, batch, None)
  # Eight tokens, EOS among them.
  np.testing.assert_allclose(loss, -np.sum(expected) / 8, rtol=1e-4)
  np.testing.assert_allclose(metrics["loss"].compute(), loss, rtol=1e-6)
  # Rows that only fill a batch up weigh nothing.
  weights = batch["decoder_loss_weights"] * np.array([[1], [0], [1]])
  loss, _ = jax.jit(model.eval_fn)(
    params, {**batch, "decoder_loss_weights": weights}
  )
  expected = -(expected[0] + expected[2]) / 5
  np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_a_prediction_is_the_reduced_best_path(model, params, batch):
  log_probs = frame_log_probs(model, params, batch)
  image = {"encoder_input_image": batch["encoder_input_image"]}
  decoded = model.decode_batch(params, image)
  for row, found in enumerate(decoded.tokens[:, 0].tolist()):
    best = log_probs[row].argmax(1)
    text = reduce(tuple(best.tolist()))
    assert found == [*text, 1, *[0] * (FRAMES - len(text))]
    assert decoded.lengths[row, 0] == len(text) + 1
  tokens, aux = jax.jit(model.predict_batch_with_aux)(params, batch)
  assert tokens.shape == (3, 4) and aux["log_probs"].shape == (3, 4)


def test_collapse_keeps_repeats_across_a_blank_and_the_peaks():
  best = jnp.array([[3, 3, 5, 3, 4, 4], [5] * 6, [3, 4, 3, 4, 3, 4]])
  log_probs = -jnp.arange(1.0, 7.0)[None] * jnp.ones((3, 1))
  tokens, peaks, counts = collapse(best, log_probs, BLANK, 4)
  assert tokens.tolist() == [[3, 3, 4, 0], [0] * 4, [3, 4, 3, 4]]
  assert peaks.tolist() == [[-1, -4, -5, 0], [0] * 4, [-1, -2, -3, -4]]
  assert counts.tolist() == [3, 0, 4]


def test_accuracy_counts_places_and_whole_sequences(model, params, batch):
  decoded = model.decode_batch(
    params, batch, config=decoding.DecodeConfig(max_length=4)
  ).tokens[:, 0]
  targets = np.array(decoded)
  targets[0, 0] = 7 - targets[0, 0] if targets[0, 0] in (3, 4) else 3
  right = {
    **batch,
    "decoder_target_tokens": targets,
    "decoder_loss_weights": (targets > 0).astype(np.float32),
  }
  _, metrics = jax.jit(model.eval_fn)(params, right)
  total = int((targets > 0).sum())
  np.testing.assert_allclose(
    metrics["accuracy"].compute(), (total - 1) / total, rtol=1e-6
  )
  np.testing.assert_allclose(metrics["sequence_accuracy"].compute(), 2 / 3)


def test_beams_are_refused(model, params, batch):
  config = decoding.DecodeConfig(max_length=4, method="beam", num_decodes=2)
  with pytest.raises(ValueError, match="greedily"):
    model.decode_batch(params, batch, config=config)
