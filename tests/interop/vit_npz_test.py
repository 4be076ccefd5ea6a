"""Import of `.npz` ViTs, against a forward pass that knows only the file."""

import dataclasses
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.interop import vit_npz
from inksight_jax.networks import vit

scipy_ndimage = pytest.importorskip("scipy.ndimage")

WIDTH, HEADS, DEPTH, MLP, PATCH, GRID = 24, 3, 2, 40, 4, 3
CONFIG = vit.ViTConfig(
  image_size=PATCH * GRID,
  patch_size=PATCH,
  width=WIDTH,
  depth=DEPTH,
  mlp_dim=MLP,
  num_heads=HEADS,
)
IMAGE = np.random.default_rng(1).integers(
  0, 256, (2, PATCH * GRID, PATCH * GRID, 3), np.uint8
)
# Of the modules in a block: counted together, or each kind by itself.
TOGETHER = ("LayerNorm_0", "MultiHeadDotProductAttention_1", "LayerNorm_2",
            "MlpBlock_3")  # fmt: skip
BY_KIND = ("LayerNorm_0", "MultiHeadDotProductAttention_0", "LayerNorm_1",
           "MlpBlock_0")  # fmt: skip


def _block_shapes(names):
  norm_0, attention, norm_1, mlp = names
  head_dim = WIDTH // HEADS
  shapes = {}
  for norm in (norm_0, norm_1):
    shapes |= {f"{norm}/scale": (WIDTH,), f"{norm}/bias": (WIDTH,)}
  for name in ("query", "key", "value"):
    shapes[f"{attention}/{name}/kernel"] = (WIDTH, HEADS, head_dim)
    shapes[f"{attention}/{name}/bias"] = (HEADS, head_dim)
  shapes[f"{attention}/out/kernel"] = (HEADS, head_dim, WIDTH)
  shapes[f"{attention}/out/bias"] = (WIDTH,)
  shapes[f"{mlp}/Dense_0/kernel"] = (WIDTH, MLP)
  shapes[f"{mlp}/Dense_0/bias"] = (MLP,)
  shapes[f"{mlp}/Dense_1/kernel"] = (MLP, WIDTH)
  shapes[f"{mlp}/Dense_1/bias"] = (WIDTH,)
  return shapes


def _published(layout, grid=GRID):
  """Random weights with the names and shapes of a published file."""
  stacked = "scanned" in layout
  names = BY_KIND if layout.startswith("big_vision") else TOGETHER
  shapes = {
    "embedding/kernel": (PATCH, PATCH, 3, WIDTH),
    "embedding/bias": (WIDTH,),
    "Transformer/encoder_norm/scale": (WIDTH,),
    "Transformer/encoder_norm/bias": (WIDTH,),
    "head/kernel": (WIDTH, 11),
    "head/bias": (11,),
  }
  if names is BY_KIND:
    shapes["pos_embedding"] = (1, grid * grid, WIDTH)
    shapes["MAPHead_0/probe"] = (1, 1, WIDTH)
  else:
    shapes["Transformer/posembed_input/pos_embedding"] = (
      1, grid * grid + 1, WIDTH,
    )  # fmt: skip
    shapes |= {"cls": (1, 1, WIDTH), "pre_logits/kernel": (WIDTH, WIDTH)}
  for name, shape in _block_shapes(names).items():
    if stacked:
      shapes[f"Transformer/encoderblock/{name}"] = (DEPTH, *shape)
    else:
      for index in range(DEPTH):
        shapes[f"Transformer/encoderblock_{index}/{name}"] = shape
  rng = np.random.default_rng(0)
  return {
    name: (
      rng.normal(size=shape) * (0.3 if len(shape) < 3 else shape[-2] ** -0.5)
      + name.endswith("scale")
    ).astype(np.float32)
    for name, shape in shapes.items()
  }


PREFIXES = {
  "vision_transformer": "",
  "vision_transformer with optimiser": "opt/target/",
  "big_vision": "params/",
  "big_vision scanned, of text and pictures": "params/img/",
}


def _write(path, layout, **changes):
  arrays = {
    PREFIXES[layout] + name: array
    for name, array in _published(layout, **changes).items()
  }
  if PREFIXES[layout]:
    # Statistics that repeat the names, and another tower.
    arrays["opt/state/mu/embedding/kernel"] = np.zeros(3)
    arrays["opt/state/mu/Transformer/encoder_norm/scale"] = np.zeros(3)
    arrays["params/txt/head/bias" if "img" in PREFIXES[layout] else "step"] = (
      np.zeros(3)
    )
  np.savez(path, **arrays)
  return str(path)


def _norm(x, scale, bias):
  mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
  return (x - mean) / np.sqrt(var + 1e-6) * scale + bias


