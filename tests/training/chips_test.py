"""Peaks and names of TPU slices."""

import pytest

from inksight_jax.training import chips


def test_v5e_has_the_published_peaks():
  chip = chips.CHIPS["v5e"]
  assert (chip.flops, chip.hbm_bandwidth) == (197e12, 819e9)
  assert chip.hbm_bytes == 16 * 2**30


def test_rows_are_named_as_their_keys_and_compute_faster_than_they_read():
  for name, chip in chips.CHIPS.items():
    assert chip.name == name
    assert chip.flops > chip.hbm_bandwidth > chip.ici_bandwidth


def test_a_topology_has_the_product_of_its_axes():
  topology = chips.parse_topology("v5p:2x2x4")
  assert topology.shape == (2, 2, 4)
  assert topology.num_chips == 16
  assert topology.chip.name == "v5p"


@pytest.mark.parametrize(
  ("name", "message"),
  [
    ("v7:2x2", "no known chip.*v5e:8x8"),
    ("v5e", "no shape.*v5e:4x4"),
    ("v5e:8x", "no shape"),
    ("v5e:0x8", "no shape"),
    ("v5e:2x2x2", "3 axes.*have 2.*v5e:4x4"),
    ("v4:8x8", "2 axes.*have 3.*v4:4x4x4"),
  ],
)
def test_wrong_names_are_refused(name: str, message: str):
  with pytest.raises(ValueError, match=message):
    chips.parse_topology(name)
