import os
import signal

import jax
import numpy as np
import pytest

from inksight_jax.training import checkpoints, hooks, loop, optimizers


class Curve:
  """A writer that remembers."""

  def __init__(self):
    self.loss = {}

  def scalars(self, step, values):
    if "train/loss" in values:
      self.loss[step] = values["train/loss"]

  def image(self, step, name, image):
    raise AssertionError("nothing here draws")

  def close(self):
    raise AssertionError("the loop must leave the writer open")


def bits(state):
  return [np.asarray(x).tobytes() for x in jax.tree.leaves(state)]


def test_resumed_training_repeats_the_losses_to_the_bit(
  toy_model, toy_batches, one_device_mesh, tmp_path
):
  def train(steps, folder, curve):
    checkpointer = checkpoints.Checkpointer(str(folder))
    state = loop.fit(
      toy_model(dropout_rate=0.5),
      optimizers.adamw(1e-2, weight_decay=0.1),
      toy_batches(),
      steps,
      mesh=one_device_mesh,
      seed=3,
      checkpointer=checkpointer,
      writer=curve,
      log_every=1,
    )
    checkpointer.close()
    return bits(state)

  whole, parts = Curve(), Curve()
  expected = train(9, tmp_path / "whole", whole)
  train(4, tmp_path / "parts", parts)
  assert train(9, tmp_path / "parts", parts) == expected
  assert parts.loss == whole.loss
  assert sorted(whole.loss) == list(range(1, 10))
  # Dropout is at work: the same data with another seed gives other losses.
  other = Curve()
  loop.fit(
    toy_model(dropout_rate=0.5),
    optimizers.adamw(1e-2, weight_decay=0.1),
    toy_batches(),
    2,
    mesh=one_device_mesh,
    seed=4,
    writer=other,
    log_every=1,
  )
  assert other.loss[2] != whole.loss[2]


def test_resume_refuses_another_seed_and_a_changed_model(
  toy_model, toy_batches, tiny_inksight, one_device_mesh, tmp_path
):
  def train(optimizer, seed):
    loop.fit(
      toy_model(),
      optimizer,
      toy_batches(),
      1,
      mesh=one_device_mesh,
      seed=seed,
      checkpointer=checkpoints.Checkpointer(str(tmp_path)),
    )

  train(optimizers.adamw(), 0)
  with pytest.raises(ValueError, match="seed 0, this run has seed 1"):
    train(optimizers.adamw(), 1)
  with pytest.raises(ValueError, match="does not fit: opt_state/"):
    train(optimizers.adafactor(), 0)


def test_learns_to_repeat_one_batch(toy_model, toy_batches, one_device_mesh):
  class Same(toy_batches):
    def batches(self, start=0):
      del start
      # Each token leads to one other, as the network sees no further back.
      tokens = np.tile(np.arange(2, 8, dtype=np.int32), (8, 1))
      while True:
        yield {
          "decoder_input_tokens": tokens,
          "decoder_target_tokens": (tokens + 3) % 8,
          "decoder_loss_weights": np.ones((8, 6), np.float32),
        }

  curve = Curve()
  loop.fit(
    toy_model(z_loss=0.0),
    optimizers.adamw(0.05),
    Same(),
    100,
    mesh=one_device_mesh,
    writer=curve,
    log_every=10,
  )
  assert curve.loss[10] > 0.5
  assert curve.loss[100] < 0.02


def test_sigterm_saves_and_returns(
  toy_model, toy_batches, one_device_mesh, tmp_path
):
  def terminate(moment):
    os.kill(os.getpid(), signal.SIGTERM)

  calls = []
  checkpointer = checkpoints.Checkpointer(str(tmp_path))
  before = signal.getsignal(signal.SIGTERM)
  state = loop.fit(
    toy_model(),
    optimizers.adamw(),
    toy_batches(),
    1000,
    mesh=one_device_mesh,
    checkpointer=checkpointer,
    hooks=[
      hooks.every(3, terminate, at_end=False),
      hooks.every(1000, calls.append),
    ],
  )
  # The signal came after step 3; the loop may finish the step under way.
  assert int(state.step) in (3, 4)
  assert checkpointer.latest_step() == int(state.step)
  assert calls == []
  assert signal.getsignal(signal.SIGTERM) is before


