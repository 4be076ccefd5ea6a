"""ViT: published sizes and names, stems and positions derived another way."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.networks import positions, stems, vit

TINY = vit.ViTConfig(
  image_size=16, patch_size=8, width=16, depth=2, mlp_dim=32, num_heads=2
)


def _image(size: int = 16, batch: int = 1) -> jax.Array:
  pixels = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3))
  return jnp.asarray(pixels, jnp.uint8)


def _shapes(config: vit.ViTConfig) -> dict:
  image = jnp.zeros((1, config.image_size, config.image_size, 3), jnp.uint8)
  variables = jax.eval_shape(vit.ViT(config).init, jax.random.key(0), image)
  return variables["params"]


def _count(tree: dict) -> int:
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


# Counts of timm's vit_{tiny,base,large}_patch16_224 with num_classes=0, less
# the class token and its position.
@pytest.mark.parametrize(
  ("size", "published"),
  [("Ti/16", 5_524_416), ("B/16", 85_798_656), ("L/16", 303_301_632)],
)
def test_sizes_have_the_published_number_of_parameters(size, published):
  config = vit.vit_config(size, scan_layers=True)
  assert _count(_shapes(config)) == published - 2 * config.width


def test_parameter_names_are_those_of_the_published_files():
  params = _shapes(TINY)
  names = {
    "/".join(key.key for key in path)
    for path, _ in jax.tree_util.tree_leaves_with_path(params)
  }
  block = {
    f"Transformer/encoderblock_{index}/{name}/{leaf}"
    for index in range(2)
    for name, leaves in {
      "LayerNorm_0": ("scale", "bias"),
      "LayerNorm_2": ("scale", "bias"),
      "MlpBlock_3/Dense_0": ("kernel", "bias"),
      "MlpBlock_3/Dense_1": ("kernel", "bias"),
      "MultiHeadDotProductAttention_1/query": ("kernel", "bias"),
      "MultiHeadDotProductAttention_1/key": ("kernel", "bias"),
      "MultiHeadDotProductAttention_1/value": ("kernel", "bias"),
      "MultiHeadDotProductAttention_1/out": ("kernel", "bias"),
    }.items()
    for leaf in leaves
  }
  assert names == block | {
    "embedding/kernel",
    "embedding/bias",
    "Transformer/posembed_input/pos_embedding",
    "Transformer/encoder_norm/scale",
    "Transformer/encoder_norm/bias",
  }
  assert params["embedding"]["kernel"].shape == (8, 8, 3, 16)


def test_patch_stem_is_the_strided_convolution():
  stem = stems.PatchStem(5, 4, "float32")
  image = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 12, 3)))
  variables = jax.jit(stem.init)(jax.random.key(0), image)
  want = jax.lax.conv_general_dilated(
    image,
    variables["params"]["kernel"],
    window_strides=(4, 4),
    padding="VALID",
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )
  got = stem.apply(variables, image)
  assert got.shape == (2, 2, 3, 5)
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_conv_stem_gives_the_patch_grid_with_overlapping_views():
  stem = stems.ConvStem(16, 8, "float32")
  image = jnp.asarray(np.random.default_rng(0).normal(size=(1, 32, 16, 3)))
  params = jax.jit(stem.init)(jax.random.key(0), image)["params"]

  @jax.jit
  def gradient(image):
    return jax.grad(lambda x: stem.apply({"params": params}, x)[0, 1, 0, 0])(
      image
    )

  assert jax.eval_shape(stem.apply, {"params": params}, image).shape == (
    1,
    4,
    2,
    16,
  )
  # The norm lets every pixel reach every output a little; what the kernels
  # see themselves stands out, here across the upper edge of rows 8 to 15.
  influence = np.abs(gradient(image))[0].max(axis=(1, 2))
  assert influence[8:16].max() > 5 * influence[24:].max()
  assert influence[16:20].max() > 2 * influence[24:].max()


def test_conv_stem_needs_a_power_of_two():
  config = dataclasses.replace(TINY, image_size=24, patch_size=12, stem="conv")
  with pytest.raises(ValueError, match="12 is not a power of two"):
    _shapes(config)


def test_group_norm_standardises_eight_channels_at_a_time():
  norm = stems.GroupNorm("float32")
  x = np.random.default_rng(0).normal(3.0, 2.0, (2, 4, 4, 16))
  params = {"scale": jnp.ones(16), "bias": jnp.zeros(16)}
  got = np.asarray(norm.apply({"params": params}, jnp.asarray(x)))
  for example in range(2):
    for group in (slice(0, 8), slice(8, 16)):
      part = x[example, ..., group]
      want = (part - part.mean()) / part.std()
      np.testing.assert_allclose(got[example, ..., group], want, atol=1e-4)


def test_sincos_similarity_depends_on_the_offset_alone():
  table = np.asarray(positions.sincos2d(5, 6, 32)).reshape(5, 6, 32)
  similarity = np.einsum("abf,cdf->abcd", table, table)
  for row_step, column_step in ((0, 1), (2, 0), (1, 3)):
    along = [
      similarity[row, column, row + row_step, column + column_step]
      for row in range(5 - row_step)
      for column in range(6 - column_step)
    ]
    np.testing.assert_allclose(along, along[0], rtol=1e-4)
  # Nothing is as similar to a place as the place itself.
  flat = similarity.reshape(30, 30)
  assert (flat.argmax(axis=1) == np.arange(30)).all()


def test_image_is_scaled_to_plus_minus_one():
  image = jnp.array([[[[0, 255, 127]]]], jnp.uint8)
  np.testing.assert_allclose(
    vit.scale_image(image, "float32")[0, 0, 0], [-1.0, 1.0, -1 / 255], atol=1e-6
  )


def test_patches_come_row_by_row():
  # With attention switched off (zero output kernels) each embedding depends on
  # its own patch alone, so a changed pixel shows where its patch went.
  model = vit.ViT(dataclasses.replace(TINY, depth=1))
  image = _image()
  params = jax.jit(model.init)(jax.random.key(0), image)["params"]
  block = params["Transformer"]["encoderblock_0"]
  block["MultiHeadDotProductAttention_1"]["out"]["kernel"] *= 0.0
  changed = image.at[0, 3, 12].set(255 - image[0, 3, 12])  # Row 0, column 1.
  apply = jax.jit(model.apply)
  before, after = (apply({"params": params}, x) for x in (image, changed))
  moved = np.abs(np.asarray(before - after)[0]).max(axis=1) > 0
  assert moved.tolist() == [False, True, False, False]


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"image_size": 20}, "image_size.*20.*patch_size.*8"),
    ({"num_heads": 3}, "width.*16.*num_heads.*3"),
    ({"stem": "linear"}, "stem.*'linear'.*conv.*patch"),
    ({"position": "none"}, "position.*learned.*sincos2d"),
  ],
)
def test_bad_configurations_are_refused(changes, message):
  with pytest.raises(ValueError, match=message):
    dataclasses.replace(TINY, **changes)


def test_image_of_another_size_is_refused():
  with pytest.raises(ValueError, match=r"\(32, 32, 3\).*\(16, 16, 3\)"):
    jax.eval_shape(vit.ViT(TINY).init, jax.random.key(0), _image(32))


def test_unknown_size_lists_the_known_ones():
  with pytest.raises(ValueError, match=r"'H/14'.*B/16"):
    vit.vit_config("H/14")
