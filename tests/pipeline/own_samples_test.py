"""A trained model's tasks over another data set."""

import pytest

from inksight_jax.pipeline.mixture import Source
from inksight_jax.pipeline.own_samples import tasks_over
from inksight_jax.pipeline.spec import InkSightTasks

BASE = InkSightTasks(
  sources=(Source("generated_words"), Source("iam", path="/scans")),
  rates={"derender": 2.0, "recognize_ink": 1.0, "recognize_image": 1.0},
  image_size=48,
  tolerance=0.75,
)


def test_rules_stay_and_tasks_without_samples_go():
  ink = tasks_over(BASE, "inkml_folder", "/mine", {"split_by": "sample"})
  assert ink.rates == {"derender": 2.0, "recognize_ink": 1.0}
  (source,) = ink.all_sources
  assert (source.name, source.location) == ("inkml_folder", "/mine")
  assert source.options == {"split_by": "sample"}
  assert (ink.image_size, ink.tolerance) == (48, 0.75)
  assert ink.vocabulary == BASE.vocabulary
  photos = tasks_over(BASE, "image_folder", "/mine")
  assert photos.rates == {"recognize_image": 1.0}


def test_a_new_task_has_to_be_asked_for():
  base = InkSightTasks(source="generated_words", rates={"derender": 1.0})
  with pytest.raises(ValueError, match=r"for derender, .*holds image only"):
    tasks_over(base, "image_folder", "/mine")
  rates = {"recognize_image": 1.0}
  assert tasks_over(base, "image_folder", "/mine", rates=rates).rates == rates
  with pytest.raises(ValueError, match="Unknown data set"):
    tasks_over(base, "image_folders", "/mine")
