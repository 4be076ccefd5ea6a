"""A tiny data set that needs no file, and the tasks over it."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from inksight_jax.datasets.info import DatasetInfo
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.registry import DATASETS
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.ink.tokens import InkCodec
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline import records as pipeline_records
from inksight_jax.pipeline.spec import InkSightTasks
from inksight_jax.text.vocabulary import Vocabulary


def record_of(number: int) -> Record:
  rng = np.random.default_rng(number)
  strokes = [
    np.cumsum(rng.normal(0, 20, (rng.integers(2, 9), 2)), 0) for _ in range(2)
  ]
  # Some records lack what some tasks need.
  return Record(
    id=f"record-{number}",
    source="unit",
    text="" if number % 5 == 4 else f"word{number}",
    writer=f"writer-{number % 3}",
    image=rng.integers(0, 256, (9, 17, 3), np.uint8),
    ink=None if number % 11 == 10 else Ink.from_arrays(strokes),
  )


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Record]]:
  """Records by split; what the pipeline reads while the test runs."""
  table = {
    "train": [record_of(i) for i in range(23)],
    "validation": [record_of(i) for i in range(100, 107)],
    "test": [record_of(i) for i in range(200, 206)],
  }

  def read(
    path: str, split: str, report: SkipReport | None = None
  ) -> Iterator[Record]:
    return iter(table[split])

  info = DatasetInfo(
    name="unit",
    kind="for tests",
    licence="-",
    citation="-",
    access="-",
    counts={},
    reader=read,
    holds=("ink", "image"),
  )
  monkeypatch.setitem(DATASETS, "unit", info)
  return table


@pytest.fixture(autouse=True)
def nothing_shared() -> Iterator[None]:
  """No test sees records that another one has read."""
  yield
  pipeline_records._shared.clear()


@pytest.fixture
def make_spec() -> Callable[..., InkSightTasks]:
  """Builds small tasks; keyword arguments override fields."""

  def make(**fields) -> InkSightTasks:
    settings = {
      "source": "unit",
      "path": __file__,
      "vocabulary": Vocabulary(ink=InkCodec(32)),
      "image_size": 24,
      "input_length": 48,
      "target_length": 96,
      "neighbours": 3,
    }
    return InkSightTasks(**(settings | fields))

  return make
