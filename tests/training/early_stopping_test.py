"""The best step is the one that stays, however the run was cut."""

import os
import signal

import numpy as np
import pytest

from inksight_jax.training import (
  checkpoints,
  early_stopping,
  hooks,
  loop,
  optimizers,
  run,
  writers,
)

# Held-out losses by step: best at 2; the better 6 is never reached.
LOSSES = {1: 5.0, 2: 3.0, 3: 4.0, 4: 3.0, 5: 3.5, 6: 1.0}


@pytest.fixture
def fit(toy_model, toy_batches, one_device_mesh, tmp_path):
  def start(name, steps, patience, kill_at=None):
    folder = str(tmp_path / name)
    os.makedirs(folder, exist_ok=True)
    saver = checkpoints.Checkpointer(folder)
    first = saver.latest_step() or 0
    curve = writers.CurveWriter(folder, first)
    stopping = None
    if patience:
      history = writers.read_curve(os.path.join(folder, writers.CURVE_FILE))
      stopping = early_stopping.EarlyStopping(patience, history=history)

    def evaluate(moment):
      moment.writer.scalars(moment.step, {"eval/loss": LOSSES[moment.step]})
      if moment.step == kill_at:
        os.kill(os.getpid(), signal.SIGTERM)

    state = loop.fit(
      toy_model(),
      optimizers.adamw(1e-2),
      toy_batches(),
      steps,
      mesh=one_device_mesh,
      checkpointer=saver,
      hooks=[hooks.every(1, evaluate)],
      writer=curve,
      early_stopping=stopping,
    )
    saver.close()
    curve.close()
    return folder, int(state.step)

  return start


def assert_holds_step_2(folder, expected):
  assert checkpoints.checkpoint_folder(folder).endswith("/2")
  found = checkpoints.load_params(folder)
  np.testing.assert_array_equal(found["kernel"], expected["kernel"])


def test_the_last_checkpoint_is_the_best_one(fit):
  plain, _ = fit("plain", 2, None)
  expected = checkpoints.load_params(plain)
  folder, last = fit("early", 9, 2)
  assert last == 4
  assert_holds_step_2(folder, expected)
  # A run that ends by itself does not keep its worse last step either.
  folder, last = fit("short", 3, 9)
  assert last == 3
  assert_holds_step_2(folder, expected)
  # Nor one that was stopped after a worse step, and then found nothing better.
  folder, last = fit("cut", 9, 2, kill_at=3)
  assert last == 4 and checkpoints.checkpoint_folder(folder).endswith("/4")
  folder, last = fit("cut", 9, 2)
  assert last == 5
  assert_holds_step_2(folder, expected)


def test_a_resumed_run_remembers_what_was_best():
  history = [{"step": step, "eval/loss": LOSSES[step]} for step in (1, 2, 3)]
  stopping = early_stopping.EarlyStopping(2, history=history)
  assert (stopping.best, stopping.best_step) == (3.0, 2)
  stopping.scalars(4, {"train/loss": 0.0})
  assert not stopping.exhausted
  stopping.scalars(4, {"eval/loss": float("nan")})
  assert stopping.exhausted and stopping.best_step == 2
  with pytest.raises(ValueError, match="`patience` is 0"):
    early_stopping.EarlyStopping(0)


def test_a_run_with_patience_needs_an_evaluation(
  toy_model, toy_batches, one_device_mesh, tmp_path
):
  def train(name, **options):
    return run.train(
      str(tmp_path / name),
      toy_model(),
      toy_batches(),
      6,
      optimizer=optimizers.adamw(0.0),
      mesh=one_device_mesh,
      console=False,
      patience=1,
      **options,
    )

  with pytest.raises(ValueError, match="needs held-out batches"):
    train("none")
  with pytest.raises(ValueError, match="needs held-out batches"):
    train("never", eval_batches=toy_batches(), eval_every=0)
  # At a rate of 0 nothing gets better than the first evaluation.
  state = train("flat", eval_batches={"dev": toy_batches()}, eval_every=2)
  assert int(state.step) == 4
  assert checkpoints.checkpoint_folder(str(tmp_path / "flat")).endswith("/2")
