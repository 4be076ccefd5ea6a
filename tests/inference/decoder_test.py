"""Few programs for any number of images, every image its own answer."""

import threading
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from inksight_jax.inference.decoder import Answer, Decoder
from inksight_jax.models.sequence_to_sequence import SequenceToSequence
from inksight_jax.networks.decoding import DecodeConfig, Decoded
from inksight_jax.pipeline.spec import InkSightTasks

TASKS = InkSightTasks(source="generated_words", image_size=8, input_length=4)


class Echo(SequenceToSequence):
  """Answers each picture with the value of its first pixel, as two tokens."""

  def __init__(self) -> None:
    super().__init__(nn.Module())
    self.compiled: list[int] = []

  def decode_batch(
    self, params, batch, rng=None, config=None, logit_transform=None
  ):
    del params, rng, logit_transform
    assert config is not None
    images = batch["encoder_input_image"]
    self.compiled.append(images.shape[0])
    value = images[:, 0, 0, 0].astype(jnp.int32)[:, None, None]
    padding = jnp.zeros((images.shape[0], 1, config.max_length - 2), jnp.int32)
    tokens = jnp.concatenate([value, value, padding], -1)
    rows = images.shape[0]
    return Decoded(
      tokens,
      jnp.zeros(tokens.shape),
      jnp.zeros((rows, 1)),
      jnp.full((rows, 1), 2, jnp.int32),
    )


def answers(decoder: Decoder, count: int) -> list[list[int]]:
  images = [np.full((8, 8, 3), i + 3, np.uint8) for i in range(count)]
  found = decoder.answer({}, images, [[1]] * count, ["derender"] * count)
  return [answer.tokens.tolist() for answer in found]


@pytest.mark.parametrize(
  ("counts", "compiled"),
  [
    # The rest of many is done by the program of full batches.
    ((37,), [16]),
    ((16, 15, 9, 5, 4), [16]),
    # One in sixteen would take too long.
    ((16, 1, 2, 3), [16, 1]),
    ((1, 2, 3, 4, 5, 11, 16, 40), [1, 4, 16]),
  ],
)
def test_few_programs_serve_any_number_of_images(
  counts: tuple[int, ...], compiled: list[int]
):
  model = Echo()
  decoder = Decoder(
    model, TASKS, 16, DecodeConfig(max_length=6), False, streams=1
  )
  for count in counts:
    assert answers(decoder, count) == [[i + 3] * 2 for i in range(count)]
  assert model.compiled == compiled


def test_a_batch_is_never_larger_than_asked_for():
  model = Echo()
  decoder = Decoder(
    model, TASKS, 6, DecodeConfig(max_length=6), False, streams=1
  )
  for count in range(1, 20):
    answers(decoder, count)
  assert sorted(model.compiled) == [1, 4, 6]


@pytest.mark.parametrize(
  ("counts", "compiled"),
  [((16,), [8]), ((9, 16, 37, 5), [8]), ((3, 2, 1, 40), [4, 8])],
)
def test_two_streams_share_the_rows_and_compile_each_program_once(
  counts: tuple[int, ...], compiled: list[int]
):
  model = Echo()
  decoder = Decoder(
    model, TASKS, 16, DecodeConfig(max_length=6), False, streams=2
  )
  for count in counts:
    assert answers(decoder, count) == [[i + 3] * 2 for i in range(count)]
  assert model.compiled == compiled


def test_streams_decode_at_once(monkeypatch: pytest.MonkeyPatch):
  model = Echo()
  decoder = Decoder(
    model, TASKS, 16, DecodeConfig(max_length=6), False, streams=2
  )
  answers(decoder, 16)
  together = threading.Barrier(2)

  def meet(*arguments: Any) -> list[Answer]:
    together.wait(timeout=30)  # raises where nobody else comes
    return [Answer(np.zeros(1, np.int32), np.zeros(1, np.float32))]

  monkeypatch.setattr(decoder, "_answer_batch", meet)
  assert answers(decoder, 16) == [[0], [0]]


def test_few_rows_are_one_stream():
  model = Echo()
  decoder = Decoder(
    model, TASKS, 7, DecodeConfig(max_length=6), False, streams=2
  )
  answers(decoder, 7)
  assert model.compiled == [7]
