"""Splits by writer."""

import collections

import pytest

from inksight_jax.datasets.splits import hash_fraction, split_of

WRITERS = [f"donor/{i}" for i in range(4000)]


def test_shares_come_out_and_depend_on_the_seed():
  splits = {
    s: [split_of(w, (0.7, 0.2, 0.1), s) for w in WRITERS] for s in (0, 1)
  }
  counts = collections.Counter(splits[0])
  # Four standard deviations of a binomial count.
  assert counts["train"] == pytest.approx(2800, abs=4 * 29)
  assert counts["validation"] == pytest.approx(800, abs=4 * 25.3)
  assert counts["test"] == pytest.approx(400, abs=4 * 19)
  assert splits[0] != splits[1]


def test_known_values_hold_forever():
  """A changed hash would move writers between the splits of old models."""
  assert hash_fraction("kai/yklyu") == 0.8589016307752962
  assert [split_of(w) for w in ("kai/yklyu", "tos/1001")] == [
    "validation",
    "train",
  ]


@pytest.mark.parametrize(
  ("writer", "fractions"),
  [
    ("", (0.8, 0.1, 0.1)),
    ("a", (0.8, 0.1)),
    ("a", (0.8, 0.1, 0.2)),
    ("a", (1.2, -0.1, -0.1)),
  ],
)
def test_bad_arguments(writer: str, fractions: tuple[float, ...]):
  with pytest.raises(ValueError, match=r"[Ss]plit"):
    split_of(writer, fractions)
