"""The page reader: cached decoding, padding, the second head."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.models.joint_ctc import JointCTC
from inksight_jax.networks import (
  decoding,
  mt5,
  page_reader,
  resnet,
  transformer_decoder,
)

VOCAB = 16
BLANK = 12
LENGTH = 10
TARGETS = np.array([[3, 4, 1], [5, 1, 0], [3, 3, 1]], np.int32)


def config(decoder: str, **changes) -> page_reader.PageReaderConfig:
  sizes = {"vocab_size": VOCAB, "emb_dim": 16, "num_heads": 2, "mlp_dim": 16}
  decoders = {
    "relative": lambda: mt5.MT5Config(
      **sizes, head_dim=8, num_encoder_layers=0, num_decoder_layers=1
    ),
    "absolute": lambda: transformer_decoder.DecoderConfig(
      **sizes, num_layers=1, max_length=LENGTH
    ),
  }
  return page_reader.PageReaderConfig(
    resnet=resnet.ResNetConfig(
      width=24, blocks=(1, 1), channels=(8, 16), stride=(8, 4), stem_kernel=3
    ),
    decoder=decoders[decoder](),
    **changes,
  )


def pages(rows: int, columns: int, high: int = 24, wide: int = 32):
  """Three pages of `high` x `wide` in frames of `rows` x `columns`."""
  image = np.full((3, rows, columns, 3), 255, np.uint8)
  rng = np.random.default_rng(0)
  image[:, :high, :wide] = rng.integers(0, 256, (3, high, wide, 3), np.uint8)
  return image


SMALL, LARGE = pages(24, 32), pages(40, 48)


class Reader:
  """A model far from a fresh network, with its functions compiled."""

  def __init__(self, decoder: str) -> None:
    network = page_reader.PageReader(config(decoder, frame_vocab_size=VOCAB))
    self.model = JointCTC(network, blank_id=BLANK, ctc_weight=0.25)
    shapes = {"encoder_input_image": SMALL.shape}
    shapes |= dict.fromkeys(
      ("decoder_input_tokens", "decoder_target_tokens"), (3, 3)
    )
    init = functools.partial(
      self.model.get_initial_variables, input_shapes=shapes
    )
    variables = jax.eval_shape(init, jax.random.key(0))
    leaves, tree = jax.tree.flatten(variables["params"])
    rng = np.random.default_rng(1)
    self.params = tree.unflatten(
      [rng.normal(0.0, 0.7, x.shape).astype(np.float32) for x in leaves]
    )
    self.loss = jax.jit(lambda p, batch: self.model.loss_fn(p, batch, None))
    self.frames = jax.jit(self.model.frame_log_probs)
    self.logits = jax.jit(
      lambda p, image, tokens: network.apply(
        {"params": p}, image, tokens, enable_dropout=False
      )
    )
    # No end, so that every place is compared.
    self.decode = jax.jit(
      lambda p, image, method: self.model.decode_batch(
        p,
        {"encoder_input_image": image},
        jax.random.key(3),
        decoding.DecodeConfig(
          LENGTH, method, temperature=20.0, eos_id=VOCAB + 1
        ),
      ),
      static_argnums=2,
    )

  def ctc_loss(self, image: np.ndarray, weights: np.ndarray) -> float:
    """The second loss per token, of the rows that weigh something."""
    batch = {
      "encoder_input_image": image,
      "decoder_input_tokens": np.pad(TARGETS[:, :-1], ((0, 0), (1, 0))),
      "decoder_target_tokens": TARGETS,
      "decoder_loss_weights": weights.astype(np.float32),
    }
    loss, metrics = self.loss(self.params, batch)
    parts = {k: float(metrics[k].compute()) for k in ("loss", "ctc_loss")}
    expected = 0.75 * parts["loss"] + 0.25 * parts["ctc_loss"]
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    return parts["ctc_loss"]


@pytest.fixture(scope="module", params=["relative", "absolute"])
def reader(request) -> Reader:
  return Reader(request.param)


@pytest.fixture(scope="module")
def relative() -> Reader:
  return Reader("relative")


def test_cached_decoding_is_teacher_forcing_token_for_token(reader):
  # Almost random tokens: a place left out or counted twice would show.
  decoded = reader.decode(reader.params, SMALL, "sample")
  tokens = np.asarray(decoded.tokens[:, 0])
  assert len(np.unique(tokens)) > 5
  inputs = np.pad(tokens[:, :-1], ((0, 0), (1, 0)))
  logits = reader.logits(reader.params, SMALL, inputs)
  log_probs = np.take_along_axis(
    np.asarray(jax.nn.log_softmax(logits)), tokens[..., None], axis=-1
  )
  np.testing.assert_allclose(
    decoded.log_probs[:, 0], log_probs[..., 0], atol=1e-3
  )
  best = np.asarray(reader.decode(reader.params, SMALL, "greedy").tokens[:, 0])
  inputs = np.pad(best[:, :-1], ((0, 0), (1, 0)))
  logits = reader.logits(reader.params, SMALL, inputs)
  np.testing.assert_array_equal(np.argmax(logits, axis=-1), best)


def test_a_larger_frame_gives_the_same_text(reader):
  small = reader.decode(reader.params, SMALL, "greedy")
  large = reader.decode(reader.params, LARGE, "greedy")
  np.testing.assert_array_equal(small.tokens, large.tokens)
  np.testing.assert_allclose(small.log_probs, large.log_probs, atol=1e-3)


def test_the_second_loss_is_that_of_the_page_alone(relative):
  all_rows = TARGETS > 0
  small = relative.ctc_loss(SMALL, all_rows)
  assert small == pytest.approx(relative.ctc_loss(LARGE, all_rows), rel=1e-3)
  # Against all paths of "5" through the frames of the second page.
  frames = np.asarray(
    relative.frames(relative.params, {"encoder_input_image": SMALL})
  )[1]
  total = -np.inf
  for first in range(len(frames)):
    for end in range(first, len(frames)):
      inside = frames[first : end + 1, 5].sum()
      outside = np.delete(frames[:, BLANK], np.s_[first : end + 1]).sum()
      total = np.logaddexp(total, inside + outside)
  only = all_rows * np.array([[0], [1], [0]])
  # Per token, and the end counts as one.
  assert relative.ctc_loss(SMALL, only) == pytest.approx(-total / 2, rel=1e-4)


def test_a_text_without_an_alignment_adds_nothing(relative):
  # Two cells: no room for the blank between the threes of the last text.
  image = pages(24, 32, 8, 8)
  mask = resnet.page_mask(jnp.asarray(image))[:, ::8, ::4]
  assert mask.sum((1, 2)).tolist() == [2, 2, 2]
  last = (TARGETS > 0) * np.array([[0], [0], [1]])
  assert relative.ctc_loss(image, last) == 0
  assert relative.ctc_loss(image, (TARGETS > 0) & (last == 0)) > 0


def test_the_frames_read_by_themselves(relative):
  model = JointCTC(relative.model.module, blank_id=BLANK, reader="frames")
  limit = decoding.DecodeConfig(20)
  read = jax.jit(lambda p, batch: model.decode_batch(p, batch, config=limit))
  large, small = (
    read(relative.params, {"encoder_input_image": image})
    for image in (LARGE, SMALL)
  )
  np.testing.assert_array_equal(large.tokens, small.tokens)
  frames = relative.frames(relative.params, {"encoder_input_image": SMALL})
  best = np.argmax(frames[0], axis=-1)
  starts = np.flatnonzero(np.diff(best, prepend=-1))
  expected = [int(i) for i in best[starts] if i != BLANK]
  length = int(small.lengths[0, 0])
  assert small.tokens[0, 0, :length].tolist()[: len(expected)] == expected[:20]


def test_a_weight_out_of_range_and_missing_tokens_are_refused():
  network = page_reader.PageReader(config("relative"))
  with pytest.raises(ValueError, match="ctc_weight"):
    JointCTC(network, blank_id=1, ctc_weight=1.0)
  with pytest.raises(ValueError, match="reader"):
    JointCTC(network, blank_id=1, reader="page")
  with pytest.raises(ValueError, match="learn nothing"):
    JointCTC(network, blank_id=1, ctc_weight=0.0, reader="frames")
  with pytest.raises(ValueError, match="decoder_input_tokens"):
    network.init(jax.random.key(0), jnp.asarray(SMALL))
