"""Layers against NumPy written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.networks import layers


def _inputs(*shape: int) -> jax.Array:
  values = np.random.default_rng(0).normal(2.0, 3.0, shape)
  return jnp.asarray(values, jnp.float32)


def test_dense_is_a_matrix_product_with_bias():
  x = _inputs(2, 3, 4)
  dense = layers.Dense(5, ("embed", "mlp"), use_bias=True)
  params = dense.init(jax.random.key(0), x)["params"]
  params["bias"] = jnp.arange(5.0)
  got = dense.apply({"params": params}, x)
  want = np.tensordot(x, params["kernel"], 1) + np.arange(5.0)
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_dense_widens_its_output_only_where_asked():
  x = jnp.ones((1, 2, 4))
  narrow = layers.Dense(3, ("embed", "vocab"), dtype="bfloat16")
  wide = layers.Dense(
    3, ("embed", "vocab"), dtype="bfloat16", output_dtype="float32"
  )
  variables = narrow.init(jax.random.key(0), x)
  assert variables["params"]["kernel"].dtype == jnp.float32
  assert narrow.apply(variables, x).dtype == jnp.bfloat16
  assert wide.apply(variables, x).dtype == jnp.float32


@pytest.mark.parametrize(
  ("dtype", "rows", "axes"),
  [("float32", 5, 2), ("bfloat16", 5, 3), ("bfloat16", 32, 2)],
)
def test_products_merge_axes_where_no_tile_is_broken(
  dtype: str, rows: int, axes: int
):
  x = _inputs(2, rows, 4).astype(dtype)
  kernel = _inputs(4, 3).astype(dtype)

  def product(x, kernel):
    return layers.matmul(x, kernel, jnp.dtype(dtype))

  want = np.tensordot(np.float32(x), np.float32(kernel), 1)
  np.testing.assert_allclose(
    np.float32(product(x, kernel)), want, rtol=2**-7, atol=1e-5
  )
  (dot,) = (
    equation
    for equation in jax.make_jaxpr(product)(x, kernel).eqns
    if equation.primitive.name == "dot_general"
  )
  assert dot.invars[0].aval.ndim == axes


def test_norms_equal_their_definitions():
  x = _inputs(2, 3, 8)
  rms = layers.RMSNorm()
  got = rms.apply({"params": {"scale": 2.0 * jnp.ones(8)}}, x)
  x = np.asarray(x)
  want = 2.0 * x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
  np.testing.assert_allclose(got, want, rtol=1e-5)

  norm = layers.LayerNorm()
  params = {"scale": 2.0 * jnp.ones(8), "bias": jnp.ones(8)}
  got = norm.apply({"params": params}, jnp.asarray(x))
  centred = x - x.mean(-1, keepdims=True)
  want = 2.0 * centred / np.sqrt(x.var(-1, keepdims=True) + 1e-6) + 1.0
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_norm_of_large_bfloat16_values_does_not_overflow():
  x = jnp.full((1, 1, 8), 3e38, jnp.bfloat16)
  norm = layers.LayerNorm(dtype="bfloat16")
  params = {"scale": jnp.ones(8), "bias": jnp.zeros(8)}
  assert np.isfinite(norm.apply({"params": params}, x / 1e20)).all()


def test_embed_reads_rows_and_shows_ids_outside_the_table():
  embed = layers.Embed(6, 4)
  tokens = jnp.array([[0, 5, 6]])
  variables = embed.init(jax.random.key(0), tokens)
  table = variables["params"]["embedding"]
  got = embed.apply(variables, tokens)
  np.testing.assert_array_equal(got[0, :2], table[jnp.array([0, 5])])
  assert np.isnan(got[0, 2]).all()


def test_attend_scores_a_row_highest_against_itself():
  embed = layers.Embed(6, 32)
  variables = embed.init(jax.random.key(0), jnp.zeros((1, 1), jnp.int32))
  table = variables["params"]["embedding"]
  logits = embed.apply(variables, table[None], method="attend")
  np.testing.assert_allclose(
    logits[0], np.asarray(table) @ np.asarray(table).T / np.sqrt(32), rtol=1e-4
  )


def test_gated_mlp_is_the_product_of_its_branches():
  x = _inputs(1, 2, 4)
  mlp = layers.GatedMlp(3, ("relu", "linear"), 0.0, True)
  params = mlp.init(jax.random.key(0), x)["params"]
  kernels = {name: np.asarray(p["kernel"]) for name, p in params.items()}
  got = mlp.apply({"params": params}, x)
  x = np.asarray(x)
  gate = np.maximum(x @ kernels["wi_0"], 0.0) * (x @ kernels["wi_1"])
  np.testing.assert_allclose(got, gate @ kernels["wo"], rtol=1e-4, atol=1e-4)


def test_dropout_drops_a_feature_at_all_positions():
  x = jnp.ones((2, 5, 64))
  dropped = layers.broadcast_dropout(0.5, False).apply(
    {}, x, rngs={"dropout": jax.random.key(0)}
  )
  kept = np.asarray(dropped) > 0
  assert (kept == kept[:, :1]).all()
  assert 0.2 < kept.mean() < 0.8
  assert (kept[0] != kept[1]).any()


def test_wrong_choice_is_named_with_the_right_ones():
  with pytest.raises(
    ValueError, match=r"remat_policy.*'some'.*dots.*full.*none"
  ):
    layers.check_choice("remat_policy", "some", layers.REMAT_POLICIES)
