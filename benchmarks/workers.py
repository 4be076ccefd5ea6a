"""Programs that are measured in turn, each in a process of its own.

A worker reads one line of JSON, does what it says, answers with one line, and
sleeps until the next: what else the machine does meets all of them alike.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


class Worker:
  """A process that answers questions."""

  def __init__(self, name: str, command: list[str]) -> None:
    """Starts it; it gets ready at once."""
    self._name = name
    self._process = subprocess.Popen(
      command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

  def ask(self, question: dict[str, Any]) -> dict[str, Any]:
    """One answer.

    Raises:
      RuntimeError: the process has died; it said why on standard error.
    """
    process = self._process
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
      raise RuntimeError(f"The process of {self._name} has died.")
    return json.loads(line)

  def close(self) -> None:
    """Ends the process."""
    assert self._process.stdin is not None
    self._process.stdin.close()
    self._process.wait()


def serve(
  make: Callable[[], Callable[[dict[str, Any]], dict[str, Any]]],
) -> None:
  """What a worker's process runs: `make` once, its result for each question."""
  # Libraries print too; the answers keep the output for themselves.
  answers, sys.stdout = sys.stdout, sys.stderr
  answer = make()
  for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


def rounds(
  workers: Mapping[str, Worker], question: dict[str, Any], count: int
) -> dict[str, tuple[dict[str, Any], list[float]]]:
  """Asks all of them in turn, `count` times after a first call.

  Returns:
    For each worker its first answer, and the seconds of the later ones.
  """
  first = {name: worker.ask(question) for name, worker in workers.items()}
  times: dict[str, list[float]] = {name: [] for name in workers}
  for _ in range(count):
    for name, worker in workers.items():
      times[name].append(worker.ask(question)["seconds"])
  return {name: (first[name], times[name]) for name in workers}


def median(values: list[float]) -> float:
  """Their median."""
  return float(np.median(values))
