"""From pictures to results: places, batches, flags, errors."""

import dataclasses
import pathlib

import jax
import numpy as np
import pytest

import inksight_jax
from inksight_jax.inference.predictor import Answer, Predictor, load
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import stack
from inksight_jax.pipeline.spec import TASK_PROMPTS
from inksight_jax.rendering.strokes import Style, draw_ink
from inksight_jax.text.codecs import EOS_ID


def words(count: int) -> list[np.ndarray]:
  rng = np.random.default_rng(3)
  return [
    rng.integers(
      0, 256, (rng.integers(8, 60), rng.integers(8, 90), 3), np.uint8
    )
    for _ in range(count)
  ]


def answering(
  model: Predictor, tokens: list[int], monkeypatch: pytest.MonkeyPatch
) -> Predictor:
  """A predictor whose network always answers the same."""
  fake = Predictor(model.model, model.params, model.tasks, batch_size=4)
  answer = Answer(
    np.asarray(tokens, np.int32), np.full(len(tokens), -0.25, np.float32)
  )
  monkeypatch.setattr(fake, "answer", lambda images, *_: [answer] * len(images))
  return fake


def test_load_finds_step_tasks_and_parameters(model_dir: pathlib.Path):
  model = inksight_jax.load(model_dir)
  assert model.step == 7
  assert model.tasks.image_size == 32
  with pytest.raises(ValueError, match="no checkpoint of step 8; it has 7"):
    load(model_dir, step=8)
  with pytest.raises(ValueError, match="No checkpoint found"):
    load(model_dir / "checkpoints" / "nowhere")


def test_a_constrained_answer_is_what_its_task_writes(
  model_dir: pathlib.Path,
):
  pictures = words(3)
  free = load(model_dir, batch_size=4, constrained=False)
  held = load(model_dir, batch_size=4)
  vocabulary = held.tasks.vocabulary
  differ = False
  for task in held.tasks.tasks:
    info = held.tasks.info(task)
    texts = ["ab"] * 3 if info.text_in_prompt else None
    for wild, tame in zip(
      free.predict(pictures, task, texts),
      held.predict(pictures, task, texts),
      strict=True,
    ):
      differ |= not np.array_equal(wild.tokens, tame.tokens)
      decoded = vocabulary.decode(tame.tokens)
      assert bool(decoded.num_text_tokens) <= info.writes_text
      assert bool(decoded.num_ink_tokens) <= info.writes_ink
      # No token is lost on the way to ink: all came in their order.
      ink = tame.tokens[tame.tokens >= vocabulary.ink_offset]
      points = sum(len(stroke.points) for stroke in decoded.ink.strokes)
      if decoded.ended:
        assert len(ink) == 2 * points + len(decoded.ink)
  # A network that nobody trained writes nonsense.
  assert differ


def test_a_batch_answers_as_its_images_alone(model: Predictor):
  pictures = words(4)
  together = model.predict(pictures, "recognize_and_derender")
  for picture, one in zip(pictures, together, strict=True):
    alone = model.predict([picture], "recognize_and_derender")[0]
    np.testing.assert_array_equal(alone.tokens, one.tokens)
    np.testing.assert_allclose(alone.log_probs, one.log_probs, atol=1e-5)
    assert (one.height, one.width) == picture.shape[:2]


def test_log_probs_are_those_of_teacher_forcing(model_dir: pathlib.Path):
  # Without rules: what they forbid, teacher forcing still thinks possible.
  model = load(model_dir, batch_size=4, constrained=False)
  picture = words(1)[0]
  result = model.predict([picture], "derender")[0]
  prepared = model.prepare(picture)
  length = model.tasks.target_length
  targets = np.zeros(length, np.int32)
  targets[: len(result.tokens)] = result.tokens
  inputs = np.zeros(model.tasks.input_length, np.int32)
  prompt = model.tasks.vocabulary.encode_text("Derender the ink.")
  inputs[: len(prompt)] = prompt
  batch = stack(
    [
      {
        "encoder_input_image": prepared.image,
        "encoder_input_tokens": inputs,
        "decoder_input_tokens": np.concatenate([[0], targets[:-1]]).astype(
          np.int32
        ),
        "decoder_target_tokens": targets,
        "decoder_loss_weights": (np.arange(length) < len(result.tokens)).astype(
          np.float32
        ),
      }
    ]
  )
  score = jax.jit(model.model.score_batch)
  total = float(score(model.params, batch)[0])
  assert total == pytest.approx(result.log_probs.sum(), rel=1e-4)
  mean = total / len(result.tokens)
  assert result.confidence == pytest.approx(np.exp(mean), rel=1e-4)


@pytest.mark.parametrize("size", [(300, 90), (60, 200), (10, 12), (32, 32)])
def test_ink_returns_to_where_it_was_drawn(
  model: Predictor, size: tuple[int, int]
):
  height, width = size
  x, y = 0.7 * width, 0.3 * height
  dot = Ink.from_arrays([[[x, y]]])
  pen = max(2.0, max(size) / 16)
  picture = draw_ink(dot, height, width, Style(width=pen))
  prepared = model.prepare(picture)
  # The centre of gravity of the dot in the small picture, measured.
  dark = 255.0 - prepared.image.mean(axis=2)
  rows, columns = np.indices(dark.shape)
  centre = [(dark * axis).sum() / dark.sum() for axis in (columns, rows)]
  scale = model.tasks.canvas / model.tasks.image_size
  seen = Ink.from_arrays([np.asarray([centre]) * scale])
  back = model.canvas_to_source(seen, prepared).points[0]
  cell = max(size) / model.tasks.image_size
  np.testing.assert_allclose(back, [x, y], atol=max(0.5, 0.5 * cell))


