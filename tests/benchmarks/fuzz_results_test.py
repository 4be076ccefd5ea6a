"""A share of the benchmark's answers; broken writers are noticed."""

import importlib.util
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def fuzz(monkeypatch):
  path = ROOT / "benchmarks" / "fuzz_results.py"
  spec = importlib.util.spec_from_file_location("fuzz_results", path)
  assert spec is not None and spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  # The tests' type checks cost more than what they check, and the suite around
  # has its own memory.
  monkeypatch.setattr(module, "LIMIT_BYTES", 2**40)
  return module


def test_twenty_answers_and_a_page(fuzz, monkeypatch, capsys):
  monkeypatch.setattr(sys, "argv", ["fuzz", "--count=20", "--seed=7"])
  fuzz.main()
  shown = capsys.readouterr().out
  assert "20 answers, 1 pages, no crash" in shown
  assert all(f"{kind} " in shown for kind in fuzz.FORMATS)


def test_what_is_too_slow_or_breaks_is_noticed(fuzz, monkeypatch):
  monkeypatch.setattr(sys, "argv", ["fuzz", "--count=1"])
  monkeypatch.setattr(fuzz, "LIMIT_S", 0.0)
  with pytest.raises(RuntimeError, match=r"took 0\.\d s"):
    fuzz.main()
  monkeypatch.setattr(fuzz, "LIMIT_S", 60.0)
  monkeypatch.setattr(fuzz, "LIMIT_BYTES", 1)
  with pytest.raises(RuntimeError, match="MB of memory"):
    fuzz.main()
