"""Eight pictures of noise, learned by heart by each kind of reader.

There is nothing in them but the pictures themselves: a shifted target, a wrong
mask or a decoder that does not look cannot tell them apart.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.models.ctc import CTC
from inksight_jax.models.joint_ctc import JointCTC
from inksight_jax.models.parallel import ParallelTokens
from inksight_jax.models.sequence_to_sequence import SequenceToSequence
from inksight_jax.networks import (
  page_reader,
  readers,
  resnet,
  transformer_decoder,
  trocr,
  vit,
)
from inksight_jax.training import loop, optimizers

LENGTH = 4
VOCAB_SIZE = 8
STEPS = 150


def _model(kind):
  encoder = vit.ViTConfig(
    image_size=(8, 32),
    patch_size=(8, 4),
    width=32,
    depth=0,
    mlp_dim=32,
    num_heads=2,
    position="learned",
  )
  config = readers.ReaderConfig(
    encoder, VOCAB_SIZE, length=LENGTH, num_heads=4, mlp_dim=32
  )
  if kind == "parallel":
    return ParallelTokens(readers.ParallelReader(config))
  if kind == "ctc":
    return CTC(readers.FrameReader(config), blank_id=VOCAB_SIZE - 1)
  decoder = transformer_decoder.DecoderConfig(
    VOCAB_SIZE, 32, 2, 32, num_layers=1, max_length=LENGTH, dropout_rate=0.0
  )
  if kind == "page":
    network = page_reader.PageReader(
      page_reader.PageReaderConfig(
        resnet.ResNetConfig(
          width=32,
          blocks=(1, 1),
          channels=(8, 16),
          stride=(4, 4),
          stem_kernel=3,
          max_pool=False,
        ),
        decoder,
        frame_vocab_size=VOCAB_SIZE,
      )
    )
    return JointCTC(network, blank_id=VOCAB_SIZE - 1)
  return SequenceToSequence(trocr.TrOCR(trocr.TrOCRConfig(encoder, decoder)))


def _batch():
  rng = np.random.default_rng(0)
  # Texts of one to three characters, then EOS, then padding.
  lengths = rng.integers(1, LENGTH, (8, 1))
  places = np.arange(LENGTH)[None, :]
  targets = rng.integers(3, VOCAB_SIZE - 1, (8, LENGTH))
  targets = np.where(places < lengths, targets, places == lengths)
  return {
    "encoder_input_image": rng.integers(0, 256, (8, 8, 32, 3), np.uint8),
    "decoder_input_tokens": np.pad(targets[:, :-1], ((0, 0), (1, 0))),
    "decoder_target_tokens": targets,
    "decoder_loss_weights": (targets > 0).astype(np.float32),
  }


@pytest.mark.parametrize("kind", ["parallel", "ctc", "autoregressive", "page"])
def test_eight_pictures_are_learned_by_heart(kind):
  model, batch = _model(kind), _batch()

  class Repeated:
    def batches(self, start=0):
      return itertools.repeat(batch, STEPS - start)

  state = loop.fit(
    model,
    optimizers.adamw(optimizers.warmup_cosine(1e-2, 10, STEPS), b2=0.98),
    Repeated(),
    STEPS,
  )
  # From the pictures alone: of the text only its room is told.
  image, room = batch["encoder_input_image"], jnp.zeros((8, LENGTH), jnp.int32)
  tokens = jax.jit(model.predict_batch)(
    state.params,
    {
      "encoder_input_image": image,
      "decoder_input_tokens": room,
      "decoder_target_tokens": room,
    },
  )
  np.testing.assert_array_equal(tokens, batch["decoder_target_tokens"])
