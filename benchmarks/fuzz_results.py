"""Random and mutated answers through decoding and every writer.

  python benchmarks/fuzz_results.py --count=2000 --seed=0

Prints the slowest answer per format and the peak of memory; ends with an error
at the first crash, at an answer that takes 5 s of processor time or more than
1 GB of memory.
"""

from __future__ import annotations

import argparse
import pathlib
import resource
import tempfile
import time

import numpy as np

from inksight_jax.inference.outputs import FORMATS, Outputs
from inksight_jax.inference.page import PageResult, PageWord
from inksight_jax.inference.results import Result
from inksight_jax.text.codecs import EOS_ID
from inksight_jax.text.vocabulary import Vocabulary

LIMIT_S = 5.0
LIMIT_BYTES = 2**30
LENGTH = 1024


def random_tokens(
  generator: np.random.Generator, vocabulary: Vocabulary
) -> np.ndarray:
  """A stream of one of five kinds, int32[1 to LENGTH].

  Noise over all ids and beyond; ink only; text only; a proper answer with
  tokens replaced, removed and repeated; a proper answer cut off.
  """
  kind = generator.integers(5)
  length = int(generator.integers(1, LENGTH + 1))
  offset, size = vocabulary.ink_offset, vocabulary.size
  if kind == 0:
    tokens = generator.integers(-5, size + 200, length)
  elif kind == 1:
    tokens = generator.integers(offset, size, length)
  elif kind == 2:
    tokens = generator.integers(0, offset, length)
    tokens[tokens == EOS_ID] = 0
  else:
    tokens = proper_answer(generator, vocabulary, length)
    if kind == 3:
      tokens = mutated(generator, tokens, size)
    else:
      tokens = tokens[: generator.integers(1, len(tokens) + 1)]
  return np.asarray(tokens[:LENGTH], np.int32)


def proper_answer(
  generator: np.random.Generator, vocabulary: Vocabulary, length: int
) -> np.ndarray:
  """Text, then strokes that walk over the canvas, then EOS."""
  assert vocabulary.ink is not None
  codec = vocabulary.ink
  words = "".join(chr(c) for c in generator.integers(32, 0x3000, 6))
  ids = list(vocabulary.encode_text(words))
  point = generator.integers(0, codec.canvas + 1, 2)
  while len(ids) < length:
    ids.append(vocabulary.ink_offset + codec.stroke_start)
    for _ in range(int(generator.integers(0, 30))):
      point = np.clip(point + generator.integers(-9, 10, 2), 0, codec.canvas)
      ids.append(vocabulary.ink_offset + int(point[0]))
      ids.append(vocabulary.ink_offset + codec.y_offset + int(point[1]))
  return np.asarray([*ids, EOS_ID])


def mutated(
  generator: np.random.Generator, tokens: np.ndarray, size: int
) -> np.ndarray:
  """Replaces, removes and repeats some tokens."""
  tokens = tokens.copy()
  hit = generator.random(len(tokens)) < generator.choice([0.01, 0.1, 0.5])
  tokens[hit] = generator.integers(0, size, int(hit.sum()))
  tokens = np.delete(tokens, generator.integers(0, len(tokens), 5))
  first = int(generator.integers(0, len(tokens)))
  again = tokens[first : first + 4]
  return np.concatenate([tokens[:first], np.tile(again, 20), tokens[first:]])


def result_of(
  generator: np.random.Generator, vocabulary: Vocabulary, tokens: np.ndarray
) -> Result:
  """The result of an answer, on an image of a random size."""
  decoded = vocabulary.decode(tokens)
  log_probs = -generator.exponential(1.0, len(tokens)).astype(np.float32)
  # As many small images as large ones.
  width, height = (int(4000**v) for v in generator.random(2))
  scale = max(width, height) / 224
  return Result(
    task="recognize_and_derender",
    text=decoded.text,
    ink=decoded.ink.scaled(scale),
    confidence=float(np.exp(log_probs.mean())),
    tokens=tokens,
    log_probs=log_probs,
    truncated=not decoded.ended,
    empty=not (decoded.ink and decoded.text),
    width=width,
    height=height,
    character_confidences=vocabulary.character_confidences(
      tokens, log_probs.tolist()
    ),
  )


def page_of(results: list[Result]) -> PageResult:
  """A page of words that overlap as they like."""
  size = max(r.width for r in results), max(r.height for r in results)
  words = [
    PageWord((0.0, 0.0, float(r.width), float(r.height)), r, index // 3)
    for index, r in enumerate(results)
  ]
  lines = tuple(tuple(words[i : i + 3]) for i in range(0, len(words), 3))
  return PageResult("recognize_and_derender", *size, lines)


def write_all(
  made: Outputs, folder: pathlib.Path, slowest: dict[str, float]
) -> None:
  """Writes every format, the photo a blank one; notes the slowest times."""
  photo = np.full((made.height, made.width, 3), 255, np.uint8)
  for kind, ending in FORMATS.items():
    start = time.process_time()
    made.save(folder / f"a{ending}", image=photo)
    seconds = time.process_time() - start
    slowest[kind] = max(slowest.get(kind, 0.0), seconds)
    if seconds > LIMIT_S:
      raise RuntimeError(f"{kind} took {seconds:.1f} s.")


def main() -> None:
  """Runs the fuzz and prints what was seen."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--count", type=int, default=2000)
  parser.add_argument("--seed", type=int, default=0)
  args = parser.parse_args()
  vocabulary = Vocabulary()
  slowest: dict[str, float] = {}
  recent: list[Result] = []
  start = time.perf_counter()
  with tempfile.TemporaryDirectory() as folder:
    for index in range(args.count):
      generator = np.random.default_rng([args.seed, index])
      began = time.process_time()
      tokens = random_tokens(generator, vocabulary)
      result = result_of(generator, vocabulary, tokens)
      seconds = time.process_time() - began
      slowest["decoding"] = max(slowest.get("decoding", 0.0), seconds)
      write_all(result, pathlib.Path(folder), slowest)
      recent = [*recent[-4:], result]
      if index % 20 == 19:
        write_all(page_of(recent), pathlib.Path(folder), slowest)
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
  if peak > LIMIT_BYTES:
    raise RuntimeError(f"{peak / 2**20:.0f} MB of memory.")
  for kind, seconds in sorted(slowest.items(), key=lambda item: -item[1]):
    print(f"{kind:10} slowest {seconds:.3f} s")
  print(
    f"{args.count} answers, {args.count // 20} pages, no crash, "
    f"{time.perf_counter() - start:.0f} s, {peak / 2**20:.0f} MB"
  )


if __name__ == "__main__":
  main()
