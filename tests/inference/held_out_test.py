"""Held-out samples: repeatable, unrelated to where they come from."""

import dataclasses

import numpy as np
import pytest

from inksight_jax.inference.held_out import held_out_samples
from inksight_jax.inference.predictor import Predictor
from inksight_jax.pipeline.shard_writer import write_shards


@pytest.fixture(scope="module")
def cache(model: Predictor, tmp_path_factory: pytest.TempPathFactory) -> str:
  folder = str(tmp_path_factory.mktemp("cache"))
  write_shards(folder, model.tasks, ["test"], workers=0)
  return folder


def test_samples_are_drawn_without_repetition_and_repeatably(model: Predictor):
  first = held_out_samples(model.tasks, "test", 6, seed=1)
  again = held_out_samples(model.tasks, "test", 6, seed=1)
  other = held_out_samples(model.tasks, "test", 6, seed=2)
  assert set(first) == set(model.tasks.tasks)
  for task, samples in first.items():
    ids = [sample.id for sample in samples]
    assert len(set(ids)) == len(ids) == 6
    assert ids == [sample.id for sample in again[task]]
    assert ids != [sample.id for sample in other[task]]


def test_shards_and_records_give_equal_samples(model: Predictor, cache: str):
  # More than there are: all of them.
  stored = held_out_samples(model.tasks, "test", 999, cache=cache)
  built = held_out_samples(model.tasks, "test", 999)
  for task in model.tasks.tasks:
    by_id = {sample.id: sample for sample in stored[task]}
    assert len(by_id) == len(built[task]) > 0
    for sample in built[task]:
      twin = by_id[sample.id]
      np.testing.assert_array_equal(sample.example.image, twin.example.image)
      np.testing.assert_array_equal(
        sample.example.targets, twin.example.targets
      )
      np.testing.assert_array_equal(sample.ink.points, twin.ink.points)
      assert sample.text == twin.text


def test_the_truth_is_what_the_task_writes(model: Predictor):
  samples = held_out_samples(model.tasks, "test", 4)
  for sample in samples["recognize_ink"]:
    assert set(sample.text) <= set("ab12") and sample.text
    assert not sample.ink
  for sample in samples["derender"]:
    assert sample.ink and not sample.text
    # The ink covers dark pixels of the picture: same frame.
    dark = sample.example.image.mean(axis=2)
    paper = np.median(dark)
    x, y = np.rint(sample.ink.points).astype(int).clip(0, 31).T
    assert (abs(dark[y, x] - paper) > 30).mean() > 0.7


def test_wrong_requests_are_refused(model: Predictor, cache: str):
  with pytest.raises(ValueError, match="At least 1 sample"):
    held_out_samples(model.tasks, "test", 0)
  other = dataclasses.replace(model.tasks, tolerance=2.0)
  with pytest.raises(ValueError, match="leave --cache out"):
    held_out_samples(other, "test", 2, cache=cache)
  none = dataclasses.replace(
    model.tasks, rates={"derender": 1.0, "recognize_image": 1.0}
  )
  with pytest.raises(ValueError, match="no sample of 'recognize_image'"):
    held_out_samples(none, "test", 2)
