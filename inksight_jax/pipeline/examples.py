"""Record to example: the one rule of the shards, SeqIO and evaluation.

`build_example` asks the family of the tasks; InkSight's rule is here too. Pure
numpy and OpenCV; nothing here imports TensorFlow.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inksight_jax.datasets.record import Record
from inksight_jax.ink.normalize import fit_placement, random_placement
from inksight_jax.ink.resample import resample
from inksight_jax.ink.simplify import simplify
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.filters import lack
from inksight_jax.pipeline.mixture import Source
from inksight_jax.pipeline.task_set import TaskSet
from inksight_jax.rendering.augment import (
  augment_ink,
  augment_photo,
  render_example,
)
from inksight_jax.text.codecs import EOS_ID, PAD_ID, UNK_ID

if TYPE_CHECKING:
  from inksight_jax.pipeline.spec import InkSightTasks

Batch = dict[str, NDArray]
TRAIN = "train"
# Doubling from 0 leads nowhere, so the first coarsening of an unsimplified ink
# starts here, canvas pixels.
FIRST_TOLERANCE = 0.25


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
  """One example before padding.

  Attributes:
    image: uint8[height, width, 3], one of the tasks' `image_shapes`.
    inputs: int32[<= prompt_length] prompt ids.
    targets: int32[<= target_length] target ids, EOS last.
    coarsened: how often the tolerance was doubled to make the ink fit.
  """

  image: NDArray[np.uint8]
  inputs: NDArray[np.int32]
  targets: NDArray[np.int32]
  coarsened: int = 0


@dataclasses.dataclass(frozen=True)
class Skip:
  """Why a record gives no example of a task."""

  reason: str


def example_rng(
  seed: int, split: str, task: str, record_id: str, repeat: int
) -> np.random.Generator:
  """The random numbers of one example, a function of what it is and no more.

  So an example is the same whichever worker builds it, in whatever order.

  Args:
    seed: seed of the whole cache or run.
    split: "train", "validation" or "test".
    task: a task name.
    record_id: the record's id, unique within its data set.
    repeat: number of the pass over the data set; its augmentation differs.
  """
  key = "\0".join((str(seed), split, task, record_id, str(repeat)))
  digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
  return np.random.default_rng(int.from_bytes(digest, "little"))


def _place(
  ink: Ink, spec: InkSightTasks, rng: np.random.Generator, training: bool
) -> Ink:
  """Scales and shifts an ink onto the canvas."""
  if training:
    placement = random_placement(
      ink.bounds, spec.canvas, rng, min_fill=spec.min_fill, margin=spec.margin
    )
  else:
    placement = fit_placement(ink.bounds, spec.canvas, margin=spec.margin)
  return placement.apply(ink)


def _ink_ids(
  ink: Ink, spec: InkSightTasks, room: int
) -> tuple[list[int], int] | Skip:
  """Encodes an ink on the canvas; simplifies it harder until it fits.

  Returns:
    The ids and the number of doublings, or why there are none.
  """
  sampled = resample(ink, period=spec.period, spacing=spec.spacing)
  tolerance = spec.tolerance
  for doublings in range(spec.max_coarsening + 1):
    coarse = simplify(sampled, tolerance) if tolerance > 0 else sampled
    ids = spec.vocabulary.encode_ink(coarse)
    if len(ids) <= room:
      return ids, doublings
    tolerance = 2 * tolerance if tolerance > 0 else FIRST_TOLERANCE
  return Skip("ink too long")


def text_ids(text: str, spec: TaskSet) -> list[int] | Skip:
  """Ids of a text that is to be written, EOS not among them."""
  ids = spec.vocabulary.encode_text(text)
  if UNK_ID in ids:
    return Skip("text outside the vocabulary")
  if len(ids) >= spec.target_length:
    return Skip("text too long")
  return ids


def _targets(
  record: Record, placed: Ink | None, task: str, spec: InkSightTasks
) -> tuple[NDArray[np.int32], int] | Skip:
  """Target ids with EOS, and the number of doublings of the tolerance."""
  info = spec.info(task)
  ids: list[int] = []
  coarsened = 0
  room = spec.target_length - 1  # EOS
  if info.writes_text:
    written = text_ids(record.text, spec)
    if isinstance(written, Skip):
      return written
    ids += written
  if info.writes_ink and placed is not None:
    encoded = _ink_ids(placed, spec, room - len(ids))
    if isinstance(encoded, Skip):
      return encoded
    ids += encoded[0]
    coarsened = encoded[1]
  return np.asarray([*ids, EOS_ID], np.int32), coarsened


@dataclasses.dataclass(frozen=True, eq=False)
class Tokens:
  """The half of an example that is no picture.

  Attributes:
    inputs: int32[<= input_length] prompt ids.
    targets: int32[<= target_length] target ids, EOS last.
    coarsened: how often the tolerance was doubled to make the ink fit.
    placed: the ink on the canvas; None for tasks over photos.
  """

  inputs: NDArray[np.int32]
  targets: NDArray[np.int32]
  coarsened: int
  placed: Ink | None


def tokenise(
  record: Record,
  task: str,
  spec: InkSightTasks,
  rng: np.random.Generator,
  training: bool,
  source: Source | None = None,
) -> Tokens | Skip:
  """Places the ink and encodes prompt and target; see `build_example`."""
  reason = lack(record, spec.info(task), source)
  if reason:
    return Skip(reason)
  inputs = spec.prompt(task, record.text)
  if UNK_ID in inputs:
    return Skip("text outside the vocabulary")
  if len(inputs) > spec.input_length:
    return Skip("input too long")
  placed = None
  if spec.info(task).rendered:
    assert record.ink is not None, "`lack` has checked it."
    augment = spec.augment if training else spec.evaluation_augment
    moved = augment_ink(record.ink, rng, augment)
    placed = _place(moved, spec, rng, training)
  targets = _targets(record, placed, task, spec)
  if isinstance(targets, Skip):
    return targets
  return Tokens(np.asarray(inputs, np.int32), *targets, placed)


def build_example(
  record: Record,
  task: str,
  spec: TaskSet,
  rng: np.random.Generator,
  training: bool,
  neighbours: Sequence[Ink] = (),
  source: Source | None = None,
) -> Example | Skip:
  """Builds one example of a task, as its family does.

  Args:
    record: what a reader yielded.
    task: a task name.
    spec: the tasks: sizes, lengths, vocabulary and augmentation.
    rng: see `example_rng`.
    training: random placement and training augmentation; otherwise the picture
      is what prediction makes of it.
    neighbours: pool of inks, in any frame, to draw clutter from.
    source: whose filters to apply; none without it.

  Returns:
    The example, or why there is none.
  """
  return spec.build(record, task, rng, training, neighbours, source)


def build_ink_example(
  record: Record,
  task: str,
  spec: InkSightTasks,
  rng: np.random.Generator,
  training: bool,
  neighbours: Sequence[Ink] = (),
  source: Source | None = None,
) -> Example | Skip:
  """`build_example` of InkSight.

  While training, an ink is placed at random; otherwise it is centred and fills
  the canvas, as a cropped word does at prediction.
  """
  tokens = tokenise(record, task, spec, rng, training, source)
  if isinstance(tokens, Skip):
    return tokens
  augment = spec.augment if training else spec.evaluation_augment
  if tokens.placed is not None:
    image = render_example(
      tokens.placed, spec.image_size, spec.canvas, rng, augment, neighbours
    )
  else:
    assert record.image is not None, "`lack` has checked it."
    photo = augment_photo(record.image, rng, augment)
    image, _ = spec.fit(photo)
  return Example(image, tokens.inputs, tokens.targets, tokens.coarsened)


def feature_shapes(
  spec: TaskSet, image_shape: tuple[int, int] | None = None
) -> dict[str, tuple[tuple[int, ...], type[np.generic]]]:
  """Shape and type of each feature of one example, see `to_model_features`.

  Args:
    spec: the tasks.
    image_shape: one of their `image_shapes`; the largest by default.
  """
  image_shape = image_shape or spec.image_shape
  room = spec.prompt_length
  length = spec.target_lengths.get(image_shape, spec.target_length)
  prompts = {"encoder_input_tokens": ((room,), np.int32)} if room else {}
  pictures = {}
  if spec.sees_pictures:
    pictures = {"encoder_input_image": ((*image_shape, 3), np.uint8)}
  return {
    **pictures,
    **prompts,
    "decoder_input_tokens": ((length,), np.int32),
    "decoder_target_tokens": ((length,), np.int32),
    "decoder_loss_weights": ((length,), np.float32),
  }


def empty_batch(
  spec: TaskSet, rows: int, image_shape: tuple[int, int] | None = None
) -> Batch:
  """Room for the features of `rows` examples, to be written."""
  return {
    name: np.empty((rows, *shape), dtype)
    for name, (shape, dtype) in feature_shapes(spec, image_shape).items()
  }


def write_row(
  batch: Batch,
  row: int,
  example: Example | Mapping[str, NDArray],
  spec: TaskSet,
) -> None:
  """Writes the features of an example into a row of a batch.

  Raises:
    ValueError: the example is longer than the spec allows.
  """
  if isinstance(example, Example):
    example = vars(example)
  inputs = _padded(example["inputs"], spec.prompt_length, "inputs")
  length = batch["decoder_target_tokens"].shape[1]
  targets = _padded(example["targets"], length, "targets")
  if spec.sees_pictures:
    batch["encoder_input_image"][row] = example["image"]
  if spec.prompt_length:
    batch["encoder_input_tokens"][row] = inputs
  batch["decoder_input_tokens"][row] = shift_right(targets)
  batch["decoder_target_tokens"][row] = targets
  batch["decoder_loss_weights"][row] = targets != PAD_ID


def clear_row(batch: Batch, row: int) -> None:
  """Leaves a row empty: nothing in it has any weight."""
  for values in batch.values():
    values[row] = 0


def to_batch(examples: Sequence[Example], spec: TaskSet) -> Batch:
  """`to_model_features` of several examples, along a leading batch axis.

  Args:
    examples: at least one; pictures of one shape.
    spec: the tasks.
  """
  height, width = examples[0].image.shape[:2]
  batch = empty_batch(spec, len(examples), (height, width))
  for row, example in enumerate(examples):
    write_row(batch, row, example, spec)
  return batch


def to_model_features(
  example: Example | Mapping[str, NDArray], spec: TaskSet
) -> Batch:
  """Pads one example and gives it the names that models read.

  The twin of `InkSightFeatureConverter`; a test holds the two together.

  Args:
    example: an `Example`, or a mapping with its fields.
    spec: the lengths to pad to.

  Returns:
    encoder_input_image uint8[height, width, 3], where the network sees any,
    encoder_input_tokens int32[prompt_length], where the tasks have prompts,
    decoder_input_tokens and decoder_target_tokens int32[target_length],
    decoder_loss_weights float32[target_length].

  Raises:
    ValueError: the example is longer than the spec allows.
  """
  values = vars(example) if isinstance(example, Example) else example
  height, width = values["image"].shape[:2]
  batch = empty_batch(spec, 1, (height, width))
  write_row(batch, 0, values, spec)
  return {name: rows[0] for name, rows in batch.items()}


def shift_right(targets: NDArray[np.int32]) -> NDArray[np.int32]:
  """Decoder inputs of a target sequence; PAD starts the decoder, as in T5."""
  return np.concatenate([np.full(1, PAD_ID, np.int32), targets[:-1]])


def _padded(
  ids: NDArray[np.int32], length: int, name: str
) -> NDArray[np.int32]:
  """Pads with PAD_ID up to `length`; never cuts."""
  if len(ids) > length:
    raise ValueError(
      f"`{name}` holds {len(ids)} tokens, room is for {length}; raise the "
      "length of the tasks or drop the example."
    )
  padded = np.full(length, PAD_ID, np.int32)
  padded[: len(ids)] = ids
  return padded


def stack(features: Sequence[Mapping[str, NDArray]]) -> Batch:
  """Stacks the features of examples along a new leading batch axis."""
  return {key: np.stack([f[key] for f in features]) for key in features[0]}
