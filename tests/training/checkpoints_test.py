import os
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from inksight_jax.training import checkpoints, mesh, optimizers
from inksight_jax.training.state import TrainState


def make_state(step, optimizer=None):
  params = {
    "decoder": {"kernel": jnp.full((8, 4), float(step))},
    "encoder": {"bias": jnp.arange(4.0)},
  }
  optimizer = optimizer or optimizers.freeze(optimizers.adamw(), ["encoder"])
  return TrainState(jnp.int32(step), params, optimizer.init(params))


def placed(state, sharding):
  shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state)
  return shapes, jax.tree.map(lambda x: sharding(x), state)


def test_states_come_back_equal_on_another_mesh(tmp_path):
  checkpointer = checkpoints.Checkpointer(str(tmp_path))
  state = make_state(7)
  checkpointer.save(state, seed=11)
  checkpointer.wait()
  where = mesh.make_mesh(fsdp=4, data=2)

  def sharding(x):
    spec = PartitionSpec("fsdp") if x.ndim == 2 else PartitionSpec()
    return NamedSharding(where, spec)

  shapes, shardings = placed(state, sharding)
  restored, meta = checkpointer.restore(shapes, shardings)
  assert meta == {"step": 7, "seed": 11, "data_position": 7}
  assert jax.tree.structure(restored) == jax.tree.structure(state)
  jax.tree.map(np.testing.assert_array_equal, restored, state)
  kernel = restored.params["decoder"]["kernel"]
  assert kernel.sharding.spec == PartitionSpec("fsdp")
  assert kernel.addressable_shards[0].data.shape == (2, 4)
  checkpointer.close()


def test_keeps_the_latest_and_finds_them_by_any_path(tmp_path):
  checkpointer = checkpoints.Checkpointer(str(tmp_path), keep=2)
  for step in (1, 2, 10):
    checkpointer.save(make_state(step), seed=0)
  checkpointer.close()
  assert checkpoints.Checkpointer(str(tmp_path)).latest_step() == 10
  for path, step, expected in (
    (tmp_path, None, 10),
    (tmp_path, 2, 2),
    (tmp_path / "checkpoints", None, 10),
    (tmp_path / "checkpoints" / "2", None, 2),
  ):
    params = checkpoints.load_params(str(path), step)
    kernel = params["decoder"]["kernel"]
    assert isinstance(kernel, np.ndarray)
    assert set(kernel.ravel()) == {float(expected)}
  with pytest.raises(ValueError, match=r"of step 1; it has 2, 10"):
    checkpoints.load_params(str(tmp_path), 1)
  with pytest.raises(ValueError, match=r"No checkpoint found in .*elsewhere"):
    checkpoints.load_params(str(tmp_path / "elsewhere"))


def test_another_model_or_optimiser_is_named(tmp_path):
  checkpointer = checkpoints.Checkpointer(str(tmp_path))
  with pytest.raises(ValueError, match="There is no checkpoint"):
    checkpointer.restore(make_state(0), make_state(0))
  checkpointer.save(make_state(3), seed=0)
  checkpointer.wait()
  here = NamedSharding(mesh.make_mesh(), PartitionSpec())
  wider = make_state(3)
  wider.params["decoder"]["kernel"] = jnp.zeros((8, 5))
  with pytest.raises(
    ValueError, match=r"decoder/kernel is \(8, 4\) there and \(8, 5\) in this"
  ):
    checkpointer.restore(*placed(wider, lambda x: here))
  other = make_state(3, optax.sgd(0.1, momentum=0.9))
  with pytest.raises(ValueError, match=r"opt_state/.* absent"):
    checkpointer.restore(*placed(other, lambda x: here))
  checkpointer.close()


WRITER = """
import sys
import jax.numpy as jnp
from inksight_jax.training import checkpoints
from inksight_jax.training.state import TrainState
checkpointer = checkpoints.Checkpointer(sys.argv[1], keep=None)
for step in range(1, 100000):
  params = {"kernel": jnp.full((1000, 1000), float(step))}
  checkpointer.save(TrainState(jnp.int32(step), params, ()), seed=0)
"""


def test_a_checkpoint_cut_short_by_kill_never_counts(tmp_path):
  # The process does nothing but save, so it dies in the middle of a save.
  process = subprocess.Popen(
    [sys.executable, "-c", WRITER, str(tmp_path)],
    env={**os.environ, "PYTHONPATH": os.getcwd()},
  )
  folder = tmp_path / "checkpoints"
  deadline = time.monotonic() + 120
  while time.monotonic() < deadline and process.poll() is None:
    if folder.is_dir() and sum(p.name.isdigit() for p in folder.iterdir()) > 2:
      break
    time.sleep(0.01)
  process.send_signal(signal.SIGKILL)
  assert process.wait() == -signal.SIGKILL
  latest = checkpoints.checkpoint_folder(str(tmp_path))
  kernel = checkpoints.load_params(str(tmp_path))["kernel"]
  assert set(kernel.ravel()) == {float(os.path.basename(latest))}
  checkpointer = checkpoints.Checkpointer(str(tmp_path), keep=None)
  assert str(checkpointer.latest_step()) == os.path.basename(latest)
  checkpointer.save(make_state(200000), seed=0)
  checkpointer.close()
  # What the dead process left behind is gone.
  assert all(path.name.isdigit() for path in folder.iterdir())


def test_the_best_by_a_metric_are_kept_and_the_latest(tmp_path):
  rates = {1: 0.5, 2: 0.2, 3: 0.4, 4: 0.2, 5: 0.9}
  for first, last in ((1, 3), (4, 5)):
    # Opened again, it knows what was best before.
    saver = checkpoints.Checkpointer(str(tmp_path), 2, best_metric="eval/cer")
    for step in range(first, last + 1):
      reports = {"eval/cer": rates[step], "eval/wer": 0.0}
      saver.save(make_state(step), 0, reports)
    saver.save(make_state(9), 0, {"eval/wer": 0.0})
    saver.wait()
    kept = sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir())
    assert kept == ([2, 3, 9] if last == 3 else [2, 4, 9])
    if last == 3:
      saver.drop_after(3)
    saver.close()
  folder = checkpoints.checkpoint_folder(str(tmp_path), "best")
  assert folder.endswith("/2")
  assert checkpoints.checkpoint_folder(str(tmp_path)).endswith("/9")


def test_without_a_metric_none_is_the_best(tmp_path):
  saver = checkpoints.Checkpointer(str(tmp_path))
  saver.save(make_state(1), 0, {"eval/cer": 0.1})
  saver.close()
  with pytest.raises(ValueError, match="none is the best"):
    checkpoints.load_params(str(tmp_path), "best")
