"""Random numbers one at a time, cheaply.

NumPy's generators are made for arrays: `Generator.uniform` takes four times as
long as `Generator.random` for a single number, and a picture needs fifty.
"""

from __future__ import annotations

import numpy as np


def between(rng: np.random.Generator, low: float, high: float) -> float:
  """A uniform number in [low, high), the very one of `rng.uniform`."""
  return low + (high - low) * rng.random()


def below(rng: np.random.Generator, count: int) -> int:
  """A whole number in [0, count), all alike likely; for small counts."""
  return int(count * rng.random())
