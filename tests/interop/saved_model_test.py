"""A SavedModel, loaded from disk, answers as the predictor does."""

import io
import pathlib

import numpy as np
import pytest
from PIL import Image

from inksight_jax.inference.predictor import Predictor
from inksight_jax.ink.tokens import InkCodec
from inksight_jax.ink.types import Ink
from inksight_jax.interop.saved_model import save_saved_model

tf = pytest.importorskip("tensorflow")

PROMPTS = {
  "Derender the ink.": ("derender", ""),
  "Recognize and derender.": ("recognize_and_derender", ""),
  "Derender the ink: ab": ("derender_with_text", "ab"),
}


@pytest.fixture(scope="module")
def saved(tiny_predictor: Predictor, tmp_path_factory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp("saved")
  save_saved_model(tiny_predictor, folder)
  return folder


@pytest.fixture(scope="module")
def loaded(saved: pathlib.Path):
  return tf.saved_model.load(str(saved))


def ask(loaded, signature: str, prompts, files):
  inputs = {
    "input_text": tf.constant(prompts, tf.string, [len(prompts)]),
    "image/encoded": tf.constant(files, tf.string, [len(files), 1]),
  }
  outputs = loaded.signatures[signature](**inputs)
  return {name: value.numpy() for name, value in outputs.items()}


def client_text(text: str, ink: Ink, canvas: int) -> str:
  """What InkSight's client is told, written by our codec."""
  codec = InkCodec(224)
  for stroke in ink.strokes:
    text += f"<ink_token_{codec.stroke_start}>"
    for x, y in stroke.points:
      # Half up, in whole numbers.
      x, y = ((2 * int(v) * 224 + canvas) // (2 * canvas) for v in (x, y))
      text += codec.to_text([x, codec.y_offset + y])
  return text


def test_signatures_are_those_of_the_published_model(loaded):
  serve = loaded.signatures["serving_default"]
  inputs = serve.structured_input_signature[1]
  shapes = {spec.name: spec.shape.as_list() for spec in inputs.values()}
  assert shapes == {"input_text": [None], "image/encoded": [None, 1]}
  assert all(spec.dtype == tf.string for spec in inputs.values())
  (output,) = serve.structured_outputs.items()
  assert output[0] == "output_0"
  assert output[1].dtype == tf.string
  assert output[1].shape.as_list() == [None, 1]


def test_answers_are_those_of_the_predictor(
  loaded, tiny_predictor: Predictor, picture_files: list[bytes]
):
  tasks = tiny_predictor.tasks
  pictures = [Image.open(io.BytesIO(data)) for data in picture_files]
  prepared = [tiny_predictor.prepare(picture) for picture in pictures]
  written = 0
  for prompt, (task, text) in PROMPTS.items():
    texts = [text] * len(pictures)
    expected = tiny_predictor.predict_prepared(prepared, task, texts)
    prompts = [prompt] * len(pictures)
    got = ask(loaded, "ink", prompts, picture_files)
    strings = ask(loaded, "serving_default", prompts, picture_files)
    for row, result in enumerate(expected):
      count = got["token_count"][row]
      np.testing.assert_array_equal(got["tokens"][row, :count], result.tokens)
      np.testing.assert_allclose(
        got["log_probs"][row, :count], result.log_probs, atol=1e-5
      )
      assert not got["tokens"][row, count:].any()
      assert got["ended"][row] == (not result.truncated)
      assert got["confidence"][row] == pytest.approx(result.confidence)
      decoded = tasks.vocabulary.decode(result.tokens)
      assert got["text"][row].decode() == decoded.text
      assert got["stroke_count"][row] == len(decoded.ink)
      assert got["point_count"][row] == len(decoded.ink.points)
      for number, stroke in enumerate(result.ink.strokes):
        points = got["points"][row][got["strokes"][row] == number]
        np.testing.assert_allclose(points, stroke.points, rtol=1e-5, atol=1e-3)
      written += len(decoded.ink.points)
      assert strings["output_0"][row, 0].decode() == client_text(
        decoded.text, decoded.ink, tasks.canvas
      )
  assert written > 20


def test_any_number_of_pictures_is_answered(loaded, picture_files: list[bytes]):
  one = ask(loaded, "serving_default", ["Derender the ink."], picture_files[:1])
  none = ask(loaded, "serving_default", [], [])
  assert none["output_0"].shape == (0, 1)
  assert ask(loaded, "ink", [], [])["points"].shape == (0, 48, 2)
  files = (picture_files * 15)[:101]
  many = ask(
    loaded, "serving_default", ["Derender the ink."] * len(files), files
  )
  assert many["output_0"].shape == (101, 1)
  # Each copy of a picture gets the answer of the picture.
  for number in range(0, 101, len(picture_files)):
    assert many["output_0"][number, 0] == one["output_0"][0, 0]


def test_prompts_of_no_task_may_be_answered_with_text_and_ink(
  loaded, tiny_predictor: Predictor, picture_files: list[bytes]
):
  prompts = ["", "What is this?", "derender the ink."]
  got = ask(loaded, "ink", prompts, picture_files[:3])
  # The order of tokens holds for them too: text, then pairs of x and y.
  offset = tiny_predictor.tasks.vocabulary.ink_offset
  for row in range(3):
    tokens = got["tokens"][row, : got["token_count"][row]]
    is_ink = tokens >= offset
    assert np.all(np.diff(is_ink[tokens != 1].astype(int)) >= 0)
  with pytest.raises(tf.errors.InvalidArgumentError, match="takes 40 tokens"):
    ask(loaded, "ink", ["x" * 41], picture_files[:1])


def test_bad_requests_fail_as_a_whole(loaded, picture_files: list[bytes]):
  good, prompt = picture_files[0], "Derender the ink."
  for bad in (b"", b"no picture", good[: len(good) // 2]):
    with pytest.raises(tf.errors.InvalidArgumentError):
      ask(loaded, "serving_default", [prompt] * 2, [good, bad])
  with pytest.raises(tf.errors.InvalidArgumentError, match="batches differ"):
    ask(loaded, "serving_default", [prompt], [good, good])


def test_stored_in_half_the_bytes(
  tiny_predictor: Predictor, picture_files: list[bytes], tmp_path: pathlib.Path
):
  import jax
  import jax.numpy as jnp

  save_saved_model(tiny_predictor, tmp_path, weights="bfloat16")
  rounded = jax.tree.map(
    lambda x: x.astype(jnp.bfloat16).astype(x.dtype), tiny_predictor.params
  )
  reference = Predictor(
    tiny_predictor.model,
    rounded,
    tiny_predictor.tasks,
    batch_size=4,
    constrained=True,
  )
  loaded = tf.saved_model.load(str(tmp_path))
  got = ask(loaded, "ink", ["Derender the ink."] * 3, picture_files[:3])
  prepared = [
    reference.prepare(Image.open(io.BytesIO(f))) for f in picture_files[:3]
  ]
  for row, result in enumerate(
    reference.predict_prepared(prepared, "derender")
  ):
    np.testing.assert_array_equal(
      got["tokens"][row, : len(result.tokens)], result.tokens
    )
  data = sum(f.stat().st_size for f in (tmp_path / "variables").iterdir())
  count = sum(leaf.size for leaf in jax.tree.leaves(rounded))
  assert data < 2 * count * 1.3 + 4096


def test_what_cannot_be_exported_is_refused(
  tiny_predictor: Predictor, tmp_path: pathlib.Path
):
  with pytest.raises(ValueError, match="float32, bfloat16: 'int8'"):
    save_saved_model(tiny_predictor, tmp_path, weights="int8")
