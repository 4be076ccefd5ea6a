"""The count of what was left out."""

from inksight_jax.datasets.skipped import SkipReport


def test_counts_by_reason_and_keeps_the_first_places():
  report = SkipReport()
  assert (report.total, report.table()) == (0, "nothing skipped")
  for line in range(5):
    report.skip("empty label", f"a.dat:{line}")
  report.skip("quality BAD", "b.dat:7")
  assert report.total == 6
  first, second = report.table().splitlines()
  assert first.split()[0] == "5"
  assert "a.dat:0, a.dat:1, a.dat:2)" in first and "a.dat:3" not in first
  assert second.split() == ["1", "quality", "BAD", "(first:", "b.dat:7)"]
