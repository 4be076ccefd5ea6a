"""The scripts of tpu/, by what they would run and with a gcloud that acts."""

import os
import pathlib
import shlex
import shutil
import subprocess

import pytest

TPU = pathlib.Path(__file__).resolve().parents[2] / "tpu"
SCRIPTS = sorted(p.name for p in TPU.glob("*.sh") if p.name != "common.sh")
PLACE = ["--name=ink", "--zone=us-west4-a"]
TRAIN = ["--model_dir=bucket/runs/a", "--", "--gin_file=gin/recipes/a.gin"]

pytestmark = pytest.mark.skipif(
  shutil.which("bash") is None, reason="no bash here"
)


def _run(script, *words, path=None):
  environment = dict(os.environ)
  if path is not None:
    environment["PATH"] = f"{path}{os.pathsep}{environment['PATH']}"
  return subprocess.run(
    ["bash", str(TPU / script), *words],
    capture_output=True,
    text=True,
    env=environment,
    timeout=60,
    check=False,
  )


def _commands(script, *words):
  """The commands of a dry run, word by word as a shell reads them."""
  done = (
    _run(script, *words, "--dry_run")
    if "--" not in words
    else _run(script, "--dry_run", *words)
  )
  assert done.returncode == 0, done.stderr
  commands, current = [], []
  lexer = shlex.shlex(done.stdout, posix=True, punctuation_chars="\n")
  lexer.whitespace = " \t"
  lexer.whitespace_split = True
  for token in lexer:
    if set(token) == {"\n"}:
      commands.append(current)
      current = []
    else:
      current.append(token)
  return [command for command in commands if command]


def _remote(command):
  (words,) = [w for w in command if w.startswith("--command=")]
  return words.removeprefix("--command=")


def test_create_asks_for_a_spot_slice():
  (command,) = _commands("create.sh", *PLACE, "--valid_for=6h", "--wait")
  assert shlex.join(command) == (
    "gcloud compute tpus queued-resources create ink --node-id=ink "
    "--accelerator-type=v5litepod-64 --runtime-version=v2-alpha-tpuv5-lite "
    "--spot --valid-until-duration=6h --zone=us-west4-a"
  )


def test_create_on_demand_in_a_project_with_further_words():
  (command,) = _commands(
    "create.sh",
    *PLACE,
    "--project=my-project",
    "--type=v5litepod-8",
    "--on_demand",
    "--",
    "--labels=owner=me and you",
  )
  assert "--spot" not in command
  assert "--accelerator-type=v5litepod-8" in command
  assert command[-3:] == [
    "--labels=owner=me and you",
    "--zone=us-west4-a",
    "--project=my-project",
  ]


def test_setup_installs_the_commit_mounts_the_bucket_and_counts_chips():
  commands = _commands("setup.sh", *PLACE, "--bucket=gs://mine")
  git, copy, install, mount, count = commands
  assert git[0] == "git" and "archive" in git and git[-1] == "HEAD"
  package = git[-2].removeprefix("--output=")
  assert shlex.join(copy).startswith(
    f"gcloud compute tpus tpu-vm scp {package} ink:inksight-jax.tar.gz --worker"
  )
  for command in (install, mount, count):
    assert shlex.join(command).startswith("gcloud compute tpus tpu-vm ssh ink ")
    assert "--worker=all" in command
    # A shell accepts what the machines would run.
    subprocess.run(["bash", "-n", "-c", _remote(command)], check=True)
  assert "'./inksight-jax[tpu]'" in _remote(install)
  assert "gcsfuse --implicit-dirs mine bucket" in _remote(mount)
  assert "jax.distributed.initialize()" in _remote(count)
  assert len(_commands("setup.sh", *PLACE)) == 4


