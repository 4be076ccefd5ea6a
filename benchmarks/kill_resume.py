"""Kills a training run at random moments and compares it with a quiet one.

    python benchmarks/kill_resume.py --output_dir=/tmp/kill_resume

Trains once without disturbance, then again in a folder of its own, killing the
process with SIGKILL at random moments of its start-up and of its training and
starting it anew with --resume. At the end the losses of all steps, the
parameters and the optimiser state of both runs must be equal to the bit.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from inksight_jax.training import checkpoints, writers

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The quickstart's network on fewer pixels and words: start-up is most of it.
# Dropout is on, so that the random state matters.
SMALL = (
  "--gin_file=gin/recipes/inksight_quickstart.gin",
  "--gin.IMAGE_SIZE=32",
  "--gin.CANVAS=32",
  "--gin.TARGET_LENGTH=64",
  "--gin.BATCH_SIZE=8",
  "--gin.DROPOUT_RATE=0.1",
  "--gin.WARMUP_STEPS=10",
  "--gin.EVAL_EVERY=0",
  "--gin.spec.InkSightTasks.source_options="
  '{"count": 64, "held_out_count": 8, "alphabet": "abc", "max_length": 3}',
)
# Share of the kills that fall into the start-up of the program.
EARLY = 0.25
TIMEOUT = 1200.0


@dataclasses.dataclass(frozen=True)
class Kill:
  """One killed start.

  Attributes:
    resumed: step it had started after.
    reached: last step in the curve when it died.
    saved: step of the latest finished checkpoint then.
    mid_save: whether a checkpoint was being written.
    seconds: it had lived.
  """

  resumed: int
  reached: int
  saved: int
  mid_save: bool
  seconds: float


class Run:
  """Starts of one training run.

  Args:
    folder: gets the model directory and the log.
    arguments: of `inksight-jax train`, without the model directory.
  """

  def __init__(self, folder: pathlib.Path, arguments: Sequence[str]) -> None:
    self.model_dir = folder / "model"
    self._log = folder / "train.log"
    folder.mkdir(parents=True, exist_ok=True)
    self._old_curve: int | None = None
    self._command = [
      *(sys.executable, "-m", "inksight_jax", "train", *arguments),
      *(f"--model_dir={self.model_dir}", "--resume"),
    ]
    # Compiled once: twenty starts would do little else.
    self._environment = {
      **os.environ,
      "PYTHONPATH": str(ROOT),
      "JAX_COMPILATION_CACHE_DIR": str(folder.parent / "compiled"),
      "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
      "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }

  def start(self) -> subprocess.Popen[bytes]:
    """Starts the program; its output goes to a log of this start alone."""
    self._old_curve = self._curve_file()
    with self._log.open("wb") as log:
      return subprocess.Popen(
        self._command,
        cwd=ROOT,
        env=self._environment,
        stdout=log,
        stderr=subprocess.STDOUT,
      )

  def log(self) -> str:
    """Output of the latest start."""
    return self._log.read_text(encoding="utf-8", errors="replace")

  def resumed(self) -> int | None:
    """Step after which the latest start went on, if it got that far."""
    found = re.search(r"resuming after step (\d+)", self.log())
    return int(found[1]) if found else None

  def saved(self) -> int:
    """Step of the latest finished checkpoint; 0 for none."""
    folder = self.model_dir / checkpoints.FOLDER
    names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
    return max((int(name) for name in names if name.isdigit()), default=0)

  def _curve_file(self) -> int | None:
    """Number of the file that is the curve now; each start writes a new one."""
    path = self.model_dir / writers.CURVE_FILE
    return path.stat().st_ino if path.exists() else None

  def reached(self) -> int:
    """Last step of the latest start in the curve; 0 before it has begun one."""
    if self._curve_file() == self._old_curve:
      return 0
    curve = writers.read_curve(str(self.model_dir / writers.CURVE_FILE))
    return int(curve[-1]["step"]) if curve else 0

  def wait_for_step_after(
    self,
    step: int,
    process: subprocess.Popen[bytes],
    moment: float = float("inf"),
  ) -> None:
    """Waits for a step after this one in the curve, or for a moment."""
    while process.poll() is None and self.reached() <= step:
      left = moment - time.monotonic()
      if left <= 0:
        return
      time.sleep(min(0.1, left))


def run_quietly(run: Run) -> tuple[float, float]:
  """Trains to the end; (seconds of start-up, seconds of training)."""
  begin = time.monotonic()
  process = run.start()
  run.wait_for_step_after(0, process)
  started = time.monotonic()
  if process.wait(timeout=TIMEOUT):
    raise RuntimeError(f"The undisturbed run failed:\n{run.log()[-2000:]}")
  return started - begin, time.monotonic() - started


def run_killed(
  run: Run, kills: int, seed: int, startup: float, pace: float, steps: int
) -> list[Kill]:
  """Trains to the end, killed on the way.

  Args:
    run: to start again and again.
    kills: number of kills.
    seed: of the moments.
    startup: seconds until the first step of the undisturbed run.
    pace: its seconds per step.
    steps: of the whole run.

  Returns:
    What was killed.

  Raises:
    RuntimeError: a start did not go on from the latest finished checkpoint, or
      failed by itself.
  """
  rng = random.Random(seed)
  # No start gets further than this, so that the last kill comes before the end
  # whatever the speed of the machine.
  most = max(1, int(0.9 * steps / max(kills, 1)))
  died: list[Kill] = []
  while True:
    saved, begin = run.saved(), time.monotonic()
    process = run.start()
    if len(died) < kills:
      if rng.random() < EARLY:
        moment = time.monotonic() + rng.uniform(0, startup)
      else:
        run.wait_for_step_after(saved + rng.randrange(most), process)
        moment = time.monotonic() + rng.uniform(0, 2 * pace)
      run.wait_for_step_after(saved + most, process, moment)
      process.send_signal(signal.SIGKILL)
    code = process.wait(timeout=TIMEOUT)
    resumed = run.resumed()
    if resumed is not None and resumed != saved:
      raise RuntimeError(f"Resumed after step {resumed}, {saved} was saved.")
    if code != -signal.SIGKILL:
      if code:
        raise RuntimeError(f"A start failed:\n{run.log()[-2000:]}")
      return died
    left = checkpoints.unfinished(str(run.model_dir / checkpoints.FOLDER))
    died.append(
      Kill(
        resumed=saved,
        reached=run.reached(),
        saved=run.saved(),
        mid_save=bool(left),
        seconds=round(time.monotonic() - begin, 1),
      )
    )


def differences(one: pathlib.Path, other: pathlib.Path) -> list[str]:
  """Names what differs between two model directories, bit by bit."""
  found = []
  for load in (checkpoints.load_params, checkpoints.load_training):
    left, right = (_bits(load(str(folder))) for folder in (one, other))
    found += [
      name
      for name in sorted(left.keys() | right.keys())
      if left.get(name) != right.get(name)
    ]
  curves = [_losses(folder) for folder in (one, other)]
  found += [
    f"step {step}"
    for step in sorted(curves[0].keys() | curves[1].keys())
    if curves[0].get(step) != curves[1].get(step)
  ]
  return found


def _bits(tree: Any) -> dict[str, bytes]:
  flat, _ = jax.tree_util.tree_flatten_with_path(tree)
  return {
    jax.tree_util.keystr(path): np.asarray(leaf).tobytes()
    for path, leaf in flat
  }


def _losses(model_dir: pathlib.Path) -> dict[int, Mapping[str, float]]:
  """Everything but the speed, by step; JSON keeps every bit of a float."""
  curve = writers.read_curve(str(model_dir / writers.CURVE_FILE))
  return {
    int(line["step"]): {
      name: value
      for name, value in line.items()
      if name.startswith("train/") and name != "train/steps_per_second"
    }
    for line in curve
    if "train/loss" in line
  }


def compare(
  output_dir: pathlib.Path,
  arguments: Sequence[str],
  kills: int,
  seed: int,
) -> dict[str, Any]:
  """Runs both trainings.

  Args:
    output_dir: empty or absent.
    arguments: of `inksight-jax train`.
    kills: number of kills.
    seed: of their moments.

  Returns:
    What was seen: kills, differences, seconds.
  """
  begin = time.monotonic()
  quiet = Run(output_dir / "quiet", arguments)
  startup, training = run_quietly(quiet)
  killed = Run(output_dir / "killed", arguments)
  steps = len(_losses(quiet.model_dir))
  died = run_killed(
    killed, kills, seed, startup, training / max(steps, 1), steps
  )
  return {
    "kills": [dataclasses.asdict(kill) for kill in died],
    "differences": differences(quiet.model_dir, killed.model_dir),
    "steps": len(_losses(killed.model_dir)),
    "mid_save": sum(kill.mid_save for kill in died),
    "repeated_steps": sum(max(0, k.reached - k.saved) for k in died),
    "startup_seconds": round(startup, 1),
    "training_seconds": round(training, 1),
    "seconds": round(time.monotonic() - begin, 1),
  }


def main() -> int:
  """Prints what was seen; 1 if the runs differ or too few kills fell."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--output_dir", type=pathlib.Path, required=True)
  parser.add_argument("--kills", type=int, default=20)
  parser.add_argument("--steps", type=int, default=400)
  parser.add_argument("--checkpoint_every", type=int, default=5)
  parser.add_argument("--seed", type=int, default=0)
  args = parser.parse_args()
  if (args.output_dir / "quiet").exists():
    parser.error(f"{args.output_dir} holds a run")
  arguments = [
    *SMALL,
    f"--gin.TRAIN_STEPS={args.steps}",
    f"--gin.CHECKPOINT_EVERY={args.checkpoint_every}",
    "--gin.LOG_EVERY=1",
  ]
  result = compare(args.output_dir, arguments, args.kills, args.seed)
  text = json.dumps(result, indent=2)
  (args.output_dir / "result.json").write_text(text + "\n", encoding="utf-8")
  print(text)
  enough = len(result["kills"]) == args.kills
  return 0 if enough and not result["differences"] else 1


if __name__ == "__main__":
  sys.exit(main())
