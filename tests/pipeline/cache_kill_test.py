"""`data cache` killed at random and run again ends with the same bytes."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = """
import sys
from inksight_jax.ink.tokens import InkCodec
from inksight_jax.pipeline import shard_writer
from inksight_jax.pipeline.mixture import Source
from inksight_jax.pipeline.spec import InkSightTasks
from inksight_jax.rendering.augment import AugmentConfig
from inksight_jax.text.vocabulary import Vocabulary

if __name__ == "__main__":
  shard_writer.MAX_SHARD_EXAMPLES = 8
  options = {"count": 64, "held_out_count": 8, "max_length": 3}
  spec = InkSightTasks(
    sources=(
      Source("generated_words", options=options),
      Source("generated_words", options=options | {"seed": 1}, key="more"),
    ),
    vocabulary=Vocabulary(ink=InkCodec(32)),
    image_size=32,
    target_length=128,
    rates={"derender": 1.0, "recognize_ink": 1.0},
    augment=AugmentConfig.light(),
  )
  shard_writer.write_shards(
    sys.argv[1], spec, ("train", "test"), repeats=2, workers=int(sys.argv[2]),
    progress=lambda name, count: print(name, flush=True),
  )
"""


def contents(directory: pathlib.Path) -> dict[str, bytes]:
  return {
    os.fspath(path.relative_to(directory)): path.read_bytes()
    for path in sorted(directory.rglob("*"))
    if path.is_file()
  }


def run(
  program: pathlib.Path, folder: pathlib.Path, workers: int, kill_after: int = 0
) -> int:
  """Exit code; killed a moment after the given number of shards, if any."""
  words = [sys.executable, program, folder, str(workers)]
  environment = os.environ | {"PYTHONPATH": os.fspath(ROOT)}
  with subprocess.Popen(
    words, stdout=subprocess.PIPE, env=environment
  ) as process:
    assert process.stdout is not None
    for count, _ in enumerate(process.stdout, 1):
      if count == kill_after:
        time.sleep(random.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
  return process.returncode


def test_a_cache_killed_at_random_ends_with_the_same_bytes(tmp_path):
  program = tmp_path / "program.py"
  program.write_text(PROGRAM)
  whole, parts = tmp_path / "whole", tmp_path / "parts"
  assert run(program, whole, workers=0) == 0
  # Once with a worker process, which must not go on writing by itself.
  for kill_after, workers in ((3, 1), (20, 0), (5, 0)):
    assert run(program, parts, workers, kill_after) == -signal.SIGKILL
  assert run(program, parts, workers=0) == 0
  assert contents(parts) == contents(whole)
  assert len(contents(whole)) > 100
