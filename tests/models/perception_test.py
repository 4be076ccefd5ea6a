"""What a reader no longer sees, against features taken another way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.models import perception
from inksight_jax.networks import positions, resnet

# The projection of as many channels as the last stage has can be the identity.
READER = resnet.ResNetConfig(
  width=8,
  blocks=(1, 2),
  channels=(8, 8),
  stride=(2, 2),
  stem_kernel=3,
  max_pool=False,
)


@pytest.fixture(scope="module")
def image():
  """Two pages in the top left of their frames, black."""
  rng = np.random.default_rng(0)
  image = np.zeros((2, 8, 12, 3), np.uint8)
  image[0, :7, :9] = rng.integers(1, 256, (7, 9, 3))
  image[1, :8, :5] = rng.integers(1, 256, (8, 5, 3))
  return jnp.asarray(image)


@pytest.fixture(scope="module")
def params(image):
  net = resnet.ResNet(READER)
  params = jax.jit(net.init)(jax.random.key(0), image)["params"]
  identity = {"kernel": jnp.eye(8), "bias": jnp.zeros(8)}
  return {**params, "projection": identity}


def features(params, config, pictures, page):
  """Of the last stage of a network: what it embeds, without its places."""
  net = resnet.ResNet(config)
  cells, _ = jax.jit(net.apply)({"params": params}, pictures, mask=page)
  grid = pictures.shape[1] // 2, pictures.shape[2] // 2
  places = positions.SinCosPosition(grid)
  return cells - places.apply({}, jnp.zeros_like(cells))


def test_the_share_that_is_lost_is_that_of_numpy(image, params):
  rng = np.random.default_rng(1)
  made = image.mean(-1, keepdims=True) + jnp.asarray(
    rng.normal(0, 60, (2, 8, 12, 1)), jnp.float32
  )
  page = resnet.page_mask(image)
  real, other = (
    np.asarray(features(params, READER, pictures, page))
    for pictures in (image, made)
  )
  share = np.square(other - real).mean() / real.reshape(-1, 8).var(0).mean()
  lost = jax.jit(perception.lost, static_argnums=0)
  found = lost(READER, params, image, made)
  assert 0.05 < found < 2.0
  np.testing.assert_allclose(found, share, rtol=1e-3)


def test_the_same_picture_loses_nothing_and_an_empty_one_most(image, params):
  lost = jax.jit(perception.lost, static_argnums=0)
  grey = image.astype(jnp.float32)
  assert float(lost(READER, params, image, grey)) < 1e-6
  near = float(lost(READER, params, image, grey + 3.0))
  empty = float(lost(READER, params, image, jnp.zeros_like(grey)))
  assert 0.0 < near < 0.1 < empty


def test_only_what_is_made_learns(image, params):
  made = image.mean(-1, keepdims=True) * 0.5
  toward = jax.jit(jax.grad(perception.lost, (1, 3)), static_argnums=0)
  weights, pixels = toward(READER, params, image, made)
  assert all(not np.any(x) for x in jax.tree.leaves(weights))
  moved = np.abs(pixels).sum(axis=(0, 3)) > 0
  # On the pages, and nowhere else.
  assert moved[:7, :9].all()
  assert not np.any(np.asarray(pixels)[0, :, 10:])
