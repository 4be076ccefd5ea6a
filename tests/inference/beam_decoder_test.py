"""Beams, word lists and n-grams behind a predictor."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.inference.beam_decoder import read_with_beam
from inksight_jax.inference.predictor import Predictor
from inksight_jax.models import ctc
from inksight_jax.models.sequence_to_sequence import SequenceToSequence
from inksight_jax.networks import readers, vit
from inksight_jax.pipeline.reading import ReadingTasks
from inksight_jax.text.codecs import CharacterCodec
from inksight_jax.text.ctc_decoding import beam_search
from inksight_jax.text.vocabulary import Vocabulary

BLANK = 6


@pytest.fixture(scope="module")
def model():
  encoder = vit.ViTConfig(
    image_size=(8, 16),
    patch_size=(8, 4),
    width=8,
    depth=0,
    num_heads=2,
    position="sincos2d",
  )
  module = readers.FrameReader(readers.ReaderConfig(encoder, 8, num_heads=2))
  image = jnp.zeros((1, 8, 16, 3), jnp.uint8)
  params = module.init(jax.random.key(1), image)["params"]
  tasks = ReadingTasks(
    source="sklearn_digits",
    vocabulary=Vocabulary(CharacterCodec("abc"), None),
    image_size=(8, 16),
    target_length=8,
    rates={"recognize_word": 1.0},
  )
  return Predictor(ctc.CTC(module, blank_id=BLANK), params, tasks, 7, 2)


@pytest.fixture(scope="module")
def pictures():
  rng = np.random.default_rng(0)
  return list(rng.integers(0, 256, (3, 8, 16, 3)).astype(np.uint8))


def test_a_predictor_reads_with_a_beam(model, pictures):
  read_with_beam(model, beam=200)
  results = model.predict(pictures, "recognize_word")
  frames = np.asarray(
    model.model.frame_log_probs(
      model.params, {"encoder_input_image": np.stack(pictures)}
    ),
    np.float64,
  )
  for result, rows in zip(results, frames, strict=True):
    best = beam_search(rows[:, : BLANK + 1], BLANK, 200)[0]
    assert result.text == model.tasks.vocabulary.decode(best.tokens).text
    assert float(result.log_probs.sum()) == pytest.approx(
      best.log_prob, rel=1e-3
    )


def test_only_words_of_the_list_are_read(model, pictures):
  words = ["ab", "ca", "accb", "xyz"]
  read_with_beam(model, 50, words=words)
  for result in model.predict(pictures, "recognize_word"):
    assert result.text in words[:3]
  # No room for so long a word: read without the list.
  read_with_beam(model, 50, words=["abcabcabc"])
  plain = model.predict(pictures, "recognize_word")
  read_with_beam(model, 50)
  again = model.predict(pictures, "recognize_word")
  assert [r.text for r in plain] == [r.text for r in again]


def test_n_grams_draw_to_what_they_know(model, pictures):
  read_with_beam(model, 100, texts=["cbc"] * 50, weight=40.0)
  texts = {r.text for r in model.predict(pictures, "recognize_word")}
  assert texts == {"cbc"}


def test_what_helps_nobody_is_refused(model):
  with pytest.raises(ValueError, match="not both"):
    read_with_beam(model, words=["a"], texts=["a"])
  with pytest.raises(ValueError, match="None of the 2 texts"):
    read_with_beam(model, words=["x", "yz"])


class Frames(SequenceToSequence):
  """Any model that has frames, such as the second head of a page reader."""

  blank_id = BLANK

  def frame_log_probs(self, params, batch):
    rows = len(batch["encoder_input_image"])
    return jnp.broadcast_to(params[None], (rows, *params.shape))


def test_every_model_with_frames_can_be_read_so(model, pictures):
  logits = np.random.default_rng(2).normal(size=(5, BLANK + 2))
  params = jax.nn.log_softmax(jnp.asarray(logits, jnp.float32))
  reader = Predictor(Frames(model.model.module), params, model.tasks, 7, 2)
  read_with_beam(reader, beam=200)
  (answer,) = reader.answer(pictures[:1], [[]], ["recognize_word"])
  frames = np.asarray(params, np.float64)[:, : BLANK + 1]
  best = beam_search(frames, BLANK, 200)[0]
  assert answer.tokens.tolist() == [*best.tokens, 1]
