"""Plans of tiny models, on emulated CPU devices and with the TPU compiler."""

import dataclasses
import importlib.util
import math

import jax
import pytest

from inksight_jax.models.sequence_to_sequence import SequenceToSequence
from inksight_jax.networks import inksight, mt5, vit
from inksight_jax.training import aot, chips, hlo_cost, optimizers, plan
from inksight_jax.training import state as state_lib

chips.set_environment()
NEEDS_LIBTPU = pytest.mark.skipif(
  importlib.util.find_spec("libtpu") is None,
  reason="the TPU compiler is absent; it comes with inksight-jax[tpu]",
)


def _job(**changes) -> plan.Job:
  config = inksight.InkSightConfig(
    vit=vit.ViTConfig(
      image_size=16, patch_size=8, width=16, depth=1, mlp_dim=16, num_heads=2
    ),
    mt5=mt5.MT5Config(
      vocab_size=64, emb_dim=16, num_heads=2, head_dim=8, mlp_dim=16,
      num_encoder_layers=1, num_decoder_layers=2, scan_layers=True,
    ),
    freeze_image_encoder=True,
  )  # fmt: skip
  fields = {
    "model": SequenceToSequence(inksight.InkSight(config)),
    "optimizer": optimizers.freeze(optimizers.adamw(1e-3)),
    "batch_size": 16,
    "train_steps": 3600,
    "image_size": 16,
    "input_length": 4,
    "target_length": 8,
  }
  return plan.Job(**(fields | changes))


TOPOLOGY = chips.parse_topology("v5e:2x4")


@pytest.fixture(scope="module")
def plans() -> dict[str, plan.Plan]:
  """The same job, spread in two ways; decoding with the first."""
  layouts = {
    "data": plan.Layout(8),
    "fsdp": plan.Layout(1, 8),
  }
  return {
    name: aot.make(
      _job(), TOPOLOGY, jax.devices()[:8], layout, decode=name == "data"
    )
    for name, layout in layouts.items()
  }


def test_parameters_are_those_of_the_model(plans):
  shapes = {
    "encoder_input_image": (1, 16, 16, 3),
    "encoder_input_tokens": (1, 4),
    "decoder_input_tokens": (1, 8),
    "decoder_target_tokens": (1, 8),
  }
  variables = jax.eval_shape(
    lambda: _job().model.get_initial_variables(jax.random.key(0), shapes)
  )
  params = state_lib.count_parameters(variables["params"])
  made = plans["data"]
  assert made.params == params
  assert made.train.memory["parameters"] == 4 * params
  frozen = state_lib.count_parameters(variables["params"]["image_encoder"])
  # Two moments of what is trained, and counters.
  assert made.train.memory["optimiser"] == pytest.approx(
    8 * (params - frozen), abs=32
  )


def test_splitting_the_state_leaves_a_chip_its_share(plans):
  whole = plans["data"].train.memory
  split = plans["fsdp"].train.memory
  assert split["parameters"] < whole["parameters"] / 4
  assert split["optimiser"] < whole["optimiser"] / 4
  assert split["batch"] == whole["batch"]


def test_a_batch_holds_two_examples_a_chip(plans):
  example = 16 * 16 * 3 + 4 * (4 + 8 + 8 + 8)
  assert plans["data"].train.memory["batch"] == 2 * example


def test_the_bound_is_that_of_the_slowest_part(plans):
  made = plans["data"]
  cost = made.train.cost
  assert made.bounds(cost)["memory"] == cost.hbm_bytes / 819e9
  assert made.bounds(cost)["compute"] == cost.flops / 197e12
  assert made.roofline_seconds == max(made.bounds(cost).values())
  # 3,600 steps: as many hours as seconds a step.
  assert made.hours == pytest.approx(made.roofline_seconds)
  assert made.chip_hours == pytest.approx(8 * made.roofline_seconds)


def test_decoding_runs_its_loop_to_the_full_length(plans):
  decode = plans["data"].decode
  assert decode.fits
  assert len(decode.cost.open_loops) == 1
  assert max(op.runs for op in decode.cost.ops) % 7 == 0


def test_json_has_the_promised_names(plans):
  values = plans["data"].to_json()
  assert {
    "params", "fits", "hbm_bytes_per_chip", "flops_per_chip",
    "bytes_per_chip", "roofline_seconds", "compile_seconds", "hours",
    "chip_hours",
  } <= values.keys()  # fmt: skip
  assert values["fits"] is True
  assert values["hbm_bytes_per_chip"] == sum(values["memory"].values())
  # XLA counts the two layers of a loop as one.
  counted = values["bytes_of_all_memories_per_chip"]
  assert 0.4 * counted < values["xla_bytes_per_chip"] < counted


