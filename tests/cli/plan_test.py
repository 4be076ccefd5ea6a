"""`inksight-jax plan`, without the TPU compiler where it can be."""

import json
import pathlib

import jax
import pytest

from inksight_jax.cli import main
from inksight_jax.training import chips

TINY = pathlib.Path(__file__).parents[1] / "inference" / "tiny.gin"
WORDS = [
  "plan",
  f"--gin_file={TINY}",
  "--gin_file=gin/optimizers/adamw.gin",
  "--gin_file=gin/runs/train.gin",
  "--gin.TRAIN_STEPS=340000",
  "--gin.BATCH_SIZE=16",
  "--topology=v5e:2x2",
  "--no_decode",
]


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
  """Emulated CPU devices instead of a slice that libtpu describes."""

  def devices(topology: chips.Topology):
    return jax.devices()[: topology.num_chips]

  monkeypatch.setattr(chips, "devices", devices)


@pytest.mark.usefixtures("emulated")
def test_a_plan_is_a_table_a_list_and_a_file(tmp_path, capsys):
  path, dump = tmp_path / "plan.json", tmp_path / "step.hlo"
  words = [f"--json={path}", "--top=3", f"--dump={dump}", "--gin.MESH_FSDP=2"]
  assert main.main([*WORDS, *words]) == 0
  out = capsys.readouterr().out
  assert "4 chips, data=2 fsdp=2 model=1 microbatches=1" in out
  assert "340,000 steps of 16" in out
  assert "33 h" in out and "105 h" in out
  assert "fits" in out and "largest traffic" in out
  values = json.loads(path.read_text(encoding="utf-8"))
  assert values["fits"] and values["chips"] == 4
  assert values["hours"] == pytest.approx(
    values["roofline_seconds"] * 340000 / 3600
  )
  assert dump.read_text(encoding="utf-8").startswith("HloModule")


@pytest.mark.usefixtures("emulated")
def test_what_does_not_fit_exits_with_1_and_says_what_to_change(
  monkeypatch, capsys
):
  from inksight_jax.training import aot

  def compile_step(*_):
    raise jax.errors.JaxRuntimeError(
      "RESOURCE_EXHAUSTED: Used 28.50G of 15.75G hbm"
    )

  monkeypatch.setattr(aot.loop, "compile_step", compile_step)
  assert main.main([*WORDS, "--json"]) == 1
  captured = capsys.readouterr()
  values = json.loads(captured.out)
  assert values["fits"] is False
  assert values["suggestion"].startswith("set MICROBATCHES=2")
  assert "DOES NOT FIT" in captured.err


@pytest.mark.parametrize(
  ("words", "message"),
  [
    (["--topology=v9:2x2"], "no known chip"),
    (["--gin.MESH_FSDP=3"], "fsdp=3, model=1 does not cover 4 devices"),
  ],
)
def test_wrong_words_are_one_line_and_1(words, message, capsys):
  assert main.main([*WORDS, *words]) == 1
  error = capsys.readouterr().err
  assert message in error and len(error.splitlines()) == 1
