"""How many digits can be read from codes by whoever knows where they lie.

  python benchmarks/code_legibility.py --tokens=tokens --model_dir=runs/codes

A bound, of sorts, for the second stage of the inverse DALL-E toy: the codes of
the tokenised numbers are drawn, each digit is cut out, and a small
convolutional network tells which it is. It need not find the digits, nor count
them, nor tell rows from columns. It learns from the training split and is asked
about the test split.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
from collections.abc import Sequence
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from numpy.typing import NDArray

from inksight_jax.datasets.picture_tokens import read_picture_tokens
from inksight_jax.datasets.record import Record
from inksight_jax.inference import reconstructions

# Pixels a side; they reach this share of a digit beyond its borders.
SIDE = 20
MARGIN = 0.15
CLASSES = 10
BATCH_SIZE = 128


def parse_arguments() -> argparse.Namespace:
  """Reads the command line."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
  parser.add_argument("--tokens", required=True, help="of `data tokenize`")
  parser.add_argument("--model_dir", required=True, help="of the first stage")
  parser.add_argument("--words", type=int, default=8000, help="to learn from")
  parser.add_argument("--steps", type=int, default=1500)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--json", action="store_true")
  return parser.parse_args()


class DigitReader(nn.Module):
  """Four convolutions, one hidden layer."""

  @nn.compact
  def __call__(self, pictures: jax.Array) -> jax.Array:
    """float[batch, SIDE, SIDE, 1] to logits float[batch, digits]."""
    x = pictures
    for width in (16, 32):
      for _ in range(2):
        x = nn.relu(nn.GroupNorm(4)(nn.Conv(width, (3, 3))(x)))
      x = nn.max_pool(x, (2, 2), (2, 2))
    x = nn.relu(nn.Dense(128)(x.reshape(len(x), -1)))
    return nn.Dense(CLASSES)(x)


def decoded(
  coder: reconstructions.PictureCoder, records: Sequence[Record]
) -> list[NDArray[np.uint8]]:
  """What the codes of each record draw, uint8[height, width]."""
  codes = [np.asarray(record.codes) for record in records]
  return [picture[..., 0] for picture in coder.decode(codes)]


def digits_of(
  record: Record, picture: NDArray[np.uint8]
) -> list[NDArray[np.float32]]:
  """The pictures of digits of one size, float32[SIDE, SIDE, 1] from 0 to 1.

  Args:
    record: its text, and codes: side by side or one below the other.
    picture: what the codes draw, in the top left of its canvas.
  """
  rows, columns = np.asarray(record.codes).shape
  number, vertical = len(record.text), rows > columns
  wide, high = (1, number) if vertical else (number, 1)
  side = min(picture.shape[1] / wide, picture.shape[0] / high)
  scale = SIDE / (side * (1 + 2 * MARGIN))
  found = []
  for index in range(number):
    top, left = (index * side, 0.0) if vertical else (0.0, index * side)
    matrix = np.array(
      [
        [scale, 0.0, (MARGIN * side - left) * scale],
        [0.0, scale, (MARGIN * side - top) * scale],
      ]
    )
    digit = cv2.warpAffine(picture, matrix, (SIDE, SIDE))
    found.append(digit[..., None].astype(np.float32) / 255.0)
  return found


def train(
  inputs: NDArray[np.float32], digits: NDArray[np.int32], steps: int, seed: int
) -> Any:
  """Parameters of a `DigitReader`."""
  network: Any = DigitReader()
  params = network.init(jax.random.key(seed), inputs[:1])
  rate = optax.cosine_decay_schedule(2e-3, steps)
  optimizer = optax.adamw(rate, weight_decay=1e-2)
  state = optimizer.init(params)

  @jax.jit
  def step(params: Any, state: Any, x: Any, y: Any) -> tuple[Any, Any]:
    def loss(params: Any) -> jax.Array:
      logits = network.apply(params, x)
      return jnp.mean(
        optax.softmax_cross_entropy_with_integer_labels(logits, y)
      )

    updates, state = optimizer.update(jax.grad(loss)(params), state, params)
    return optax.apply_updates(params, updates), state

  rng = np.random.default_rng(seed)
  for _ in range(steps):
    rows = rng.integers(0, len(inputs), BATCH_SIZE)
    params, state = step(params, state, inputs[rows], digits[rows])
  return params


def main() -> None:
  """Learns, asks, prints."""
  args = parse_arguments()
  coder = reconstructions.load(args.model_dir)
  records = list(read_picture_tokens(args.tokens, split="train"))
  chosen = np.random.default_rng(args.seed).permutation(len(records))
  learned = [records[index] for index in chosen[: args.words].tolist()]
  params = train(
    np.stack(
      [
        digit
        for record, picture in zip(
          learned, decoded(coder, learned), strict=True
        )
        for digit in digits_of(record, picture)
      ]
    ),
    np.array([int(x) for record in learned for x in record.text], np.int32),
    args.steps,
    args.seed,
  )
  asked = list(read_picture_tokens(args.tokens, split="test"))
  read = jax.jit(DigitReader().apply)
  most = max(len(record.text) for record in asked)
  right: dict[str, list[list[bool]]] = collections.defaultdict(list)
  for record, picture in zip(asked, decoded(coder, asked), strict=True):
    digits = np.zeros((most, SIDE, SIDE, 1), np.float32)
    digits[: len(record.text)] = digits_of(record, picture)
    found = np.argmax(np.asarray(read(params, digits)), axis=-1)
    rows, columns = np.asarray(record.codes).shape
    answers = [x == str(y) for x, y in zip(record.text, found, strict=False)]
    right["vertical" if rows > columns else "horizontal"].append(answers)
    right[f"{len(record.text)} digits"].append(answers)
    right["all"].append(answers)
  results = {
    name: {
      "numbers": len(answers),
      "digits_right": float(np.mean([*itertools.chain(*answers)])),
      "exact": float(np.mean([all(answer) for answer in answers])),
    }
    for name, answers in sorted(right.items())
  }
  if args.json:
    print(json.dumps(results, indent=2))
    return
  for name, row in results.items():
    print(
      f"{name:10} {row['numbers']:5} numbers: {row['digits_right']:.1%} of "
      f"digits right, {row['exact']:.1%} of numbers exact"
    )


if __name__ == "__main__":
  main()
