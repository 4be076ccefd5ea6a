"""Each thing that `doctor` shall find, planted."""

import importlib.util
import json
import os
import pathlib
import re

import jax
import pytest

from inksight_jax.cli import checks
from inksight_jax.cli.main import main

NO_OPTIONS = "--gin.InkSightTasks.source_options={}"
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def doctor(train_words, capsys):
  """Runs `doctor`; (exit code, findings by check, the last of each)."""

  def examine(*words, start=tuple(train_words[1:])):
    code = main(["doctor", *start, "--json", *words])
    result = json.loads(capsys.readouterr().out)
    assert code == (1 if result["problems"] else 0)
    return code, {f["check"]: f for f in result["findings"]}

  return examine


def test_a_sound_job_passes_and_leaves_nothing_behind(
  doctor, train_words, tmp_path, capsys
):
  folder = tmp_path / "runs" / "mine"
  code, found = doctor(f"--model_dir={folder}", "--accelerator=cpu")
  assert code == 0, found
  assert {f["status"] for f in found.values()} == {"ok"}
  assert os.listdir(tmp_path) == []
  assert found["mesh"]["found"] == "data 8 x fsdp 1 x model 1 = 8 chips"
  assert found["batch"]["found"] == "8 examples, 1 per chip"
  # The lines for people say the same, one each.
  assert main(["doctor", *train_words[1:], "--accelerator=cpu"]) == 0
  lines = capsys.readouterr().out.splitlines()
  assert lines[-1] == "problems: 0, warnings: 0"
  assert all(re.match(r"ok +\w", line) for line in lines[:-1])


@pytest.mark.parametrize(
  ("words", "check", "message"),
  [
    (["--gin.TRIAN_STEPS=3"], "configuration", "did you mean TRAIN_STEPS"),
    (["--gin.SOURCE='unipenn'"], "data", "Unknown data set 'unipenn'"),
    (["--gin.SOURCE='unipen'"], "data", "unipen has no option alphabet"),
    (["--gin.SOURCE='unipen'", NO_OPTIONS], "data", "needs a path"),
    (
      ["--gin.SOURCE='unipen'", NO_OPTIONS, "--gin.DATA_PATH='/no/such'"],
      "data",
      "There is no '/no/such'",
    ),
    (
      ["--gin_file=gin/runs/from_shards.gin", "--gin.SHARDS='/no/shards'"],
      "data",
      "/no/shards holds no spec.json",
    ),
    (
      ["--gin.InkSightTasks.rates={'derenderer': 1.0}"],
      "data",
      "Unknown task 'derenderer'",
    ),
    (["--gin.INPUT_LENGTH=5"], "prompts", "INPUT_LENGTH is 5"),
    (["--gin.MESH_FSDP=3"], "mesh", "fsdp=3, model=1 does not cover 8"),
    (["--chips=12", "--gin.MESH_DATA=8"], "mesh", "does not cover 12"),
    (["--gin.BATCH_SIZE=12"], "batch", "set BATCH_SIZE to 16"),
    (["--gin.MICROBATCHES=3"], "batch", "by 3 microbatches"),
    (["--chips=2", "--num_processes=3"], "mesh", "in 3 processes"),
    (
      ["--chips=16", "--num_processes=4", "--gin.MESH_MODEL=8"],
      "mesh",
      "whole model groups",
    ),
    (["--chips=4", "--accelerator=cpu"], "chips", "4 chips are asked for"),
    (["--accelerator=tpu"], "accelerator", "unset JAX_PLATFORMS"),
    (["--model_dir=gs://bucket/run"], "model_dir", "mount the bucket"),
  ],
)
def test_a_problem_is_found_and_says_what_to_do(doctor, words, check, message):
  code, found = doctor(*words)
  assert code == 1
  finding = found[check]
  assert finding["status"] == "problem"
  assert message in f"{finding['found']}: {finding['remedy']}"


def test_sizes_that_the_model_axis_does_not_divide_are_named(doctor):
  _, found = doctor("--gin.MESH_MODEL=4", "--gin.MT5Config.mlp_dim=18")
  finding = found["model axes"]
  assert finding["status"] == "warning"
  assert "mt5.num_heads 2" in finding["found"]
  assert "mlp 18 by 4" in finding["found"]
  _, found = doctor("--gin.MESH_MODEL=2")
  assert "model axes" not in found


def test_a_frozen_encoder_without_weights_is_a_warning(doctor):
  frozen = "--gin.FREEZE_IMAGE_ENCODER=True"
  code, found = doctor(frozen)
  assert code == 0
  assert found["initial weights"]["status"] == "warning"
  assert "frozen" in found["initial weights"]["found"]
  weights = "--gin_file=gin/weights/vit_npz.gin"
  _, found = doctor(weights, frozen, "--gin.VIT_WEIGHTS='absent'")
  assert "initial weights" not in found


