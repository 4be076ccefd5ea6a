"""`inksight-jax evaluate --judge`: scores of a model that writes words."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

# Real pictures that generated ones are compared with, to find copies.
TRAINING_PICTURES = 2000
# Held-out words that writers are looked for in.
WRITTEN_WORDS = 4000
# Fewest and most words of a writer that an imitation is compared with.
COMPARED = (5, 20)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `evaluate` for models that write words."""
  parser.add_argument(
    "--judge",
    metavar="DIR",
    help="a trained recogniser that reads what a model writes; for models that "
    "write words",
  )
  parser.add_argument(
    "--features",
    default="judge",
    metavar="SPACE",
    help="with --judge, what FID, KID and likeness of style are taken in: "
    "judge, pixels, edges, or any package.module:function from pictures to "
    "vectors (default: %(default)s)",
  )
  parser.add_argument(
    "--examples",
    type=int,
    default=5,
    metavar="N",
    help="with --judge, words of a writer that a model with a style encoder is "
    "shown before it writes like them (default: %(default)s)",
  )


def score(args: argparse.Namespace) -> int:
  """Scores generated words; returns the exit code."""
  import dataclasses
  import time

  from inksight_jax.cli.generate import write_sheet
  from inksight_jax.inference import (
    feature_space,
    generation_scores,
    held_out,
    predictor,
    style_scores,
    word_generator,
  )
  from inksight_jax.pipeline.task_set import write_text

  start = time.perf_counter()
  generator = word_generator.load(args.model_dir, args.step, args.batch_size)
  tasks = generator.tasks
  if args.path is not None:
    tasks = dataclasses.replace(tasks, path=args.path)
  (task,) = tasks.tasks
  samples, training = (
    held_out.held_out_samples(tasks, split, count, args.seed, args.cache)[task]
    for split, count in (
      (args.split, args.samples),
      ("train", TRAINING_PICTURES),
    )
  )
  judge = predictor.load(args.judge, None, args.batch_size)
  space = feature_space.named(args.features, judge)
  scores, made = generation_scores.evaluate(
    generator, judge, samples, args.seed, training, space
  )
  if generator.model.imitates:
    (written,) = held_out.held_out_samples(
      tasks, args.split, WRITTEN_WORDS, args.seed
    ).values()
    least, most = (args.examples + number for number in COMPARED)
    writers = style_scores.by_writer(written, least, most)
    if len(writers) > 1:
      scores |= style_scores.imitation(
        generator, writers, space, args.examples, args.seed
      )
  output_dir = args.output_dir or args.model_dir
  os.makedirs(output_dir, exist_ok=True)
  shown = args.pictures
  real = generation_scores.cropped(samples, generator.character_width)
  pairs = [list(pair) for pair in zip(real[:shown], made[:shown], strict=True)]
  write_sheet(output_dir, pairs, [sample.text for sample in samples[:shown]])
  metrics: dict[str, Any] = {
    **{f"{task}/{name}": value for name, value in scores.items()},
    "set_up": generation_scores.set_up(samples, training, space)
    | {"examples_of_a_writer": args.examples},
    "step": generator.step,
    "judge_step": judge.step,
    "seed": args.seed,
    "split": args.split,
    "wall_seconds": round(time.perf_counter() - start, 3),
  }
  text = json.dumps(metrics, indent=2)
  write_text(os.path.join(output_dir, "metrics.json"), text + "\n")
  print(text)
  return 0
