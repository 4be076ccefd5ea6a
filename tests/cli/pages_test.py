"""Lines, then forms, of IAM's own folders: train, go on, evaluate, read."""

import json
import pathlib

import cv2
import numpy as np
import pytest

from inksight_jax.cli.main import main
from inksight_jax.training import checkpoints

# A network of a few thousand parameters and frames of a few cells; lines and
# forms in the same programs, at a rate of 0, which are compiled once.
TINY = {
  "resnet.resnet_config.blocks": (1,),
  "resnet.resnet_config.channels": (8,),
  "resnet.resnet_config.width": 16,
  "CELL": (4, 4),
  "IMAGE_SIZE": (96, 80),
  "TARGET_LENGTH": 32,
  "LEARNING_RATE": 0.0,
  "mt5.MT5Config.emb_dim": 16,
  "mt5.MT5Config.num_heads": 2,
  "mt5.MT5Config.head_dim": 8,
  "mt5.MT5Config.mlp_dim": 16,
  "mt5.MT5Config.num_decoder_layers": 1,
  "DTYPE": "float32",
  "TRAIN_STEPS": 2,
  "WARMUP_STEPS": 1,
  "BATCH_SIZE": 8,
  "LOG_EVERY": 1,
  "PICTURE_EVERY": 0,
  "WORKERS": 0,
  "SCORE_SAMPLES": 1,
  "run.train.eval_batches": None,
  "FRAMES": (),
  "composed.Compose.count": 20,
}
EVAL_EVERY = {"line": 0, "form": 1}


def train(level: str, iam: pathlib.Path, folder: pathlib.Path, *words, **gin):
  changes = TINY | {"EVAL_EVERY": EVAL_EVERY[level]} | gin
  bindings = [f"--gin.{name}={value!r}" for name, value in changes.items()]
  recipe = f"--gin_file=gin/recipes/fphtr_iam_{level}.gin"
  data = f"--gin.DATA_PATH={str(iam)!r}"
  return main(
    ["train", recipe, data, f"--model_dir={folder}", *bindings, *words]
  )


def embeddings(folder: pathlib.Path) -> np.ndarray:
  params = checkpoints.load_params(str(folder))
  return params["token_embedder"]["embedding"]


def test_a_model_of_lines_goes_on_as_one_of_forms(
  iam_folder: pathlib.Path,
  tmp_path: pathlib.Path,
  caplog: pytest.LogCaptureFixture,
  capsys: pytest.CaptureFixture[str],
):
  line, form = tmp_path / "line", tmp_path / "form"
  assert train("line", iam_folder, line, CHARACTERS=" ,enostwixz") == 0
  # At a rate of 0 the weights are those that were loaded.
  changes = {"CHARACTERS": "\n ,enostwix"}
  assert train("form", iam_folder, form, f"--load={line}", **changes) == 0
  assert r"1 new: '\n'" in caplog.text and "1 gone: 'z'" in caplog.text
  before, after = embeddings(line), embeddings(form)
  # Three special ids; the line break then moved the others by one.
  np.testing.assert_array_equal(after[:3], before[:3])
  np.testing.assert_array_equal(after[4:13], before[3:12])
  # All weigh the same: of equals the first is the best, the last is kept too.
  steps = sorted(p.name for p in (form / "checkpoints").iterdir())
  assert steps[-1] == "2"
  curve = (form / "curve.jsonl").read_text(encoding="utf-8").splitlines()
  rates = [json.loads(text).get("eval/cer") for text in curve]
  assert len([rate for rate in rates if rate is not None]) == 2
  capsys.readouterr()
  scores = ["evaluate", f"--model_dir={form}", "--step=best", "--json"]
  assert main([*scores, "--split=validation"]) == 0
  metrics = json.loads(capsys.readouterr().out)
  assert metrics["split"] == "validation"
  assert metrics["recognize_page/cer"] == pytest.approx(
    min(rate for rate in rates if rate is not None)
  )
  assert "a02-000" in (form / "worst.html").read_text(encoding="utf-8")
  page = tmp_path / "page.png"
  cv2.imwrite(str(page), np.full((90, 70), 255, np.uint8))
  read = ["predict", f"--model_dir={form}", "--task=recognize_page", str(page)]
  out = tmp_path / "out"
  assert main([*read, f"--output_dir={out}", "--format=text,pagexml,json"]) == 0
  text = json.loads((out / "page.json").read_text())["text"]
  assert (out / "page.txt").read_text(encoding="utf-8") == text + "\n"
  assert "<TextRegion" in (out / "page.page.xml").read_text(encoding="utf-8")
