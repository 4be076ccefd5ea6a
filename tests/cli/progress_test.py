"""Progress: plain lines, seldom, where there is no terminal."""

from inksight_jax.cli.progress import Progress


def test_lines_come_every_ten_seconds(capsys):
  now = 0.0
  with Progress("records", terminal=False, clock=lambda: now) as progress:
    for _ in range(50):
      now += 0.5
      progress.advance("iam", 4)
  lines = capsys.readouterr().err.splitlines()
  assert lines == [
    "iam: 80 records, 8 per second",
    "iam: 160 records, 8 per second",
  ]


def test_a_terminal_gets_a_bar(capsys):
  with Progress("records", terminal=True) as progress:
    progress.advance("iam", 3)
    progress.advance("iam", 4)
  error = capsys.readouterr().err
  assert "7 records" in error and "iam" in error


def test_lines_stand_above_the_bar(capsys):
  with Progress("images", terminal=True, total=4) as progress:
    progress.advance("predict", 2)
    progress.say("one line")
    assert progress.has_bar
  error = capsys.readouterr().err
  assert "one line\n" in error and "2/4" in error
  with Progress("images", terminal=False) as progress:
    progress.say("a line")
    assert not progress.has_bar
  assert capsys.readouterr().err == "a line\n"
