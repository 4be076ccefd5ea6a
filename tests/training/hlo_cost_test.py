"""Costs of compiled programs, against arithmetic and unrolled twins."""

import pathlib

import jax
import jax.numpy as jnp
import pytest

from inksight_jax.training import hlo, hlo_cost

SIZE = 32


def _layer(x: jax.Array, weights: jax.Array) -> tuple[jax.Array, None]:
  return jnp.tanh(x @ weights), None


def _scanned(x: jax.Array, weights: jax.Array) -> jax.Array:
  return jnp.sum(jax.lax.scan(_layer, x, weights)[0])


def _unrolled(x: jax.Array, weights: jax.Array) -> jax.Array:
  for layer in weights:
    x, _ = _layer(x, layer)
  return jnp.sum(x)


def _cost(function, depth: int) -> hlo_cost.Cost:
  x = jax.ShapeDtypeStruct((SIZE, SIZE), jnp.float32)
  weights = jax.ShapeDtypeStruct((depth, SIZE, SIZE), jnp.float32)
  compiled = jax.jit(jax.grad(function)).lower(x, weights).compile()
  return hlo_cost.analyse(compiled.as_text())


@pytest.mark.parametrize("depth", [2, 4])
def test_scanned_layers_cost_as_much_as_unrolled_ones(depth: int):
  scanned, unrolled = _cost(_scanned, depth), _cost(_unrolled, depth)
  # A product forward, one for the gradient of x, of 2 n^3 operations each.
  assert scanned.matmul_flops == 2 * depth * 2 * SIZE**3
  assert unrolled.matmul_flops == scanned.matmul_flops
  assert scanned.open_loops == ()


def test_the_compilers_own_analysis_counts_a_loop_once():
  # The reason for this module; should XLA change, it can go.
  x = jnp.zeros((SIZE, SIZE))
  weights = jnp.zeros((4, SIZE, SIZE))
  compiled = jax.jit(_scanned).lower(x, weights).compile()
  own = compiled.cost_analysis()["flops"]
  assert own < 2 * 2 * SIZE**3
  assert hlo_cost.analyse(compiled.as_text()).matmul_flops == 4 * 2 * SIZE**3


def test_a_loop_that_the_data_ends_runs_as_often_as_told():
  def halve(x: jax.Array) -> jax.Array:
    return jax.lax.while_loop(
      lambda x: jnp.max(x) > 1.0, lambda x: 0.1 * (x @ x), x
    )

  x = jax.ShapeDtypeStruct((SIZE, SIZE), jnp.float32)
  text = jax.jit(halve).lower(x).compile().as_text()
  once, often = hlo_cost.analyse(text), hlo_cost.analyse(text, 10)
  assert len(once.open_loops) == 1
  assert once.matmul_flops == 2 * SIZE**3
  assert often.matmul_flops == 10 * once.matmul_flops


# Written by hand after what the TPU compiler prints.
PROGRAM = (pathlib.Path(__file__).parent / "toy.hlo").read_text("utf-8")


def _ops() -> dict[str, hlo_cost.OpCost]:
  return {op.name: op for op in hlo_cost.analyse(PROGRAM).ops}


def test_only_the_slice_that_is_read_counts_in_the_type_it_is_read_in():
  op = _ops()["layer"]
  # 64 float32 and an index; what is written stays on the chip.
  assert op.hbm_bytes == 64 * 4 + 4
  assert op.bytes == op.hbm_bytes + 64 * 2
  assert op.source == "jit(f)/slice"


def test_an_update_in_place_moves_the_update():
  assert _ops()["result"].hbm_bytes == 2 * 64 * 4 + 4


def test_the_runs_of_a_loop_are_read_from_its_condition():
  op = _ops()["product"]
  assert op.runs == 7
  assert op.matmul_flops == 7 * 2 * 8**3
  assert op.hbm_bytes == 0


def test_batched_products_written_as_dilated_convolutions_skip_the_gaps():
  # Outputs 2 and 2 positions of the window, of which one hits data each.
  op = _ops()["batched"]
  assert op.matmul_flops == 2 * 2 * 3 * 5 * 7


def test_a_sum_over_chips_sends_all_but_a_share_twice():
  assert _ops()["sum"].ici_bytes == 2 * 3 / 4 * 64 * 4


def test_a_kernel_computes_what_it_says_and_moves_its_arrays():
  op = _ops()["kernel"]
  assert op.matmul_flops == 1234
  assert op.hbm_bytes == 2 * 64 * 4
  assert op.bytes == op.hbm_bytes + 64 * 2


def test_a_loop_counter_that_starts_late_runs_less():
  text = PROGRAM.replace("%start = s32[]{:T(128)} constant(0)",
                         "%start = s32[]{:T(128)} constant(5)")  # fmt: skip
  ops = {op.name: op for op in hlo_cost.analyse(text).ops}
  assert ops["product"].runs == 2


def test_text_without_a_program_is_refused():
  with pytest.raises(ValueError, match="ENTRY"):
    hlo.parse("HloModule empty")
