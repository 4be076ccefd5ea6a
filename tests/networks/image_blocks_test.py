"""Blocks of networks for pictures."""

import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.networks import image_blocks


def test_spectral_norm_is_the_largest_singular_value():
  for seed in range(5):
    matrix = np.random.default_rng(seed).normal(size=(27, 8))
    # One value well above the others, as in trained kernels.
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    s[0] *= 2
    matrix = (u * s) @ v
    found = float(image_blocks.spectral_norm(jnp.asarray(matrix, jnp.float32)))
    assert found == pytest.approx(s[0], rel=0.05)
