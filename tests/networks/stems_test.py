"""Stems on rectangles, and their norm against its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from inksight_jax.networks import stems, vit


def test_group_norm_is_its_definition():
  rng = np.random.default_rng(0)
  x = rng.normal(3.0, 2.0, (2, 5, 7, 16)).astype(np.float32)
  params = {"scale": np.arange(16.0) / 8, "bias": np.arange(16.0) - 3}
  norm = stems.GroupNorm(dtype="float32")
  y = norm.apply({"params": params}, jnp.asarray(x))
  for row in range(2):
    for group in (slice(0, 8), slice(8, 16)):
      part = x[row, ..., group].astype(np.float64)
      part = (part - part.mean()) / np.sqrt(part.var() + 1e-6)
      expected = part * params["scale"][group] + params["bias"][group]
      np.testing.assert_allclose(y[row, ..., group], expected, atol=2e-4)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_of_group_norm_are_those_of_flax(masked: bool):
  rng = np.random.default_rng(1)
  shape = (2, 5, 7, 16)
  x = jnp.asarray(rng.normal(1.0, 2.0, shape), jnp.float32)
  inside = jnp.zeros(shape[:3], bool).at[:, :4, :6].set(True)
  everywhere = jnp.broadcast_to(inside[..., None], shape)
  # Nobody looks at what the norm gives outside of the mask.
  weights = jnp.asarray(rng.normal(size=shape), jnp.float32)
  weights = jnp.where(everywhere, weights, 0.0) if masked else weights
  params = {
    "scale": jnp.asarray(rng.normal(1.0, 0.3, 16), jnp.float32),
    "bias": jnp.asarray(rng.normal(size=16), jnp.float32),
  }

  def gradients(norm: nn.Module, mask: jax.Array) -> tuple[dict, jax.Array]:
    def loss(params: dict, x: jax.Array) -> jax.Array:
      y = norm.apply({"params": params}, x, mask=mask if masked else None)
      return jnp.sum(y * weights)

    return jax.jit(jax.grad(loss, argnums=(0, 1)))(params, x)

  ours = gradients(stems.GroupNorm(dtype="float32"), inside)
  flax = gradients(nn.GroupNorm(num_groups=2), everywhere)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), ours, flax
  )


@pytest.mark.parametrize("stem", ["patch", "conv", "deep_conv"])
def test_a_change_of_a_column_stays_in_its_frames(stem: str):
  layer = stems.STEMS[stem](features=16, patch_size=(8, 4), dtype="float32")
  rng = np.random.default_rng(0)
  image = jnp.asarray(rng.normal(size=(1, 8, 64, 3)), jnp.float32)
  params = jax.jit(layer.init)(jax.random.key(0), image)
  y = jax.jit(layer.apply)(params, image)
  assert y.shape == (1, 1, 16, 16)
  # Without the norms, which look at the whole picture, only near frames know.
  gradient = jax.jit(jax.grad(lambda x: layer.apply(params, x)[0, 0, 8].sum()))(
    image
  )
  seen = np.abs(gradient[0]).sum((0, 2))
  assert seen.argmax() in range(26, 42)
  if stem == "patch":
    assert set(np.flatnonzero(seen)) == set(range(32, 36))
  else:
    near, far = seen[20:48].sum(), seen[:20].sum() + seen[48:].sum()
    assert near > 5 * far


def test_rows_of_a_patch_are_joined_in_order():
  layer = stems.PatchStem(features=6, patch_size=(2, 3), dtype="float32")
  image = jnp.arange(4.0 * 6).reshape(1, 4, 6, 1)
  params = {"kernel": jnp.eye(6).reshape(2, 3, 1, 6), "bias": jnp.zeros(6)}
  y = layer.apply({"params": params}, image)
  assert y[0, 0, 1].tolist() == [3, 4, 5, 9, 10, 11]
  assert y[0, 1, 0].tolist() == [12, 13, 14, 18, 19, 20]


def test_a_patch_that_cannot_be_halved_is_refused():
  for patch in ((8, 3), (6, 4)):
    layer = stems.ConvStem(features=8, patch_size=patch, dtype="float32")
    with pytest.raises(ValueError, match="power of two"):
      layer.init(jax.random.key(0), jnp.zeros((1, 24, 24, 3)))


@pytest.mark.parametrize("position", ["learned", "sincos2d", "coordinates"])
def test_a_wide_vit_tells_its_columns_apart(position: str):
  config = vit.ViTConfig(
    image_size=(8, 32),
    patch_size=(4, 8),
    width=16,
    depth=1,
    mlp_dim=8,
    num_heads=2,
    position=position,
  )
  assert config.grid == (2, 4) and config.num_patches == 8
  model = vit.ViT(config)
  image = jnp.full((1, 8, 32, 3), 90, jnp.uint8)
  params = jax.jit(model.init)(jax.random.key(0), image)
  y = np.asarray(jax.jit(model.apply)(params, image)[0])
  # The picture is of one colour: only positions differ, and all of them do.
  distances = np.abs(y[:, None] - y[None]).sum(-1)
  assert (distances[~np.eye(8, dtype=bool)] > 1e-4).all()
  with pytest.raises(ValueError, match="not a multiple"):
    vit.ViTConfig(image_size=(8, 30), patch_size=8)