def _forward(arrays, names, image):
  """Dosovitskiy et al. (2021), equations 1 to 4, without a class token."""
  p = {name: array.astype(np.float64) for name, array in arrays.items()}
  pixels = image / 127.5 - 1.0
  x = np.zeros((len(image), GRID, GRID, WIDTH))
  for row in range(GRID):
    for column in range(GRID):
      patch = pixels[
        :,
        row * PATCH : (row + 1) * PATCH,
        column * PATCH : (column + 1) * PATCH,
      ]
      x[:, row, column] = np.einsum(
        "bijc,ijcd->bd", patch, p["embedding/kernel"]
      )
  x = x.reshape(len(image), GRID * GRID, WIDTH) + p["embedding/bias"]
  if names is BY_KIND:
    x = x + p["pos_embedding"]
  else:
    x = x + p["Transformer/posembed_input/pos_embedding"][:, 1:]
  norm_0, attention, norm_1, mlp = names
  for index in range(DEPTH):

    def w(name, index=index):
      stacked = p.get(f"Transformer/encoderblock/{name}")
      if stacked is not None:
        return stacked[index]
      return p[f"Transformer/encoderblock_{index}/{name}"]

    y = _norm(x, w(f"{norm_0}/scale"), w(f"{norm_0}/bias"))
    q, k, v = (
      np.einsum("bnd,dhk->bhnk", y, w(f"{attention}/{n}/kernel"))
      + w(f"{attention}/{n}/bias")[:, None, :]
      for n in ("query", "key", "value")
    )
    scores = np.exp(q @ k.swapaxes(2, 3) / np.sqrt(WIDTH // HEADS))
    weights = scores / scores.sum(-1, keepdims=True)
    x = (
      x
      + np.einsum("bhnk,hkd->bnd", weights @ v, w(f"{attention}/out/kernel"))
      + w(f"{attention}/out/bias")
    )
    y = _norm(x, w(f"{norm_1}/scale"), w(f"{norm_1}/bias"))
    y = y @ w(f"{mlp}/Dense_0/kernel") + w(f"{mlp}/Dense_0/bias")
    y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
    x = x + y @ w(f"{mlp}/Dense_1/kernel") + w(f"{mlp}/Dense_1/bias")
  return _norm(
    x, p["Transformer/encoder_norm/scale"], p["Transformer/encoder_norm/bias"]
  )


def _shapes(config=CONFIG):
  image = jnp.zeros((1, config.image_size, config.image_size, 3), jnp.uint8)
  return jax.eval_shape(vit.ViT(config).init, jax.random.key(0), image)[
    "params"
  ]


def _load(path, config=CONFIG):
  return vit_npz.VitNpz(path, config, under="")(_shapes(config))


@pytest.mark.parametrize(
  ("layout", "scan"),
  [
    ("vision_transformer", True),
    ("vision_transformer with optimiser", False),
    ("big_vision", False),
    ("big_vision scanned, of text and pictures", True),
  ],
)
def test_outputs_equal_those_of_a_pass_over_the_file(tmp_path, layout, scan):
  config = dataclasses.replace(CONFIG, scan_layers=scan)
  path = _write(tmp_path / "vit.npz", layout)
  params = _load(path, config)
  apply = jax.jit(vit.ViT(config).apply)
  got = apply({"params": params}, jnp.asarray(IMAGE))
  names = BY_KIND if layout.startswith("big_vision") else TOGETHER
  want = _forward(_published(layout), names, IMAGE)
  assert np.abs(want).max() > 1.0
  np.testing.assert_allclose(got, want, atol=1e-4)


def test_every_scan_combination_gives_the_same_tensors(tmp_path):
  trees = {}
  for layout in ("big_vision", "big_vision scanned, of text and pictures"):
    arrays = _published("big_vision")
    if "scanned" in layout:
      for name in _block_shapes(BY_KIND):
        layers = [
          arrays.pop(f"Transformer/encoderblock_{i}/{name}")
          for i in range(DEPTH)
        ]
        arrays[f"Transformer/encoderblock/{name}"] = np.stack(layers)
    np.savez(tmp_path / "vit.npz", **arrays)
    for scan in (False, True):
      config = dataclasses.replace(CONFIG, scan_layers=scan)
      trees[layout, scan] = _load(str(tmp_path / "vit.npz"), config)
      assert jax.tree.map(jnp.shape, trees[layout, scan]) == jax.tree.map(
        lambda x: x.shape, _shapes(config)
      )
  first, second, third, fourth = trees.values()
  jax.tree.map(np.testing.assert_array_equal, first, third)
  jax.tree.map(np.testing.assert_array_equal, second, fourth)


@pytest.mark.parametrize("old", [2, 4])
def test_positions_are_resized_as_the_two_projects_do(tmp_path, old):
  path = _write(tmp_path / "vit.npz", "vision_transformer", grid=old)
  grid = _published("vision_transformer", grid=old)[
    "Transformer/posembed_input/pos_embedding"
  ][0, 1:].reshape(old, old, WIDTH)
  # Both call scipy's zoom with linear interpolation.
  want = scipy_ndimage.zoom(grid, (GRID / old, GRID / old, 1), order=1)
  got = _load(path)["Transformer"]["posembed_input"]["pos_embedding"]
  np.testing.assert_allclose(got[0].reshape(want.shape), want, atol=1e-5)


def test_bfloat16_of_big_vision_is_read(tmp_path):
  arrays = _published("big_vision")
  stored = {
    name: np.asarray(jnp.asarray(array, jnp.bfloat16)).view("V2")
    for name, array in arrays.items()
  }
  np.savez(tmp_path / "vit.npz", **stored)
  got = _load(str(tmp_path / "vit.npz"))["embedding"]["kernel"]
  np.testing.assert_allclose(got, arrays["embedding/kernel"], rtol=1e-2)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    # The width of all heads together is the same: only the file tells.
    (
      {"num_heads": 4},
      r"key/bias has shape \(3, 8\) there; this model wants \(4, 6\)\. The "
      r"file holds a ViT: set ViTConfig to patch_size=4, width=24, depth=2, "
      r"mlp_dim=40, num_heads=3",
    ),
    ({"mlp_dim": 48}, r"Dense_0/bias has shape \(40,\).*\(48,\).*mlp_dim=40"),
    (
      {"depth": 3},
      r"has no Transformer/encoderblock_2/.* and 13 more.*depth=2",
    ),
    ({"depth": 1}, "has Transformer/encoderblock_1/.*no place.*depth=2"),
    ({"patch_size": 6}, r"\(4, 4, 3, 24\).*\(6, 6, 3, 24\).*patch_size=4"),
    ({"stem": "conv"}, 'has no embedding/conv_0/kernel.*stem="patch"'),
    ({"position": "sincos2d"}, 'pos_embedding.*no place.*position="learned"'),
  ],
)
def test_the_first_misfit_is_named_with_what_to_set(tmp_path, changes, message):
  path = _write(tmp_path / "vit.npz", "vision_transformer")
  with pytest.raises(ValueError, match=message):
    _load(path, dataclasses.replace(CONFIG, **changes))


