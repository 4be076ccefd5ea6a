"""How many digits can be read from codes by whoever knows where they lie.

  python benchmarks/code_legibility.py --tokens=tokens --model_dir=runs/codes

A bound, of sorts, for the second stage of the inverse DALL-E toy: of each digit
of the tokenised numbers, the vectors of the codes around it are taken at evenly
spaced points, and a small dense network tells the digit. It need not find the
digits, nor count them, nor tell rows from columns. It learns from the training
split and is asked about the test split.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from numpy.typing import NDArray

from inksight_jax.datasets.picture_tokens import read_picture_tokens
from inksight_jax.datasets.record import Record
from inksight_jax.inference import reconstructions

# Points a side; they reach this share of a digit beyond its borders.
POINTS = 6
MARGIN = 0.15
CLASSES = 10
BATCH_SIZE = 256


def parse_arguments() -> argparse.Namespace:
  """Reads the command line."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
  parser.add_argument("--tokens", required=True, help="of `data tokenize`")
  parser.add_argument("--model_dir", required=True, help="of the first stage")
  parser.add_argument("--words", type=int, default=25000, help="to learn from")
  parser.add_argument("--steps", type=int, default=6000)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--json", action="store_true")
  return parser.parse_args()


class DigitReader(nn.Module):
  """Two hidden layers."""

  @nn.compact
  def __call__(self, inputs: jax.Array) -> jax.Array:
    """float[batch, features] to logits float[batch, digits]."""
    x = nn.relu(nn.Dense(384)(inputs))
    return nn.Dense(CLASSES)(nn.relu(nn.Dense(192)(x)))


def code_vectors(
  coder: reconstructions.PictureCoder,
) -> NDArray[np.float32]:
  """The vectors of all codes, float32[codes, width]."""
  network: Any = coder.model.module
  codes = jnp.arange(network.config.quantizer.num_codes)[None, None]
  variables = {"params": coder.params}
  found = network.apply(variables, codes, method="code_vectors")
  return np.asarray(found)[0, 0]


def digit_features(record: Record, book: NDArray[np.float32]) -> NDArray[Any]:
  """What lies around each digit, float32[digits, features].

  Args:
    record: codes of digits of one size, side by side or one below the other.
    book: float32[codes, width], the vectors of the codes.
  """
  codes = np.asarray(record.codes)
  rows, columns = codes.shape
  number, vertical = len(record.text), rows > columns
  wide, high = (1, number) if vertical else (number, 1)
  # The picture touches two sides of its canvas, from the top left corner.
  side = min(columns / wide, rows / high)
  grid = np.pad(book[codes], ((1, 2), (1, 2), (0, 0)))
  steps = (np.arange(POINTS) + 0.5) / POINTS * (1 + 2 * MARGIN) - MARGIN
  found = []
  for index in range(number):
    top, left = (index * side, 0.0) if vertical else (0.0, index * side)
    # Centres of cells are whole numbers; one cell of nothing stands in front.
    y = np.clip(top + steps * side + 0.5, 0, rows + 1.999)
    x = np.clip(left + steps * side + 0.5, 0, columns + 1.999)
    places = [y - y.astype(int), x - x.astype(int), [side]]
    values = _interpolate(_interpolate(grid, y, 0), x, 1)
    found.append(np.concatenate([values.reshape(-1), *places]))
  return np.asarray(found, np.float32)


def _interpolate(
  grid: NDArray[Any], places: NDArray[np.float64], axis: int
) -> NDArray[Any]:
  """Values between neighbours on an axis."""
  first = places.astype(int)
  shape = [1] * grid.ndim
  shape[axis] = -1
  share = (places - first).astype(np.float32).reshape(shape)
  before, after = (np.take(grid, first + more, axis) for more in (0, 1))
  return before * (1 - share) + after * share


def train(
  inputs: NDArray[np.float32], digits: NDArray[np.int32], steps: int, seed: int
) -> Any:
  """Parameters of a `DigitReader`."""
  network: Any = DigitReader()
  params = network.init(jax.random.key(seed), inputs[:1])
  rate = optax.cosine_decay_schedule(1e-3, steps)
  optimizer = optax.adamw(rate, weight_decay=1e-3)
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
  book = code_vectors(coder)
  records = {
    split: list(read_picture_tokens(args.tokens, split=split))
    for split in ("train", "test")
  }
  rng = np.random.default_rng(args.seed)
  chosen = rng.permutation(len(records["train"]))[: args.words]
  learned = [records["train"][i] for i in chosen]
  params = train(
    np.concatenate([digit_features(record, book) for record in learned]),
    np.array([int(x) for record in learned for x in record.text], np.int32),
    args.steps,
    args.seed,
  )
  right: dict[str, list[list[bool]]] = collections.defaultdict(list)
  for record in records["test"]:
    logits = DigitReader().apply(params, digit_features(record, book))
    read = np.argmax(np.asarray(logits), axis=-1)
    rows, columns = np.asarray(record.codes).shape
    places = "vertical" if rows > columns else "horizontal"
    right[places].append(
      [x == str(y) for x, y in zip(record.text, read, strict=True)]
    )
  right["all"] = [*itertools.chain(*list(right.values()))]
  results = {
    name: {
      "numbers": len(answers),
      "digits_right": float(np.mean([*itertools.chain(*answers)])),
      "exact": float(np.mean([all(answer) for answer in answers])),
    }
    for name, answers in right.items()
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
