"""Reading of pages: frames of other sizes, and decoding without a cache.

  python benchmarks/page_reading.py --model_dir=runs/pages --samples=256
  python benchmarks/page_reading.py --tokens=300

With a model: how many of its held-out pages read the same in a frame of 1.5
times the height and width. Without: seconds for a text of so many tokens, by
this project's decoding and by the same network that reads the whole prefix
anew for each token, as the published FPHTR does, in programs for prefixes of a
tenth, two tenths, ... of the length; and whether both write the same. The
network is that of gin/sizes/page_reader_mini.gin with random parameters and no
end before the last token; the time is the best of some rounds taken in turns.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from inksight_jax.inference import held_out, predictor, recipe
from inksight_jax.networks import decoding

FACTOR = 1.5
PARTS = 10
IMAGE = (176, 208)


def parse_arguments() -> argparse.Namespace:
  """Reads the command line."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
  parser.add_argument("--model_dir", help="of a reader of pages")
  parser.add_argument("--samples", type=int, default=256)
  parser.add_argument("--tokens", type=int, default=300)
  parser.add_argument("--rounds", type=int, default=3)
  return parser.parse_args()


def frames(model_dir: str, samples: int) -> None:
  """Prints how many pages read the same in a larger frame."""
  model = predictor.load(model_dir)
  (task,) = model.tasks.tasks
  chosen = held_out.held_out_samples(model.tasks, "test", samples)[task]
  images = [sample.example.image for sample in chosen]
  height, width = (round(FACTOR * side) for side in images[0].shape[:2])
  larger = []
  for image in images:
    frame = np.empty((height, width, 3), np.uint8)
    frame[:] = image[-1, -1]
    frame[: image.shape[0], : image.shape[1]] = image
    larger.append(frame)
  inputs, tasks = [[]] * len(images), [task] * len(images)
  pairs = zip(
    model.answer(images, inputs, tasks),
    model.answer(larger, inputs, tasks),
    strict=True,
  )
  same = [np.array_equal(one.tokens, two.tokens) for one, two in pairs]
  print(
    f"{sum(same)} of {len(same)} pages read the same in frames of "
    f"{height} x {width} instead of {images[0].shape[0]} x "
    f"{images[0].shape[1]} pixels"
  )


def cache(tokens: int, rounds: int) -> None:
  """Prints how long a text takes with and without the cache."""
  recipe.parse(
    ["gin/networks/page_reader.gin", "gin/sizes/page_reader_mini.gin"],
    [f"TARGET_LENGTH = {tokens}"],
  )
  model: Any = recipe.resolve("MODEL")
  image = np.random.default_rng(0).integers(0, 256, (1, *IMAGE, 3), np.uint8)
  shapes = {"encoder_input_image": image.shape}
  shapes |= dict.fromkeys(
    ("decoder_input_tokens", "decoder_target_tokens"), (1, tokens)
  )
  params = jax.jit(
    lambda: model.get_initial_variables(jax.random.key(0), shapes)["params"]
  )()
  config = decoding.DecodeConfig(max_length=tokens)
  endless = decoding.forbid_end(tokens, config.eos_id)

  @jax.jit
  def cached(params: Any, image: Any) -> Any:
    batch = {"encoder_input_image": image}
    decoded = model.decode_batch(
      params, batch, config=config, logit_transform=endless
    )
    return decoded.tokens[:, 0]

  @jax.jit
  def encode(params: Any, image: Any) -> Any:
    return model.module.apply({"params": params}, image, method="encode")

  def part(length: int) -> Any:
    """A program for the last tenth of a prefix of `length` tokens."""

    @jax.jit
    def write(params: Any, encoded: Any, mask: Any, texts: Any) -> Any:
      def one(place: Any, texts: Any) -> Any:
        # The text so far, behind the token that starts it.
        inputs = jnp.pad(texts[:, : length - 1], ((0, 0), (1, 0)))
        logits = model.module.apply(
          {"params": params}, encoded, mask, inputs, method="decode"
        )[:, place]
        logits = logits.at[:, config.eos_id].set(-jnp.inf)
        return texts.at[:, place].set(jnp.argmax(logits, axis=-1))

      first = length - tokens // PARTS
      return jax.lax.fori_loop(first, length, one, texts)

    return write

  programs = [part((i + 1) * tokens // PARTS) for i in range(PARTS)]

  def uncached(params: Any, image: Any) -> Any:
    encoded, mask = encode(params, image)
    texts = jnp.zeros((1, tokens), jnp.int32)
    for program in programs:
      texts = program(params, encoded, mask, texts)
    return texts

  ways = {"cached": cached, "whole prefix": uncached}
  found = {name: np.asarray(way(params, image)) for name, way in ways.items()}
  times: dict[str, list[float]] = {name: [] for name in ways}
  for _ in range(rounds):
    for name, way in ways.items():
      start = time.perf_counter()
      jax.block_until_ready(way(params, image))
      times[name].append(time.perf_counter() - start)
  best = {name: min(values) for name, values in times.items()}
  # The last token may be the end in the one.
  same = np.mean(found["cached"][:, :-1] == found["whole prefix"][:, :-1])
  print(
    f"{tokens} tokens: cached {best['cached']:.3f} s, whole prefix "
    f"{best['whole prefix']:.3f} s, "
    f"{best['whole prefix'] / best['cached']:.1f} times as long; "
    f"{same:.1%} of the tokens are the same"
  )


def main() -> None:
  """Measures and prints."""
  args = parse_arguments()
  if args.model_dir:
    frames(args.model_dir, args.samples)
  else:
    cache(args.tokens, args.rounds)


if __name__ == "__main__":
  main()
