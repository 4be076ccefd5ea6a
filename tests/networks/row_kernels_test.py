"""Kernels by rows, or narrower, give the products of kernels as they were."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.networks import attention, layers, row_kernels
from inksight_jax.networks.row_kernels import RowKernel, arrange, quantize

F32 = jnp.dtype("float32")


def matrices(vectors: int) -> tuple[np.ndarray, np.ndarray]:
  rng = np.random.default_rng(0)
  inputs = rng.standard_normal((vectors, 24)).astype(np.float32)
  # Rows of very different sizes, and one of nothing but zeros.
  kernel = rng.standard_normal((24, 10)) * 10.0 ** np.arange(-5, 5)
  kernel[:, 3] = 0
  return inputs, kernel.astype(np.float32)


@pytest.mark.parametrize("vectors", [1, 2, 5])
def test_products_are_those_of_numpy(vectors: int):
  inputs, kernel = matrices(vectors)
  rows = RowKernel(jnp.asarray(kernel.T))
  found = jax.jit(rows.multiply, static_argnums=1)(jnp.asarray(inputs), F32)
  wanted = inputs.astype(np.float64) @ kernel
  scale = np.abs(wanted).max(axis=0) + 1e-30
  np.testing.assert_allclose(
    np.asarray(found) / scale, wanted / scale, atol=1e-5
  )


@pytest.mark.parametrize("vectors", [1, 2, 5])
def test_eight_bits_are_off_by_what_rounding_explains(vectors: int):
  inputs, kernel = matrices(vectors)
  rows = quantize(jnp.asarray(kernel.T))
  assert rows.rows.dtype == jnp.int8
  found = np.asarray(
    jax.jit(rows.multiply, static_argnums=1)(jnp.asarray(inputs), F32),
    np.float64,
  )
  # Half a unit of each factor at every one of the 24 places.
  unit = np.abs(inputs).max(axis=1, keepdims=True) / 127
  units = np.abs(kernel).max(axis=0) / 127
  bound = (
    unit / 2 * np.abs(kernel).sum(axis=0)
    + units / 2 * np.abs(inputs).sum(axis=1, keepdims=True)
    + 24 * unit * units / 4
  )
  error = np.abs(found - inputs.astype(np.float64) @ kernel)
  assert (error <= bound * 1.001).all()
  assert error[:, :3].max() > 0  # it did round


def test_vectors_do_not_share_a_scale():
  inputs, kernel = matrices(1)
  rows = quantize(jnp.asarray(kernel.T))
  alone = rows.multiply(jnp.asarray(inputs), F32)
  crowd = rows.multiply(
    jnp.asarray(np.concatenate([inputs, inputs * 1e4])), F32
  )
  np.testing.assert_allclose(crowd[:1], alone, rtol=1e-6)


def test_a_dense_layer_takes_either_kernel():
  dense = layers.Dense(7, ("embed", "mlp"), use_bias=True)
  inputs = jax.random.normal(jax.random.key(0), (2, 3, 5))
  variables = dense.init(jax.random.key(1), inputs)
  params = {"decoder": {"wi": variables["params"]}}
  by_rows = arrange(params, "float32")["decoder"]["wi"]
  assert isinstance(by_rows["kernel"], RowKernel)
  assert by_rows["bias"] is variables["params"]["bias"]
  np.testing.assert_allclose(
    np.asarray(dense.apply({"params": by_rows}, inputs)),
    np.asarray(dense.apply(variables, inputs)),
    rtol=1e-5,
    atol=1e-6,
  )


@pytest.mark.parametrize("weights", row_kernels.WEIGHTS)
def test_decoders_kernels_lie_by_rows_and_encoders_are_narrowed(weights: str):
  kernel = jnp.ones((4, 6))
  params = {
    "encoder": {"wi": {"kernel": kernel}},
    "decoder": {
      "logits_dense": {"kernel": kernel},
      "layers": {
        "encoder_decoder_attention": {
          "key": {"kernel": jnp.ones((3, 4, 6))},
          "query": {"kernel": jnp.ones((3, 4, 6))},
        }
      },
      "decoder_norm": {"scale": jnp.ones(4)},
    },
    "embedding": {"kernel": jnp.ones((8, 8, 3, 4))},
  }
  found = arrange(params, weights)
  cross = found["decoder"]["layers"]["encoder_decoder_attention"]
  assert cross["query"]["kernel"].rows.shape == (3, 6, 4)
  if weights == "int8":
    assert cross["query"]["kernel"].scales.shape == (3, 6)
  logits = found["decoder"]["logits_dense"]["kernel"]
  assert isinstance(logits, RowKernel)
  assert logits.rows.dtype == ("int8" if weights == "int8" else "float32")
  for part in (
    found["encoder"]["wi"],
    # All of the encoded picture, once.
    cross["key"],
  ):
    assert isinstance(part["kernel"], jax.Array)
    narrow = "float32" if weights == "float32" else "bfloat16"
    assert part["kernel"].dtype == narrow
  # Scales of norms, and kernels of convolutions.
  assert found["decoder"]["decoder_norm"]["scale"].dtype == "float32"
  assert found["embedding"]["kernel"].dtype == "float32"


def test_other_weights_are_refused():
  with pytest.raises(ValueError, match="one of float32, bfloat16, int8"):
    arrange({}, "int4")


@pytest.mark.parametrize("shape", [(5, 24), (2, 3, 24)])
def test_a_narrow_kernel_rounds_both_factors_and_no_sums(
  shape: tuple[int, ...],
):
  rng = np.random.default_rng(0)
  inputs = rng.standard_normal(shape).astype(np.float32)
  dense = layers.Dense(7, ("embed", "mlp"), use_bias=True)
  params = dense.init(jax.random.key(1), jnp.asarray(inputs))["params"]
  params["bias"] = jnp.arange(7.0)
  narrow = arrange({"encoder": params}, "bfloat16")["encoder"]
  found = dense.apply({"params": narrow}, jnp.asarray(inputs))
  assert found.dtype == jnp.float32
  bfloat16 = jnp.dtype("bfloat16")
  kernel = np.asarray(params["kernel"])
  wanted = inputs.astype(bfloat16).astype(np.float64) @ kernel.astype(
    bfloat16
  ).astype(np.float64)
  np.testing.assert_allclose(
    np.asarray(found), wanted + np.arange(7.0), rtol=1e-5, atol=1e-5
  )
  whole = inputs.astype(np.float64) @ kernel
  assert np.abs(wanted - whole).max() > 1e-4  # it did round


@pytest.mark.parametrize("use_bias", [False, True])
def test_siblings_become_one_product_with_the_same_outputs(use_bias: bool):
  inputs = jax.random.normal(jax.random.key(0), (2, 3, 8))
  module = attention.SelfAttention(2, 4, 0.0, True, use_bias=use_bias)
  params = module.init(jax.random.key(1), inputs)["params"]
  # Biases start as zeros, which would not show that they are in order.
  params = jax.tree.map(
    lambda x: jax.random.normal(jax.random.key(x.ndim), x.shape), params
  )
  joined = arrange({"decoder": params}, "float32")["decoder"]
  assert set(joined) == {"query+key+value", "out"}
  assert joined["query+key+value"]["kernel"].rows.shape == (24, 8)
  np.testing.assert_allclose(
    np.asarray(module.apply({"params": joined}, inputs)),
    np.asarray(module.apply({"params": params}, inputs)),
    rtol=1e-4,
    atol=1e-5,
  )


@pytest.mark.parametrize("weights", row_kernels.WEIGHTS)
def test_branches_of_the_mlp_are_joined_layer_by_layer(weights: str):
  rng = np.random.default_rng(0)
  wi = [rng.standard_normal((3, 4, 6)).astype(np.float32) for _ in range(2)]
  params = {
    "decoder": {
      "layers": {
        f"wi_{i}": {"kernel": jnp.asarray(x)} for i, x in enumerate(wi)
      }
    }
  }
  kernel = arrange(params, weights)["decoder"]["layers"]["wi_0+wi_1"]["kernel"]
  rows = np.asarray(kernel.rows, np.float32)
  if kernel.scales is not None:
    rows *= np.asarray(kernel.scales)[..., None]
  wanted = np.concatenate([x.swapaxes(1, 2) for x in wi], axis=1)
  unit = np.abs(wanted).max(axis=-1, keepdims=True) / 127
  bound = unit / 2 if weights == "int8" else 0 * unit
  assert (np.abs(rows - wanted) <= bound * 1.001).all()
