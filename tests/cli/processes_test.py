"""Two processes of four emulated devices train what one of eight does.

One run through the command line: killed in the middle of a save, started
again, stopped by SIGTERM, and compared with the undisturbed single process.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from inksight_jax.training import checkpoints, writers

ROOT = pathlib.Path(__file__).parents[2]
PATIENCE = 900.0


class Pair:
  """Both processes of a run."""

  def __init__(self, folder: pathlib.Path, words: list[str], name: str):
    with socket.socket() as free:
      free.bind(("127.0.0.1", 0))
      port = free.getsockname()[1]
    flags = os.environ["XLA_FLAGS"].replace("count=8", "count=4")
    self.logs = [folder.parent / f"{name}{index}.log" for index in (0, 1)]
    self.processes = []
    for index, path in enumerate(self.logs):
      with path.open("wb") as log:
        self.processes.append(
          subprocess.Popen(
            [
              *(sys.executable, "-m", "inksight_jax", *words),
              *(f"--model_dir={folder}", "--resume", "--num_processes=2"),
              *(f"--coordinator=127.0.0.1:{port}", f"--process_id={index}"),
            ],
            env={
              **os.environ,
              "XLA_FLAGS": flags,
              "PYTHONPATH": str(ROOT),
              # The second start need not compile again.
              "JAX_COMPILATION_CACHE_DIR": str(folder.parent / "compiled"),
              "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            },
            stdout=log,
            stderr=subprocess.STDOUT,
          )
        )

  def wait_until(self, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
      assert time.monotonic() < deadline, self.text()
      assert all(p.poll() is None for p in self.processes), self.text()
      time.sleep(0.01)

  def exit_codes(self):
    return [p.wait(timeout=PATIENCE) for p in self.processes]

  def __enter__(self):
    return self

  def __exit__(self, *error):
    for process in self.processes:
      process.kill()
      process.wait()

  def text(self):
    return "\n".join(path.read_text()[-2000:] for path in self.logs)


def curve(folder: pathlib.Path) -> dict[int, dict[str, float]]:
  lines = writers.read_curve(str(folder / writers.CURVE_FILE))
  return {int(x["step"]): x for x in lines if "train/loss" in x}


@pytest.fixture
def words(train_words: list[str]) -> list[str]:
  return [
    *train_words,
    # For ever; but after two steps, as in the run to compare with, the learning
    # rate is zero and the parameters stay.
    "--gin.TRAIN_STEPS=100000",
    "--gin.optimizers.warmup_cosine.train_steps=2",
    "--gin.CHECKPOINT_EVERY=1",
    "--gin.PICTURE_EVERY=2",
    "--gin.SAVE_TIMEOUT=60",
    "--gin.EVAL_EVERY=2",
    # Parameters and checkpoints are split over both processes.
    "--gin.MESH_DATA=1",
    "--gin.MESH_FSDP=8",
  ]


def test_two_processes_killed_while_saving_and_stopped_lose_nothing(
  trained: pathlib.Path, words: list[str], tmp_path: pathlib.Path
):
  folder = tmp_path / "model"
  saves = folder / checkpoints.FOLDER

  with Pair(folder, words, "first") as pair:
    pair.wait_until(
      lambda: (
        max(curve(folder), default=0) >= 3
        and checkpoints.unfinished(str(saves))
      )
    )
    pair.processes[1].send_signal(signal.SIGKILL)
    codes = pair.exit_codes()
    # The first one cannot go on alone and must not pretend that it has.
    assert codes[1] == -signal.SIGKILL and codes[0] != 0, pair.text()
  saved = int(os.path.basename(checkpoints.checkpoint_folder(str(folder))))
  assert saved >= 2

  # Once is enough for what each step of the first start has done.
  quiet = ["--gin.EVAL_EVERY=0", "--gin.PICTURE_EVERY=0"]
  with Pair(folder, [*words, *quiet], "second") as pair:
    pair.wait_until(lambda: max(curve(folder), default=0) > saved + 1)
    pair.processes[1].send_signal(signal.SIGTERM)
    assert pair.exit_codes() == [0, 0], pair.text()
  assert f"resuming after step {saved}\n" in pair.logs[0].read_text()
  assert not checkpoints.unfinished(str(saves))

  expected, got = curve(trained), curve(folder)
  # No step is missing, and the last one is the one saved.
  assert sorted(got) == list(range(1, max(got) + 1))
  latest = checkpoints.checkpoint_folder(str(folder))
  assert os.path.basename(latest) == str(max(got))
  for step in (1, 2):
    for name in ("train/loss", "train/grad_norm", "train/accuracy"):
      assert got[step][name] == pytest.approx(expected[step][name], rel=1e-4), (
        step,
        name,
      )
  # A tenth of one of the two steps: Adam divides by the gradient's size, and
  # where that is next to nothing the order of a sum decides.
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
    checkpoints.load_params(str(trained)),
    checkpoints.load_params(str(folder)),
  )
  evaluations = [
    line
    for line in writers.read_curve(str(folder / writers.CURVE_FILE))
    if "eval/loss" in line and line["step"] == 2
  ]
  assert len(evaluations) == 1  # Written once, by the first process.
  assert (folder / "config.gin").is_file()
  assert json.loads((folder / "goodput.json").read_text())["starts"]