def test_a_canvas_of_another_size_than_the_picture(model: Predictor):
  vocabulary = dataclasses.replace(
    model.tasks.vocabulary, ink=type(model.tasks.vocabulary.ink)(16)
  )
  tasks = dataclasses.replace(model.tasks, vocabulary=vocabulary)
  other = Predictor(model.model, model.params, tasks)
  prepared = other.prepare(np.zeros((64, 64, 3), np.uint8))
  ink = other.canvas_to_source(Ink.from_arrays([[[8.0, 4.0]]]), prepared)
  # Half and a quarter of the picture, up to the half pixel of its centres.
  np.testing.assert_allclose(ink.points, [[32, 16]], atol=0.6)


def test_a_result_says_what_the_tokens_say(
  model: Predictor, monkeypatch: pytest.MonkeyPatch
):
  vocabulary = model.tasks.vocabulary
  ink = Ink.from_arrays([[[0, 0], [31, 31]], [[4, 9]]])
  tokens = [*vocabulary.encode_text("a1"), *vocabulary.encode_ink(ink), EOS_ID]
  fake = answering(model, tokens, monkeypatch)
  picture = np.zeros((64, 64, 3), np.uint8)
  result = fake.recognize_and_derender(picture)
  assert (result.text, result.truncated, result.empty) == ("a1", False, False)
  # Pixel centres: small pixel p holds large pixels 2 p and 2 p + 1.
  expected = ink.points * 2 + 0.5
  np.testing.assert_allclose(result.ink.points, expected)
  assert result.confidence == pytest.approx(np.exp(-0.25))
  assert result.image is not None
  # A task that does not write ink, or text, does not return any.
  assert not fake.recognize(picture).ink
  assert fake.derender(picture).text == ""
  assert fake.derender(picture, text="x").text == "x"


def test_missing_and_cut_off_answers_are_flagged(
  model: Predictor, monkeypatch: pytest.MonkeyPatch
):
  picture = np.zeros((8, 8, 3), np.uint8)
  text = model.tasks.vocabulary.encode_text("a")
  nothing = answering(model, [EOS_ID], monkeypatch).derender(picture)
  assert nothing.empty and not nothing.truncated
  only_text = answering(model, [*text, EOS_ID], monkeypatch)
  assert only_text.recognize_and_derender(picture).empty
  assert not only_text.recognize(picture).empty
  assert answering(model, text * 9, monkeypatch).recognize(picture).truncated


def test_requests_that_cannot_be_met_are_refused(model: Predictor):
  picture = np.zeros((8, 8, 3), np.uint8)
  with pytest.raises(ValueError, match="not trained for 'recognize_image'"):
    model.predict([picture], "recognize_image")
  with pytest.raises(ValueError, match="Unknown task 'read'"):
    model.predict([picture], "read")
  with pytest.raises(ValueError, match="1 texts are needed, got 0"):
    model.predict([picture], "derender_with_text")
  with pytest.raises(ValueError, match=r"prompt of .* tokens; this model"):
    model.derender(picture, text="a" * 100)
  with pytest.raises(ValueError, match="batch_size"):
    Predictor(model.model, model.params, model.tasks, batch_size=0)
  only_ink = dataclasses.replace(model.tasks, rates={"derender": 1.0})
  with pytest.raises(ValueError, match="for no recognise task"):
    Predictor(model.model, model.params, only_ink).recognize(picture)


def test_every_task_of_the_table_has_a_name_in_the_files():
  from inksight_jax.inference.outputs import INFERENCE_MODES

  assert set(INFERENCE_MODES) == set(TASK_PROMPTS)


def test_characters_have_the_probabilities_of_their_tokens(model):
  image = np.random.default_rng(3).integers(0, 256, (32, 64, 3), np.uint8)
  result = model.recognize_and_derender(image)
  assert len(result.character_confidences) == len(result.text)
  # All text tokens, in whatever order, and no others.
  offset = model.tasks.vocabulary.ink_offset
  ids = result.tokens.tolist()
  written = [
    p for i, p in zip(ids, result.log_probs, strict=True) if 1 < i < offset
  ]
  if result.text:
    np.testing.assert_allclose(
      np.log(result.character_confidences).sum(), np.sum(written), rtol=1e-4
    )
  assert model.derender(image).character_confidences == ()
  assert model.derender(image, "a1").character_confidences == ()


@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
def test_narrow_weights_change_little_and_a_change_of_them_is_seen(
  model_dir: pathlib.Path, weights: str
):
  pictures = words(3)
  full = load(model_dir, batch_size=4)
  narrow = load(model_dir, batch_size=4, weights=weights)
  one, other = (
    model.predict(pictures, "recognize_and_derender")
    for model in (full, narrow)
  )
  for a, b in zip(one, other, strict=True):
    np.testing.assert_allclose(a.log_probs[0], b.log_probs[0], atol=0.3)
  assert any(
    a.log_probs[0] != b.log_probs[0] for a, b in zip(one, other, strict=True)
  )
  narrow.params = jax.tree.map(lambda x: x * 0, narrow.params)
  changed = narrow.predict(pictures[:1], "recognize_and_derender")[0]
  assert changed.log_probs[0] != other[0].log_probs[0]
  with pytest.raises(ValueError, match="one of float32, bfloat16, int8"):
    load(model_dir, weights="int4")
