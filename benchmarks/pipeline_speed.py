"""How fast examples are made: by stage on one core, and with worker processes.

    python benchmarks/pipeline_speed.py --path=data/unipen_words \\
      --source=unipen --option categories=7 --workers=1,2

The stages are timed in CPU seconds of this process, so other programs on the
machine do not count. The batches of worker processes are timed by the clock:
run that part on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from inksight_jax.cli.data import parse_options
from inksight_jax.ink.tokens import InkCodec
from inksight_jax.pipeline.batches import RecordBatches
from inksight_jax.pipeline.examples import (
  Example,
  Skip,
  Tokens,
  example_rng,
  to_batch,
  tokenise,
)
from inksight_jax.pipeline.mixture import Source
from inksight_jax.pipeline.records import open_source
from inksight_jax.pipeline.spec import InkSightTasks
from inksight_jax.rendering.augment import AugmentConfig, render_example
from inksight_jax.text.vocabulary import Vocabulary


def parse_arguments() -> argparse.Namespace:
  """Reads the command line."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--source", default="generated_words")
  parser.add_argument("--path", default="", help="prepared store or archive")
  parser.add_argument("--option", action="append", default=[])
  parser.add_argument("--image_size", type=int, default=224)
  parser.add_argument("--target_length", type=int, default=1024)
  parser.add_argument("--examples", type=int, default=1000)
  parser.add_argument("--batch_size", type=int, default=64)
  parser.add_argument("--workers", default="", help="for example 1,2")
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--json", action="store_true")
  return parser.parse_args()


def stage(function: Callable[[Any], Any], items: Sequence[Any]) -> tuple:
  """(results, CPU seconds per item) of calling a function on each item."""
  start = time.process_time()
  results = [function(item) for item in items]
  return results, (time.process_time() - start) / max(1, len(items))


def stages(spec: InkSightTasks, count: int, seed: int) -> dict[str, float]:
  """CPU seconds per example of each stage of `derender`, in this process."""
  records = open_source(spec.all_sources[0]).split("train")
  rng = np.random.default_rng(seed)
  order = rng.integers(len(records), size=count).tolist()
  pool = open_source(spec.all_sources[0]).pool("train", spec.neighbours)
  plain = AugmentConfig.none()

  def encode(record: Any) -> Tokens | Skip:
    draws = example_rng(seed, "train", "derender", record.id, 0)
    return tokenise(record, "derender", spec, draws, True)

  def draw(config: AugmentConfig, ink: Any) -> np.ndarray:
    return render_example(ink, spec.image_size, spec.canvas, rng, config, pool)

  found, read = stage(records.__getitem__, order)
  tokens, tokenised = stage(encode, found)
  kept = [t for t in tokens if isinstance(t, Tokens)]
  inks = [t.placed for t in kept]
  # Once before the clock runs: noise and colour tables are made on first use.
  draw(spec.augment, inks[0])
  _, rendered = stage(lambda ink: draw(plain, ink), inks)
  pictures, augmented = stage(lambda ink: draw(spec.augment, ink), inks)
  rows = [
    Example(picture, t.inputs, t.targets)
    for picture, t in zip(pictures, kept, strict=True)
  ]
  chunks = chunked(rows, 64)
  _, batched = stage(lambda chunk: to_batch(chunk, spec), chunks)
  return {
    "read": read,
    "tokenise": tokenised,
    "render": rendered,
    "augment": augmented - rendered,
    "batch": batched * len(chunks) / len(rows),
  }


def chunked(rows: Sequence[Any], size: int) -> list[Sequence[Any]]:
  """Runs of `size` rows, the last may be shorter."""
  return [rows[i : i + size] for i in range(0, len(rows), size)]


def throughput(
  spec: InkSightTasks, workers: int, count: int, batch_size: int, seed: int
) -> float:
  """Examples per second of whole batches, by the clock."""
  source = RecordBatches(
    spec, batch_size=batch_size, seed=seed, workers=workers
  )
  stream = source.batches()
  # Workers start, and the batches made ahead fill up.
  for _ in range(4):
    next(stream)
  batches = max(1, count // batch_size)
  start = time.perf_counter()
  for _ in range(batches):
    next(stream)
  seconds = time.perf_counter() - start
  stream.close()
  source.close()
  return batches * batch_size / seconds


def main() -> None:
  """Measures and prints."""
  args = parse_arguments()
  cv2.setNumThreads(1)
  source = Source(args.source, args.path, options=parse_options(args.option))
  spec = InkSightTasks(
    sources=(source,),
    vocabulary=Vocabulary(ink=InkCodec(args.image_size)),
    image_size=args.image_size,
    target_length=args.target_length,
    rates={"derender": 1.0},
    augment=AugmentConfig.full(),
  )
  seconds = stages(spec, args.examples, args.seed)
  total = sum(seconds.values())
  result = {
    "stages_ms": {name: 1e3 * value for name, value in seconds.items()},
    "examples_per_core_second": 1 / total,
    "workers": {
      workers: throughput(
        spec, workers, args.examples, args.batch_size, args.seed
      )
      for workers in map(int, filter(None, args.workers.split(",")))
    },
  }
  if args.json:
    print(json.dumps(result, indent=2))
    return
  print(f"derender at {args.image_size} px, {args.source}, CPU time")
  for name, value in seconds.items():
    print(f"{name:<10}{1e3 * value:>8.3f} ms {value / total:>6.1%}")
  print(f"{'all':<10}{1e3 * total:>8.3f} ms, {1 / total:.0f} per core and s")
  for workers, speed in result["workers"].items():
    print(f"{workers} workers: {speed:.0f} examples per second")


if __name__ == "__main__":
  main()
