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


def test_packing_is_refused():
  with pytest.raises(ValueError, match="PACK = False"):
    InkSightFeatureConverter(pack=True)