def test_shards_are_opened(doctor, train_words, tmp_path, capsys):
  cache = tmp_path / "cache"
  words = [w for w in train_words[1:] if "spec" not in w]
  assert main(["data", "cache", *words, f"--output_dir={cache}"]) == 0
  capsys.readouterr()
  shards = ["--gin_file=gin/runs/from_shards.gin", f"--gin.SHARDS='{cache}'"]
  _, found = doctor(*shards)
  assert found["data"]["status"] == "ok"
  assert f"examples in {cache}" in found["data"]["found"]
  _, found = doctor(*shards, "--gin.spec.InkSightTasks.tolerance=2.0")
  assert "tolerance" in found["data"]["found"]
  for path in cache.rglob("shard-00000.tokens.npy"):
    path.unlink()
  _, found = doctor(*shards)
  assert found["data"]["status"] == "problem"
  assert "tokens.npy" in found["data"]["found"]


def test_an_earlier_run_and_its_leftovers_are_a_warning(doctor, tmp_path):
  left = tmp_path / "checkpoints" / "4.orbax-checkpoint-tmp"
  left.mkdir(parents=True)
  code, found = doctor(f"--model_dir={tmp_path}")
  assert code == 0
  assert found["earlier run"]["status"] == "warning"
  assert left.name in found["earlier run"]["found"]
  assert "--resume" in found["earlier run"]["remedy"]
  assert left.is_dir()


def test_a_folder_that_cannot_be_written_to(doctor, tmp_path):
  file = tmp_path / "file"
  file.write_text("")
  code, found = doctor(f"--model_dir={file}")
  assert code == 1
  assert found["model_dir"]["status"] == "problem"


def test_disk_space_is_compared_with_the_checkpoints(tmp_path, monkeypatch):
  job = checks.Job((), model_dir=str(tmp_path / "new"))
  usage = checks.shutil.disk_usage(tmp_path)
  monkeypatch.setattr(
    checks.shutil, "disk_usage", lambda path: usage._replace(free=3 * 2**30)
  )
  for size, keep, status in (
    (2**30, 2, "ok"),
    (2**30, 3, "problem"),
    (2**30, None, "warning"),
  ):
    (finding,) = checks.check_disk(job, size, keep)
    assert finding.status == status
  assert "4 checkpoints of 1.00 GiB need 4.00 GiB" in (
    checks.check_disk(job, 2**30, 3)[0].found
  )


def test_versions_known_not_to_work(monkeypatch):
  installed = {"jax": "0.9.2", "jaxlib": "0.9.2", "flax": "0.12.8"}

  def version(name):
    if name not in installed:
      raise checks.importlib.metadata.PackageNotFoundError(name)
    return installed[name]

  monkeypatch.setattr(checks.importlib.metadata, "version", version)
  (finding,) = checks.check_versions()
  assert (
    finding.line() == "jax 0.9.2 is older than 0.10: pip install 'jax>=0.10'"
  )
  installed.update(jax="0.12.0", jaxlib="0.12.0.1")
  (finding,) = checks.check_versions()
  assert finding.status == "ok"
  installed.update(jaxlib="0.11.0")
  (finding,) = checks.check_versions()
  assert "jax 0.12.0 does not go with jaxlib 0.11.0" in finding.found


def test_the_oldest_versions_are_those_of_the_packaging():
  text = (ROOT / "setup.py").read_text()
  for name, oldest in checks.OLDEST.items():
    (wanted,) = re.findall(rf'"{name}>=([\d.]+)"', text)
    assert wanted == oldest, name


def test_no_devices_end_the_checks(doctor, monkeypatch):
  def fail():
    raise RuntimeError("Unable to initialize backend 'tpu'\nmore")

  monkeypatch.setattr(jax, "devices", fail)
  code, found = doctor()
  assert code == 1
  assert found["accelerator"]["found"] == "Unable to initialize backend 'tpu'"
  assert "mesh" not in found


MIXTURE = """
from __gin__ import dynamic_registration
from inksight_jax.tasks import inksight
MIXTURE_OR_TASK_NAME = @inksight.register()
inksight.register.spec = %TASKS
"""


def test_mixture_and_cache_of_a_t5x_run(doctor, tmp_path):
  path = tmp_path / "mixture.gin"
  path.write_text(MIXTURE)
  words = [f"--gin_file={path}"]
  # T5X's own default is to use caches.
  code, found = doctor(*words)
  assert code == 1
  assert found["mixture"]["status"] == "ok"
  assert "there is no cache of inksight_" in found["cache"]["found"]
  path.write_text(MIXTURE + "USE_CACHED_TASKS = False")
  code, found = doctor(*words)
  assert code == 0 and "cache" not in found
  path.write_text('MIXTURE_OR_TASK_NAME = "no_such_mixture"')
  code, found = doctor(*words)
  assert code == 1
  assert "no_such_mixture" in found["mixture"]["found"]


@pytest.mark.skipif(
  importlib.util.find_spec("t5x") is not None, reason="T5X is installed"
)
def test_t5x_files_need_t5x(doctor):
  code, found = doctor(start=["--gin_file=gin/t5x/inksight_quickstart.gin"])
  assert code == 1
  assert "T5X, which is not installed" in found["configuration"]["found"]
