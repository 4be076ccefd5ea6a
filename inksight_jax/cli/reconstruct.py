"""`inksight-jax evaluate` of a model that turns pictures into codes."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from typing import Any

# What is printed; metrics.json has everything.
COLUMNS = (
  "samples", "codes_used", "perplexity", "l1", "l1_ink", "psnr", "psnr_ink",
  "judge_cer", "judge_cer_real",
)  # fmt: skip


def score(args: argparse.Namespace) -> int:
  """Scores reconstructions; writes metrics.json and sheet.png."""
  from PIL import Image

  from inksight_jax.inference import held_out, predictor, reconstructions
  from inksight_jax.pipeline.task_set import write_text

  start = time.perf_counter()
  coder = reconstructions.load(args.model_dir, args.step, args.batch_size)
  tasks = coder.tasks
  if args.path is not None:
    tasks = dataclasses.replace(tasks, path=args.path)
  (task,) = tasks.tasks
  samples = held_out.held_out_samples(
    tasks, args.split, args.samples, args.seed
  )[task]
  judge = args.judge and predictor.load(args.judge, None, args.batch_size)
  scores, made = reconstructions.evaluate(
    coder, samples, judge or None, args.seed
  )
  output_dir = args.output_dir or args.model_dir
  os.makedirs(output_dir, exist_ok=True)
  shown = args.pictures
  originals = [sample.example.image for sample in samples[:shown]]
  sheet = reconstructions.draw_sheet(originals, made[:shown])
  Image.fromarray(sheet).save(os.path.join(output_dir, "sheet.png"))
  metrics: dict[str, Any] = {
    **{f"{task}/{name}": value for name, value in scores.items()},
    "num_codes": coder.model.num_codes,
    "step": coder.step,
    "seed": args.seed,
    "split": args.split,
    "wall_seconds": round(time.perf_counter() - start, 3),
  }
  text = json.dumps(metrics, indent=2)
  write_text(os.path.join(output_dir, "metrics.json"), text + "\n")
  if args.json:
    print(text)
    return 0
  for name in COLUMNS:
    if name in scores:
      print(f"{name:<16}{scores[name]:>10.4g}")
  print(f"{output_dir}: metrics.json, sheet.png")
  return 0
