"""Programs of training are compiled without YNN on CPUs."""

import flax.core
import jax
import jax.numpy as jnp
import pytest

from inksight_jax.training import compiler_options, hooks, loop, writers
from inksight_jax.training import mesh as mesh_lib
from inksight_jax.training.state import TrainState


@pytest.fixture(autouse=True)
def ask_again():
  compiler_options._known.cache_clear()
  yield
  compiler_options._known.cache_clear()


def convolve(state, batch):
  """A step like any other: a convolution is all that it does."""
  x = jax.lax.conv_general_dilated(
    batch["picture"],
    state.params["kernel"],
    (1, 1),
    "SAME",
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )
  return state, {"loss": jnp.sum(x)}, jnp.zeros(2)


def test_a_step_for_cpus_is_compiled_without_ynn(one_device_mesh):
  kernel = jnp.ones((3, 3, 32, 32))
  batch = {"picture": jnp.ones((2, 32, 32, 32))}
  state = TrainState(
    step=jnp.zeros((), jnp.int32),
    params=flax.core.unfreeze({"kernel": kernel}),
    opt_state=(),
  )
  if (
    "__ynn_fusion"
    not in jax.jit(convolve).lower(state, batch).compile().as_text()
  ):
    pytest.skip("This XLA has no YNN.")
  shardings = jax.tree.map(
    lambda _: mesh_lib.replicated(one_device_mesh), state
  )
  # Training compiles where its mesh is in use.
  with jax.set_mesh(mesh_lib.make_mesh()):
    compiler_options.for_platform("cpu")
  compiled = loop.compile_step(convolve, state, shardings, batch)
  assert "convolution" in compiled.as_text()
  assert "__ynn_fusion" not in compiled.as_text()


def test_other_devices_have_no_options():
  assert compiler_options.for_platform("tpu") == {}
  assert compiler_options.for_platform("gpu") == {}


def test_an_xla_that_knows_no_such_option_is_left_alone(monkeypatch):
  monkeypatch.setattr(compiler_options, "_ON_CPUS", {"no_such_option": "1"})
  assert compiler_options.for_platform("cpu") == {}


def test_evaluations_are_compiled_with_the_options_too(
  monkeypatch, toy_model, toy_batches, one_device_mesh
):
  monkeypatch.setattr(
    compiler_options, "for_platform", lambda platform: {"no_such_option": "1"}
  )
  model, source = toy_model(), toy_batches()
  hook = hooks.evaluate_loss(
    model, source, one_device_mesh, mesh_lib.LOGICAL_AXIS_RULES
  )
  shapes = {name: x.shape for name, x in next(source.batches()).items()}
  params = model.get_initial_variables(jax.random.key(0), shapes)["params"]
  state = TrainState(step=0, params=params, opt_state=())
  with pytest.raises(jax.errors.JaxRuntimeError, match="no_such_option"):
    hook(hooks.Moment(1, state, writers.Writers(), True))