def test_data_goes_up_down_and_to_all_machines(tmp_path):
  file = tmp_path / "two words.json"
  file.write_text("{}")
  (up,) = _commands("data.sh", "--to=gs://mine/data", str(file))
  assert up[:4] == ["gcloud", "storage", "cp", "--recursive"]
  assert up[4:] == [str(file), "gs://mine/data/"]
  folder, down = _commands("data.sh", "--from=gs://mine/runs/a", "--to=runs")
  assert folder == ["mkdir", "-p", "runs"]
  assert down[-2:] == ["gs://mine/runs/a", "runs/"]
  (spread,) = _commands(
    "data.sh", *PLACE, "--from=gs://mine/data/shards", "--to=data"
  )
  assert "--worker=all" in spread
  assert _remote(spread) == (
    "mkdir -p data && gcloud storage cp --recursive gs://mine/data/shards data/"
  )


def test_launch_keeps_every_word_of_the_trainer():
  path = 'it\'s "here"; rm -rf $HOME'
  words = ["--gin_file=a.gin", f"--gin.DATA_PATH={path}"]
  (command,) = _commands(
    "launch.sh", *PLACE, "--model_dir=bucket/runs/a", "--", *words
  )
  remote = _remote(command)
  subprocess.run(["bash", "-n", "-c", remote], check=True)
  before = "nohup flock --nonblock train.lock venv/bin/inksight-jax train "
  assert remote.startswith(before)
  trainer = shlex.split(remote.removeprefix(before))
  assert trainer[:4] == [*words, "--model_dir=bucket/runs/a", "--resume"]


def test_launch_of_t5x_gives_the_folder_as_a_gin_string():
  (command,) = _commands(
    "launch.sh", *PLACE, "--t5x", "--model_dir=gs://mine/a", "--",
    "--gin_file=gin/t5x/a.gin",
  )  # fmt: skip
  trainer = shlex.split(_remote(command))
  assert "t5x.train" in trainer
  assert '--gin.MODEL_DIR="gs://mine/a"' in trainer
  refused = _run(
    "launch.sh", *PLACE, "--model_dir=gs://mine/a", "--", "--gin_file=a.gin"
  )
  assert refused.returncode == 2 and "--model_dir=bucket/" in refused.stderr


def test_watch_stop_and_delete():
  state, log = _commands("watch.sh", *PLACE, "--worker=all", "--lines=3")
  assert state[3:6] == ["queued-resources", "describe", "ink"]
  assert "tail -n 3 train.log" in _remote(log)
  (_, follow) = _commands("watch.sh", *PLACE, "--follow")
  assert _remote(follow) == "tail -n 20 -F train.log"
  (stop,) = _commands("stop.sh", *PLACE)
  assert "pkill -TERM" in _remote(stop)
  (delete,) = _commands("delete.sh", *PLACE)
  assert shlex.join(delete) == (
    "gcloud compute tpus queued-resources delete ink --force --quiet "
    "--zone=us-west4-a"
  )


def test_a_dry_resume_shows_the_whole_way_back():
  commands = _commands(
    "resume.sh", *PLACE, "--bucket=gs://mine", "--data=gs://mine/shards", *TRAIN
  )
  shown = [shlex.join(command) for command in commands if command[0] != "#"]
  for text, line in zip(
    ("delete ink", "create ink", "git", "scp", "ssh", "ssh", "ssh",
     "cp --recursive gs://mine/shards", "inksight-jax train"),
    shown, strict=True,
  ):  # fmt: skip
    assert text in line


FAKE_GCLOUD = """#!/usr/bin/env bash
echo "$*" >> "$(dirname "$0")/calls"
case "$*" in
  *describe*)
    file="$(dirname "$0")/states"
    head -n 1 "$file"
    sed -i 1d "$file"
    [[ -s "$file.fail" ]] && { cat "$file.fail" >&2; exit 1; }
    exit 0 ;;
esac
"""


@pytest.fixture
def fake_gcloud(tmp_path):
  """Makes a gcloud that records its calls and answers with given states."""

  def make(*states, fails=""):
    for name, text in (("gcloud", FAKE_GCLOUD), ("sleep", "#!/bin/sh\n")):
      (tmp_path / name).write_text(text)
      (tmp_path / name).chmod(0o755)
    (tmp_path / "states").write_text("".join(f"{s}\n" for s in states))
    (tmp_path / "states.fail").write_text(fails)
    (tmp_path / "calls").write_text("")
    return tmp_path

  return make


