"""A first stage that a reader teaches, from gin to the second stage."""

import pathlib

import numpy as np
import pytest

from inksight_jax.cli import main
from inksight_jax.inference import recipe
from inksight_jax.training import checkpoints, initial_weights, mesh

pytest.importorskip("sklearn")
GIN = pathlib.Path(__file__).parents[2] / "gin"
RECIPE = GIN / "recipes" / "inverse_dalle_quickstart.gin"


@pytest.fixture(scope="module")
def reader(tmp_path_factory, save_untrained) -> str:
  """An untrained reader's model directory."""
  judge = GIN / "recipes" / "inverse_dalle_judge.gin"
  return str(save_untrained(tmp_path_factory.mktemp("reader"), [judge]))


def test_the_reader_stays_as_it_is_and_behind(reader, tmp_path, capsys):
  codes = str(tmp_path / "codes")
  command = ["train", f"--gin_file={RECIPE}", f"--model_dir={codes}"]
  command.append(f"--gin_file={GIN / 'weights' / 'perceptual_reader.gin'}")
  for binding in (
    f"READER = {reader!r}",
    "WIDTHS = (4, 4, 4)",
    "TRAIN_STEPS = 2",
    "WARMUP_STEPS = 1",
    "BATCH_SIZE = 8",
    "LOG_EVERY = 1",
    "EVAL_EVERY = 0",
    # One canvas, one program.
    "SQUARE = True",
  ):
    command.append(f"--gin.{binding.replace(' = ', '=')}")
  assert main.main(command) == 0
  assert "perceptual_loss" in (tmp_path / "codes" / "curve.jsonl").read_text()
  trained = checkpoints.load_params(codes)
  known = checkpoints.load_params(reader)["image_encoder"]
  for path, array in mesh.flatten(known).items():
    found = mesh.flatten(trained["reader"])[path]
    np.testing.assert_array_equal(found, array)
  # The second stage takes the network, not its reader.
  parts = {name: trained[name] for name in ("encoder", "decoder", "codebook")}
  take = initial_weights.Submodule(codes, "vqvae", without=("reader",))
  assert set(take({"vqvae": parts})["vqvae"]) == set(parts)
  with pytest.raises(ValueError, match=r"reader/.*absent in this run"):
    initial_weights.Submodule(codes, "vqvae")({"vqvae": parts})
  with pytest.raises(ValueError, match="has no 'frames' for 'vqvae'"):
    initial_weights.Submodule(codes, "vqvae", "frames")({"vqvae": parts})


def test_a_weight_without_a_reader_is_refused():
  recipe.parse([str(RECIPE)], ["vqvae.VQVAE.perceptual_weight = 1.0"])
  with pytest.raises(ValueError, match="without a reader"):
    recipe.build()
