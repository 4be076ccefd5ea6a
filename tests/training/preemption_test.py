import os
import signal
import threading

from inksight_jax.training import preemption


def test_notices_sigterm_only_while_it_listens():
  heard = []
  before = signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
  try:
    with preemption.Preemption() as noticed:
      assert not noticed.requested(1)
      os.kill(os.getpid(), signal.SIGTERM)
      assert noticed.requested(2)
      assert noticed.requested(3)
    assert heard == []
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [1]
  finally:
    signal.signal(signal.SIGTERM, before)


def test_other_threads_may_train_but_get_no_signals():
  results = []

  def work():
    with preemption.Preemption() as noticed:
      results.append(noticed.requested(1))

  thread = threading.Thread(target=work)
  thread.start()
  thread.join()
  assert results == [False]