def _refusing(message: str):
  def build():
    raise jax.errors.JaxRuntimeError(message)

  return build


@pytest.mark.parametrize(
  "message",
  [
    "RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, "
    "the total memory required for HLO temporaries (20.50G) exceeds available "
    "HBM (15.75G). HLO module: jit_train_step.",
    "RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 20.50G of "
    "15.75G hbm. Exceeded hbm capacity by 4.75G.",
  ],
)
def test_a_program_that_is_too_large_is_a_result(message: str):
  sizes = {"parameters": 2.0**30, "optimiser": 0.0, "batch": 0.0}
  program = aot._compile(_refusing(message), TOPOLOGY.chip, sizes)
  assert not program.fits
  assert program.hbm_bytes == 20.5 * 2**30
  assert program.limit == 15.75 * 2**30


def test_other_refusals_are_errors():
  with pytest.raises(jax.errors.JaxRuntimeError, match="UNIMPLEMENTED"):
    aot._compile(_refusing("UNIMPLEMENTED: no"), TOPOLOGY.chip, {})
  with pytest.raises(ValueError, match="MICROBATCHES"):
    aot._compile(_refusing("RESOURCE_EXHAUSTED: odd"), TOPOLOGY.chip, {})


def _too_large(parameters: float, rest: float, **layout: int) -> plan.Plan:
  memory = {
    "parameters": parameters * 2**30, "optimiser": 0.0, "batch": 0.0,
    "activations, gradients": rest * 2**30,
  }  # fmt: skip
  program = plan.Program(memory, 15.75 * 2**30, None, 1.0)
  return plan.Plan(
    _job(batch_size=64), TOPOLOGY, plan.Layout(**layout), 1, program
  )


def test_large_activations_are_cut_and_large_states_split():
  # Gradients of 1 GiB stay; 27 GiB of activations halve.
  many = _too_large(1.0, 28.0, data=8)
  assert many.suggestion().startswith("set MICROBATCHES=4: about 8.8 GiB")
  heavy = _too_large(9.0, 10.0, data=8)
  assert heavy.suggestion().startswith("set MESH_FSDP=2: about 10.0 GiB")
  hopeless = _too_large(100.0, 200.0, data=1, fsdp=8)
  assert "larger slice" in hopeless.suggestion()
  values = many.to_json()
  assert values["fits"] is False
  assert values["roofline_seconds"] is None
  assert "MICROBATCHES" in values["suggestion"]
  assert many.roofline_seconds == math.inf


def test_a_batch_that_cannot_be_spread_is_refused():
  with pytest.raises(ValueError, match=r"12 examples.*= 8"):
    aot.make(_job(batch_size=12), TOPOLOGY, jax.devices()[:8], plan.Layout(8))


def test_sweep_compares_meshes_and_adds_microbatches_only_where_needed(
  monkeypatch,
):
  tried = []

  def make(job, topology, devices, layout, decode):
    del devices, decode
    tried.append(layout)
    fits = layout.fsdp > 1 or layout.microbatches > 2
    made = _too_large(1.0, 28.0, **dataclasses.asdict(layout))
    cost = hlo_cost.Cost(())
    memory = {"activations, gradients": 1.0}
    program = plan.Program(memory, 2.0 if fits else 0.0, cost, 1.0)
    return dataclasses.replace(made, job=job, topology=topology, train=program)

  monkeypatch.setattr(aot, "make", make)
  found = aot.sweep(_job(batch_size=64), TOPOLOGY, [])
  assert plan.Layout(1, 8, 1, 1) in tried
  assert plan.Layout(1, 8, 1, 2) not in tried
  assert plan.Layout(8, 1, 1, 4) in tried
  assert plan.Layout(8, 1, 1, 8) not in tried
  assert {layout.model for layout in tried} == {1, 2, 4}
  assert [made.fits for made in found] == sorted(
    [made.fits for made in found], reverse=True
  )


@NEEDS_LIBTPU
def test_the_tpu_compiler_plans_a_slice_that_is_not_here():
  topology = chips.parse_topology("v5e:2x2")
  devices = chips.devices(topology)
  made = aot.make(_job(), topology, devices, plan.Layout(2, 2), decode=False)
  assert made.fits
  assert made.train.cost.open_loops == ()
  # The same products as on any machine.
  here = aot.make(
    _job(), topology, jax.devices()[:4], plan.Layout(2, 2), decode=False
  )
  assert made.train.cost.matmul_flops == pytest.approx(
    here.train.cost.matmul_flops, rel=0.05
  )
  assert made.train.cost.ici_bytes > 0
