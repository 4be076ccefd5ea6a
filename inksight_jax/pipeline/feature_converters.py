"""Task features to the features that models read, for SeqIO and T5X."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import seqio
import tensorflow as tf

FeatureSpec = seqio.FeatureConverter.FeatureSpec


class InkSightFeatureConverter(seqio.FeatureConverter):
  """Image, inputs and targets of an encoder-decoder.

  The numpy twin is `examples.to_model_features`; a test holds them together.
  """

  TASK_FEATURES = {  # noqa: RUF012
    "image": FeatureSpec(dtype=tf.uint8, rank=3),
    "inputs": FeatureSpec(dtype=tf.int32),
    "targets": FeatureSpec(dtype=tf.int32),
  }
  MODEL_FEATURES = {  # noqa: RUF012
    "encoder_input_image": FeatureSpec(dtype=tf.uint8, rank=3),
    "encoder_input_tokens": FeatureSpec(dtype=tf.int32),
    "decoder_input_tokens": FeatureSpec(dtype=tf.int32),
    "decoder_target_tokens": FeatureSpec(dtype=tf.int32),
    "decoder_loss_weights": FeatureSpec(dtype=tf.float32),
  }
  PACKING_FEATURE_DTYPES = {}  # noqa: RUF012

  def __init__(self, pack: bool = False, **kwargs: Any) -> None:
    if pack:
      raise ValueError(
        "Several pictures do not pack into one row; set PACK = False."
      )
    super().__init__(pack=False, **kwargs)

  def _convert_features(
    self, ds: tf.data.Dataset, task_feature_lengths: Mapping[str, int]
  ) -> tf.data.Dataset:
    """Pads and renames; the image has its size already."""
    lengths = {key: task_feature_lengths[key] for key in ("inputs", "targets")}
    ds = seqio.utils.trim_and_pad_dataset(ds, lengths)

    def convert(features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
      targets = features["targets"]
      converted = {
        "encoder_input_image": features["image"],
        "encoder_input_tokens": features["inputs"],
        "decoder_input_tokens": seqio.utils.make_autoregressive_inputs(
          targets, bos_id=self.bos_id
        ),
        "decoder_target_tokens": targets,
        "decoder_loss_weights": seqio.non_padding_position(
          targets, dtype=tf.float32
        ),
      }
      passed = {key: features[key] for key in self._passthrough_features}
      return {**converted, **passed}

    return ds.map(convert, num_parallel_calls=tf.data.AUTOTUNE)

  def get_model_feature_lengths(
    self, task_feature_lengths: Mapping[str, int]
  ) -> dict[str, int]:
    """Lengths of the model features along their first axis."""
    decoder = task_feature_lengths["targets"]
    return {
      "encoder_input_image": task_feature_lengths["image"],
      "encoder_input_tokens": task_feature_lengths["inputs"],
      "decoder_input_tokens": decoder,
      "decoder_target_tokens": decoder,
      "decoder_loss_weights": decoder,
      **{key: task_feature_lengths[key] for key in self._passthrough_features},
    }
