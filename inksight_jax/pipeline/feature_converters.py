"""Task features to the features that models read, for SeqIO and T5X."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import seqio
import tensorflow as tf
from numpy.typing import NDArray

from inksight_jax.pipeline.packing import to_packed_features, windows
from inksight_jax.pipeline.task_set import TaskSet

FeatureSpec = seqio.FeatureConverter.FeatureSpec


class InkSightFeatureConverter(seqio.FeatureConverter):
  """Image, inputs and targets of an encoder-decoder.

  The numpy twins are `examples.to_model_features` and, packed,
  `packing.to_packed_features`; tests hold them together.

  Args:
    pack: whether several examples share a row of targets. SeqIO's own packing
      takes only features of rank one; this one gives images and inputs an axis
      of slots.
    slots: most examples in a packed row; 0 turns packing off, so that T5X's
      `pack` can stay on and one number decides.
    **kwargs: of `seqio.FeatureConverter`.
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
  PACKED_FEATURES = {  # noqa: RUF012
    **MODEL_FEATURES,
    "encoder_input_image": FeatureSpec(dtype=tf.uint8, rank=4),
    "encoder_input_tokens": FeatureSpec(dtype=tf.int32, rank=2),
    "decoder_segment_ids": FeatureSpec(dtype=tf.int32),
    "decoder_positions": FeatureSpec(dtype=tf.int32),
  }
  PACKING_FEATURE_DTYPES = {}  # noqa: RUF012

  def __init__(self, pack: bool = False, slots: int = 0, **kwargs: Any) -> None:
    super().__init__(pack=False, **kwargs)
    self._slots = slots if pack else 0
    if self._slots:
      self.MODEL_FEATURES = self.PACKED_FEATURES

  def _convert_features(
    self, ds: tf.data.Dataset, task_feature_lengths: Mapping[str, int]
  ) -> tf.data.Dataset:
    """Pads and renames; the image has its size already."""
    if self._slots:
      return self._packed_rows(ds, task_feature_lengths)
    lengths = {
      key: task_feature_lengths[key]
      for key in ("inputs", "targets")
      if key in self.TASK_FEATURES
    }
    ds = seqio.utils.trim_and_pad_dataset(ds, lengths)

    def convert(features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
      targets = features["targets"]
      converted = {
        "encoder_input_image": features["image"],
        "decoder_input_tokens": seqio.utils.make_autoregressive_inputs(
          targets, bos_id=self.bos_id
        ),
        "decoder_target_tokens": targets,
        "decoder_loss_weights": seqio.non_padding_position(
          targets, dtype=tf.float32
        ),
      }
      if "inputs" in features:
        converted["encoder_input_tokens"] = features["inputs"]
      passed = {key: features[key] for key in self._passthrough_features}
      return {**converted, **passed}

    return ds.map(convert, num_parallel_calls=tf.data.AUTOTUNE)

  def _packed_rows(
    self, ds: tf.data.Dataset, lengths: Mapping[str, int]
  ) -> tf.data.Dataset:
    """Rows of several examples, packed a window of the stream at a time."""
    ds = ds.map(lambda e: {name: e[name] for name in self.TASK_FEATURES})

    def rows() -> Iterator[dict[str, NDArray]]:
      examples = cast("Iterator[Mapping[str, NDArray]]", ds.as_numpy_iterator())
      for row in windows(
        examples,
        lambda example: len(example["targets"]),
        lengths["targets"],
        self._slots,
        seed=0,
      ):
        yield to_packed_features(row, lengths, self._slots)

    length = lengths["targets"]
    picture = cast("Mapping[str, tf.TensorSpec]", ds.element_spec)["image"]
    shapes = {
      "encoder_input_image": (self._slots, *picture.shape),
      "encoder_input_tokens": (self._slots, lengths["inputs"]),
    }
    return tf.data.Dataset.from_generator(
      rows,
      output_signature={
        name: tf.TensorSpec(shapes.get(name, (length,)), spec.dtype)
        for name, spec in self.PACKED_FEATURES.items()
      },
    )

  def get_model_feature_lengths(
    self, task_feature_lengths: Mapping[str, int]
  ) -> dict[str, int]:
    """Lengths of the model features along their first axis."""
    decoder = task_feature_lengths["targets"]
    encoder = {
      model: self._slots or task_feature_lengths[task]
      for model, task in (
        ("encoder_input_image", "image"),
        ("encoder_input_tokens", "inputs"),
      )
      if task in self.TASK_FEATURES
    }
    return {
      **dict.fromkeys(self.MODEL_FEATURES, decoder),
      **encoder,
      **{key: task_feature_lengths[key] for key in self._passthrough_features},
    }


class ReadingFeatureConverter(InkSightFeatureConverter):
  """The same for tasks without prompts; their rows are not packed."""

  TASK_FEATURES = {  # noqa: RUF012
    name: spec
    for name, spec in InkSightFeatureConverter.TASK_FEATURES.items()
    if name != "inputs"
  }
  MODEL_FEATURES = {  # noqa: RUF012
    name: spec
    for name, spec in InkSightFeatureConverter.MODEL_FEATURES.items()
    if name != "encoder_input_tokens"
  }

  def __init__(self, pack: bool = False, **kwargs: Any) -> None:
    kwargs.pop("slots", None)
    super().__init__(pack=pack, slots=0, **kwargs)


def task_feature_lengths(spec: TaskSet) -> dict[str, int]:
  """`spec.lengths` as a function, for T5X's gin files."""
  return spec.lengths


def converter_of(
  spec: TaskSet,
  with_prompts: type[seqio.FeatureConverter] = InkSightFeatureConverter,
  without: type[seqio.FeatureConverter] = ReadingFeatureConverter,
) -> type[seqio.FeatureConverter]:
  """The feature converter that fits the tasks.

  Args:
    spec: the tasks.
    with_prompts: for tasks that have them; gin gives it with its bindings.
    without: for the others.
  """
  return with_prompts if spec.prompt_length else without
