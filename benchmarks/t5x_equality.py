"""T5X and our loop on the same batches: the losses of every step, compared.

Runs the two real command lines on emulated CPU devices: `inksight-jax train`
from start to end, and `python -m t5x.train` stopped halfway and resumed from
its checkpoint, which then evaluates with the metrics of the tasks. Both derive
the initial parameters from the same seed and read the same SeqIO mixture.

  PYTHONPATH=.:/path/to/t5x:... python benchmarks/t5x_equality.py \
    --work_dir=/tmp/t5x_equality

docs/t5x.md says what T5X needs; docs/results.md holds what was measured.
"""

import argparse
import glob
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Sequence

from inksight_jax.training import compiler_options

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECIPE = "inksight_quickstart"
# Losses are sums of some hundred float32 numbers, in another order, through
# hundreds of updates.
TOLERANCE = 1e-4


def launch(arguments: Sequence[str], bindings: dict, devices: int) -> float:
  """Runs `python -m ...` from the root of the checkout; seconds it took."""
  # Our loop compiles with options of its own: T5X is given the same, or sums in
  # another order part the curves after some eighty updates.
  options = {
    "xla_force_host_platform_device_count": devices,
    **compiler_options.for_platform("cpu"),
  }
  flags = [f"--{name}={value}" for name, value in options.items()]
  environment = {
    **os.environ,
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": " ".join([os.environ.get("XLA_FLAGS", ""), *flags]).strip(),
  }
  words = [f"--gin.{name}={value!r}" for name, value in bindings.items()]
  command = [sys.executable, "-m", *arguments, *words]
  print("$", *command, flush=True)
  start = time.monotonic()
  subprocess.run(command, cwd=ROOT, env=environment, check=True)
  return time.monotonic() - start


def our_losses(model_dir: str) -> dict[int, float]:
  """Loss of every step from curve.jsonl."""
  with open(os.path.join(model_dir, "curve.jsonl"), encoding="utf-8") as file:
    rows = [json.loads(line) for line in file]
  return {row["step"]: row["train/loss"] for row in rows if "train/loss" in row}


def t5x_losses(model_dir: str) -> dict[int, float]:
  """Loss of every step from the event files of T5X."""
  import tensorflow as tf

  losses = {}
  # Sorted by time: a resumed run has the last word.
  for path in sorted(glob.glob(os.path.join(model_dir, "train", "events.*"))):
    for event in tf.compat.v1.train.summary_iterator(path):
      for value in event.summary.value:
        if value.tag == "loss":
          losses[event.step] = float(tf.make_ndarray(value.tensor))
  return losses


def report(ours: dict[int, float], theirs: dict[int, float]) -> float:
  """Prints a table of both; the largest relative difference of any step."""
  if ours.keys() != theirs.keys():
    raise ValueError(
      f"Our loop reported {len(ours)} steps, T5X {len(theirs)}; remove the "
      "work directory and run again."
    )
  differences = {
    step: abs(ours[step] - theirs[step]) / abs(ours[step]) for step in ours
  }
  print("| step | ours | T5X | relative difference |\n|---|---|---|---|")
  for step in sorted(ours):
    if step in (1, max(ours)) or step % 20 == 0:
      print(
        f"| {step} | {ours[step]:.6f} | {theirs[step]:.6f} | "
        f"{differences[step]:.1e} |"
      )
  worst = max(differences, key=lambda step: differences[step])
  print(f"largest difference: {differences[worst]:.2e}, at step {worst}")
  return differences[worst]


def parse_arguments() -> argparse.Namespace:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--work_dir", required=True, help="a new folder")
  parser.add_argument("--steps", type=int, default=200)
  parser.add_argument("--stop_at", type=int, default=100)
  parser.add_argument("--batch_size", type=int, default=8)
  parser.add_argument("--devices", type=int, default=8)
  parser.add_argument("--eval_examples", type=int, default=32)
  args = parser.parse_args()
  if os.path.exists(args.work_dir):
    parser.error(f"{args.work_dir} exists already; give a new folder")
  return args


def main() -> int:
  """Trains twice and compares; 0 if the losses agree."""
  args = parse_arguments()
  ours, theirs = (os.path.join(args.work_dir, name) for name in ("ours", "t5x"))
  common = {
    "TRAIN_STEPS": args.steps,
    "WARMUP_STEPS": args.steps // 2,
    "BATCH_SIZE": args.batch_size,
    "CHECKPOINT_EVERY": args.stop_at,
  }
  seconds = launch(
    [
      "inksight_jax",
      "train",
      f"--gin_file=gin/recipes/{RECIPE}.gin",
      "--gin_file=gin/runs/from_mixture.gin",
      f"--model_dir={ours}",
    ],
    {**common, "EVAL_EVERY": 0, "LOG_EVERY": 1},
    args.devices,
  )
  print(f"our loop: {seconds:.0f} s")
  t5x = ["t5x.train", f"--gin_file=gin/t5x/{RECIPE}.gin"]
  common |= {
    "MODEL_DIR": theirs,
    "STATS_PERIOD": 1,
    "EVAL_EXAMPLES": args.eval_examples,
  }
  first = {"STOP_STEP": args.stop_at, "EVAL_EVERY": 0}
  for name, more in (
    ("T5X until it stops", first),
    ("T5X resumed, with evaluation", {"EVAL_EVERY": args.stop_at}),
  ):
    seconds = launch(t5x, common | more, args.devices)
    print(f"{name}: {seconds:.0f} s")
  worst = report(our_losses(ours), t5x_losses(theirs))
  return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
  sys.exit(main())
