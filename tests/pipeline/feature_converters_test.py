"""The SeqIO converter and its numpy twin must agree."""

import numpy as np
import pytest

from inksight_jax.pipeline.examples import to_model_features

tf = pytest.importorskip("tensorflow")
pytest.importorskip("seqio")

from inksight_jax.pipeline.feature_converters import (  # noqa: E402
  InkSightFeatureConverter,
)


def test_seqio_and_numpy_make_the_same_features(make_spec):
  spec = make_spec(image_size=4, input_length=6, target_length=8)
  rng = np.random.default_rng(0)
  examples = [
    {
      "image": rng.integers(0, 256, (4, 4, 3), np.uint8),
      "inputs": rng.integers(2, 90, inputs).astype(np.int32),
      "targets": np.append(rng.integers(2, 90, targets), 1).astype(np.int32),
    }
    # From the emptiest to the fullest that fit.
    for inputs, targets in [(0, 0), (1, 3), (6, 7)]
  ]
  ds = tf.data.Dataset.from_generator(
    lambda: iter(examples),
    output_signature={
      "image": tf.TensorSpec((4, 4, 3), tf.uint8),
      "inputs": tf.TensorSpec((None,), tf.int32),
      "targets": tf.TensorSpec((None,), tf.int32),
    },
  )
  converted = InkSightFeatureConverter()(ds, spec.lengths)
  # T5X takes the shapes from here before any example is read.
  assert {k: tuple(v.shape) for k, v in converted.element_spec.items()} == {
    "encoder_input_image": (4, 4, 3),
    "encoder_input_tokens": (6,),
    "decoder_input_tokens": (8,),
    "decoder_target_tokens": (8,),
    "decoder_loss_weights": (8,),
  }
  found = list(converted.as_numpy_iterator())
  assert len(found) == len(examples)
  for features, example in zip(found, examples, strict=True):
    truth = to_model_features(example, spec)
    assert features.keys() == truth.keys()
    for key, value in truth.items():
      assert features[key].dtype == value.dtype
      np.testing.assert_array_equal(features[key], value, err_msg=key)


def test_packed_rows_lose_no_token_and_no_picture():
  lengths = {"image": 4, "inputs": 6, "targets": 20}
  rng = np.random.default_rng(1)
  examples = [
    {
      "image": np.full((4, 4, 3), number, np.uint8),
      "inputs": np.full(rng.integers(1, 7), number, np.int32),
      "targets": np.append(np.full(rng.integers(1, 12), number), 1).astype(
        np.int32
      ),
    }
    for number in range(2, 42)
  ]
  ds = tf.data.Dataset.from_generator(
    lambda: iter(examples),
    output_signature={
      "image": tf.TensorSpec((4, 4, 3), tf.uint8),
      "inputs": tf.TensorSpec((None,), tf.int32),
      "targets": tf.TensorSpec((None,), tf.int32),
    },
  )
  converted = InkSightFeatureConverter(pack=True, slots=3)(ds, lengths)
  assert converted.element_spec["encoder_input_image"].shape == (3, 4, 4, 3)
  seen = []
  for row in converted.as_numpy_iterator():
    segments = row["decoder_segment_ids"]
    for slot in range(segments.max()):
      of_slot = segments == slot + 1
      targets = row["decoder_target_tokens"][of_slot]
      number = row["encoder_input_image"][slot, 0, 0, 0]
      prompt = row["encoder_input_tokens"][slot]
      truth = examples[number - 2]
      np.testing.assert_array_equal(targets, truth["targets"])
      np.testing.assert_array_equal(
        prompt[: len(truth["inputs"])], truth["inputs"]
      )
      # Every segment starts anew.
      assert row["decoder_input_tokens"][of_slot][0] == 0
      seen.append(int(number))
  assert sorted(seen) == list(range(2, 42))


def test_no_slots_is_no_packing(make_spec):
  assert "decoder_segment_ids" not in (
    InkSightFeatureConverter(pack=True, slots=0).MODEL_FEATURES
  )
