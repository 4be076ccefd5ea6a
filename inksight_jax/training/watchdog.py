"""Says what an operation waits for when it takes suspiciously long."""

import contextlib
import dataclasses
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator

import jax

_LOGGER = logging.getLogger(__name__)
# Threads whose place is worth telling: those that are inside a save.
_SAVING = ("orbax", "inksight_jax/training/checkpoints")


@dataclasses.dataclass(eq=False)
class _Operation:
  """Something under way.

  Attributes:
    what: for people, for example "saving step 20 to runs/a/checkpoints".
    begin: monotonic seconds.
    clock: time of day it began at.
    report_after: seconds since `begin` at which to report next.
    thread: that waits, or None for threads of the background.
    finished: tells whether a background operation is over.
  """

  what: str
  begin: float
  clock: str
  report_after: float
  thread: int | None
  finished: Callable[[], bool] | None = None


class Watchdog:
  """Watches operations from a thread of its own and reports the slow ones.

  It reports after `timeout` seconds, then each time the wait has doubled: what
  is under way, since when, and where in the program its threads stand. It
  never stops anything: a slow disk is not a reason to lose a checkpoint.
  """

  def __init__(
    self,
    timeout: float,
    report: Callable[[str], None] = _LOGGER.warning,
  ) -> None:
    """Starts watching.

    Args:
      timeout: seconds that an operation may take in silence; 0 for ever.
      report: takes each report.
    """
    self._timeout = timeout
    self._report = report
    self._operations: list[_Operation] = []
    self._lock = threading.Lock()
    self._closed = threading.Event()
    self._thread: threading.Thread | None = None
    if timeout > 0:
      self._thread = threading.Thread(
        target=self._run, name="watchdog", daemon=True
      )
      self._thread.start()

  @contextlib.contextmanager
  def watch(self, what: str) -> Iterator[None]:
    """Watches a `with` block of the calling thread."""
    operation = self._add(what, threading.get_ident(), None)
    try:
      yield
    finally:
      self._remove(operation)

  def watch_background(self, what: str, finished: Callable[[], bool]) -> None:
    """Watches what other threads do.

    Args:
      what: for people.
      finished: asked from time to time; must not block.
    """
    self._add(what, None, finished)

  def close(self) -> None:
    """Stops watching."""
    self._closed.set()
    if self._thread is not None:
      self._thread.join()

  def _add(
    self, what: str, thread: int | None, finished: Callable[[], bool] | None
  ) -> _Operation:
    operation = _Operation(
      what,
      time.monotonic(),
      time.strftime("%H:%M:%S"),
      self._timeout,
      thread,
      finished,
    )
    with self._lock:
      self._operations.append(operation)
    return operation

  def _remove(self, operation: _Operation) -> None:
    with self._lock:
      if operation in self._operations:
        self._operations.remove(operation)

  def _run(self) -> None:
    while not self._closed.wait(min(1.0, self._timeout / 4)):
      with self._lock:
        operations = list(self._operations)
      for operation in operations:
        self._look(operation)

  def _look(self, operation: _Operation) -> None:
    if operation.finished is not None and operation.finished():
      self._remove(operation)
      return
    elapsed = time.monotonic() - operation.begin
    if elapsed < operation.report_after:
      return
    operation.report_after = 2 * elapsed
    self._report(
      f"Process {jax.process_index()}: {operation.what} has taken "
      f"{elapsed:.0f} s so far, since {operation.clock}; "
      f"{_places(operation.thread)}. Look at the disk or bucket (space, "
      "rights, network) and at the other processes; the last finished "
      "checkpoint is sound."
    )


def _places(thread: int | None) -> str:
  """Where a thread stands; for None, every thread that is saving."""
  names = {t.ident: t.name for t in threading.enumerate()}
  found = []
  for ident, frame in sys._current_frames().items():
    stack = traceback.extract_stack(frame)
    ours = [f for f in stack if any(part in f.filename for part in _SAVING)]
    if ident == threading.get_ident() or (thread is None and not ours):
      continue
    if thread is not None and ident != thread:
      continue
    place = _place(stack[-1])
    if ours and ours[-1] is not stack[-1]:
      place = f"{place}, called by {_place(ours[-1])}"
    found.append(f"{names.get(ident, ident)} is at {place}")
  return "; ".join(found) or "no thread of this process is busy with it"


def _place(frame: traceback.FrameSummary) -> str:
  path = "/".join(frame.filename.split("/")[-3:])
  return f"{path}:{frame.lineno} {frame.name}"
