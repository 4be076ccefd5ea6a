"""A run whose frozen image encoder starts from a file, by gin alone."""

import pathlib

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from inksight_jax.cli.main import main
from inksight_jax.inference import recipe
from inksight_jax.training import checkpoints

ROOT = pathlib.Path(__file__).parents[2]
TINY = pathlib.Path(__file__).parents[1] / "inference" / "tiny.gin"


@pytest.fixture
def words(tmp_path):
  frozen = tmp_path / "frozen.gin"
  frozen.write_text(
    "from __gin__ import dynamic_registration\n"
    "from inksight_jax.networks import vit\n"
    "from inksight_jax.training import optimizers\n"
    'vit.ViTConfig.stem = "patch"\n'
    'vit.ViTConfig.position = "learned"\n'
    "FREEZE_IMAGE_ENCODER = True\n"
    "OPTIMIZER = @optimizers.freeze()\n"
    "optimizers.freeze.optimizer = @optimizers.adamw()\n"
  )
  return [
    f"--gin_file={file}"
    for file in (
      TINY,
      "gin/weights/vit_npz.gin",
      "gin/optimizers/adamw.gin",
      "gin/runs/train.gin",
      "gin/runs/from_records.gin",
      frozen,
    )
  ] + [
    "--gin.TRAIN_STEPS=2",
    "--gin.WARMUP_STEPS=1",
    "--gin.BATCH_SIZE=8",
    "--gin.EVAL_EVERY=0",
    "--gin.PICTURE_EVERY=0",
    f'--gin.VIT_WEIGHTS="{tmp_path / "vit.npz"}"',
  ]


def _publish(path, config):
  """Random weights in the published layout, for the sizes of a config."""
  from inksight_jax.networks import vit

  image = np.zeros((1, config.image_size, config.image_size, 3), np.uint8)
  shapes = jax.eval_shape(vit.ViT(config).init, jax.random.key(0), image)
  heads = (config.num_heads, config.width // config.num_heads)
  rng = np.random.default_rng(0)
  arrays = {}
  for keys, leaf in jax.tree_util.tree_leaves_with_path(shapes["params"]):
    name, shape = "/".join(key.key for key in keys), leaf.shape
    if name.endswith("pos_embedding"):
      shape = (1, shape[1] + 1, shape[2])
    elif "MultiHead" in name and "/out/" not in name:
      shape = (*shape[:-1], *heads)
    elif name.endswith("out/kernel"):
      shape = (*heads, shape[1])
    arrays[name] = rng.normal(size=shape).astype(np.float32)
  np.savez(path, cls=np.zeros((1, 1, config.width)), **arrays)
  return arrays


def _config(words):
  overrides = [
    word.removeprefix("--gin.").replace("=", " = ", 1)
    for word in words
    if word.startswith("--gin.")
  ]
  files = [w.removeprefix("--gin_file=") for w in words if "gin_file" in w]
  recipe.parse(files, overrides)
  return recipe.build().model.module.config.vit


def test_gin_hands_published_weights_to_a_frozen_encoder(
  words, tmp_path, capsys
):
  folder = tmp_path / "model"
  train = ["train", *words, f"--model_dir={folder}"]
  assert main(train) == 1
  assert "There is no file" in capsys.readouterr().err
  config = _config(words)
  arrays = _publish(tmp_path / "vit.npz", config)
  assert main([*train, "--overwrite"]) == 0
  params = checkpoints.load_params(str(folder))
  loaded = params["image_encoder"]
  np.testing.assert_array_equal(
    loaded["embedding"]["kernel"], arrays["embedding/kernel"]
  )
  block = "Transformer/encoderblock_0/MultiHeadDotProductAttention_1/out/kernel"
  got = loaded
  for key in block.split("/"):
    got = got[key]
  np.testing.assert_array_equal(got.ravel(), arrays[block].ravel())
  # Neither the file nor what reads it is needed any more.
  (tmp_path / "vit.npz").unlink()
  assert main([*train, "--gin.TRAIN_STEPS=3", "--resume"]) == 0
  np.testing.assert_array_equal(
    checkpoints.load_params(str(folder))["image_encoder"]["embedding"][
      "kernel"
    ],
    arrays["embedding/kernel"],
  )
  assert recipe.read(folder).model.module.config.vit == config


def _target(folder):
  """The parameters of a checkpoint that T5X wrote."""
  handler = ocp.PyTreeCheckpointHandler()
  as_numpy = jax.tree.map(
    lambda _: ocp.RestoreArgs(restore_type=np.ndarray),
    handler.metadata(folder).tree,
  )
  return handler.restore(
    folder, args=ocp.args.PyTreeRestore(restore_args=as_numpy)
  )["target"]


@pytest.mark.filterwarnings("default")
def test_t5x_starts_a_frozen_encoder_from_the_file(run_t5x, words, tmp_path):
  arrays = _publish(tmp_path / "vit.npz", _config(words))
  run_t5x(
    *("-m", "t5x.train"),
    *(word for word in words if word.startswith("--gin_file")),
    "--gin_file=gin/t5x/train.gin",
    *(word for word in words if word.startswith("--gin.")),
    "--gin.EVAL_EVERY=2",
    "--gin.CHECKPOINT_EVERY=2",
    "--gin.EVAL_STEPS=1",
    "--gin.EVAL_EXAMPLES=2",
    f'--gin.MODEL_DIR="{tmp_path / "t5x"}"',
  )
  target = _target(tmp_path / "t5x" / "checkpoint_2" / "state")
  kernel = target["image_encoder"]["embedding"]["kernel"]
  np.testing.assert_array_equal(kernel, arrays["embedding/kernel"])
  # The rest was initialised, not left out.
  assert np.std(target["token_embedder"]["embedding"]) > 0.5
