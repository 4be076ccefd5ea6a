"""How full decoder rows are, one example in each against packed.

  python benchmarks/packing.py unipen_train_r01_v07_subset.tar.xz

Takes UNIPEN words (category 7) through the five-task mixture without the photo
task at InkSight's sizes (canvas 224, 1,024 targets), packs them as training
from shards does, and sets the work of a training step beside the examples in
it. The work is counted by the compiler, for the base size with two layers of
each stack: the layers are alike, and the ratio is theirs.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from inksight_jax.ink.tokens import InkCodec
from inksight_jax.models.sequence_to_sequence import SequenceToSequence
from inksight_jax.networks import inksight, mt5, vit
from inksight_jax.pipeline.batches import RecordBatches
from inksight_jax.pipeline.packing import windows
from inksight_jax.pipeline.spec import InkSightTasks
from inksight_jax.text.vocabulary import Vocabulary

# Row lengths are what counts: the pictures may be small.
PICTURE = 16


def words(path: str) -> InkSightTasks:
  """The four tasks over words, at InkSight's canvas and lengths."""
  return InkSightTasks(
    source="unipen",
    path=path,
    source_options={"categories": ("7",)},
    vocabulary=Vocabulary(ink=InkCodec(224)),
    image_size=PICTURE,
    rates={
      "derender": 1.0,
      "derender_with_text": 1.0,
      "recognize_and_derender": 1.0,
      "recognize_ink": 1.0,
    },
  )


def target_lengths(tasks: InkSightTasks, count: int, seed: int) -> list[int]:
  """Target tokens of the first examples of the training order."""
  batches = RecordBatches(tasks, batch_size=1, seed=seed)
  return [len(batches.example(i)[2].targets) for i in range(count)]


def flops(rows: int, slots: int, targets: int) -> float:
  """Floating-point operations of loss and gradients of a batch.

  Args:
    rows: rows of the batch.
    slots: pictures of a row; 0 for the one of an unpacked row.
    targets: target positions of a row.
  """
  config = inksight.InkSightConfig(
    dataclasses.replace(vit.vit_config("B/16"), depth=2),
    dataclasses.replace(
      mt5.mt5_config("base", 32_000), num_encoder_layers=2, num_decoder_layers=2
    ),
    freeze_image_encoder=True,
  )
  model = SequenceToSequence(inksight.InkSight(config))
  packed = (slots,) if slots else ()
  shapes: dict[str, tuple[tuple[int, ...], Any]] = {
    "encoder_input_image": ((rows, *packed, 224, 224, 3), jnp.uint8),
    "encoder_input_tokens": ((rows, *packed, 128), jnp.int32),
    "decoder_input_tokens": ((rows, targets), jnp.int32),
    "decoder_target_tokens": ((rows, targets), jnp.int32),
    "decoder_loss_weights": ((rows, targets), jnp.float32),
  }
  if slots:
    shapes["decoder_segment_ids"] = ((rows, targets), jnp.int32)
  batch = {k: jax.ShapeDtypeStruct(*shape) for k, shape in shapes.items()}
  params = jax.eval_shape(
    lambda key: model.get_initial_variables(
      key, {name: shape for name, (shape, _) in shapes.items()}
    )["params"],
    jax.random.key(0),
  )
  step = jax.jit(
    lambda p, b: jax.grad(lambda q: model.loss_fn(q, b, None)[0])(p)
  )
  cost = step.lower(params, batch).cost_analysis()
  assert cost is not None, "The CPU compiler counts operations."
  return cost["flops"]


def main() -> None:
  """Prints one table, and JSON for scripts."""
  parser = argparse.ArgumentParser(
    description="How full decoder rows are, one example in each or packed."
  )
  parser.add_argument("path", help="archive or folder of UNIPEN")
  parser.add_argument("--examples", type=int, default=10_000)
  parser.add_argument("--slots", type=int, nargs="+", default=[12, 16, 20, 24])
  parser.add_argument("--seed", type=int, default=0)
  args = parser.parse_args()
  begin = time.perf_counter()
  tasks = words(args.path)
  lengths = target_lengths(tasks, args.examples, args.seed)
  size = tasks.target_length
  single = flops(1, 0, size)
  quantiles = np.percentile(lengths, [5, 50, 95, 100]).tolist()
  print(f"{len(lengths)} examples; targets 5/50/95/100 %: {quantiles}")
  print(f"{'slots':>6} {'filled':>8} {'examples/row':>13} {'per FLOP':>9}")
  print(f"{'-':>6} {np.mean(lengths) / size:>8.1%} {1.0:>13.1f} {1.0:>9.2f}")
  results = []
  for slots in args.slots:
    rows = list(
      itertools.islice(
        windows(
          range(len(lengths)), lengths.__getitem__, size, slots, args.seed
        ),
        len(lengths),
      )
    )
    filled = sum(lengths) / (size * len(rows))
    per_row = len(lengths) / len(rows)
    ratio = per_row * single / flops(1, slots, size)
    print(f"{slots:>6} {filled:>8.1%} {per_row:>13.1f} {ratio:>9.2f}")
    results.append(
      {"slots": slots, "filled": filled, "per_row": per_row, "per_flop": ratio}
    )
  seconds = time.perf_counter() - begin
  print(json.dumps({"seconds": round(seconds, 1), "packed": results}))


if __name__ == "__main__":
  main()
