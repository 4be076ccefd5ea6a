import json
import os

import gin
import jax
import numpy as np
import optax
import pytest

from inksight_jax.training import checkpoints, optimizers, run, writers


class Vocabulary:
  def save(self, folder):
    with open(os.path.join(folder, "vocabulary.json"), "w") as file:
      file.write("{}")


class Tasks:
  vocabulary = Vocabulary()


@pytest.fixture
def train(toy_model, toy_batches, one_device_mesh, tmp_path):
  def start(steps, **options):
    return run.train(
      str(tmp_path / "run"),
      toy_model(),
      toy_batches(),
      steps,
      **{
        "optimizer": optimizers.adamw(1e-2),
        "mesh": one_device_mesh,
        "log_every": 1,
        "eval_every": 2,
        "console": False,
        **options,
      },
    )

  return start


def test_a_run_describes_itself_and_is_resumed_or_refused(
  train, toy_batches, tmp_path
):
  folder = tmp_path / "run"
  pictures = []

  def draw(model, params, step):
    pictures.append(step)
    return np.zeros((4, 4, 3), np.uint8)

  options = {
    "tasks": Tasks(),
    "eval_batches": {"dev": toy_batches(), "test": toy_batches(limit=1)},
    "picture_fn": draw,
  }
  gin.parse_config("TRAIN_STEPS = 3")
  try:
    train(3, **options)
  finally:
    gin.clear_config()
  assert sorted(os.listdir(folder)) == [
    "checkpoints",
    "config.gin",
    "curve.jsonl",
    "goodput.json",
    "tensorboard",
    "vocabulary.json",
  ]
  assert "TRAIN_STEPS = 3" in (folder / "config.gin").read_text()
  with pytest.raises(ValueError, match=r"already holds a run\. Give --resume"):
    train(5, **options)
  train(5, resume=True, **options)
  lines = writers.read_curve(str(folder / writers.CURVE_FILE))
  trained = [line["step"] for line in lines if "train/loss" in line]
  assert trained == [1, 2, 3, 4, 5]
  for name in ("dev", "test"):
    assert [line["step"] for line in lines if f"{name}/loss" in line] == [
      2,
      3,
      4,
      5,
    ]
  assert pictures == [2, 3, 4, 5]
  shares = [line["time/step"] for line in lines if "time/step" in line]
  assert all(0 < share < 1 for share in shares)


def test_overwrite_starts_again_and_load_starts_from_parameters(
  train, tmp_path
):
  first = train(4)
  again = train(4, overwrite=True)
  jax.tree.map(np.testing.assert_array_equal, first, again)
  path = str(tmp_path / "run")
  params = checkpoints.load_params(path)
  loaded = train(
    1,
    overwrite=False,
    resume=True,
    load=path,
  )
  # A checkpoint of the run itself comes first; nothing is left to train.
  assert int(loaded.step) == 4
  jax.tree.map(np.testing.assert_array_equal, loaded.params, params)


def test_a_run_that_cannot_be_resumed_keeps_its_description(train, tmp_path):
  train(2, tasks=Tasks())
  described = (tmp_path / "run" / "config.gin").read_bytes()
  gin.parse_config("TRAIN_STEPS = 3")
  try:
    with pytest.raises(ValueError, match="does not fit"):
      train(3, resume=True, optimizer=optax.sgd(1.0))
    assert (tmp_path / "run" / "config.gin").read_bytes() == described
    train(3, resume=True)
  finally:
    gin.clear_config()
  config = (tmp_path / "run" / "config.gin").read_text()
  assert "TRAIN_STEPS = 3" in config


def test_load_is_the_starting_point_of_a_new_run(
  train, toy_model, toy_batches, one_device_mesh, tmp_path
):
  train(2)
  params = checkpoints.load_params(str(tmp_path / "run"))
  tuned = run.train(
    str(tmp_path / "tuned"),
    toy_model(optimizer_def=optimizers.adamw(0.0)),
    toy_batches(),
    1,
    mesh=one_device_mesh,
    load=str(tmp_path / "run"),
    console=False,
  )
  jax.tree.map(np.testing.assert_array_equal, tuned.params, params)


def test_contradictions_and_missing_optimizers_are_refused(train, tmp_path):
  with pytest.raises(ValueError, match="Choose one"):
    train(1, resume=True, overwrite=True)
  with pytest.raises(ValueError, match="no optimizer"):
    train(1, optimizer=None)
  assert not (tmp_path / "run").exists()


def test_curve_lines_are_json(train, tmp_path):
  train(1)
  text = (tmp_path / "run" / writers.CURVE_FILE).read_text()
  lines = [json.loads(line) for line in text.splitlines()]
  # The numbers of the step, then where the time went.
  assert [line["step"] for line in lines] == [1, 1]
  assert "train/loss" in lines[0] and "train/loss" not in lines[1]
  last = lines[1]
  shares = [
    last[f"time/{name}"] for name in ("step", "data", "compile", "save")
  ]
  assert all(share > 0 for share in shares) and sum(shares) <= 1


def test_scores_decide_which_checkpoints_stay(train, toy_batches, tmp_path):
  rates = {2: 0.3, 4: 0.1, 6: 0.2}

  def score(model, params, step):
    del model, params
    return {"eval/cer": rates[step]}

  options = {
    "eval_batches": toy_batches(),
    "score_fn": score,
    "best_metric": "eval/cer",
    "keep": 1,
    "checkpoint_every": 2,
  }
  train(6, **options)
  folder = tmp_path / "run"
  kept = sorted(p.name for p in (folder / "checkpoints").iterdir())
  assert kept == ["4", "6"]
  assert checkpoints.checkpoint_folder(str(folder), "best").endswith("/4")
  lines = writers.read_curve(str(folder / writers.CURVE_FILE))
  assert {
    line["step"]: line["eval/cer"] for line in lines if "eval/cer" in line
  } == rates
  # Patience watches the same number: nothing better after step 4.
  state = train(6, overwrite=True, patience=1, **options)
  assert int(state.step) == 6
  assert checkpoints.checkpoint_folder(str(folder)).endswith("/4")
