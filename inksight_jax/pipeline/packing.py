"""Several examples in one decoder row, so that few positions are padding.

Most inks need 80 to 200 of the 1,024 positions of a row. A packed row holds
several of them one after another; `decoder_segment_ids` tell them apart, and
slot `i` of the images and prompts belongs to segment `i + 1`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inksight_jax.pipeline.examples import Example, shift_right

# Examples that are packed together. More would fill rows only a little better
# and take their examples from further away in the order.
WINDOW = 1000
# Rows are planned this full; the rest is room for lengths that do not add up.
_AIM = 0.98

_Item = TypeVar("_Item")


def pack(lengths: Sequence[int], capacity: int, slots: int) -> list[list[int]]:
  """Distributes examples over as few rows as it can.

  The longest first, each to the emptiest row that has a slot left ("worst fit
  decreasing"). Unlike first fit this spreads short examples over all rows, and
  the number of slots, which costs image encoding, can stay small.

  Args:
    lengths: target tokens of each example.
    capacity: target positions of a row.
    slots: most examples in a row.

  Returns:
    Indices of the examples of each row, ascending.

  Raises:
    ValueError: an example is longer than a row, or there are no slots.
  """
  if slots < 1:
    raise ValueError(f"A row cannot hold {slots} examples; set slots >= 1.")
  if max(lengths, default=0) > capacity:
    raise ValueError(
      f"An example of {max(lengths)} tokens does not fit a row of {capacity}."
    )
  order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
  total = sum(lengths)
  fewest = max(-(-total // int(capacity * _AIM)), -(-len(lengths) // slots))
  for number in range(min(fewest, len(lengths)), len(lengths) + 1):
    rows = _fill(order, lengths, capacity, slots, number)
    if rows is not None:
      return [sorted(row) for row in rows]
  return []


def _fill(
  order: Sequence[int],
  lengths: Sequence[int],
  capacity: int,
  slots: int,
  number: int,
) -> list[list[int]] | None:
  """Worst fit in the given order; None where `number` rows do not suffice."""
  rows: list[list[int]] = [[] for _ in range(number)]
  emptiest = [(-capacity, row) for row in range(number)]
  for example in order:
    # Rows without a slot left are not put back.
    if not emptiest or -emptiest[0][0] < lengths[example]:
      return None
    room, row = emptiest[0]
    rows[row].append(example)
    if len(rows[row]) < slots:
      heapq.heapreplace(emptiest, (room + lengths[example], row))
    else:
      heapq.heappop(emptiest)
  return rows


def windows(
  items: Iterable[_Item],
  length: Callable[[_Item], int],
  capacity: int,
  slots: int,
  seed: int,
) -> Iterator[list[_Item]]:
  """Packs a stream, `WINDOW` items at a time; the last window may be smaller.

  Args:
    items: what to pack, in order.
    length: target tokens of an item.
    capacity, slots: see `pack`.
    seed: of the order of a window's rows.

  Yields:
    The items of one row.
  """
  window: list[_Item] = []
  number = 0

  def rows() -> Iterator[list[_Item]]:
    packed = pack([length(item) for item in window], capacity, slots)
    # `pack` fills rows in a fixed pattern; batches should not show it.
    for row in np.random.default_rng((seed, number)).permutation(len(packed)):
      yield [window[index] for index in packed[row]]

  for item in items:
    window.append(item)
    if len(window) == WINDOW:
      yield from rows()
      window.clear()
      number += 1
  yield from rows()


def to_packed_features(
  examples: Sequence[Example | Mapping[str, NDArray]],
  lengths: Mapping[str, int],
  slots: int,
) -> dict[str, NDArray]:
  """One packed row, with the names that models read.

  Args:
    examples: what the row holds, in order; `Example`s or mappings with their
      fields.
    lengths: `TaskSet.lengths`; prompt and target positions are read.
    slots: most examples in a row; the free ones hold zeros.

  Returns:
    encoder_input_image uint8[slots, height, width, 3],
    encoder_input_tokens int32[slots, inputs], and
    decoder_input_tokens, decoder_target_tokens, decoder_segment_ids,
    decoder_positions int32[targets],
    decoder_loss_weights float32[targets].

  Raises:
    ValueError: too many examples, or too many tokens.
  """
  if not 1 <= len(examples) <= slots:
    raise ValueError(f"{len(examples)} examples for a row of {slots} slots.")
  fields = [vars(e) if isinstance(e, Example) else e for e in examples]
  size = lengths["targets"]
  images = np.zeros((slots, *fields[0]["image"].shape), np.uint8)
  prompts = np.zeros((slots, lengths["inputs"]), np.int32)
  inputs, targets, segments, positions = np.zeros((4, size), np.int32)
  start = 0
  for slot, example in enumerate(fields):
    prompt, target = example["inputs"], example["targets"]
    end = start + len(target)
    if len(prompt) > prompts.shape[1] or end > size:
      raise ValueError(
        f"A row of {size} targets with prompts of {prompts.shape[1]} cannot "
        f"take a prompt of {len(prompt)} and targets up to {end}."
      )
    images[slot] = example["image"]
    prompts[slot, : len(prompt)] = prompt
    inputs[start:end] = shift_right(target)
    targets[start:end] = target
    segments[start:end] = slot + 1
    positions[start:end] = np.arange(len(target))
    start = end
  return {
    "encoder_input_image": images,
    "encoder_input_tokens": prompts,
    "decoder_input_tokens": inputs,
    "decoder_target_tokens": targets,
    "decoder_segment_ids": segments,
    "decoder_positions": positions,
    "decoder_loss_weights": (segments > 0).astype(np.float32),
  }
