"""Small models and data that the training tests share."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.linen import partitioning

from inksight_jax.models.sequence_to_sequence import SequenceToSequence
from inksight_jax.networks import inksight, mt5, vit

VOCAB = 16
LENGTH = 6


class ToyNetwork(nn.Module):
  """Next token from this one: an embedding, dropout and a head."""

  dropout_rate: float = 0.0

  @nn.compact
  def __call__(
    self, decoder_input_tokens, decoder_target_tokens, *, enable_dropout=True
  ):
    del decoder_target_tokens
    table = partitioning.param_with_axes(
      "embedding",
      nn.initializers.normal(1.0),
      (VOCAB, 8),
      axes=("vocab", "embed"),
    )
    x = table[decoder_input_tokens]
    x = nn.Dropout(self.dropout_rate, deterministic=not enable_dropout)(x)
    head = partitioning.param_with_axes(
      "kernel", nn.initializers.normal(0.1), (8, VOCAB), axes=("embed", "vocab")
    )
    return jnp.einsum("ble,ev->blv", x, head)


@dataclasses.dataclass
class ToyBatches:
  """Batch n is a function of n; targets differ in length."""

  rows: int = 8
  limit: int | None = None
  broken: int | None = None

  def batches(self, start=0):
    for index in itertools.count(start):
      if index == self.limit:
        return
      rng = np.random.default_rng(index)
      targets = rng.integers(2, VOCAB, (self.rows, LENGTH)).astype(np.int32)
      lengths = rng.integers(1, LENGTH + 1, self.rows)
      weights = np.arange(LENGTH)[None, :] < lengths[:, None]
      targets = np.where(weights, targets, 0)
      weights = weights.astype(np.float32)
      if index == self.broken:
        weights[0, 0] = np.nan
      yield {
        "decoder_target_tokens": targets,
        "decoder_input_tokens": np.pad(targets[:, :-1], ((0, 0), (1, 0))),
        "decoder_loss_weights": weights,
      }


@pytest.fixture
def toy_batches():
  return ToyBatches


@pytest.fixture
def toy_model():
  def make(dropout_rate=0.0, **options):
    return SequenceToSequence(ToyNetwork(dropout_rate), **options)

  return make


@pytest.fixture
def tiny_inksight():
  """A real InkSight, as small as it gets; its sizes divide by 4 and by 8."""

  def make(freeze=False, dropout_rate=0.0, scan_layers=False, **options):
    config = inksight.InkSightConfig(
      vit.ViTConfig(
        image_size=8,
        patch_size=4,
        width=8,
        depth=1,
        mlp_dim=16,
        num_heads=2,
        scan_layers=scan_layers,
      ),
      mt5.MT5Config(
        vocab_size=VOCAB,
        emb_dim=16,
        num_heads=2,
        head_dim=8,
        mlp_dim=16,
        num_encoder_layers=1,
        num_decoder_layers=1,
        dropout_rate=dropout_rate,
        scan_layers=scan_layers,
      ),
      freeze_image_encoder=freeze,
    )
    return SequenceToSequence(inksight.InkSight(config), **options)

  return make


@pytest.fixture
def ink_batch():
  """One batch of every feature; rows differ in their number of targets."""
  rng = np.random.default_rng(0)
  batch = next(ToyBatches().batches())
  return {
    "encoder_input_image": rng.integers(0, 256, (8, 8, 8, 3), dtype=np.uint8),
    "encoder_input_tokens": rng.integers(0, VOCAB, (8, 3)).astype(np.int32),
    **batch,
  }


@pytest.fixture
def one_device_mesh():
  from inksight_jax.training import mesh

  return mesh.make_mesh(devices=jax.devices()[:1])
