"""The VQ-VAE: published size, canvases of any shape, padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.networks import quantizers, vqvae
from inksight_jax.training import state


@pytest.fixture(scope="module")
def tiny():
  """(module, variables) with patches of 4 pixels."""
  config = vqvae.VQVAEConfig(
    quantizers.AverageCodebookConfig(8, 4), (4, 4, 8), 1, channels=1
  )
  module = vqvae.VQVAE(config)
  init = jax.jit(lambda key: module.init(key, jnp.zeros((1, 8, 8, 3))))
  return module, init(jax.random.key(0))


def test_the_published_network_has_its_published_size():
  """Counted layer by layer from the description: 14.3 + 16.5 + 0.56 million."""
  module = vqvae.VQVAE(
    vqvae.VQVAEConfig(quantizers.GradientCodebookConfig(16384, 32))
  )
  assert module.config.patch == 16
  shapes = jax.eval_shape(
    lambda: module.init(jax.random.key(0), jnp.zeros((1, 32, 48, 3)))
  )["params"]
  sizes = {name: state.count_parameters(shapes[name]) for name in shapes}
  to_code, from_code = 512 * 32 + 32, 32 * 512 + 512
  assert sizes["encoder"] - to_code == 14_296_832
  assert sizes["decoder"] - from_code == 16_508_163
  assert sizes["codebook"] + to_code + from_code == 557_600


def test_codes_know_nothing_of_the_size_of_the_canvas(tiny):
  """Far from the edges a patch has one code, whatever the canvas."""
  module, variables = tiny
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (1, 40, 56, 3)).astype(np.uint8)
  encode = jax.jit(
    lambda x: module.apply(variables, x, method="encode_pictures")
  )
  whole = np.asarray(encode(image))
  assert whole.shape == (1, 10, 14) and whole.dtype == np.int32
  part = np.asarray(encode(image[:, :, :40]))
  np.testing.assert_array_equal(part[:, :, :5], whole[:, :, :5])
  decode = jax.jit(lambda x: module.apply(variables, x, method="decode_codes"))
  made = np.asarray(decode(jnp.asarray(whole)))
  assert made.shape == image.shape and made.dtype == np.uint8


def test_codes_give_the_same_picture_as_the_network_at_once(tiny):
  module, variables = tiny
  rng = np.random.default_rng(1)
  image = jnp.asarray(rng.integers(0, 256, (2, 8, 12, 3)), jnp.uint8)

  @jax.jit
  def both_ways(image):
    codes = module.apply(variables, image, method="encode_pictures")
    apart = module.apply(variables, codes, method="decode_codes")
    return apart, vqvae.to_pixels(module.apply(variables, image))

  apart, at_once = both_ways(image)
  np.testing.assert_allclose(apart, at_once, atol=1)


def test_cells_of_a_picture():
  image = jnp.zeros((3, 8, 16, 3))
  covered = jnp.asarray([[2, 4], [1, 3], [0, 0]], jnp.int32)
  found = np.asarray(vqvae.covered_cells(image, covered, 4)).astype(int)
  np.testing.assert_array_equal(
    found,
    [
      [[1, 1, 1, 1], [1, 1, 1, 1]],
      [[1, 1, 1, 0], [0, 0, 0, 0]],
      [[0, 0, 0, 0], [0, 0, 0, 0]],
    ],
  )
  with pytest.raises(ValueError, match="10 x 8 pixels is not made of patches"):
    vqvae.covered_cells(jnp.zeros((1, 8, 10, 3)), None, 4)


def test_pixels_survive_the_way_to_the_network_and_back():
  image = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, -1)
  for channels in (1, 3):
    there = vqvae.to_range(jnp.asarray(image), channels)
    assert float(there.min()) == -1.0 and float(there.max()) == 1.0
    np.testing.assert_array_equal(vqvae.to_pixels(there), image)


def test_bad_sizes_are_refused():
  book = quantizers.FiniteScalarConfig((3,))
  with pytest.raises(ValueError, match="1 channel or 3"):
    vqvae.VQVAEConfig(book, channels=2)
  with pytest.raises(ValueError, match="one of tanh, linear"):
    vqvae.VQVAEConfig(book, output="relu")


def test_a_stem_folds_and_unfolds():
  pictures = jnp.arange(2.0 * 4 * 6 * 3).reshape(2, 4, 6, 3)
  folded = vqvae.fold(pictures, 2)
  assert folded.shape == (2, 2, 3, 12)
  # The channels of a cell are its square of pixels, row by row.
  np.testing.assert_array_equal(
    folded[1, 1, 2], pictures[1, 2:4, 4:6].reshape(-1)
  )
  np.testing.assert_array_equal(vqvae.unfold(folded, 2), pictures)
  book = quantizers.FiniteScalarConfig((3, 3))
  config = vqvae.VQVAEConfig(book, (4, 4), 1, channels=1, stem=2)
  assert config.patch == 4
  module = vqvae.VQVAE(config)
  shapes = jax.eval_shape(
    lambda: module.init_with_output(
      jax.random.key(0), jnp.zeros((1, 8, 12, 3)), method="encode_pictures"
    )
  )
  assert shapes[0].shape == (1, 2, 3)