def test_non_finite_loss_stops_with_its_batch_and_sound_checkpoints(
  toy_model, toy_batches, one_device_mesh, tmp_path
):
  source = toy_batches(broken=4)
  checkpointer = checkpoints.Checkpointer(str(tmp_path), keep=None)
  with pytest.raises(loop.NonFiniteLoss, match=r"Step 5 has loss nan"):
    loop.fit(
      toy_model(),
      optimizers.adamw(),
      source,
      10,
      mesh=one_device_mesh,
      checkpointer=checkpointer,
      checkpoint_every=1,
      model_dir=str(tmp_path),
    )
  checkpointer.wait()
  assert checkpointer.latest_step() == 4
  params = checkpoints.load_params(str(tmp_path))
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(params))
  saved = np.load(tmp_path / "non_finite_step_5_process_0.npz")
  expected = next(source.batches(4))
  assert set(saved) == set(expected)
  for name, array in expected.items():
    np.testing.assert_array_equal(saved[name], array)


def test_hooks_run_on_their_own_schedules_with_the_state_of_their_step(
  toy_model, toy_batches, one_device_mesh
):
  seen = []

  def remember(name):
    return lambda moment: seen.append(
      (name, moment.step, int(moment.state.step), moment.last)
    )

  loop.fit(
    toy_model(),
    optimizers.adamw(),
    toy_batches(),
    7,
    mesh=one_device_mesh,
    hooks=[
      hooks.every(3, remember("a")),
      hooks.every(2, remember("b"), at_end=False),
    ],
  )
  assert seen == [
    ("b", 2, 2, False),
    ("a", 3, 3, False),
    ("b", 4, 4, False),
    ("a", 6, 6, False),
    ("b", 6, 6, False),
    ("a", 7, 7, True),
  ]


def test_a_failing_hook_says_which_and_when(
  toy_model, toy_batches, one_device_mesh
):
  def fail(moment):
    raise RuntimeError("no paper left")

  with pytest.raises(RuntimeError, match="no paper left") as caught:
    loop.fit(
      toy_model(),
      optimizers.adamw(),
      toy_batches(),
      3,
      mesh=one_device_mesh,
      hooks=[hooks.every(2, fail, name="the printer")],
    )
  assert caught.value.__notes__ == ["while running the printer after step 2"]


def test_data_that_ends_and_batches_that_do_not_divide_are_named(
  toy_model, toy_batches, one_device_mesh
):
  with pytest.raises(ValueError, match="ended after 2 batches"):
    loop.fit(
      toy_model(),
      optimizers.adamw(),
      toy_batches(limit=2),
      3,
      mesh=one_device_mesh,
    )
  with pytest.raises(ValueError, match="6 examples cannot be shared by 8"):
    loop.fit(toy_model(), optimizers.adamw(), toy_batches(rows=6), 3)


def test_loaded_weights_are_where_training_starts(
  toy_model, toy_batches, one_device_mesh
):
  def train(steps, **options):
    return loop.fit(
      toy_model(),
      optimizers.adamw(learning_rate=0.0),
      toy_batches(),
      steps,
      mesh=one_device_mesh,
      **options,
    ).params

  given = jax.tree.map(lambda x: np.asarray(x) + 1, train(1))
  started = train(2, load=[lambda params: given])
  for name, array in given.items():
    np.testing.assert_array_equal(started[name], array)
  given["kernel"] = given["kernel"][:, :3]
  with pytest.raises(ValueError, match=r"kernel .* \(8, 3\); .*\(8, 16"):
    train(1, load=[lambda params: given])


def test_batches_of_several_shapes_train_and_resume(
  toy_model, toy_batches, one_device_mesh, tmp_path, monkeypatch
):
  """Odd batches are shorter; one program each, whatever the order."""

  class Mixed:
    most_shapes = 2

    def batches(self, start=0):
      for index, batch in enumerate(toy_batches().batches(start), start):
        yield {k: v[:, :4] for k, v in batch.items()} if index % 2 else batch

  compiled = []
  compile_step = loop.compile_step
  monkeypatch.setattr(
    loop,
    "compile_step",
    lambda *args: compiled.append(args[-1]) or compile_step(*args),
  )

  def train(steps, folder, curve):
    checkpointer = checkpoints.Checkpointer(str(folder))
    state = loop.fit(
      toy_model(),
      optimizers.adamw(1e-2),
      Mixed(),
      steps,
      mesh=one_device_mesh,
      checkpointer=checkpointer,
      writer=curve,
      log_every=1,
    )
    checkpointer.close()
    return bits(state)

  whole, parts = Curve(), Curve()
  expected = train(5, tmp_path / "whole", whole)
  assert len(compiled) == 2
  # It goes on with a batch of the other shape than it began with.
  train(3, tmp_path / "parts", parts)
  assert train(5, tmp_path / "parts", parts) == expected
  assert parts.loss == whole.loss
