"""docs/datasets.md says what the registry says."""

import pathlib

from inksight_jax.datasets.registry import DATASETS
from inksight_jax.datasets.table import markdown, used_by

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_page_is_up_to_date():
  page = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
  assert page == markdown(DATASETS.values(), used_by(ROOT / "gin")), (
    "Run: python -m inksight_jax.datasets.table gin > docs/datasets.md"
  )


def test_gin_files_name_data_sets_of_the_registry():
  users = used_by(ROOT / "gin")
  assert set(users) <= set(DATASETS)
  assert "recipes/unipen_words" in users["unipen"]


def test_a_row_has_every_cell():
  info = DATASETS["iam"]
  page = markdown([info], {"iam": ["recipes/a", "tasks/b"]})
  (row,) = [line for line in page.splitlines() if line.startswith("| `iam`")]
  assert row.count("|") == 7
  for part in (info.kind, info.licence, "line 13,353", "recipes/a, tasks/b"):
    assert part in row
  assert info.access in page and info.citation in page
