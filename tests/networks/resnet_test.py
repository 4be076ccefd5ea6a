"""The ResNet against its definition, and padding that changes nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from inksight_jax.networks import resnet

TINY = resnet.ResNetConfig(
  width=16,
  blocks=(1, 2, 1),
  channels=(8, 8, 16),
  stride=(8, 4),
  stem_kernel=3,
)


def page(height: int, width: int, rows: int, columns: int, paper: int = 230):
  """Random ink on a page of height x width in a frame of rows x columns."""
  image = np.full((1, rows, columns, 3), paper, np.uint8)
  rng = np.random.default_rng(0)
  ink = rng.integers(0, 200, (height, width, 3), np.uint8)
  image[0, :height, :width] = ink
  return jnp.asarray(image)


def test_padding_is_what_follows_the_page_in_one_colour():
  image = np.full((2, 6, 8, 3), 255, np.uint8)
  image[0, 2, 3, 1] = 0
  mask = resnet.page_mask(jnp.asarray(image))
  expected = np.zeros((6, 8), bool)
  expected[:3, :4] = True
  np.testing.assert_array_equal(mask[0], expected)
  # An empty picture is a page of one pixel: norms divide by something.
  assert mask[1].sum() == 1 and mask[1, 0, 0]


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("size", [(24, 20), (21, 27)])
def test_a_frame_of_any_size_gives_the_same_cells(size, bottleneck):
  net = resnet.ResNet(dataclasses.replace(TINY, bottleneck=bottleneck))
  small = page(*size, 24, 28)
  params = jax.jit(net.init)(jax.random.key(0), small)
  # Biases off zero, or the padding would look right by chance.
  params = jax.tree.map(lambda x: x + 0.1, params)
  apply = jax.jit(net.apply)
  x, mask = apply(params, small)
  y, wider = apply(params, page(*size, 36, 42))
  x, mask = x.reshape(3, 7, 16), mask.reshape(3, 7)
  y, wider = y.reshape(5, 11, 16), wider.reshape(5, 11)
  rows, columns = -(-size[0] // 8), -(-size[1] // 4)
  assert mask.sum() == wider.sum() == rows * columns
  np.testing.assert_allclose(x[:rows, :columns], y[:rows, :columns], atol=1e-4)


def test_without_the_mask_the_frame_would_show(monkeypatch):
  net = resnet.ResNet(TINY)
  small, large = page(24, 28, 24, 28), page(24, 28, 48, 56)
  params = jax.jit(net.init)(jax.random.key(0), small)
  monkeypatch.setattr(
    resnet, "page_mask", lambda image: jnp.ones(image.shape[:3], bool)
  )
  apply = jax.jit(net.apply)
  x, _ = apply(params, small)
  y, _ = apply(params, large)
  x, y = x.reshape(3, 7, 16), y.reshape(6, 14, 16)
  assert np.abs(x - y[:3, :7]).max() > 0.05


@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (2, 1)])
@pytest.mark.parametrize("size", [(7, 10), (8, 9)])
def test_pooling_is_that_of_flax(size, stride):
  # Distinct numbers: of equal ones each pooling has its own to learn from.
  numbers = np.random.default_rng(0).permutation(2 * size[0] * size[1] * 4)
  x = jnp.asarray(numbers.reshape(2, *size, 4), jnp.float32)

  def flax_pool(x):
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return nn.max_pool(padded, (3, 3), stride, "VALID")

  def ours(x):
    return resnet.max_pool(x, stride)

  np.testing.assert_array_equal(ours(x), flax_pool(x))
  slopes = [
    jax.grad(lambda x, pool=pool: jnp.sum(jnp.sin(pool(x))))(x)
    for pool in (ours, flax_pool)
  ]
  np.testing.assert_allclose(*slopes, rtol=1e-6)


@pytest.mark.parametrize(
  ("stride", "expected"),
  [
    ((32, 32), [(2, 2), (2, 2), (1, 1), (2, 2), (2, 2), (2, 2)]),
    ((32, 8), [(2, 2), (2, 2), (1, 1), (2, 2), (2, 1), (2, 1)]),
    ((16, 16), [(2, 2), (2, 2), (1, 1), (2, 2), (2, 2), (1, 1)]),
  ],
)
def test_halvings_come_early(stride, expected):
  config = resnet.resnet_config("18", stride=stride)
  assert list(config.halvings) == expected


@pytest.mark.parametrize(
  ("size", "millions"),
  # torchvision's networks without their classifier: 11.18, 21.28, 23.51, of
  # which our one channel of input saves 6,272; plus 1x1 to the width.
  [("18", 11.18), ("34", 21.28), ("50", 23.51)],
)
def test_sizes_are_those_of_the_paper(size, millions):
  config = resnet.resnet_config(size, width=256, stride=(32, 32))
  image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.uint8)
  variables = jax.eval_shape(
    resnet.ResNet(config).init, jax.random.key(0), image
  )
  params = dict(variables["params"])
  params.pop("projection")
  total = sum(np.prod(x.shape) for x in jax.tree.leaves(params))
  assert total + 6_272 == pytest.approx(millions * 1e6, rel=1e-3)


def test_settings_that_do_not_fit_are_named():
  with pytest.raises(ValueError, match="stride"):
    dataclasses.replace(TINY, stride=(8, 64))
  with pytest.raises(ValueError, match="group_size"):
    dataclasses.replace(TINY, group_size=5)
  with pytest.raises(ValueError, match="stages"):
    dataclasses.replace(TINY, blocks=(1, 1))
