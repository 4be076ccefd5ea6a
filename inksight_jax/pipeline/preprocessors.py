"""The one preprocessor of the SeqIO tasks: `build_example` in a graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import seqio
import tensorflow as tf

from inksight_jax.pipeline.examples import (
  TRAIN,
  Skip,
  build_example,
  example_rng,
)
from inksight_jax.pipeline.joined import record_at
from inksight_jax.pipeline.sources import RecordTable


def examples(
  dataset: tf.data.Dataset,
  sequence_length: Mapping[str, int] | None,
  *,
  table: RecordTable,
  task: str,
  seed: int = 0,
) -> tf.data.Dataset:
  """Builds examples from record indices; drops those that give none.

  Args:
    dataset: {"index": int64, "split": string}, from `RecordDataSource`.
    sequence_length: task feature lengths that will be asked for.
    table: the records.
    task: a task name.
    seed: seed of the fixed examples of the splits other than "train".

  Returns:
    image uint8[height, width, 3], targets int32[], inputs int32[] where the
    tasks have prompts, and to find an
    example again: id string, repeat int64. Training examples take their
    `repeat` from SeqIO's seed, so each epoch is augmented afresh.

  Raises:
    ValueError: the lengths would cut examples.
  """
  spec = table.spec
  for name, room in (sequence_length or {}).items():
    if room < spec.lengths[name]:
      raise ValueError(
        f"Feature length {name} = {room} would cut the examples of {task!r}, "
        f"built for {spec.lengths[name]}; set both alike."
      )

  def build(
    index: np.int64, split: bytes, repeat: np.int64
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray, bytes]:
    name = split.decode()
    records, pool = table.split(name)
    record = record_at(records, int(index), int(repeat))
    rng = example_rng(seed, name, task, record.id, int(repeat))
    example = build_example(
      record, task, spec, rng, name == TRAIN, pool, table.source
    )
    if isinstance(example, Skip):
      nothing = np.zeros(0, np.int32)
      image = np.zeros((*spec.image_shape, 3), np.uint8)
      return image, nothing, nothing, record.id.encode()
    return example.image, example.inputs, example.targets, record.id.encode()

  @seqio.map_over_dataset(num_seeds=1)
  def convert(features: dict, seed: tf.Tensor) -> dict:
    drawn = tf.cast(tf.bitwise.bitwise_and(seed, 2**31 - 1), tf.int64)
    repeat = tf.where(
      features["split"] == TRAIN, drawn[0] * 2**31 + drawn[1], 0
    )
    image, inputs, targets, record_id = tf.numpy_function(
      build,
      [features["index"], features["split"], repeat],
      [tf.uint8, tf.int32, tf.int32, tf.string],
      stateful=False,
    )
    image.set_shape([*spec.image_shape, 3])
    inputs.set_shape([None])
    targets.set_shape([None])
    record_id.set_shape([])
    return {
      "image": image,
      **({"inputs": inputs} if spec.prompt_length else {}),
      "targets": targets,
      "id": record_id,
      "repeat": repeat,
    }

  # A target has at least EOS; an empty one marks a skipped record.
  # The decorator supplies `seed`.
  converted = convert(dataset)  # pyright: ignore[reportCallIssue]
  return converted.filter(lambda e: tf.size(e["targets"]) > 0)
