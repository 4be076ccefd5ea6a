"""Images per second of one-step against step-by-step reading, by text length.

  python benchmarks/parallel_decoding.py

Both networks have the same image encoder (gin/sizes/reader_nano.gin) over a
line of 28 pixels for each character. The parameters are random, the end is
forbidden before the last step, and the decoder's cache is on. The time is that
of the jitted `decode_batch`, the best of several rounds taken in turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from inksight_jax.inference import recipe
from inksight_jax.networks import decoding
from inksight_jax.training import state

HEIGHT = 28


def prepare(
  network: str, length: int, batch_size: int
) -> tuple[Callable[[], Any], int]:
  """(a call that decodes a batch to its end, number of parameters)."""
  recipe.parse(
    [f"gin/networks/{network}_reader.gin", "gin/sizes/reader_nano.gin"],
    [
      f"IMAGE_SIZE = ({HEIGHT}, {HEIGHT * length})",
      f"TARGET_LENGTH = {length + 1}",
      *([f"MIN_LENGTH = {length}"] if network == "autoregressive" else []),
    ],
  )
  model = recipe.resolve("MODEL")
  shape = (batch_size, HEIGHT, HEIGHT * length, 3)
  shapes = {
    "encoder_input_image": shape,
    "decoder_input_tokens": (batch_size, length + 1),
    "decoder_target_tokens": (batch_size, length + 1),
  }
  init = jax.jit(lambda key: model.get_initial_variables(key, shapes)["params"])
  params = init(jax.random.PRNGKey(0))
  images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  config = decoding.DecodeConfig(max_length=length + 1)
  decode = jax.jit(
    lambda params, image: (
      model.decode_batch(
        params, {"encoder_input_image": image}, None, config
      ).tokens
    )
  )

  def call() -> Any:
    return jax.block_until_ready(decode(params, images))

  call()
  return call, state.count_parameters(params)


def main() -> None:
  """Measures and prints a table."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
    "--lengths", type=int, nargs="+", default=[1, 2, 3, 5, 8, 12, 20]
  )
  parser.add_argument("--batch_size", type=int, default=32)
  parser.add_argument("--rounds", type=int, default=5)
  args = parser.parse_args()
  print("| characters | parallel, images/s | step by step, images/s | ratio |")
  print("|---|---|---|---|")
  for length in args.lengths:
    calls, sizes = {}, {}
    for network in ("parallel", "autoregressive"):
      calls[network], sizes[network] = prepare(network, length, args.batch_size)
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(args.rounds):
      for network, call in calls.items():
        start = time.perf_counter()
        call()
        best[network] = min(best[network], time.perf_counter() - start)
    speed = {name: args.batch_size / seconds for name, seconds in best.items()}
    one, many = speed["parallel"], speed["autoregressive"]
    print(f"| {length} | {one:,.0f} | {many:,.0f} | {one / many:.2f} |")
    if length == args.lengths[-1]:
      print(f"parameters: {sizes}")


if __name__ == "__main__":
  main()
