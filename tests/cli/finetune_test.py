"""From a trained model and a folder of one hand to a model of that hand."""

import json
import pathlib

import pytest

from inksight_jax.cli.main import main
from inksight_jax.datasets.registry import load_records
from inksight_jax.ink.inkml import write_inkml


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Ten words as InkML, the last four held out."""
  folder = tmp_path_factory.mktemp("hand")
  words = load_records(
    "generated_words", "", "train", count=10, alphabet="ab12", max_length=3
  )
  splits = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
  for split, record in zip(splits, words, strict=True):
    path = folder / split / f"{record.id.replace('/', '_')}.inkml"
    path.parent.mkdir(exist_ok=True)
    assert record.ink is not None
    path.write_text(write_inkml(record.ink, {"textField": record.text}))
  return folder


def test_one_command_tunes_and_one_compares(
  trained: pathlib.Path,
  samples: pathlib.Path,
  tmp_path: pathlib.Path,
  capsys: pytest.CaptureFixture[str],
):
  tuned = tmp_path / "tuned"
  words = [
    "train",
    "--gin_file=gin/recipes/finetune.gin",
    f"--gin.DATA_PATH={str(samples)!r}",
    f"--model_dir={tuned}",
    "--gin.TRAIN_STEPS=2",
    "--gin.WARMUP_STEPS=1",
    "--gin.BATCH_SIZE=8",
    "--gin.EVAL_EVERY=1",
    "--gin.run.train.num_eval_batches=1",
    "--gin.PICTURE_EVERY=0",
  ]
  assert main(words) == 1
  assert "--load=DIR" in capsys.readouterr().err
  assert not tuned.exists()
  assert main([*words, f"--load={trained}"]) == 0
  curve = [
    json.loads(line)
    for line in (tuned / "curve.jsonl").read_text().splitlines()
  ]
  losses = {
    line["step"]: line["eval/loss"] for line in curve if "eval/loss" in line
  }
  best = min(losses, key=lambda step: losses[step])
  assert (tuned / "checkpoints" / str(best)).is_dir()
  assert not (tuned / "checkpoints" / str(best + 1)).exists()
  capsys.readouterr()
  assert (
    main(["evaluate", f"--model_dir={tuned}", f"--baseline={trained}"]) == 0
  )
  shown = capsys.readouterr().out
  assert "before" in shown and "recognize_ink/cer" in shown
  metrics = json.loads((tuned / "metrics.json").read_text())
  assert metrics["derender/samples"] == 2
  # Against itself nothing changes; against the loaded model the loss does.
  assert metrics["derender/loss"] != metrics["derender/loss_before"]
  again = ["evaluate", f"--model_dir={tuned}", f"--baseline={tuned}", "--json"]
  assert main([*again, f"--output_dir={tmp_path / 'same'}"]) == 0
  same = json.loads(capsys.readouterr().out)
  for key, value in same.items():
    if key.endswith("_before"):
      assert same[key.removesuffix("_before")] == value
  assert same["derender/loss"] == metrics["derender/loss"]
