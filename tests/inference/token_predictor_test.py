"""A token language model with its VQ-VAE: pixels in, text out, and back."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.datasets.record import Record
from inksight_jax.inference import picture_writer, token_predictor
from inksight_jax.inference.evaluation import evaluate
from inksight_jax.inference.held_out import to_sample
from inksight_jax.inference.token_predictor import TokenPredictor
from inksight_jax.models.token_language_model import TokenLanguageModel
from inksight_jax.networks import (
  picture_grammar,
  picture_language_model,
  quantizers,
  transformer_decoder,
  vqvae,
)
from inksight_jax.pipeline.token_tasks import TokenTasks
from inksight_jax.rendering.views import ViewConfig, make_views
from inksight_jax.rendering.warp import WarpConfig
from inksight_jax.text.codecs import CharacterCodec
from inksight_jax.text.picture_tokens import PictureCodec
from inksight_jax.text.vocabulary import Vocabulary

CODES, LENGTH = 8, 12
VOCABULARY = Vocabulary(
  CharacterCodec("0123"), None, PictureCodec(CODES, LENGTH)
)
RNG = np.random.default_rng(0)


def _tasks(task):
  return TokenTasks(
    source="picture_tokens",
    vocabulary=VOCABULARY,
    rates={task: 1.0},
    text_length=4,
    patch=4,
  )


def _predictor(task, with_vqvae=True):
  tasks = _tasks(task)
  decoder = transformer_decoder.DecoderConfig(
    VOCABULARY.padded_size(8),
    16,
    2,
    16,
    num_layers=1,
    activation="gelu",
    max_length=LENGTH + 6,
    norm="pre",
    embedding_norm=False,
    scale_embedding=False,
    cross_attention=False,
    tied=True,
    hide_padding=True,
  )
  coder = vqvae.VQVAEConfig(
    quantizers.GradientCodebookConfig(CODES, 4), widths=(4, 4, 4), blocks=1
  )
  network = picture_language_model.PictureLanguageModel(
    picture_language_model.PictureLanguageModelConfig(
      decoder, coder if with_vqvae else None
    )
  )
  grammar = picture_grammar.PictureGrammar(
    VOCABULARY.picture_offset, CODES, LENGTH
  )
  model = TokenLanguageModel(
    network, grammar=grammar, picture_first=tasks.picture_first
  )
  params = jax.jit(
    lambda: model.get_initial_variables(
      jax.random.key(0), tasks.input_shapes(1)
    )
  )()["params"]
  noise = np.random.default_rng(0)
  params = jax.tree.map(
    lambda x: x + 0.3 * noise.normal(size=x.shape).astype(np.float32), params
  )
  return TokenPredictor(model, params, tasks, step=7, batch_size=4)


@pytest.fixture(scope="module")
def reader():
  return _predictor("recognize_tokens")


@pytest.fixture(scope="module")
def writer():
  return picture_writer.PictureWriter(_predictor("text_to_image"))


def _pictures(*sizes):
  return [RNG.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def test_pixels_become_codes_on_the_canvas_that_suits_them(reader):
  pictures = _pictures((8, 40), (40, 8), (20, 20), (9, 41))
  codes = reader.encode(pictures)
  assert [c.shape for c in codes[:3]] == [(2, 5), (5, 1), (3, 3)]
  # One by one or in batches, the codes are the same, and so in any order.
  for picture, found in zip(pictures, codes, strict=True):
    np.testing.assert_array_equal(reader.encode([picture])[0], found)
  drawn = reader.draw(codes)
  assert [d.shape for d in drawn[:2]] == [(8, 20, 3), (20, 4, 3)]
  assert drawn[0].dtype == np.uint8


def test_confidence_is_the_product_over_characters_and_end(reader):
  (picture,) = _pictures((8, 24))
  result = reader.recognize(picture)
  np.testing.assert_allclose(result.confidence, np.exp(result.log_probs.sum()))
  assert set(result.text) <= set("0123")
  # The name that the command line has for it.
  again = reader.predict([picture], "recognize")[0]
  assert (again.text, again.task) == (result.text, "recognize_tokens")
  with pytest.raises(ValueError, match="not trained for 'text_to_image'"):
    reader.predict([picture], "text_to_image")


def test_probabilities_are_among_symbols_of_texts(reader):
  (picture,) = _pictures((8, 24))
  result = reader.recognize(picture)
  ids = VOCABULARY.encode_picture(reader.encode([picture])[0])
  start = np.array([[VOCABULARY.start_id]])
  logits = reader.model.module.apply(
    {"params": reader.params},
    jnp.asarray(ids[None]),
    jnp.asarray(start),
    enable_dropout=False,
  )[0, -1]
  allowed = [1, 3, 4, 5, 6]
  log_probs = np.asarray(jax.nn.log_softmax(logits[np.array(allowed)]))
  place = allowed.index(int(result.tokens[0]))
  np.testing.assert_allclose(result.log_probs[0], log_probs[place], atol=1e-5)
  assert log_probs[place] == log_probs.max()


def test_views_vote_with_their_confidences(reader):
  (picture,) = _pictures((8, 24))
  result = reader.recognize(picture)
  texts = [("a", 0.5), ("b", 0.4), ("b", 0.3), ("c", 0.1)]
  merged = token_predictor.merge(
    [
      dataclasses.replace(
        result, text=text, confidence=sure, character_confidences=(sure,)
      )
      for text, sure in texts
    ]
  )
  assert merged.text == "b"
  np.testing.assert_allclose(merged.confidence, 0.7 / 4)
  assert [text for text, _ in merged.candidates] == ["b", "a", "c"]
  assert merged.to_dict()["candidates"][1] == {"text": "a", "confidence": 0.125}
  several = _predictor("recognize_tokens")
  token_predictor.set_views(several, 3)
  found = several.predict([picture, picture], "recognize_tokens")
  assert len(found) == 2 and found[0].candidates == found[1].candidates
  assert sum(sure for _, sure in found[0].candidates) <= 1.0
  # The tasks say how views differ: not at all, and three read as one does.
  several.tasks = dataclasses.replace(
    several.tasks, view_config=ViewConfig(WarpConfig(), 0, 0, 0)
  )
  (found,) = several.predict([picture], "recognize_tokens")
  assert [text for text, _ in found.candidates] == [result.text]
  np.testing.assert_allclose(found.confidence, result.confidence, rtol=1e-5)
  with pytest.raises(ValueError, match="0 views"):
    token_predictor.set_views(several, 0)


def test_views_are_the_picture_and_changed_ones():
  picture = np.zeros((20, 60, 3), np.uint8)
  picture[8:12, 10:50] = (200, 40, 90)
  views = make_views(picture, 4, seed=1)
  assert views[0] is picture
  assert all(view.shape == picture.shape for view in views)
  for one, other in ((0, 1), (1, 2), (2, 3)):
    assert np.abs(views[one].astype(int) - views[other]).max() > 40
  # Ink stays ink: the same views of grey have no colour.
  grey = make_views(picture[..., :1].repeat(3, axis=2), 4, seed=1)
  assert all(np.ptp(view.astype(int), axis=2).max() == 0 for view in grey)
  # Shape alone: every colour was there before.
  bent = ViewConfig(WarpConfig(chance=1.0, shift=0.1), 0, 0, 0)
  shifted = make_views(picture, 3, seed=1, config=bent)[1]
  assert (shifted != picture).any()
  assert shifted.reshape(-1, 3).max(axis=0).tolist() == [200, 40, 90]
  with pytest.raises(ValueError, match="hue -1"):
    ViewConfig(hue=-1)


def test_held_out_codes_are_read_and_shown(reader):
  tasks = reader.tasks
  samples = []
  for number, shape in enumerate([(1, 5), (2, 3), (3, 1), (2, 2)]):
    codes = RNG.integers(0, CODES, shape).astype(np.int32)
    record = Record(f"{number}", "picture_tokens", f"{number}", codes=codes)
    example = tasks.build(record, "recognize_tokens", RNG, False)
    samples.append(to_sample(record.id, "recognize_tokens", example, tasks))
  result = evaluate(reader, {"recognize_tokens": samples})
  metrics = result.metrics
  groups = ("horizontal", "vertical")
  counts = [metrics[f"recognize_tokens/samples_{g}"] for g in groups]
  assert counts == [2, 1]
  assert "recognize_tokens/exact_match_horizontal" in metrics
  shown = token_predictor.with_pictures(reader, result.outcomes)
  image = shown["recognize_tokens"][0].sample.example.image
  assert image.shape == (160, 160, 3) and image.std() > 0


def test_pictures_of_texts_are_drawn_in_any_number_of_styles(writer):
  styles = writer.draw_styles(6, seed=0)
  texts = ["12", "12", "0", "3", "123", "1"]
  pictures = writer.generate(texts, styles)
  assert len(pictures) == 6
  assert all(p.shape[0] % 4 == 0 and p.shape[1] % 4 == 0 for p in pictures)
  again = writer.generate(texts, styles)
  for one, other in zip(pictures, again, strict=True):
    np.testing.assert_array_equal(one, other)
  for text in ("", "1230", "9"):
    with pytest.raises(ValueError, match="cannot be written"):
      writer.generate([text], styles[:1])
  with pytest.raises(ValueError, match="texts first"):
    writer.free_pictures(styles)


def test_a_reader_goes_on_with_pictures_and_says_what_they_are(reader):
  free = picture_writer.PictureWriter(reader)
  styles = free.draw_styles(5, seed=0)
  ids = free.free_pictures(styles)
  assert free.parsed(list(ids)) == 1.0
  assert len(free.draw(list(ids))) == 5
  assert all(set(text) <= set("0123") for text in free.caption(list(ids)))
  # What is no picture is one black pixel, and the others are still drawn.
  broken = np.concatenate([ids[:2], np.zeros((1, LENGTH), np.int32)])
  drawn = free.draw(list(broken))
  assert drawn[2].shape == (1, 1, 3) and len(drawn) == 3
  assert free.parsed(list(broken)) == pytest.approx(2 / 3)
  with pytest.raises(ValueError, match="pictures first"):
    free.generate(["1"], styles[:1])


def test_without_a_vqvae_there_are_no_pixels():
  blind = _predictor("recognize_tokens", with_vqvae=False)
  with pytest.raises(ValueError, match="knows no pixels"):
    blind.recognize(_pictures((8, 24))[0])
  assert not blind.tokenizer.exists
