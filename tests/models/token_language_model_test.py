"""Two means in one loss, in both orders; decoding that keeps to its symbols."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.models.token_language_model import TokenLanguageModel
from inksight_jax.networks import (
  decoding,
  picture_grammar,
  picture_language_model,
  transformer_decoder,
)
from inksight_jax.text.picture_tokens import PictureCodec
from inksight_jax.training import loop, optimizers

# PAD, EOS, UNK, three characters; START, ROW, PAD, four codes.
FIRST, CODES, LENGTH, TEXT = 6, 4, 7, 4
VOCAB = FIRST + 3 + CODES
CODEC = PictureCodec(CODES, LENGTH)
GRAMMAR = picture_grammar.PictureGrammar(FIRST, CODES, LENGTH)
RNG = np.random.default_rng(0)


def _pictures(count):
  shapes = itertools.cycle([(1, 5), (2, 2), (3, 1), (1, 6), (2, 1)])
  grids = [RNG.integers(0, CODES, next(shapes)) for _ in range(count)]
  return np.stack([CODEC.encode(grid) + FIRST for grid in grids])


def _texts(count, start=()):
  rows = np.zeros((count, TEXT + len(start)), np.int32)
  for row in range(count):
    text = RNG.integers(3, FIRST, row % (TEXT - 1) + 1)
    rows[row, : len(start) + len(text) + 1] = [*start, *text, 1]
  return rows


def _batch(picture_first, count=4):
  pictures, texts = _pictures(count), _texts(count)
  given, written = pictures, texts
  if not picture_first:
    given, written = _texts(count, start=(FIRST,)), pictures
  return {
    "encoder_input_tokens": given,
    "decoder_input_tokens": np.pad(written[:, :-1], ((0, 0), (1, 0))),
    "decoder_target_tokens": written,
    "decoder_loss_weights": (written > 0).astype(np.float32),
  }


def _model(picture_first, **settings):
  decoder = transformer_decoder.DecoderConfig(
    VOCAB,
    32,
    2,
    32,
    num_layers=1,
    activation="gelu",
    max_length=LENGTH + TEXT + 1,
    norm="pre",
    embedding_norm=False,
    scale_embedding=False,
    dropout_rate=0.0,
    cross_attention=False,
    tied=True,
    hide_padding=True,
  )
  network = picture_language_model.PictureLanguageModel(
    picture_language_model.PictureLanguageModelConfig(decoder)
  )
  settings = {"z_loss": 0.0, **settings}
  return TokenLanguageModel(
    network, grammar=GRAMMAR, picture_first=picture_first, **settings
  )


@pytest.fixture(scope="module", params=[True, False], ids=["read", "draw"])
def case(request):
  """Order, batch, and parameters large enough for every part to matter."""
  batch = _batch(request.param)
  shapes = {name: rows.shape for name, rows in batch.items()}
  shapes = {n: s for n, s in shapes.items() if n != "decoder_loss_weights"}
  # What T5X adds for pictures is not for this network.
  shapes["encoder_input_image"] = (4, 1, 1, 3)
  model = _model(request.param)
  params = jax.jit(
    lambda: model.get_initial_variables(jax.random.key(1), shapes)
  )()
  noise = np.random.default_rng(1)
  params = jax.tree.map(
    lambda x: x + 0.3 * noise.normal(size=x.shape).astype(np.float32),
    params["params"],
  )
  return request.param, batch, params


def _cross_entropy(model, params, batch):
  """(targets, cross-entropy) of the whole sequence but its first token."""
  start = np.full((4, 1), FIRST)
  given, written = batch["encoder_input_tokens"], batch["decoder_target_tokens"]
  sequence = np.concatenate([given, start, written], axis=1)
  logits = jax.jit(
    lambda given, rest: model.module.apply(
      {"params": params}, given, rest, enable_dropout=False
    )
  )(given, sequence[:, given.shape[1] : -1])
  log_probs = np.asarray(jax.nn.log_softmax(logits))
  targets = sequence[:, 1:]
  rows, places = np.indices(targets.shape)
  return targets, -log_probs[rows, places, targets]


@pytest.mark.parametrize("count_padding", [True, False])
def test_the_loss_is_the_sum_of_two_means(case, count_padding):
  picture_first, batch, params = case
  model = _model(
    picture_first,
    picture_weight=0.25,
    text_weight=2.0,
    count_picture_padding=count_padding,
  )
  loss, metrics = jax.jit(model.eval_fn)(params, batch)
  targets, values = _cross_entropy(model, params, batch)
  length = batch["encoder_input_tokens"].shape[1]
  is_given = np.arange(targets.shape[1]) < length
  # The start of a text counts with the picture before it, the start of a
  # picture with nothing.
  is_picture = (targets >= FIRST) & (is_given if picture_first else ~is_given)
  if not count_padding:
    is_picture &= targets != GRAMMAR.padding_id
  is_text = (targets > 0) & (targets < FIRST)
  if not picture_first:
    full = batch["encoder_input_tokens"][:, -1] != 0
    is_text[:, length - 1] |= full
  picture, text = values[is_picture].mean(), values[is_text].mean()
  np.testing.assert_allclose(loss, 0.25 * picture + 2.0 * text, rtol=1e-5)
  np.testing.assert_allclose(
    metrics["picture_loss"].compute(), picture, rtol=1e-5
  )
  np.testing.assert_allclose(metrics["text_loss"].compute(), text, rtol=1e-5)
  np.testing.assert_allclose(metrics["loss"].compute(), loss, rtol=1e-5)


def test_the_losses_of_parts_add_up_to_that_of_the_whole(case):
  picture_first, batch, params = case
  model = _model(picture_first, text_weight=3.0, count_picture_padding=False)
  loss_fn = jax.jit(lambda part, n: model.loss_fn(params, part, None, n))
  whole, metrics = jax.jit(model.eval_fn)(params, batch)
  normalizer = jax.jit(model.loss_normalizer)(batch)
  parts = [
    loss_fn({name: rows[part] for name, rows in batch.items()}, normalizer)
    for part in (slice(0, 2), slice(2, 4))
  ]
  np.testing.assert_allclose(sum(loss for loss, _ in parts), whole, rtol=1e-5)
  merged = parts[0][1]["picture_loss"].merge(parts[1][1]["picture_loss"])
  want = metrics["picture_loss"].compute()
  np.testing.assert_allclose(merged.compute(), want, rtol=1e-5)


def test_a_stand_in_for_a_picture_changes_no_answer(case):
  # SeqIO's features have one for every task, T5X hands it on.
  picture_first, batch, params = case
  model = _model(picture_first)
  stand_in = np.zeros((4, 1, 1, 3), np.uint8)
  with_it = {**batch, "encoder_input_image": stand_in}
  np.testing.assert_array_equal(
    jax.jit(model.predict_batch)(params, with_it),
    jax.jit(model.predict_batch)(params, batch),
  )


@pytest.mark.parametrize("first_cache_length", [2, 256])
def test_decoding_equals_asking_for_the_whole_sequence_each_time(
  case, first_cache_length, monkeypatch
):
  # Two lengths and more, or one.
  monkeypatch.setattr(decoding, "_FIRST_CACHE_LENGTH", first_cache_length)
  picture_first, batch, params = case
  model = _model(picture_first)
  given = batch["encoder_input_tokens"]
  room = batch["decoder_target_tokens"].shape[1]
  decoded = jax.jit(
    lambda given: model.decode_batch(
      params, {"encoder_input_tokens": given}, None, decoding.DecodeConfig(room)
    )
  )(given)
  rules = GRAMMAR.text() if picture_first else GRAMMAR.picture()
  apply = jax.jit(
    lambda rest: model.module.apply(
      {"params": params}, jnp.asarray(given), rest, enable_dropout=False
    )
  )
  written = np.zeros((4, room), np.int32)
  log_probs = np.zeros((4, room), np.float32)
  done = np.zeros(4, bool)
  for place in range(room):
    rest = np.concatenate([np.full((4, 1), FIRST), written[:, :-1]], axis=1)
    logits = np.asarray(apply(rest))[:, given.shape[1] + place]
    logits = rules(jnp.asarray(logits), jnp.asarray(written), jnp.int32(place))
    best = np.asarray(logits).argmax(axis=-1)
    sure = np.asarray(jax.nn.log_softmax(logits)).max(axis=-1)
    written[:, place] = np.where(done, 0, best)
    log_probs[:, place] = np.where(done, 0.0, sure)
    done |= best == 1
  np.testing.assert_array_equal(decoded.tokens[:, 0], written)
  np.testing.assert_allclose(decoded.log_probs[:, 0], log_probs, atol=1e-4)


def test_what_is_sampled_keeps_to_its_symbols(case):
  picture_first, batch, params = case
  model = _model(picture_first)
  room = batch["decoder_target_tokens"].shape[1]
  config = decoding.DecodeConfig(room, "sample", temperature=3.0)
  given = {
    "encoder_input_tokens": np.repeat(batch["encoder_input_tokens"], 8, 0)
  }
  sample = jax.jit(
    lambda given, key, free: model.decode_batch(
      params,
      given,
      key,
      config,
      picture_grammar.anything if free else None,
    ).tokens[:, 0],
    static_argnums=2,
  )
  tokens = np.asarray(sample(given, jax.random.key(0), False))
  if picture_first:
    assert np.isin(tokens, [0, 1, 3, 4, 5]).all()
    _goes_on(model, params, batch["encoder_input_tokens"])
    return
  for row in tokens:
    CODEC.decode(row - FIRST)
  # Which the model does not do by itself.
  free = np.asarray(sample(given, jax.random.key(0), True))
  with pytest.raises(ValueError, match=r"picture|ROW|PAD"):
    for row in free:
      CODEC.decode(row - FIRST)


def _goes_on(model, params, pictures):
  """Pictures are gone on with from where they stop."""
  config = decoding.DecodeConfig(LENGTH, "sample", temperature=3.0)
  go_on = jax.jit(
    lambda starts: model.continue_pictures(
      params, starts, jax.random.key(2), config
    )
  )
  for kept in (1, 4):
    tokens = np.asarray(go_on(pictures[:, :kept]))
    assert tokens.shape == (4, LENGTH)
    np.testing.assert_array_equal(tokens[:, :kept], pictures[:, :kept])
    for row in tokens:
      CODEC.decode(row - FIRST)
  whole = model.continue_pictures(params, jnp.asarray(pictures), None, config)
  np.testing.assert_array_equal(whole, pictures)


@pytest.mark.parametrize("picture_first", [True, False], ids=["read", "draw"])
def test_eight_samples_are_learned_by_heart(picture_first):
  model, batch = _model(picture_first), _batch(picture_first, 8)
  if not picture_first:
    # What a text begins with cannot be known.
    model = _model(picture_first, text_weight=0.1)
  # Texts that differ, so that one picture belongs to each.
  if not picture_first:
    texts = itertools.product((3, 4, 5), repeat=2)
    for row, text in zip(batch["encoder_input_tokens"], texts, strict=False):
      row[:] = [FIRST, *text, 1, 0]
  steps = 200

  class Repeated:
    def batches(self, start=0):
      return itertools.repeat(batch, steps - start)

  state = loop.fit(
    model,
    optimizers.adamw(optimizers.warmup_cosine(1e-2, 10, steps), b2=0.98),
    Repeated(),
    steps,
  )
  given = {"encoder_input_tokens": batch["encoder_input_tokens"]}
  room = batch["decoder_target_tokens"].shape[1]
  decoded = jax.jit(
    lambda params: model.decode_batch(
      params, given, None, decoding.DecodeConfig(room)
    )
  )(state.params)
  np.testing.assert_array_equal(
    decoded.tokens[:, 0], batch["decoder_target_tokens"]
  )


def test_weights_that_teach_nothing_are_refused():
  with pytest.raises(ValueError, match="one must be positive"):
    _model(True, picture_weight=0.0, text_weight=0.0)
  with pytest.raises(ValueError, match="must not be negative"):
    _model(True, picture_weight=-1.0)