def _calls(folder):
  return (folder / "calls").read_text().splitlines()


def test_create_waits_until_the_slice_is_there_or_never_comes(fake_gcloud):
  path = fake_gcloud("WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE")
  done = _run("create.sh", *PLACE, "--wait", path=path)
  assert done.returncode == 0, done.stderr
  assert [("create " in c) for c in _calls(path)] == [True, False, False, False]
  path = fake_gcloud("WAITING_FOR_RESOURCES", "FAILED")
  done = _run("create.sh", *PLACE, "--wait", path=path)
  assert done.returncode == 1 and "FAILED" in done.stderr


def test_resume_acts_on_what_it_finds(fake_gcloud):
  def verbs(*states, **options):
    path = fake_gcloud(*states, **options)
    done = _run("resume.sh", *PLACE, *TRAIN, path=path)
    return done.returncode, " ".join(
      word
      for call in _calls(path)
      for word in call.split()
      if word in ("describe", "create", "delete", "scp", "ssh")
    )

  assert verbs("ACTIVE") == (0, "describe ssh")
  assert verbs("SUSPENDED", "ACTIVE") == (
    0,
    "describe delete create describe scp ssh ssh ssh",
  )
  assert verbs(fails="NOT_FOUND: no such resource")[1].startswith(
    "describe create"
  )
  # Neither in a queue nor without an answer is anything deleted or made.
  assert verbs("WAITING_FOR_RESOURCES") == (0, "describe")
  assert verbs(fails="PERMISSION_DENIED") == (1, "describe")


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_is_the_head_of_the_script(script):
  done = _run(script, "--help")
  assert done.returncode == 0
  assert f"tpu/{script} " in done.stdout and "--dry_run" in done.stdout
  assert "set -euo" not in done.stdout and "shellcheck" not in done.stdout


@pytest.mark.parametrize(
  ("script", "words", "message"),
  [
    *[(s, [], "is missing") for s in SCRIPTS],
    *[(s, ["--zone=us-west4-a", "--name=two words"], "--name='two words'")
      for s in SCRIPTS],
    ("create.sh", ["--name=ink", "--zone=us west4"], "--zone='us west4'"),
    ("create.sh", [*PLACE, "--type=v5 lite"], "--type="),
    ("create.sh", [*PLACE, "--tpye=v5litepod-8"], "no option --tpye"),
    ("create.sh", [*PLACE, "--spot"], "--spot is not a flag"),
    ("create.sh", [*PLACE, "now"], "unexpected now"),
    ("setup.sh", [*PLACE, "--bucket=gs://a;b"], "--bucket="),
    ("setup.sh", [*PLACE, "--extras=tpu]; true"], "--extras="),
    ("launch.sh", [*PLACE, "--model_dir=a"], "words are missing"),
    ("launch.sh", [*PLACE, "--model_dir=a b", *TRAIN[1:]], "--model_dir="),
    ("data.sh", ["--to=gs://mine", "--from=gs://mine", "setup.py"], "not both"),
    ("data.sh", ["--to=runs", "--from=here"], "not in a bucket"),
    ("watch.sh", [*PLACE, "--lines=x"], "--lines="),
  ],
)  # fmt: skip
def test_wrong_words_are_refused_before_anything_runs(
  script, words, message, fake_gcloud
):
  path = fake_gcloud()
  done = _run(script, *words, path=path)
  assert done.returncode == 2, done.stdout + done.stderr
  assert message in done.stderr and "--help" in done.stderr
  assert not done.stdout and _calls(path) == []


def test_a_file_that_is_absent_is_named(fake_gcloud):
  done = _run("data.sh", "--to=gs://mine", "absent.json", path=fake_gcloud())
  assert done.returncode == 1 and "absent.json" in done.stderr
