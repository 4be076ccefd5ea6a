import pytest

from inksight_jax.training import distributed


@pytest.fixture
def joined(monkeypatch):
  """Records what JAX is asked to join; nothing is started."""
  calls = []
  monkeypatch.setattr(
    distributed.jax.distributed, "initialize", lambda *a: calls.append(a)
  )
  monkeypatch.setattr(distributed, "_use_gloo", lambda: None)
  monkeypatch.setattr(distributed.glob, "glob", lambda pattern: [])
  for name in distributed.ENVIRONMENT:
    monkeypatch.delenv(name, raising=False)
  return calls


def test_one_machine_runs_alone(joined):
  assert not distributed.initialize()
  assert joined == []


def test_options_come_before_the_environment(joined, monkeypatch):
  for name, value in zip(
    distributed.ENVIRONMENT, ("a:1", "4", "3"), strict=True
  ):
    monkeypatch.setenv(name, value)
  assert distributed.initialize()
  assert distributed.initialize("b:2", process_id=0)
  assert joined == [("a:1", 4, 3), ("b:2", 4, 0)]


def test_a_tpu_is_asked_unless_another_platform_is_wanted(joined, monkeypatch):
  monkeypatch.setattr(
    distributed.glob, "glob", lambda p: ["/dev/accel0"] * ("accel" in p)
  )
  monkeypatch.setattr(
    distributed.importlib.util, "find_spec", lambda name: object()
  )
  assert not distributed.initialize()  # JAX_PLATFORMS is cpu here.
  monkeypatch.setenv("JAX_PLATFORMS", "tpu,cpu")
  assert distributed.initialize()
  assert joined == [()]


def test_no_cluster_is_an_error_only_where_one_was_asked_for(
  joined, monkeypatch
):
  def nothing():
    raise ValueError("coordinator_address should be defined.")

  monkeypatch.setattr(distributed.jax.distributed, "initialize", nothing)
  monkeypatch.setattr(distributed, "_on_tpu", lambda: True)
  assert not distributed.initialize()
  with pytest.raises(ValueError, match="found no cluster"):
    distributed.initialize("auto")


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (("a:1", 2, None), "needs all of --coordinator"),
    ((None, 2, 0), "needs all of --coordinator"),
    (("a", 2, 0), "write HOST:PORT"),
    (("a:b", 2, 0), "write HOST:PORT"),
    (("a:1", 2, 2), "Process 2 is not one of 2"),
  ],
)
def test_half_an_address_is_refused(joined, arguments, message):
  with pytest.raises(ValueError, match=message):
    distributed.initialize(*arguments)
  assert joined == []


def test_numbers_in_the_environment_are_checked(joined, monkeypatch):
  monkeypatch.setenv("JAX_NUM_PROCESSES", "two")
  with pytest.raises(ValueError, match="JAX_NUM_PROCESSES is 'two'"):
    distributed.initialize("a:1")


def test_a_process_alone_raises_its_errors():
  with pytest.raises(KeyError), distributed.leave_at_once_on_errors():
    raise KeyError("x")