def test_a_hybrid_is_refused_by_what_is_left_over(tmp_path):
  arrays = _published("vision_transformer")
  arrays["conv_root/kernel"] = np.zeros((7, 7, 3, 64), np.float32)
  np.savez(tmp_path / "vit.npz", **arrays)
  with pytest.raises(
    ValueError, match="conv_root/kernel, for which this model"
  ):
    _load(str(tmp_path / "vit.npz"))


def test_a_known_size_is_called_by_its_name(tmp_path):
  rng = np.random.default_rng(0)
  sizes = vit.VIT_SIZES["Ti/16"]
  block = "Transformer/encoderblock_{}/"
  arrays = {
    "embedding/kernel": (16, 16, 3, 192),
    "Transformer/encoder_norm/scale": (192,),
    block.format(0) + "MultiHeadDotProductAttention_1/query/kernel": (
      192,
      3,
      64,
    ),
    block.format(0) + "MlpBlock_3/Dense_0/kernel": (192, 768),
  } | {block.format(i) + "LayerNorm_0/scale": (192,) for i in range(12)}
  np.savez(
    tmp_path / "vit.npz", **{k: rng.normal(size=v) for k, v in arrays.items()}
  )
  config = dataclasses.replace(sizes, width=384, num_heads=6, scan_layers=True)
  with pytest.raises(
    ValueError, match=r"ViT-Ti/16: set .* width=192, depth=12"
  ):
    _load(str(tmp_path / "vit.npz"), config)


def test_damaged_and_foreign_files_are_refused(tmp_path):
  whole = tmp_path / "vit.npz"
  _write(whole, "vision_transformer")
  data = whole.read_bytes()
  objects, single = io.BytesIO(), io.BytesIO()
  np.savez(
    objects,
    **{"Transformer/encoder_norm/scale": np.zeros(2)},
    **{"embedding/kernel": np.array([{"code": 1}], dtype=object)},
  )
  np.save(single, np.zeros(3))
  flipped = bytearray(data)
  flipped[len(data) // 2] ^= 0xFF
  other = io.BytesIO()
  np.savez(other, weights=np.zeros(3))
  for content, message in (
    (data[: len(data) // 2], "is damaged, perhaps not downloaded"),
    (bytes(flipped), "is damaged"),
    (b"", "is damaged"),
    (b"<html>not found</html>" * 20, "is no .npz file of ViT weights"),
    (objects.getvalue(), "is no .npz file of ViT weights: Object arrays"),
    (single.getvalue(), "it holds a single array"),
    (other.getvalue(), "one ViT is wanted, none was found among weights"),
  ):
    whole.write_bytes(content)
    with pytest.raises(ValueError, match=message):
      vit_npz.read_npz(str(whole))
  with pytest.raises(ValueError, match=r"There is no file .*absent\.npz"):
    vit_npz.read_npz(str(tmp_path / "absent.npz"))


def test_a_model_without_the_module_is_refused(tmp_path):
  path = _write(tmp_path / "vit.npz", "vision_transformer")
  weights = vit_npz.VitNpz(path, CONFIG)
  with pytest.raises(ValueError, match=r"no module 'image_encoder'.*decoder"):
    weights({"decoder": {}})
  loaded = weights({"image_encoder": _shapes(), "decoder": {}})
  assert set(loaded) == {"image_encoder"}
