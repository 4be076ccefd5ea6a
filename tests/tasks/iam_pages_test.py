"""The three formats of IAM's own folders, and what is composed of its words."""

import pathlib

import pytest

from inksight_jax.inference import recipe
from inksight_jax.pipeline.batches import RecordBatches
from inksight_jax.pipeline.records import MixtureRecords

ROOT = pathlib.Path(__file__).parents[2]
# The form of the training split in the fixture.
TRAINING_FORM = "a01-000u"


@pytest.mark.parametrize(
  ("level", "text"),
  [("word", "one"), ("line", "one two, six"), ("form", "one two, six\n" * 2)],
)
def test_each_format_trains_on_real_and_composed_pages(iam_folder, level, text):
  file = ROOT / "gin" / "recipes" / f"fphtr_iam_{level}.gin"
  changes = ["SYNTHETIC_SHARE = 0.5", "LOWER_CASE = True"]
  recipe.parse([str(file)], [f"DATA_PATH = {str(iam_folder)!r}", *changes])
  tasks = recipe.resolve("TASKS")
  batches = RecordBatches(tasks, "train", 4)
  read = {"real": set(), "synthetic": set()}
  for position in range(40):
    name, _, example = batches.example(position)
    kind = "synthetic" if name.endswith("synthetic") else "real"
    read[kind].add(tasks.vocabulary.decode(example.targets).text)
    assert example.image.shape[:2] in tasks.image_shapes
  assert text.strip() in read["real"]
  if level == "form":
    # One line first, then more; the epochs of a small set are soon over.
    assert any("\n" in page for page in read["real"])
  assert read["synthetic"] and not any(" ," in t for t in read["synthetic"])
  held_out = RecordBatches(tasks, "validation", 4)
  assert set(held_out.rates) == {"recognize_page/iam"}


def test_composed_pages_of_iam_have_words_of_training_forms_alone(iam_folder):
  file = ROOT / "gin" / "recipes" / "fphtr_iam_form.gin"
  recipe.parse([str(file)], [f"DATA_PATH = {str(iam_folder)!r}"])
  tasks = recipe.resolve("TASKS")
  train = MixtureRecords(tasks, "train")
  (name,) = [n for n in train.components if n.endswith("synthetic")]
  pages = train.of(train.components[name])
  used = {
    word.id[: len(TRAINING_FORM)]
    for index in range(20)
    for epoch in (0, 9)
    for line in pages.at(index, epoch).parts
    for word in line.parts
  }
  assert used == {TRAINING_FORM}
  for split in ("validation", "test"):
    assert not MixtureRecords(tasks, split).sizes[name]
