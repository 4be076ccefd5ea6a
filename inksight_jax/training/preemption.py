"""Stopping cleanly when the machine is taken away."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import jax
from jax.experimental import multihost_utils


class Preemption:
  """Notices SIGTERM, so that the loop can save before it leaves.

  With several processes all must stop after the same step, which only the
  coordination service can arrange; it listens to the signal itself.
  """

  def __init__(self) -> None:
    """Nothing happens before `__enter__`."""
    self._requested = False
    self._previous: Any = None
    # Python delivers signals to the main thread only.
    self._listens = (
      jax.process_count() == 1
      and threading.current_thread() is threading.main_thread()
    )

  def __enter__(self) -> "Preemption":
    """Starts to listen."""
    if self._listens:
      self._previous = signal.signal(signal.SIGTERM, self._notice)
    return self

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
  ) -> None:
    """Hands the signal back."""
    if self._listens:
      signal.signal(signal.SIGTERM, self._previous)

  def requested(self, step: int) -> bool:
    """Whether to stop after this step; the same answer on every process."""
    if jax.process_count() > 1:
      return multihost_utils.reached_preemption_sync_point(step)
    return self._requested

  def _notice(self, number: int, frame: FrameType | None) -> None:
    del number, frame
    self._requested = True
