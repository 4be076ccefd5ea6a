"""The command line itself: help, gin words, exit codes, one-line errors."""

import subprocess
import sys

import pytest

from inksight_jax.cli import main as cli
from inksight_jax.cli import predict

VERBS = ["train", "evaluate", "predict", "export", "serve", "data"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_examples(
  verb: str, capsys: pytest.CaptureFixture[str]
):
  assert cli.main([verb, "--help"]) == 0
  text = capsys.readouterr().out
  assert "examples:" in text and f"inksight-jax {verb}" in text
  assert cli.main(["--help"]) == 0
  assert verb in capsys.readouterr().out


def test_help_loads_nothing_heavy():
  program = (
    "import sys\n"
    "from inksight_jax.cli.main import main\n"
    "for verb in sys.argv[1:]:\n"
    "  assert main([verb, '--help']) == 0\n"
    "heavy = {'jax', 'numpy', 'tensorflow', 'gin', 'cv2', 'lxml'}\n"
    "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", program, *VERBS],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr


def test_the_module_is_the_command():
  done = subprocess.run(
    [sys.executable, "-m", "inksight_jax", "--version"],
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stdout.startswith("inksight-jax 0.")


def test_gin_words_become_bindings_in_order():
  words = ["train", "--gin_file=a", "--gin.A=1", "--gin_file", "b"]
  words += ["--model_dir=d", "--gin.b.C.d='x=y'", "--gin.E=-1"]
  args = cli.parse_arguments(words)
  assert args.gin_file == ["a", "b"]
  assert args.gin_bindings == ["A = 1", "b.C.d = 'x=y'", "E = -1"]


@pytest.mark.parametrize(
  ("words", "message"),
  [
    ([], "VERB"),
    (["tarin"], "tarin"),
    (["train", "--model_dir=d"], "--gin_file"),
    (["train", "--gin_file=f", "--model_dir=d", "--gin.A"], "NAME=VALUE"),
    (["train", "--gin_file=f", "--model_dir=d", "--gin.=1"], "NAME=VALUE"),
    (["predict", "a.png", "--model_dir=d", "--output_dir=o", "--gin.A=1"],
     "takes no gin bindings"),
    (["evaluate", "--model_dir=d", "--split=tset"], "tset"),
    (["train", "--gin_file=f", "--model_dir=d", "--resume", "--overwrite"],
     "not allowed with"),
    # No abbreviations: a later option must not change what a script means.
    (["evaluate", "--model=d"], "--model_dir"),
  ],
)  # fmt: skip
def test_a_wrong_command_line_exits_with_2(
  words: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
  assert cli.main(words) == 2
  assert message in capsys.readouterr().err


@pytest.mark.parametrize(
  ("error", "code", "shown"),
  [
    (ValueError("a\nb"), 1, "error: a\nb\n"),
    (ValueError("a\n  In call to configurable 'f' (x)"), 1, "error: a\n"),
    (FileNotFoundError(2, "No such file", "x"), 1, "error: [Errno 2]"),
    (KeyboardInterrupt(), 130, "interrupted"),
  ],
)
def test_expected_errors_are_one_line_and_an_exit_code(
  error: BaseException,
  code: int,
  shown: str,
  monkeypatch: pytest.MonkeyPatch,
  capsys: pytest.CaptureFixture[str],
):
  def fail(args: object) -> int:
    raise error

  monkeypatch.setattr(predict, "run", fail)
  words = ["predict", "a.png", "--model_dir=d", "--output_dir=o"]
  assert cli.main(words) == code
  assert capsys.readouterr().err.startswith(shown)
  if isinstance(error, ValueError):
    with pytest.raises(ValueError):
      cli.main(["--debug", *words])


def test_a_bug_keeps_its_stack(monkeypatch: pytest.MonkeyPatch):
  def fail(args: object) -> int:
    raise KeyError("bug")

  monkeypatch.setattr(predict, "run", fail)
  with pytest.raises(KeyError):
    cli.main(["predict", "a.png", "--model_dir=d", "--output_dir=o"])
