"""Programs are made once, found again, and made anew where anything differs."""

import functools
import pathlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.inference import compile_cache
from inksight_jax.inference.kept_program import KeptProgram, describe
from inksight_jax.networks import mt5
from inksight_jax.networks.decoding import DecodeConfig
from inksight_jax.networks.row_kernels import RowKernel

ARGUMENTS = (
  {"kernel": RowKernel(jnp.arange(6.0).reshape(2, 3)), "bias": jnp.ones(2)},
  np.array([[1.0, 2.0, 3.0]], np.float32),
  None,
)
WANTED = [[9.0, 27.0]]


@pytest.fixture
def kept(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
  """The folder of programs, and the setting as it was afterwards."""
  before = jax.config.values["jax_compilation_cache_dir"]
  jax.config.update("jax_compilation_cache_dir", None)
  monkeypatch.setenv(compile_cache.VARIABLE, str(tmp_path))
  yield compile_cache.enable()
  jax.config.update("jax_compilation_cache_dir", before)


class Process:
  """What a new process would do: a new function and a new `KeptProgram`."""

  def __init__(self, made_from=("factor", 1), factor: float = 1.0) -> None:
    self.traced = 0

    def function(params, inputs, nothing):
      assert nothing is None
      self.traced += 1
      outputs = params["kernel"].multiply(inputs, inputs.dtype)
      return factor * (outputs + params["bias"][None]), inputs

    self.run = KeptProgram(function, made_from, num_results=2)

  def __call__(self, arguments=ARGUMENTS):
    return np.asarray(self.run(*arguments)[0])


def programs(folder: pathlib.Path) -> list[pathlib.Path]:
  return sorted(folder.glob("program-*"))


def test_the_second_process_traces_nothing(kept: pathlib.Path):
  first, second = Process(), Process()
  np.testing.assert_allclose(first(), WANTED)
  np.testing.assert_allclose(second(), WANTED)
  np.testing.assert_allclose(second(), WANTED)
  assert (first.traced, second.traced) == (1, 0)
  assert len(programs(kept)) == 1


def test_what_differs_is_another_program(
  kept: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  Process()()
  doubled = Process(("factor", 2), 2.0)
  np.testing.assert_allclose(doubled(), 2 * np.array(WANTED))
  wider = Process()
  params, inputs, _ = ARGUMENTS
  wider((params, np.repeat(inputs, 2, axis=0), None))
  assert (doubled.traced, wider.traced) == (1, 1)
  monkeypatch.setattr(
    "inksight_jax.inference.kept_program._sources", lambda: "edited"
  )
  edited = Process()
  edited()
  assert edited.traced == 1 and len(programs(kept)) == 4


def test_threads_make_a_program_once(
  kept: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  make, made = KeptProgram._make, []

  def slow(self: KeptProgram, path: pathlib.Path, arguments: Any) -> Any:
    made.append(path)
    time.sleep(0.2)  # long enough for the other to come
    return make(self, path, arguments)

  monkeypatch.setattr(KeptProgram, "_make", slow)
  process = Process()
  with ThreadPoolExecutor(2) as pool:
    for found in pool.map(process, [ARGUMENTS, ARGUMENTS]):
      np.testing.assert_allclose(found, WANTED)
  assert made == programs(kept) and len(made) == 1


def test_a_broken_file_is_replaced(kept: pathlib.Path):
  Process()()
  (path,) = programs(kept)
  whole = path.read_bytes()
  for broken in (b"", b"no pickle", whole[: len(whole) // 2]):
    path.write_bytes(broken)
    again = Process()
    np.testing.assert_allclose(again(), WANTED)
    assert again.traced == 1
  last = Process()
  np.testing.assert_allclose(last(), WANTED)
  assert last.traced == 0 and programs(kept) == [path]


def test_what_cannot_be_told_or_is_spread_is_compiled_as_ever(
  kept: pathlib.Path,
):
  # The source of this very lambda is not among those that count.
  unknown = Process(made_from=lambda x: x)
  np.testing.assert_allclose(unknown(), WANTED)
  mesh = jax.make_mesh((2,), ("data",))
  everywhere = jax.NamedSharding(mesh, jax.sharding.PartitionSpec())
  spread = Process()
  np.testing.assert_allclose(
    spread(jax.device_put(ARGUMENTS, everywhere)), WANTED
  )
  jax.config.update("jax_compilation_cache_dir", None)
  off = Process()
  np.testing.assert_allclose(off(), WANTED)
  assert (unknown.traced, spread.traced, off.traced) == (1, 1, 1)
  assert not programs(kept)


def test_descriptions_tell_apart_and_do_not_hold_addresses():
  config = mt5.MT5Config(vocab_size=9)
  values = [
    1,
    1.0,
    "1",
    None,
    (1, 2),
    [1, 2],
    {"a": 1},
    np.float32(1) * np.ones(2, np.float32),
    np.ones((2, 1), np.float32),
    jnp.float32,
    functools.partial(nn.relu, 1),
    nn.initializers.normal(1.0),
    nn.initializers.normal(2.0),
    config,
    mt5.MT5Config(vocab_size=9, num_heads=7),
    mt5.Encoder(config),
    DecodeConfig(max_length=4),
    DecodeConfig(max_length=5),
  ]
  found = [describe(value) for value in values]
  assert len(set(found)) == len(values)
  assert not any("0x" in text for text in found)
  # Equal things made apart have one description.
  assert describe(mt5.Encoder(mt5.MT5Config(vocab_size=9))) == found[-3]
  for unknown in (object(), {1, 2}, lambda: 0, Process):
    with pytest.raises(TypeError, match=r"no description|not known"):
      describe({"deep": [unknown]})
