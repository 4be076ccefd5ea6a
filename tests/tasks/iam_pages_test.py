"""The three formats of IAM's own folders, and what is composed of its words."""

import pathlib

import cv2
import numpy as np
import pytest

from inksight_jax.inference import recipe
from inksight_jax.pipeline.batches import RecordBatches
from inksight_jax.pipeline.records import MixtureRecords

ROOT = pathlib.Path(__file__).parents[2]
FORMS = {"train": "a01-000u", "validation": "a02-000", "test": "a03-006"}


def draw(path: pathlib.Path, height: int, width: int) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  image = np.full((height, width), 230, np.uint8)
  cv2.line(image, (4, height // 2), (width - 5, height // 3), 40, 3)
  cv2.imwrite(str(path), image)


@pytest.fixture
def iam(tmp_path: pathlib.Path) -> pathlib.Path:
  words, lines = [], []
  for number, form in enumerate(FORMS.values()):
    folder = f"{form[:3]}/{form}"
    for line in range(2):
      name = f"{form}-{line:02d}"
      for word, text in enumerate(("one", "two", ",", "six")):
        words.append(f"{name}-{word:02d} ok 154 40 {60 * word} 50 20 AT {text}")
        draw(tmp_path / f"words/{folder}/{name}-{word:02d}.png", 40, 60)
      box = f"10 {200 + 60 * line} 280 50"
      lines.append(f"{name} ok 154 4 {box} one|two|,|six")
      draw(tmp_path / f"lines/{folder}/{name}.png", 60, 300)
    draw(tmp_path / f"formsA-D/{form}.png", 400, 300)
    forms = tmp_path / "ascii" / "forms.txt"
    forms.parent.mkdir(exist_ok=True)
    with open(forms, "a", encoding="ascii") as file:
      file.write(f"{form} {number:03d} 2 prt 2 2 8 8\n")
  for name, rows in (("words", words), ("lines", lines)):
    path = tmp_path / "ascii" / f"{name}.txt"
    path.write_text("\n".join(rows) + "\n", encoding="ascii")
  (tmp_path / "splits").mkdir()
  for split, form in FORMS.items():
    (tmp_path / "splits" / f"{split}.uttlist").write_text(f"{form}\n")
  return tmp_path


@pytest.mark.parametrize(
  ("level", "text"),
  [("word", "one"), ("line", "one two, six"), ("form", "one two, six\n" * 2)],
)
def test_each_format_trains_on_real_and_composed_pages(iam, level, text):
  file = ROOT / "gin" / "recipes" / f"fphtr_iam_{level}.gin"
  changes = ["SYNTHETIC_SHARE = 0.5", "LOWER_CASE = True"]
  recipe.parse([str(file)], [f"DATA_PATH = {str(iam)!r}", *changes])
  tasks = recipe.resolve("TASKS")
  batches = RecordBatches(tasks, "train", 4)
  read = {"real": set(), "synthetic": set()}
  for position in range(40):
    name, _, example = batches.example(position)
    kind = "synthetic" if name.endswith("synthetic") else "real"
    read[kind].add(tasks.vocabulary.decode(example.targets).text)
    assert example.image.shape[:2] == tasks.image_shape
  assert text.strip() in read["real"]
  if level == "form":
    # One line first, then more; the epochs of a small set are soon over.
    assert any("\n" in page for page in read["real"])
  assert read["synthetic"] and not any(" ," in t for t in read["synthetic"])
  held_out = RecordBatches(tasks, "validation", 4)
  assert set(held_out.rates) == {"recognize_page/iam"}


def test_composed_pages_of_iam_have_words_of_training_forms_alone(iam):
  file = ROOT / "gin" / "recipes" / "fphtr_iam_form.gin"
  recipe.parse([str(file)], [f"DATA_PATH = {str(iam)!r}"])
  tasks = recipe.resolve("TASKS")
  train = MixtureRecords(tasks, "train")
  (name,) = [n for n in train.components if n.endswith("synthetic")]
  pages = train.of(train.components[name])
  used = {
    word.id[: len(FORMS["train"])]
    for index in range(20)
    for epoch in (0, 9)
    for line in pages.at(index, epoch).parts
    for word in line.parts
  }
  assert used == {FORMS["train"]}
  for split in ("validation", "test"):
    assert not MixtureRecords(tasks, split).sizes[name]
