"""`--ngrams=train`: the texts that a model was trained on, as it reads them."""

import types

from inksight_jax.cli import beam
from inksight_jax.pipeline.composed import Compose
from inksight_jax.pipeline.page_reading import PageTasks
from inksight_jax.pipeline.records import MixtureRecords


def test_training_texts_are_those_of_the_training_split_alone():
  tasks = PageTasks(
    source="generated_words",
    source_options={"count": 8, "held_out_count": 4, "alphabet": "AB"},
    compose=Compose(lines=(2, 2), count=6, held_out_count=3),
    lower_case=True,
  )
  found = beam._training_texts(types.SimpleNamespace(tasks=tasks))
  assert len(found) == 6
  assert all("\n" in text and text == text.lower() for text in found)
  records = MixtureRecords(tasks, "train")
  (component,) = records.components.values()
  pages = records.of(component)
  assert found == [pages.at(index, 0).text.lower() for index in range(6)]
