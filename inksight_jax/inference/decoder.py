"""Model inputs to tokens, in batches of few sizes."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from flax.linen import partitioning
from numpy.typing import NDArray

from inksight_jax.inference.kept_program import KeptProgram
from inksight_jax.models.sequence_to_sequence import SequenceToSequence
from inksight_jax.networks.decoding import DecodeConfig
from inksight_jax.networks.grammar import InkGrammar
from inksight_jax.pipeline.task_set import TaskSet
from inksight_jax.pipeline.workers import cores
from inksight_jax.text.codecs import PAD_ID

# Between the numbers of rows that programs are compiled for.
_SIZE_FACTOR = 4
# Batches that a CPU decodes at once: some of a step runs on one core alone, as
# products of attention do, and leaves the others to another batch.
_STREAMS = 2
# Rows that are worth a batch of their own; fewer take as long.
_LEAST_ROWS = 4
# What a model object holds for others than `decode_batch`.
_NOT_DECODING = (
  "optimizer_def",
  "FEATURE_CONVERTER_CLS",
  "input_vocabulary",
  "output_vocabulary",
)


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
  """Decoded tokens of one example.

  Attributes:
    tokens: int32[tokens], EOS included if there was one, no padding.
    log_probs: float32[tokens]; among the tokens that the rules allow, where
      answers are constrained.
  """

  tokens: NDArray[np.int32]
  log_probs: NDArray[np.float32]

  @property
  def confidence(self) -> float:
    """Geometric mean of the token probabilities, 0 to 1."""
    return float(np.exp(self.log_probs.mean())) if len(self.tokens) else 0.0


def compiled_size(count: int, largest: int) -> int:
  """Rows of the program that answers `count` of them.

  A handful of programs only: 1, 4, 16, ... rows, and full batches.
  """
  size = 1
  while size < count:
    size *= _SIZE_FACTOR
  return min(size, largest)


class Decoder:
  """Compiles decoding once for each size of batch, and runs it.

  Attributes:
    function: what is compiled and what exported files hold: (params, batch of
      encoder features, key, (writes text, writes ink) bool[rows] each or None)
      -> tokens int32[rows, length], log_probs float32[rows, length], lengths
      int32[rows], as in `Answer`.
    config: how to decode.
    constrained: whether answers are held to what their task writes.
  """

  def __init__(
    self,
    model: SequenceToSequence,
    tasks: TaskSet,
    batch_size: int,
    config: DecodeConfig,
    constrained: bool,
    streams: int | None = None,
  ) -> None:
    """Binds a model, not its parameters; compiles at the first answer.

    Args:
      model: the model object.
      tasks: as in training.
      batch_size: largest number of images decoded together.
      config: how to decode.
      constrained: hold answers to what their task writes, x before y, and stop
        a pen that goes round in circles; see `networks.grammar`.
      streams: batches that share the `batch_size` and are decoded at once, each
        by a thread; by default two on a CPU of several cores, else one.

    Raises:
      ValueError: `batch_size` is not positive.
    """
    if batch_size < 1:
      raise ValueError(f"`batch_size` must be at least 1; got {batch_size}.")
    self._tasks = tasks
    if streams is None:
      several = jax.default_backend() == "cpu" and cores() > 1
      streams = _STREAMS if several else 1
    streams = max(1, min(streams, batch_size // _LEAST_ROWS))
    self._pool = ThreadPoolExecutor(streams) if streams > 1 else None
    self._largest = math.ceil(batch_size / streams)
    # Of the programs that there are.
    self._sizes: set[int] = set()
    vocabulary = tasks.vocabulary
    grammar = None
    if constrained and vocabulary.ink is not None:
      grammar = InkGrammar(vocabulary.ink_offset, vocabulary.ink.canvas)
    self.config = config
    self.constrained = grammar is not None

    def decode(
      params: Any,
      batch: dict[str, jax.Array],
      key: jax.Array,
      writes: tuple[jax.Array, jax.Array] | None,
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
      rules = None
      if grammar is not None and writes is not None:
        rules = grammar.transform(*writes)
      # The batch is small and lies on one device, whatever the mesh of a
      # training around us.
      with partitioning.axis_rules(()):
        decoded = model.decode_batch(params, batch, key, config, rules)
      return (
        decoded.tokens[:, 0],
        decoded.log_probs[:, 0],
        decoded.lengths[:, 0],
      )

    self.function = decode
    parts = {k: x for k, x in vars(model).items() if k not in _NOT_DECODING}
    self._decode = KeptProgram(
      decode, (type(model), parts, config, grammar), num_results=3
    )

  def answer(
    self,
    params: Any,
    images: Sequence[NDArray[np.uint8]],
    inputs: Sequence[Sequence[int] | NDArray[np.int32]],
    tasks: Sequence[str],
  ) -> list[Answer]:
    """Decodes any number of model inputs.

    Args:
      params: nested dict of arrays.
      images: uint8[height, width, 3] each.
      inputs: prompt ids of each, at most `prompt_length`.
      tasks: the task of each.

    Returns:
      One answer per image.
    """
    count = len(images)
    if not count:
      return []
    parts = math.ceil(count / self._largest)
    ends = [part * count // parts for part in range(parts + 1)]
    batches = [slice(*pair) for pair in itertools.pairwise(ends)]
    size = self._size(math.ceil(count / parts))

    def answer_batch(rows: slice) -> list[Answer]:
      return self._answer_batch(
        params, images[rows], inputs[rows], tasks[rows], size
      )

    run = map if self._pool is None else self._pool.map
    return [answer for found in run(answer_batch, batches) for answer in found]

  def _size(self, count: int) -> int:
    """`compiled_size`, or that of a program that is compiled already.

    Such a one serves fewer rows too, unless they are so few that it would take
    much longer.
    """
    size = compiled_size(count, self._largest)
    fitting = [s for s in self._sizes if count <= s <= size * _SIZE_FACTOR]
    size = min(fitting, default=size)
    self._sizes.add(size)
    return size

  def _answer_batch(
    self,
    params: Any,
    images: Sequence[NDArray[np.uint8]],
    inputs: Sequence[Sequence[int] | NDArray[np.int32]],
    tasks: Sequence[str],
    size: int,
  ) -> list[Answer]:
    # Rows are filled up with copies: they end when their originals do.
    count = len(images)
    rows = [*range(count), *[0] * (size - count)]
    batch: dict[str, NDArray[Any]] = {}
    if self._tasks.sees_pictures:
      batch["encoder_input_image"] = np.stack([images[row] for row in rows])
    if self._tasks.prompt_length:
      tokens = np.full((size, self._tasks.prompt_length), PAD_ID, np.int32)
      for row, source in enumerate(rows):
        tokens[row, : len(inputs[source])] = inputs[source]
      batch["encoder_input_tokens"] = tokens
    writes = None
    if self.constrained:
      infos = [self._tasks.info(tasks[row]) for row in rows]
      writes = (
        np.array([info.writes_text for info in infos]),
        np.array([info.writes_ink for info in infos]),
      )
    ids, log_probs, lengths = jax.device_get(
      self._decode(params, batch, jax.random.PRNGKey(0), writes)
    )
    return [
      Answer(ids[row, : lengths[row]], log_probs[row, : lengths[row]])
      for row in range(count)
    ]
